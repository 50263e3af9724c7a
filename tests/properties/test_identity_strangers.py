"""Whatever bytes a stranger sends, identity answers with one of its declared errors, and only a key opens the door."""

import asyncio
import contextlib
import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.base.errors import ErrorKind, GatewayError
from gateway.identity.authorization import parse_authorization
from gateway.identity.htu import normalise_uri
from gateway.identity.jwk import Algorithm, JwkError, parse_public_jwk
from gateway.identity.jws import JwsError, JwsKind, parse_compact
from gateway.identity.key_policy import parse_submitted_key
from gateway.identity.nonce import NonceVerdict
from gateway.identity.oauth import OAuthError
from tests.unit.identity.kit import (
    ED_KEY,
    KEY,
    NOW,
    PATH,
    PROOF_KEY,
    RSA_KEY,
    Endpoint,
    assertion_claims,
    assertion_header,
    make_assertion,
    make_claims,
    make_form,
    make_nonces,
    make_request,
    make_token_verifier,
    make_verifier,
    proof_claims,
    proof_header,
    sign,
    token_claims,
    token_header,
    token_proof,
    verify_proof,
)

ANY_TEXT = st.text(st.characters(), max_size=200)  # surrogates too: that is how foreign bytes in headers arrive
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
SEGMENT = st.text(string.ascii_letters + string.digits + "-_", max_size=60)
LIKE_JWS = st.builds("{}.{}.{}".format, SEGMENT, SEGMENT, SEGMENT) | ANY_TEXT
REFUSALS = {
    ErrorKind.INVALID_TOKEN,
    ErrorKind.INVALID_DPOP_PROOF,
    ErrorKind.USE_DPOP_NONCE,
    ErrorKind.UNAUTHENTICATED,
    ErrorKind.INVALID_REQUEST,
    ErrorKind.VALIDATION_FAILED,
}


def replaced(members, name, value):
    return {**members, name: value}


def refuses(call):
    """Run a call that must raise one of the refusals."""
    with pytest.raises(GatewayError) as caught:
        call()
    assert caught.value.kind in REFUSALS


def kind_of_refusal(call):
    """Run a call and return the kind of its refusal, or None if it succeeded."""
    try:
        call()
    except GatewayError as refusal:
        return refusal.kind
    return None


@given(LIKE_JWS, st.sampled_from(list(JwsKind)))
def test_any_text_is_a_jws_or_a_jws_error(text, kind):
    with contextlib.suppress(JwsError):
        parse_compact(text, kind)


@given(LIKE_JWS)
def test_any_text_is_refused_as_a_token(text):
    refuses(lambda: make_token_verifier().verify(text))


@given(st.lists(LIKE_JWS, max_size=2), ANY_TEXT)
def test_any_text_is_refused_as_a_proof(values, path):
    refuses(lambda: verify_proof(make_verifier(make_nonces()), values, method="POST", path=path, token=make_claims()))


@given(st.lists(ANY_TEXT, max_size=2))
def test_any_text_is_read_or_refused_as_authorization(values):
    assert kind_of_refusal(lambda: parse_authorization(values)) in {None, *REFUSALS}


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_as_a_key(raw):
    refuses(lambda: parse_submitted_key(raw))


@given(st.sampled_from([KEY, RSA_KEY, ED_KEY]), st.data())
def test_any_value_in_any_member_of_a_key_is_read_or_a_jwk_error(key, data):
    name = data.draw(st.sampled_from([*key.public.jwk, "alg", "use", "key_ops", "d"]))
    value = data.draw(ANY_JSON | st.binary(max_size=40).map(bytes.hex))
    with contextlib.suppress(JwkError):
        parsed = parse_public_jwk(replaced(key.public.jwk, name, value), alg=None)
        assert parsed.alg in Algorithm


@given(st.sampled_from([*proof_claims(), "ath", "nonce", "nbf", "exp"]), ANY_JSON)
def test_any_value_in_any_claim_of_a_proof_is_accepted_or_refused(name, value):
    claims = replaced(proof_claims(), name, value)
    value = sign(PROOF_KEY, proof_header(), claims)

    kind = kind_of_refusal(lambda: verify_proof(make_verifier(), [value], method="POST", path=PATH, token=None))

    assert kind in {None, *REFUSALS}


@given(st.sampled_from([*proof_header(), "kid", "crit", "x5u"]), ANY_JSON)
def test_any_value_in_any_header_member_of_a_proof_is_accepted_or_refused(name, value):
    header = replaced(proof_header(), name, value)
    with contextlib.suppress(GatewayError):
        verify_proof(make_verifier(), [sign(PROOF_KEY, header, proof_claims())], method="POST", path=PATH, token=None)


@given(st.sampled_from([*token_claims(), "nbf", "act"]), ANY_JSON, st.sampled_from([*token_header(), "jwk", "crit"]))
def test_any_value_in_any_claim_of_a_token_is_accepted_or_refused(name, value, member):
    key = make_token_verifier()
    from_claims = sign(KEY, token_header(), replaced(token_claims(), name, value))
    from_header = sign(KEY, replaced(token_header(), member, value), token_claims())
    for text in (from_claims, from_header):  # signed by a key that is not the issuer's: always refused
        refuses(lambda text=text: key.verify(text))


@settings(deadline=None)
@given(st.sampled_from([*assertion_claims(), "nbf"]), ANY_JSON, st.sampled_from([*assertion_header(), "typ", "jku"]))
def test_any_value_in_any_claim_of_an_assertion_is_granted_or_an_oauth_error(name, value, member):
    texts = [
        sign(KEY, assertion_header(), replaced(assertion_claims(), name, value)),
        sign(KEY, replaced(assertion_header(), member, value), assertion_claims()),
    ]
    for text in texts:
        with contextlib.suppress(OAuthError):
            asyncio.run(Endpoint().grant(make_request(parameters=make_form(client_assertion=text))))


@settings(deadline=None)
@given(
    st.lists(st.tuples(ANY_TEXT | st.sampled_from(["grant_type", "scope", "client_assertion"]), ANY_TEXT), max_size=6),
    st.lists(ANY_TEXT, max_size=2),
    st.lists(LIKE_JWS, max_size=2),
)
def test_any_form_is_an_oauth_error(parameters, authorization, dpop):
    request = make_request(parameters=parameters, authorization=authorization, dpop=dpop)
    with pytest.raises(OAuthError):
        asyncio.run(Endpoint().grant(request))


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 255))
def test_no_change_of_one_byte_in_a_signed_text_passes(position, difference):
    assertion, proof = make_assertion(), token_proof()

    def altered(text):
        at = position % len(text)
        return text[:at] + chr(ord(text[at]) ^ difference) + text[at + 1 :]

    with pytest.raises(OAuthError):
        asyncio.run(Endpoint().grant(make_request(parameters=make_form(client_assertion=altered(assertion)))))
    with pytest.raises(OAuthError):
        asyncio.run(Endpoint().grant(make_request(dpop=[altered(proof)])))


@given(ANY_JSON)
def test_any_value_is_a_refused_nonce(value):
    assert make_nonces().judge(value, NOW) is NonceVerdict.REFUSED


@given(ANY_TEXT)
def test_the_normal_form_of_an_address_is_its_own_normal_form(tail):
    normal = normalise_uri(f"https://h/{tail}")

    assert normal is None or normalise_uri(normal) == normal


@given(st.dictionaries(st.text(max_size=8), ANY_JSON, max_size=4))
def test_any_object_is_refused_as_a_submitted_key(members):
    raw = json.dumps(members).encode("utf-8", "surrogatepass")

    refuses(lambda: parse_submitted_key(raw))
