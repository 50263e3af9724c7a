"""Table A, through the token endpoint: every bad assertion gets the same 401 and leaves no trace but its reason."""

import asyncio
import json

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.base.clock import Millis, utc_day
from gateway.identity.claims import MAX_INSTANT_S
from gateway.identity.oauth import DESCRIPTIONS, OAuthCode, OAuthError
from gateway.identity.partner import KeyState, PartnerState, StoredClient
from tests.unit.identity.kit import (
    CLIENT_ID,
    ED_KEY,
    JTI,
    KEY,
    NOW,
    NOW_S,
    ORIGIN,
    OTHER_KEY,
    PROOF_KEY,
    RSA_KEY,
    TOKEN_PATH,
    Endpoint,
    FakeDirectory,
    assertion_claims,
    assertion_header,
    b64url,
    make_assertion,
    make_client,
    make_form,
    make_issuer,
    make_key,
    make_request,
    proof_claims,
    proof_header,
    segment,
    sign,
    token_proof,
    unb64url,
    without,
)

RSA_CLIENT = make_client(make_key(RSA_KEY))
ED_CLIENT = make_client(make_key(ED_KEY))
TWO_KEYS = make_client(make_key(KEY), make_key(OTHER_KEY))
GOOD = make_assertion()
HEAD, BODY, SIGNATURE = GOOD.split(".")


def with_header(key=KEY, **changes):
    return sign(key, assertion_header(key, **changes), assertion_claims())


def with_raw_header(text):
    return sign(KEY, text, assertion_claims())


def with_raw_claims(text):
    return sign(KEY, assertion_header(), text)


def claims_text(**changes):
    """The claims as JSON text with some members replaced by raw text."""
    marks = {name: f"@{name}@" for name in changes}
    text = json.dumps(assertion_claims(**marks))
    for name, raw in changes.items():
        text = text.replace(f'"@{name}@"', raw)
    return text


def hmac_signed(secret):
    signing_input = f"{segment(assertion_header(alg='HS256'))}.{BODY}"
    signature = jwt.get_algorithm_by_name("HS256").sign(signing_input.encode(), secret)
    return f"{signing_input}.{b64url(signature)}"


def rsa_signed(how, **header):
    signing_input = f"{segment(assertion_header(RSA_KEY, **header))}.{BODY}"
    return f"{signing_input}.{b64url(RSA_KEY._private.sign(signing_input.encode(), how, hashes.SHA256()))}"


def pss(salt):
    return padding.PSS(padding.MGF1(hashes.SHA256()), salt)


def p384_signed():
    signing_input = f"{HEAD}.{BODY}"
    key = ec.generate_private_key(ec.SECP384R1())
    return f"{signing_input}.{b64url(key.sign(signing_input.encode(), ec.ECDSA(hashes.SHA256())))}"


def der_signed():
    signing_input = f"{HEAD}.{BODY}"
    return f"{signing_input}.{b64url(KEY._private.sign(signing_input.encode(), ec.ECDSA(hashes.SHA256())))}"


def ed448_signed():
    signing_input = f"{segment(assertion_header(ED_KEY))}.{BODY}"
    return f"{signing_input}.{b64url(ed448.Ed448PrivateKey.generate().sign(signing_input.encode()))}"


def changed(text, at):
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


def own_access_token():
    return make_issuer().issue(
        partner_id="prt_1",
        client_id=CLIENT_ID,
        credential=KEY.public.thumbprint,
        scopes=["verifications"],
        purposes=["onboarding"],
        jkt=PROOF_KEY.public.thumbprint,
        jti=JTI,
    )


PUBLIC_PEM = KEY._private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
DEEP = "[" * 3000 + "]" * 3000

# name: (assertion, reason in the log) or (assertion, reason, client)
REFUSED = {
    "A01 alg none, no signature": (f"{segment(assertion_header(alg='none'))}.{BODY}.", "assertion_alg"),
    "A01 alg none, with signature": (f"{segment(assertion_header(alg='none'))}.{BODY}.{SIGNATURE}", "assertion_alg"),
    "A02 alg NoNe": (with_header(alg="NoNe"), "assertion_alg"),
    "A02 alg es256": (with_header(alg="es256"), "assertion_alg"),
    "A02 alg null": (with_header(alg=None), "assertion_alg"),
    "A02 alg a list": (with_header(alg=["ES256"]), "assertion_alg"),
    "A02 alg an object": (with_header(alg={"ES256": 1}), "assertion_alg"),
    "A02 alg missing": (sign(KEY, {"kid": KEY.public.thumbprint}, assertion_claims()), "assertion_alg"),
    "A03 HS256 with the public PEM": (hmac_signed(PUBLIC_PEM.replace(b"-----", b"")), "assertion_alg"),
    "A04 HS256 with the JWK text": (hmac_signed(json.dumps(dict(KEY.public.jwk)).encode()), "assertion_alg"),
    "A05 RS256 by a PS256 client": (rsa_signed(padding.PKCS1v15(), alg="RS256"), "assertion_alg", RSA_CLIENT),
    "A05 PS256 header, PKCS1 signature": (rsa_signed(padding.PKCS1v15()), "assertion_signature", RSA_CLIENT),
    "A05 PS384": (with_header(alg="PS384"), "assertion_alg"),
    "A05 ES256K": (with_header(alg="ES256K"), "assertion_alg"),
    "A06 ES256 header, P-384 signature": (p384_signed(), "assertion_signature"),
    "A07 EdDSA header, Ed448 signature": (ed448_signed(), "assertion_signature", ED_CLIENT),
    "A07 alg Ed448": (with_header(ED_KEY, alg="Ed448"), "assertion_alg", ED_CLIENT),
    "A08 zero signature": (f"{HEAD}.{BODY}.{b64url(bytes(64))}", "assertion_signature"),
    "A09 DER signature": (der_signed(), "assertion_signature"),
    "A10 surplus byte": (f"{HEAD}.{BODY}.{b64url(unb64url(SIGNATURE) + bytes(1))}", "assertion_signature"),
    "A10 signature twice": (f"{HEAD}.{BODY}.{b64url(unb64url(SIGNATURE) * 2)}", "assertion_signature"),
    "A11 salt 0": (rsa_signed(pss(0)), "assertion_signature", RSA_CLIENT),
    "A11 salt 20": (rsa_signed(pss(20)), "assertion_signature", RSA_CLIENT),
    "A11 salt max": (rsa_signed(pss(padding.PSS.MAX_LENGTH)), "assertion_signature", RSA_CLIENT),
    "A12 signature changed": (changed(GOOD, -20), "assertion_signature"),
    "A12 payload changed": (
        f"{HEAD}.{segment(assertion_claims(jti='jti-1123456789abcdef'))}.{SIGNATURE}",
        "assertion_signature",
    ),
    "A12 header changed": (f"{segment(assertion_header(typ='JWT'))}.{BODY}.{SIGNATURE}", "assertion_signature"),
    "A13 key of another, kid of the victim": (
        sign(OTHER_KEY, assertion_header(KEY), assertion_claims()),
        "assertion_signature",
    ),
    "A14 key and kid of another": (make_assertion(OTHER_KEY), "key_unknown"),
    "A15 kid unknown": (with_header(kid="nobody"), "key_unknown"),
    "A15 kid missing with two keys": (sign(KEY, {"alg": "ES256"}, assertion_claims()), "key_unknown", TWO_KEYS),
    "A15 kid of a key of another algorithm": (with_header(kid=RSA_KEY.public.thumbprint), "key_unknown", RSA_CLIENT),
    "A16 kid a path": (with_header(kid="../../../../dev/null"), "key_unknown"),
    "A16 kid SQL": (with_header(kid="' OR 1=1--"), "assertion_kid"),
    "A16 kid NUL": (with_header(kid="\0"), "assertion_kid"),
    "A16 kid empty": (with_header(kid=""), "assertion_kid"),
    "A16 kid 200 characters": (with_header(kid="k" * 200), "assertion_kid"),
    "A16 kid 10 kB": (with_header(kid="k" * 10_000), "assertion_too_long"),
    "A16 kid a surrogate": (with_header(kid="\ud800"), "assertion_not_strict_json"),
    "A17 kid an integer": (with_header(kid=1), "assertion_kid"),
    "A17 kid null": (with_header(kid=None), "assertion_kid"),
    "A17 kid an object": (with_header(kid={}), "assertion_kid"),
    "A18 header jwk": (
        sign(OTHER_KEY, assertion_header(jwk=dict(OTHER_KEY.public.jwk)), assertion_claims()),
        "assertion_forbidden_header_member",
    ),
    "A19 jku": (with_header(jku="http://169.254.169.254/"), "assertion_forbidden_header_member"),
    "A19 x5u": (with_header(x5u="http://169.254.169.254/"), "assertion_forbidden_header_member"),
    "A20 x5c of somebody who signs with its key": (
        sign(OTHER_KEY, assertion_header(x5c=["AAAA"], **{"x5t#S256": "AAAA"}), assertion_claims()),
        "assertion_signature",
    ),
    "A21 crit unknown": (with_header(crit=["x"], x=1), "assertion_forbidden_header_member"),
    "A21 crit empty": (with_header(crit=[]), "assertion_forbidden_header_member"),
    "A21 b64 false": (with_header(b64=False), "assertion_forbidden_header_member"),
    "A22 typ dpop+jwt": (with_header(typ="dpop+jwt"), "assertion_typ"),
    "A22 typ at+jwt": (with_header(typ="at+jwt"), "assertion_typ"),
    "A22 typ oauth-authz-req+jwt": (with_header(typ="oauth-authz-req+jwt"), "assertion_typ"),
    "A22 typ with a parameter": (with_header(typ="JWT;charset=utf-8"), "assertion_typ"),
    "A22 typ of another tree": (with_header(typ="text/jwt"), "assertion_typ"),
    "A22 typ application/ twice": (with_header(typ="application/application/jwt"), "assertion_typ"),
    "A22 typ a look-alike": (with_header(typ="\uff2aWT"), "assertion_typ"),
    "A22 typ empty": (with_header(typ=""), "assertion_typ"),
    "A22 typ null": (with_header(typ=None), "assertion_typ"),
    "A22 typ a list": (with_header(typ=["JWT"]), "assertion_typ"),
    "A23 our own access token": (own_access_token(), "assertion_typ"),
    "A23 a proof of possession": (
        sign(KEY, proof_header(KEY), {**proof_claims(), **assertion_claims()}),
        "assertion_typ",
    ),
    "A24 alg twice": (with_raw_header('{"alg":"none","alg":"ES256"}'), "assertion_not_strict_json"),
    "A24 exp twice": (with_raw_claims(claims_text(exp=f'1,"exp":{NOW_S + 60}')), "assertion_not_strict_json"),
    "A25 aud the token endpoint": (make_assertion(aud=ORIGIN + TOKEN_PATH), "assertion_aud"),
    "A26 aud a list of one": (make_assertion(aud=[ORIGIN]), "assertion_aud"),
    "A26 aud a list of two": (make_assertion(aud=[ORIGIN, "https://evil.example"]), "assertion_aud"),
    "A27 aud with slash": (make_assertion(aud=ORIGIN + "/"), "assertion_aud"),
    "A27 aud upper case": (make_assertion(aud=ORIGIN.upper()), "assertion_aud"),
    "A27 aud with port": (make_assertion(aud=ORIGIN + ":443"), "assertion_aud"),
    "A27 aud missing": (sign(KEY, assertion_header(), without(assertion_claims(), "aud")), "assertion_aud"),
    "A27 aud null": (make_assertion(aud=None), "assertion_aud"),
    "A27 aud an object": (make_assertion(aud={}), "assertion_aud"),
    "A28 iss is not sub": (make_assertion(iss="partner-two"), "assertion_client_mismatch"),
    "A28 sub is not iss": (make_assertion(sub="partner-two"), "assertion_client_mismatch"),
    "A29 sub missing": (sign(KEY, assertion_header(), without(assertion_claims(), "sub")), "assertion_sub"),
    "A29 iss missing": (sign(KEY, assertion_header(), without(assertion_claims(), "iss")), "assertion_iss"),
    "A29 jti missing": (sign(KEY, assertion_header(), without(assertion_claims(), "jti")), "assertion_jti"),
    "A29 sub an integer": (make_assertion(sub=1, iss=1), "assertion_sub"),
    "A29 sub no client id": (make_assertion(sub="Alice@x", iss="Alice@x"), "assertion_sub"),
    "A30 exp missing": (sign(KEY, assertion_header(), without(assertion_claims(), "exp")), "assertion_exp"),
    "A30 exp 5 minutes ago": (make_assertion(exp=NOW_S - 300), "assertion_expired"),
    "A30 exp now": (make_assertion(exp=NOW_S), "assertion_expired"),
    "A31 exp a string": (make_assertion(exp=str(NOW_S + 60)), "assertion_exp"),
    "A31 exp a float": (with_raw_claims(claims_text(exp=f"{NOW_S + 60}.5")), "assertion_not_strict_json"),
    "A31 exp true": (make_assertion(exp=True), "assertion_exp"),
    "A31 exp NaN": (with_raw_claims(claims_text(exp="NaN")), "assertion_not_strict_json"),
    "A31 exp Infinity": (with_raw_claims(claims_text(exp="Infinity")), "assertion_not_strict_json"),
    "A31 exp 1e400": (with_raw_claims(claims_text(exp="1e400")), "assertion_not_strict_json"),
    "A31 exp 10^30": (with_raw_claims(claims_text(exp="1" + "0" * 30)), "assertion_not_strict_json"),
    "A31 exp 5,000 digits": (with_raw_claims(claims_text(exp="1" * 5000)), "assertion_not_strict_json"),
    "A31 exp 10,000 digits": (with_raw_claims(claims_text(exp="1" * 10_000)), "assertion_too_long"),
    "A31 exp 2^62": (make_assertion(exp=2**62), "assertion_exp"),
    "A31 exp negative": (make_assertion(exp=-1), "assertion_exp"),
    "A32 exp in an hour, no iat": (
        sign(KEY, assertion_header(), without(assertion_claims(exp=NOW_S + 3600), "iat")),
        "assertion_lives_too_long",
    ),
    "A32 exp in 301 s, no iat": (
        sign(KEY, assertion_header(), without(assertion_claims(exp=NOW_S + 301), "iat")),
        "assertion_lives_too_long",
    ),
    "A32 exp in an hour, iat 300 s ago": (make_assertion(iat=NOW_S - 300, exp=NOW_S + 3600), "assertion_iat_window"),
    "A32 exp in an hour, iat an hour ago": (make_assertion(iat=NOW_S - 3600, exp=NOW_S + 60), "assertion_iat_window"),
    "A33 iat +61 s": (make_assertion(iat=NOW_S + 61, exp=NOW_S + 100), "assertion_iat_window"),
    "A33 iat +31 s": (make_assertion(iat=NOW_S + 31, exp=NOW_S + 100), "assertion_iat_window"),
    "A33 nbf +61 s": (make_assertion(nbf=NOW_S + 61, exp=NOW_S + 100), "assertion_not_yet_valid"),
    "A33 nbf null": (make_assertion(nbf=None), "assertion_nbf"),
    "A34 iat a year ago": (make_assertion(iat=NOW_S - 31_536_000), "assertion_iat_window"),
    "A34 iat a string": (make_assertion(iat=str(NOW_S)), "assertion_iat"),
    "A34 iat true": (make_assertion(iat=True), "assertion_iat"),
    "A34 iat null": (make_assertion(iat=None), "assertion_iat"),
    "A37 jti empty": (make_assertion(jti=""), "assertion_jti"),
    "A37 jti short": (make_assertion(jti="1234567"), "assertion_jti"),
    "A37 jti NUL": (make_assertion(jti="12345678\0"), "assertion_jti"),
    "A37 jti newline at the end": (make_assertion(jti="12345678\n"), "assertion_jti"),
    "A37 jti a surrogate": (make_assertion(jti="12345678\ud800"), "assertion_not_strict_json"),
    "A37 jti 129 characters": (make_assertion(jti="j" * 129), "assertion_jti"),
    "A37 jti 1 MB": (make_assertion(jti="j" * 1_000_000), "assertion_too_long"),
    "A37 jti an integer": (make_assertion(jti=12_345_678), "assertion_jti"),
    "A38 payload an array": (with_raw_claims("[]"), "assertion_not_an_object"),
    "A38 payload a string": (with_raw_claims('"x"'), "assertion_not_an_object"),
    "A38 payload empty": (with_raw_claims(""), "assertion_not_an_object"),
    "A38 payload not UTF-8": (with_raw_claims(b'{"a":"\xff"}'), "assertion_not_strict_json"),
    "A38 payload with BOM": (
        with_raw_claims(b"\xef\xbb\xbf" + json.dumps(assertion_claims()).encode()),
        "assertion_not_an_object",
    ),
    "A38 payload UTF-16": (
        with_raw_claims(json.dumps(assertion_claims()).encode("utf-16")),
        "assertion_not_an_object",
    ),
    "A38 payload with leading blank": (
        with_raw_claims(" " + json.dumps(assertion_claims())),
        "assertion_not_an_object",
    ),
    "A38 payload with rubbish after it": (
        with_raw_claims(json.dumps(assertion_claims()) + "x"),
        "assertion_not_strict_json",
    ),
    "A39 payload 3,000 deep": (with_raw_claims(f'{{"a":{DEEP}}}'), "assertion_not_strict_json"),
    "A39 payload 100,000 deep": (with_raw_claims("[" * 100_000), "assertion_too_long"),
    "A40 one segment": (HEAD, "assertion_not_compact"),
    "A40 two segments": (f"{HEAD}.{BODY}", "assertion_not_compact"),
    "A40 four segments": (f"{GOOD}.AAAA", "assertion_not_compact"),
    "A40 five segments": (f"{GOOD}.AAAA.AAAA", "assertion_not_compact"),
    "A40 JSON serialisation": (
        json.dumps({"protected": HEAD, "payload": BODY, "signature": SIGNATURE}),
        "assertion_not_compact",
    ),
    "A40 leading blank": (f" {GOOD}", "assertion_not_base64url"),
    "A40 trailing newline": (f"{GOOD}\n", "assertion_not_base64url"),
    "A40 padding": (f"{GOOD}==", "assertion_not_base64url"),
    "A40 other alphabet": (f"{HEAD}.{BODY}.{'+/' * 43}", "assertion_not_base64url"),
    "A40 empty segments": ("..", "assertion_not_an_object"),
    "A40 not ASCII": (f"{GOOD}é", "assertion_not_compact"),
    "A40 a surrogate": (f"{GOOD}\udcff", "assertion_not_compact"),
    "A41 JWE with zip": (
        f"{segment({'alg': 'dir', 'enc': 'A128GCM', 'zip': 'DEF'})}..AAAA.AAAA.AAAA",
        "assertion_not_compact",
    ),
    "A41 PBES2": (
        f"{segment({'alg': 'PBES2-HS256+A128KW', 'p2c': 2**31, 'enc': 'A128GCM'})}.AA.AA.AA.AA",
        "assertion_not_compact",
    ),
    "A42 1 MB": ("A" * 1_000_000, "assertion_too_long"),
    "A43 retired": (GOOD, "key_retired", make_client(make_key(state=KeyState.RETIRED))),
    "A43 retired by its date": (GOOD, "key_retired", make_client(make_key(retire_at_ms=NOW))),
    "A43 suspended": (GOOD, "key_suspended", make_client(make_key(state=KeyState.SUSPENDED))),
    "A43 compromised": (GOOD, "key_compromised", make_client(make_key(state=KeyState.COMPROMISED))),
    "A43 not yet active": (GOOD, "key_not_yet_active", make_client(make_key(not_before_ms=Millis(NOW + 1)))),
    "A43 pending": (GOOD, "key_pending", make_client(make_key(state=KeyState.PENDING))),
    "A44 client suspended": (GOOD, "partner_suspended", make_client(state=PartnerState.SUSPENDED)),
    "A44 client closed": (GOOD, "partner_closed", make_client(state=PartnerState.CLOSED)),
    "no key at all": (GOOD, "key_unknown", StoredClient(partner=make_client().partner, keys=())),
}


async def refusal_of(endpoint, **changes):
    with pytest.raises(OAuthError) as caught:
        await endpoint.grant(make_request(**changes))
    return caught.value


def endpoint_for(client):
    return Endpoint(directory=FakeDirectory({CLIENT_ID: client}))


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
async def test_a_bad_assertion_is_answered_401_and_leaves_nothing(case):
    """The answer is the same for all; the reason is ours; no row is written, and the next good request works."""
    assertion, reason, client = case if len(case) == 3 else (*case, make_client())
    endpoint = endpoint_for(client)

    refusal = await refusal_of(endpoint, parameters=make_form(client_assertion=assertion))

    answer = (refusal.status, refusal.error, refusal.description)
    assert answer == (401, "invalid_client", DESCRIPTIONS[OAuthCode.INVALID_CLIENT])
    assert refusal.reason == reason
    assert endpoint.ledger.issues == []
    endpoint.directory.clients[CLIENT_ID] = make_client()
    assert (await endpoint.grant(make_request())).token_type == "DPoP"


GOOD_ASSERTIONS = {
    "plain": (GOOD,),
    "typ JWT": (with_header(typ="JWT"),),
    "typ client-authentication+jwt": (with_header(typ="client-authentication+jwt"),),
    "typ in another case": (with_header(typ="jwt"),),
    "typ with application/": (with_header(typ="application/jwt"),),
    "typ in full and in another case": (with_header(typ="Application/Client-Authentication+JWT"),),
    "A20 certificates beside the key": (with_header(x5c=["AAAA"], x5t="x", **{"x5t#S256": {"a": 1}}),),
    "PS256": (make_assertion(RSA_KEY), RSA_CLIENT),
    "EdDSA": (make_assertion(ED_KEY), ED_CLIENT),
    "Ed25519": (with_header(ED_KEY, alg="Ed25519"), ED_CLIENT),
    "A15 kid missing with one key": (sign(KEY, {"alg": "ES256"}, assertion_claims()),),
    "A15 kid missing with one usable key": (
        sign(KEY, {"alg": "ES256"}, assertion_claims()),
        make_client(make_key(), make_key(OTHER_KEY, state=KeyState.RETIRED)),
    ),
    "the second of two keys": (make_assertion(OTHER_KEY), TWO_KEYS),
    "a retiring key": (GOOD, make_client(make_key(state=KeyState.RETIRING, retire_at_ms=Millis(NOW + 1)))),
    "A33 iat +10 s": (make_assertion(iat=NOW_S + 10),),
    "A33 iat +30 s": (make_assertion(iat=NOW_S + 30),),
    "A33 nbf +10 s": (make_assertion(nbf=NOW_S + 10),),
    "iat and nbf absent": (sign(KEY, assertion_header(), without(assertion_claims(), "iat")),),
    "lives exactly 300 s": (make_assertion(exp=NOW_S + 300),),
    "lives exactly 300 s, no iat": (sign(KEY, assertion_header(), without(assertion_claims(exp=NOW_S + 300), "iat")),),
    "A32 exp in an hour, iat now": (make_assertion(exp=NOW_S + 3600),),
    "A32 exp at the last instant there is, iat 299 s ago": (make_assertion(iat=NOW_S - 299, exp=MAX_INSTANT_S),),
    "lives 300 s on a clock 30 s ahead": (make_assertion(iat=NOW_S + 30, exp=NOW_S + 330),),
    "unknown header member and claim": (sign(KEY, assertion_header(extra=[1]), assertion_claims(extra={"a": None})),),
}


@pytest.mark.parametrize("case", GOOD_ASSERTIONS.values(), ids=GOOD_ASSERTIONS.keys())
async def test_a_good_assertion_gets_a_token(case):
    assertion, client = case if len(case) == 2 else (*case, make_client())

    response = await endpoint_for(client).grant(make_request(parameters=make_form(client_assertion=assertion)))

    assert (response.token_type, response.scope) == ("DPoP", "verifications")


async def test_a35_a_used_assertion_is_refused():
    endpoint = Endpoint()
    await endpoint.grant(make_request())

    refusal = await refusal_of(endpoint, dpop=[token_proof(jti="another-proof")])

    assert (refusal.status, refusal.error, refusal.reason) == (401, "invalid_client", "assertion_replayed")


@pytest.mark.parametrize(
    "exp", [NOW_S + 3600, NOW_S + 86_400, MAX_INSTANT_S], ids=["an hour", "a day", "the last instant"]
)
async def test_a32_a_long_lived_assertion_serves_once_and_until_the_cap(exp):
    """Used again at any moment before the cap it is a replay, from the cap on it is over: no moment at which it serves twice."""
    text = make_assertion(exp=exp)
    endpoint, late = Endpoint(), Endpoint()

    await endpoint.grant(make_request(parameters=make_form(client_assertion=text)))
    reasons = []
    for second in (0, 150, 299, 300, 301):
        endpoint.clock.now = Millis(NOW + second * 1000)
        proof = token_proof(jti=f"another-proof-{second}", iat=NOW_S + second)
        refusal = await refusal_of(endpoint, parameters=make_form(client_assertion=text), dpop=[proof])
        reasons.append(refusal.reason)
    late.clock.advance(300)
    unused = await refusal_of(late, parameters=make_form(client_assertion=text), dpop=[token_proof(iat=NOW_S + 300)])

    assert reasons == ["assertion_replayed"] * 3 + ["assertion_iat_window"] * 2
    assert unused.reason == "assertion_iat_window"


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ({"exp": NOW_S + 60}, NOW_S + 60),
        ({"exp": NOW_S + 3600}, NOW_S + 300),
        ({"iat": NOW_S - 299, "exp": NOW_S + 3600}, NOW_S + 1),
        ({"iat": NOW_S + 30, "exp": MAX_INSTANT_S}, NOW_S + 330),
    ],
    ids=["exp", "cap", "old iat", "iat ahead"],
)
async def test_a32_an_assertion_is_remembered_under_the_day_of_its_end(changes, end):
    """Never under the day of a far ``exp``: no partition would take it, and the commit of everybody beside it would fail."""
    endpoint = Endpoint()

    await endpoint.grant(make_request(parameters=make_form(client_assertion=make_assertion(**changes))))

    [issue] = endpoint.ledger.issues
    assert issue.assertion_claim.day == utc_day(end)


async def test_a36_of_fifty_uses_of_one_assertion_at_once_one_succeeds():
    endpoint = Endpoint()
    requests = [make_request(dpop=[token_proof(jti=f"proof-number-{n:02}")]) for n in range(50)]

    outcomes = await asyncio.gather(*(endpoint.grant(one) for one in requests), return_exceptions=True)

    refused = [outcome.error for outcome in outcomes if isinstance(outcome, OAuthError)]
    assert refused == ["invalid_client"] * 49
    assert len(endpoint.ledger.issues) == 1


async def test_the_same_jti_of_two_clients_does_not_collide():
    other = make_client(make_key(OTHER_KEY), client_id="partner-two", partner_id="prt_2")
    endpoint = Endpoint(directory=FakeDirectory({CLIENT_ID: make_client(), "partner-two": other}))
    theirs = make_assertion(OTHER_KEY, iss="partner-two", sub="partner-two")

    await endpoint.grant(make_request())
    await endpoint.grant(
        make_request(parameters=make_form(client_assertion=theirs), dpop=[token_proof(jti="another-proof")])
    )

    assert [issue.client_id for issue in endpoint.ledger.issues] == [CLIENT_ID, "partner-two"]


async def test_a28_the_form_may_not_name_another_client():
    """Statement C2, and the conformance module that sends the identifier of client 2 with the key of client 1."""
    refusal = await refusal_of(Endpoint(), parameters=make_form(client_id="partner-two"))

    assert (refusal.status, refusal.error, refusal.reason) == (401, "invalid_client", "assertion_client_mismatch")


async def test_the_form_may_name_the_same_client():
    response = await Endpoint().grant(make_request(parameters=make_form(client_id=CLIENT_ID)))

    assert response.expires_in == 300


async def test_b09_an_unknown_client_is_answered_like_a_bad_signature():
    """Even when its signature verifies against the key that stands in for the missing one."""
    forged = changed(GOOD, -20)

    known = await refusal_of(Endpoint(), parameters=make_form(client_assertion=forged))
    unknown = await refusal_of(Endpoint(directory=FakeDirectory({})), parameters=make_form(client_assertion=forged))

    assert (known.reason, unknown.reason) == ("assertion_signature", "client_unknown")
    assert (known.status, known.error, known.description) == (unknown.status, unknown.error, unknown.description)
