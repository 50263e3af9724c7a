"""Access tokens: statements R5 and R7, table D as far as it is decided below HTTP."""

import json

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.base.errors import ErrorKind, GatewayError
from gateway.identity.client import token_hash
from gateway.identity.signing_key import SigningKey
from gateway.identity.token import TokenIssuer, TokenVerifier
from tests.unit.identity.kit import (
    CLIENT_ID,
    JTI,
    KEY,
    NOW_S,
    ORIGIN,
    OTHER_KEY,
    PARTNER_ID,
    PROOF_KEY,
    RSA_KEY,
    SERVER_KEY,
    FakeClock,
    b64url,
    make_assertion,
    make_issuer,
    make_token_verifier,
    proof_claims,
    proof_header,
    segment,
    sign,
    token_claims,
    token_header,
    unb64url,
    without,
)


def token(header=None, key=SERVER_KEY, **changes):
    return sign(key, token_header() if header is None else header, token_claims(**changes))


def lacking(name):
    return sign(SERVER_KEY, token_header(), without(token_claims(), name))


def hs256():
    pem = SERVER_KEY._private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signing_input = f"{segment(token_header(alg='HS256'))}.{segment(token_claims())}"
    signature = jwt.get_algorithm_by_name("HS256").sign(signing_input.encode(), pem.replace(b"-----", b""))
    return f"{signing_input}.{b64url(signature)}"


def issue(issuer=None, **changes):
    values = {
        "partner_id": PARTNER_ID,
        "client_id": CLIENT_ID,
        "credential": KEY.public.thumbprint,
        "scopes": ["verifications"],
        "purposes": ["onboarding"],
        "jkt": PROOF_KEY.public.thumbprint,
        "jti": JTI,
    }
    return (issuer or make_issuer()).issue(**{**values, **changes})


JKT = PROOF_KEY.public.thumbprint
GOOD = token()
HEAD, BODY, SIGNATURE = GOOD.split(".")

REFUSED = {
    "D02 expired": token(exp=NOW_S),
    "D02 expired long ago": token(exp=NOW_S - 3600),
    "D02 nbf in the future": token(nbf=NOW_S + 61),
    "D02 iat in the future": token(iat=NOW_S + 61),
    "D02 wrong iss": token(iss="https://evil.example"),
    "D02 iss with slash": token(iss=ORIGIN + "/"),
    "D02 iss missing": lacking("iss"),
    "D02 wrong aud": token(aud="https://other.example"),
    "D02 aud a list": token(aud=[ORIGIN]),
    "D02 aud missing": lacking("aud"),
    "D02 exp missing": lacking("exp"),
    "D02 iat missing": lacking("iat"),
    "D02 jti missing": lacking("jti"),
    "D02 sub missing": lacking("sub"),
    "D02 client_id missing": lacking("client_id"),
    "D02 scope missing": lacking("scope"),
    "D02 scope empty": token(scope=""),
    "D02 scope a list": token(scope=["verifications"]),
    "D02 partner missing": lacking("partner"),
    "D02 purposes missing": lacking("purposes"),
    "D02 purposes a list": token(purposes=["onboarding"]),
    "D02 cred missing": lacking("cred"),
    "D02 cred no thumbprint": token(cred="x"),
    "D02 exp a string": token(exp=str(NOW_S + 60)),
    "D02 exp true": token(exp=True),
    "D02 sub is not client_id": token(sub="partner-two"),
    "D03 typ JWT": token(token_header(typ="JWT")),
    "D03 typ missing": token(without(token_header(), "typ")),
    "D03 typ with a parameter": token(token_header(typ="at+jwt;v=1")),
    "D03 typ of another tree": token(token_header(typ="text/at+jwt")),
    "D03 typ null": token(token_header(typ=None)),
    "D03 client assertion": make_assertion(),
    "D03 client assertion by our own key": make_assertion(SERVER_KEY),
    "D03 proof of possession": sign(SERVER_KEY, proof_header(SERVER_KEY), proof_claims()),
    "D04 alg none": f"{segment(token_header(alg='none'))}.{BODY}.",
    "D04 HS256 with the public key": hs256(),
    "D04 RS256": token(token_header(alg="RS256")),
    "D04 alg of another type": token(token_header(alg="EdDSA")),
    "D04 PS256 by an RSA key under our kid": sign(RSA_KEY, token_header(alg="PS256"), token_claims()),
    "D04 kid unknown": token(token_header(kid="unknown")),
    "D04 kid a path": token(token_header(kid="../../../etc/passwd")),
    "D04 kid missing": token(without(token_header(), "kid")),
    "D04 kid empty": token(token_header(kid="")),
    "D04 header jwk": sign(OTHER_KEY, token_header(jwk=dict(OTHER_KEY.public.jwk)), token_claims()),
    "D04 another key under our kid": token(key=OTHER_KEY),
    "D05 cnf missing": lacking("cnf"),
    "D05 cnf null": token(cnf=None),
    "D05 cnf empty": token(cnf={}),
    "D05 jkt an integer": token(cnf={"jkt": 5}),
    "D05 jkt too short": token(cnf={"jkt": JKT[:-1]}),
    "D05 both jkt and x5t#S256": token(cnf={"jkt": JKT, "x5t#S256": JKT}),
    "D05 x5t#S256 only": token(cnf={"x5t#S256": JKT}),
    "D10 signed by the key of another installation": sign(
        OTHER_KEY, token_header(kid=OTHER_KEY.public.thumbprint), token_claims()
    ),
    "duplicate claim": sign(SERVER_KEY, token_header(), json.dumps(token_claims())[:-1] + ',"scope":"admin"}'),
    "crit": token(token_header(crit=["x"], x=1)),
    "payload changed": f"{HEAD}.{segment(token_claims(scope='admin'))}.{SIGNATURE}",
    "signature zero": f"{HEAD}.{BODY}.{b64url(bytes(64))}",
    "signature cut": f"{HEAD}.{BODY}.{b64url(unb64url(SIGNATURE)[:-1])}",
    "signature not canonical": GOOD[:-1] + ("B" if GOOD[-1] == "A" else chr(ord(GOOD[-1]) + 1)),
    "four segments": f"{GOOD}.x",
    "empty": "",
    "one byte that is not ASCII": GOOD + "\udcff",
    "9 kB": "A" * 9000,
}


def refusal_of(text, verifier=None):
    with pytest.raises(GatewayError) as caught:
        (verifier or make_token_verifier()).verify(text)
    return caught.value


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_token_is_refused_and_not_remembered(text):
    verifier = make_token_verifier()

    first, second = refusal_of(text, verifier), refusal_of(text, verifier)

    assert first.kind is second.kind is ErrorKind.INVALID_TOKEN
    assert verifier.verify(GOOD).jti == JTI


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        token(token_header(typ="application/at+jwt")),
        token(token_header(typ="Application/AT+JWT")),
        token(token_header(x5c=["AAAA"], x5t="x")),
        token(nbf=NOW_S),
        token(iat=NOW_S + 30),
        token(extra={"a": [1]}),
    ],
    ids=["plain", "R5 application/at+jwt", "R5 another case", "certificates", "nbf now", "iat +30 s", "extra claim"],
)
def test_a_good_token_is_accepted(text):
    claims = make_token_verifier().verify(text)

    assert (claims.client_id, claims.scopes, claims.jkt) == (CLIENT_ID, {"verifications"}, JKT)


def test_what_is_issued_is_what_is_verified():
    """RFC 9068 section 2.2: all claims there, bound to the key, and ``ath`` as a proof must state it."""
    text = issue(scopes=["b", "a"])

    claims = make_token_verifier().verify(text)

    assert (claims.partner_id, claims.client_id, claims.credential) == (PARTNER_ID, CLIENT_ID, KEY.public.thumbprint)
    assert (claims.scopes, claims.purposes, claims.jkt) == ({"a", "b"}, {"onboarding"}, JKT)
    assert (claims.iat, claims.exp, claims.ath) == (NOW_S, NOW_S + 300, token_hash(text))


def test_r5_an_issued_token_says_what_it_is():
    header, payload = (json.loads(unb64url(part)) for part in issue().split(".")[:2])

    assert header == {"alg": "ES256", "typ": "at+jwt", "kid": SERVER_KEY.public.thumbprint}
    assert payload == token_claims()


def test_a_remembered_token_expires_all_the_same():
    """The cache holds what the token says; the time is looked at on each use."""
    clock = FakeClock()
    verifier = make_token_verifier(clock)
    text = issue()
    verifier.verify(text)

    clock.advance(299)
    still = verifier.verify(text)
    clock.advance(1)

    assert still.exp == NOW_S + 300
    assert refusal_of(text, verifier).reason == "token_expired"


def test_d10_after_its_key_was_retired_a_token_is_refused():
    text = issue()
    rotated = TokenVerifier(ORIGIN, ORIGIN, [OTHER_KEY.public], FakeClock())

    assert refusal_of(text, rotated).reason == "token_key_unknown"


def test_during_an_overlap_both_keys_are_accepted():
    verifier = TokenVerifier(ORIGIN, ORIGIN, [SERVER_KEY.public, OTHER_KEY.public], FakeClock())

    new = issue(TokenIssuer(ORIGIN, ORIGIN, OTHER_KEY, FakeClock()))

    assert [verifier.verify(text).jti for text in (issue(), new)] == [JTI, JTI]


def test_a_verifier_without_keys_accepts_nothing():
    assert refusal_of(issue(), TokenVerifier(ORIGIN, ORIGIN, [], FakeClock())).kind is ErrorKind.INVALID_TOKEN


def test_the_cache_is_bounded():
    """However many tokens come, old ones are only forgotten, never mixed up."""
    verifier = make_token_verifier()
    texts = [issue(jti=f"token-{n:05}") for n in range(5)]

    names = [verifier.verify(text).jti for text in texts * 2]

    assert names == [f"token-{n:05}" for n in range(5)] * 2


def test_signing_keys_survive_their_file():
    again = SigningKey.from_pem(SERVER_KEY.to_pem())

    assert again.public.thumbprint == SERVER_KEY.public.thumbprint
