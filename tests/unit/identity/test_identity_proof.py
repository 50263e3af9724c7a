"""Table C at a resource, and statements D1 to D18 below HTTP."""

import json
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.base.clock import Millis
from gateway.base.errors import ErrorKind, GatewayError
from gateway.identity.client import token_hash
from gateway.identity.nonce import NonceAudience
from gateway.identity.proof import ProofVerifier
from tests.unit.identity.kit import (
    ED_KEY,
    JTI,
    NOW,
    NOW_S,
    ORIGIN,
    OTHER_KEY,
    PATH,
    PROOF_KEY,
    RSA_KEY,
    FakeClock,
    b64url,
    make_claims,
    make_nonces,
    make_verifier,
    proof_claims,
    proof_header,
    segment,
    sign,
    unb64url,
    verify_proof,
    without,
)

RFC = json.loads((Path(__file__).parents[2] / "vectors" / "identity" / "rfc9449_proofs.json").read_text())
TOKEN = make_claims()
ATH = token_hash("the-token")


def rs_claims(**changes):
    return proof_claims(ath=ATH, **changes)


def proof(key=PROOF_KEY, header=None, claims=None):
    return sign(key, proof_header(key) if header is None else header, rs_claims() if claims is None else claims)


def with_header(**changes):
    return proof(header=proof_header(**changes))


def with_claims(**changes):
    return proof(claims={**rs_claims(), **changes})


def lacking_header(name):
    return proof(header=without(proof_header(), name))


def lacking_claim(name):
    return proof(claims=without(rs_claims(), name))


def with_jwk(key=PROOF_KEY, **changes):
    return sign(key, proof_header(key, jwk={**key.public.jwk, **changes}), rs_claims())


def hs256():
    pem = PROOF_KEY._private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secret = pem.replace(b"-----", b"")
    signing_input = (
        f"{segment(proof_header(alg='HS256', jwk={'kty': 'oct', 'k': b64url(secret)}))}.{segment(rs_claims())}"
    )
    signature = jwt.get_algorithm_by_name("HS256").sign(signing_input.encode(), secret)
    return f"{signing_input}.{b64url(signature)}"


def rs256():
    signing_input = f"{segment(proof_header(RSA_KEY, alg='RS256'))}.{segment(rs_claims())}"
    signature = RSA_KEY._private.sign(signing_input.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signing_input}.{b64url(signature)}"


def es256k():
    key = ec.generate_private_key(ec.SECP256K1())
    numbers = key.public_key().public_numbers()
    x, y = (b64url(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
    header = proof_header(alg="ES256K", jwk={"kty": "EC", "crv": "secp256k1", "x": x, "y": y})
    return f"{segment(header)}.{segment(rs_claims())}.{b64url(bytes(64))}"


def small_order():
    """A16 of the forger: the identity as key, R the identity, S zero verifies in common libraries for any message."""
    identity = (1).to_bytes(32, "little")
    header = {"typ": "dpop+jwt", "alg": "EdDSA", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": b64url(identity)}}
    return f"{segment(header)}.{segment(rs_claims())}.{b64url(identity + bytes(32))}"


def rsa_jwk(n, e=65_537):
    jwk = {
        "kty": "RSA",
        "n": b64url(n.to_bytes((n.bit_length() + 7) // 8, "big")),
        "e": b64url(e.to_bytes(3, "big").lstrip(b"\0")),
    }
    return proof(RSA_KEY, header=proof_header(RSA_KEY, jwk=jwk))


def padded(text):
    return text + "=" * (-len(text) % 4)


N = int.from_bytes(unb64url(RSA_KEY.public.jwk["n"]), "big")
GOOD = proof()
HEAD, BODY, SIGNATURE = GOOD.split(".")
HTU = ORIGIN + PATH

REFUSED = {
    "C01 no header": ([], "missing"),
    "C02 two headers": ([GOOD, GOOD], "repeated"),
    "C02 joined by a comma": ([f"{GOOD},{GOOD}"], "repeated"),
    "C02 joined by comma and blank": ([f"{GOOD}, {GOOD}"], "repeated"),
    "C04 empty": ([""], "not_compact"),
    "C04 not a JWT": (["hello"], "not_compact"),
    "C04 two segments": ([f"{HEAD}.{BODY}"], "not_compact"),
    "C04 four segments": ([f"{GOOD}.x"], "not_compact"),
    "C04 bytes that are not UTF-8": ([f"{GOOD}\udcff"], "not_compact"),
    "C04 header not JSON": ([f"{segment('{')}.{BODY}.{SIGNATURE}"], "not_strict_json"),
    "C04 trailing blank": ([f"{GOOD} "], "not_base64url"),
    "C05 typ missing": ([lacking_header("typ")], "typ"),
    "C06 alg missing": ([lacking_header("alg")], "alg"),
    "C07 jwk missing": ([lacking_header("jwk")], "jwk"),
    "C08 jti missing": ([lacking_claim("jti")], "jti"),
    "C09 htm missing": ([lacking_claim("htm")], "htm"),
    "C10 htu missing": ([lacking_claim("htu")], "htu"),
    "C11 iat missing": ([lacking_claim("iat")], "iat"),
    "C12 ath missing": ([lacking_claim("ath")], "ath"),
    "C13 typ JWT": ([with_header(typ="JWT")], "typ"),
    "C13 typ dpop+jwt+x": ([with_header(typ="dpop+jwt+x")], "typ"),
    "C13 typ null": ([with_header(typ=None)], "typ"),
    "C13 typ at+jwt": ([with_header(typ="at+jwt")], "typ"),
    "C14 alg none": ([f"{segment(proof_header(alg='none'))}.{BODY}."], "alg"),
    "C14 HS256": ([hs256()], "alg"),
    "C14 RS256": ([rs256()], "alg"),
    "C14 ES256K": ([es256k()], "alg"),
    "C14 alg of another key type": ([with_header(alg="PS256")], "algorithm_mismatch"),
    "C15 jwk with d": ([with_jwk(d="AA")], "private_member"),
    "C15 jwk oct": ([with_header(jwk={"kty": "oct", "k": "AA"})], "private_member"),
    "C15 jwk X25519": ([with_header(jwk={**ED_KEY.public.jwk, "crv": "X25519"}, alg="EdDSA")], "unsupported_curve"),
    "C15 jwk P-521": ([with_jwk(crv="P-521")], "unsupported_curve"),
    "C15 jwk off the curve": ([with_jwk(y=OTHER_KEY.public.jwk["y"])], "not_on_curve"),
    "C15 jwk x 31 bytes": ([with_jwk(x=b64url(bytes(31)))], "wrong_length"),
    "C15 jwk x 33 bytes": ([with_jwk(x=b64url(bytes(1) + unb64url(PROOF_KEY.public.jwk["x"])))], "wrong_length"),
    "C15 jwk a text": ([with_header(jwk="x")], "jwk"),
    "C15 jwk null": ([with_header(jwk=None)], "jwk"),
    "C15 jwk a list": ([with_header(jwk=[dict(PROOF_KEY.public.jwk)])], "jwk"),
    "C15 jwk empty": ([with_header(jwk={})], "unsupported_key_type"),
    "C16 small order, forged": ([small_order()], "weak_key"),
    "C17 1024 bits": ([rsa_jwk(N >> 2048 | 1)], "weak_key"),
    "C17 16384 bits": ([rsa_jwk((1 << 16_383) | 1)], "weak_key"),
    "C17 e = 1": ([rsa_jwk(N, 1)], "weak_key"),
    "C17 e = 3": ([rsa_jwk(N, 3)], "weak_key"),
    "C17 n even": ([rsa_jwk(N - 1)], "weak_key"),
    "C17 65536 bits": ([rsa_jwk((1 << 65_535) | 1)], "too_long"),
    "C18 by another key": ([sign(OTHER_KEY, proof_header(), rs_claims())], "signature"),
    "C18 zero": ([f"{HEAD}.{BODY}.{b64url(bytes(64))}"], "signature"),
    "C18 empty": ([f"{HEAD}.{BODY}."], "signature"),
    "C18 payload changed": ([f"{HEAD}.{segment(rs_claims(jti='jti-1123456789abcdef'))}.{SIGNATURE}"], "signature"),
    "C18 header changed": ([f"{segment(proof_header(x=1))}.{BODY}.{SIGNATURE}"], "signature"),
    "C19 htm PUT": ([with_claims(htm="PUT")], "htm"),
    "C19 htm lower case": ([with_claims(htm="post")], "htm"),
    "C19 htm a list": ([with_claims(htm=["POST"])], "htm"),
    "C20 other host": ([with_claims(htu="https://other.example" + PATH)], "htu"),
    "C20 other path": ([with_claims(htu=ORIGIN + "/v1/other")], "htu"),
    "C20 http": ([with_claims(htu=HTU.replace("https", "http"))], "htu"),
    "C20 trailing slash": ([with_claims(htu=HTU + "/")], "htu"),
    "C20 dot segments": ([with_claims(htu=ORIGIN + "/v1/x/.." + PATH[3:])], "htu"),
    "C20 encoded dot segments": ([with_claims(htu=ORIGIN + "/v1/%2e" + PATH[3:])], "htu"),
    "C20 userinfo": ([with_claims(htu=HTU.replace("//", "//user@"))], "htu"),
    "C20 relative": ([with_claims(htu=PATH)], "htu"),
    "C20 a list": ([with_claims(htu=[HTU])], "htu"),
    "C20 empty": ([with_claims(htu="")], "htu"),
    "C22 the attacker's host": ([with_claims(htu="https://evil" + PATH)], "htu"),
    "C23 iat -1 h": ([with_claims(iat=NOW_S - 3600)], "iat_window"),
    "C23 iat +1 h": ([with_claims(iat=NOW_S + 3600)], "iat_window"),
    "C23 iat +61 s": ([with_claims(iat=NOW_S + 61)], "iat_window"),
    "C23 iat -301 s": ([with_claims(iat=NOW_S - 301)], "iat_window"),
    "C23 iat a string": ([with_claims(iat=str(NOW_S))], "iat"),
    "C23 iat true": ([with_claims(iat=True)], "iat"),
    "C23 iat 10^30": ([with_claims(iat=10**30)], "not_strict_json"),
    "C23 iat 2^62": ([with_claims(iat=2**62)], "iat"),
    "C23 iat a float": ([with_claims(iat=NOW_S + 0.5)], "not_strict_json"),
    "C26 jti 1 MB": ([with_claims(jti="j" * 1_000_000)], "too_long"),
    "C26 jti 129 characters": ([with_claims(jti="j" * 129)], "jti"),
    "C26 jti NUL": ([with_claims(jti="12345678\0")], "jti"),
    "C26 jti a surrogate": ([with_claims(jti="12345678\ud800")], "not_strict_json"),
    "C26 jti an integer": ([with_claims(jti=12_345_678)], "jti"),
    "C26 jti empty": ([with_claims(jti="")], "jti"),
    "C30 ath of another token": ([with_claims(ath=token_hash("another-token"))], "ath"),
    "C30 ath in hex": ([with_claims(ath=unb64url(ATH).hex())], "ath"),
    "C30 ath padded": ([with_claims(ath=padded(ATH))], "ath"),
    "C30 ath null": ([with_claims(ath=None)], "ath"),
    "C30 ath not ASCII": ([with_claims(ath="é" * 43)], "ath"),
    "C35 nbf in the future": ([with_claims(nbf=NOW_S + 61)], "not_yet_valid"),
    "C35 exp in the past": ([with_claims(exp=NOW_S - 1)], "expired"),
    "C35 nbf a string": ([with_claims(nbf="x")], "nbf"),
    "duplicate claim": ([proof(claims=json.dumps(rs_claims())[:-1] + f',"jti":"{JTI}"}}')], "not_strict_json"),
    "duplicate header member": (
        [proof(header=json.dumps(proof_header())[:-1] + ',"alg":"ES256"}')],
        "not_strict_json",
    ),
    "crit": ([with_header(crit=["b64"], b64=False)], "forbidden_header_member"),
    "x5u": ([with_header(x5u="http://169.254.169.254/")], "forbidden_header_member"),
    "jku": ([with_header(jku="http://169.254.169.254/")], "forbidden_header_member"),
    "payload an array": ([proof(claims=[])], "not_an_object"),
}

ACCEPTED = {
    "ES256": GOOD,
    "C21 htu with query": with_claims(htu=HTU + "?a=b"),
    "C21 htu with fragment": with_claims(htu=HTU + "#x"),
    "C21 htu with both": with_claims(htu=HTU + "?a=https://evil/@#x"),
    "C21 htu upper-case host": with_claims(htu="HTTPS://GATEWAY.EXAMPLE" + PATH),
    "C21 htu with :443": with_claims(htu="https://gateway.example:443" + PATH),
    "C21 htu with unreserved characters encoded": with_claims(htu=ORIGIN + "/%76%31/verifications"),
    "C24 iat -10 s": with_claims(iat=NOW_S - 10),
    "C24 iat +10 s": with_claims(iat=NOW_S + 10),
    "C24 iat -300 s": with_claims(iat=NOW_S - 300),
    "C24 iat +30 s": with_claims(iat=NOW_S + 30),
    "C36 extra header member and claim": proof(
        header=proof_header(extra=[1], kid=5 * "k"), claims=rs_claims(extra={"a": True}, nonce="not asked for")
    ),
    "typ in another case": with_header(typ="DPoP+JWT"),
    "typ with application/": with_header(typ="application/dpop+jwt"),
    "certificates beside the key": with_header(x5c=["AAAA"], x5t="x", **{"x5t#S256": "x"}),
    "D14 nbf now and exp ahead": with_claims(nbf=NOW_S, exp=NOW_S + 60),
    "jwk with use, alg, kid": with_jwk(use="sig", alg="ES256", kid="x"),
    "jti of 128 characters": with_claims(jti="j" * 128),
}


def refusal_of(values, verifier=None, *, method="POST", path=PATH, token=TOKEN):
    with pytest.raises(GatewayError) as caught:
        verify_proof(verifier or make_verifier(), values, method=method, path=path, token=token)
    return caught.value


@pytest.mark.parametrize(("values", "reason"), REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_a_bad_proof_is_refused(values, reason, warm):
    """Also by a verifier that knows the key already, so that the cache lets nothing through."""
    verifier = make_verifier()
    if warm:
        verify_proof(verifier, [proof(claims=rs_claims(jti="warming-up"))], method="POST", path=PATH, token=TOKEN)

    refusal = refusal_of(values, verifier)

    assert (refusal.kind, refusal.reason) == (ErrorKind.INVALID_DPOP_PROOF, f"proof_{reason}")
    assert verify_proof(verifier, [GOOD], method="POST", path=PATH, token=TOKEN).jti == JTI


@pytest.mark.parametrize("value", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_good_proof_is_accepted_twice_by_the_same_verifier(value):
    """Twice: cold and from the cache. That it is used once only is the commit's business."""
    verifier = make_verifier()

    first = verify_proof(verifier, [value], method="POST", path=PATH, token=TOKEN)
    second = verify_proof(verifier, [value], method="POST", path=PATH, token=TOKEN)

    assert first == second
    assert first.jkt == PROOF_KEY.public.thumbprint


@pytest.mark.parametrize("key", [RSA_KEY, ED_KEY], ids=["PS256", "EdDSA"])
def test_the_other_algorithms_are_accepted(key):
    verified = verify_proof(make_verifier(), [proof(key)], method="POST", path=PATH, token=make_claims(key))

    assert verified.jkt == key.public.thumbprint


def test_a_signature_that_does_not_verify_is_no_holder_and_costs_the_holder_nothing():
    """Also when the key is known from its token alone, and after many who held the token but not its key."""
    verifier = make_verifier()
    head, payload, signature = GOOD.split(".")
    bad = f"{head}.{payload}.{signature[:40]}{'A' if signature[40] != 'A' else 'B'}{signature[41:]}"

    for _ in range(3):
        assert verifier.find_holder(verifier.parse([bad], method="POST", path=PATH, token=TOKEN)) is None

    assert verify_proof(verifier, [GOOD], method="POST", path=PATH, token=TOKEN).jti == JTI


def test_the_other_name_of_eddsa_is_accepted():
    value = proof(ED_KEY, header=proof_header(ED_KEY, alg="Ed25519"))

    assert verify_proof(make_verifier(), [value], method="POST", path=PATH, token=make_claims(ED_KEY)).jti == JTI


def test_c22_only_the_configured_origin_counts():
    """The same proof, at a gateway that is called something else."""
    elsewhere = ProofVerifier("https://evil", None, FakeClock())

    assert refusal_of([GOOD], elsewhere).reason == "proof_htu"


@pytest.mark.parametrize(
    "path",
    [
        "https://evil" + PATH,
        ".evil" + PATH,
        "/v1/../v1/verifications",
        "/v1/%2E/verifications",
        PATH + "?x=2",
        "",
        "*",
    ],
)
def test_g19_a_path_that_is_not_plain_matches_nothing(path):
    assert refusal_of([with_claims(htu=ORIGIN + path)], path=path).reason == "proof_htu"


def test_c31_a_proof_by_another_key_than_the_tokens():
    """RFC 9449 figure 16: the token, not the proof, is invalid for this sender."""
    refusal = refusal_of([proof(OTHER_KEY)])

    assert (refusal.kind, refusal.reason) == (ErrorKind.INVALID_TOKEN, "token_bound_to_other_key")


def test_c34_the_claim_does_not_depend_on_the_query():
    """A proof captured at one address with a query is the same one-time id at another."""
    verifier = make_verifier()

    first = verify_proof(verifier, [with_claims(htu=HTU + "?x=1")], method="POST", path=PATH, token=TOKEN)
    second = verify_proof(verifier, [with_claims(htu=HTU + "?x=2")], method="POST", path=PATH, token=TOKEN)

    assert first.claim == second.claim


def test_the_claim_is_of_the_key_and_of_the_day_in_the_proof():
    """Another key with the same ``jti`` is another claim, and so is another day; an ``iat`` before midnight keeps its day after it."""
    midnight_s = NOW_S - NOW_S % 86_400
    verifier = make_verifier(clock=FakeClock(Millis(midnight_s * 1000 + 5000)))

    before = verify_proof(verifier, [with_claims(iat=midnight_s - 1)], method="POST", path=PATH, token=TOKEN)
    after = verify_proof(verifier, [with_claims(iat=midnight_s)], method="POST", path=PATH, token=TOKEN)
    other = verify_proof(
        verifier, [proof(ED_KEY, claims=rs_claims(iat=midnight_s))], method="POST", path=PATH, token=make_claims(ED_KEY)
    )

    assert (after.claim.day - before.claim.day).days == 1
    assert after.claim.digest != before.claim.digest
    assert other.claim.digest != after.claim.digest


def test_at_the_token_endpoint_no_token_is_bound():
    value = sign(PROOF_KEY, proof_header(), proof_claims())

    assert verify_proof(make_verifier(), [value], method="POST", path=PATH, token=None).jti == JTI


# nonces


@pytest.mark.parametrize(
    ("nonce", "reason"),
    [
        (None, "nonce_refused"),
        (5, "nonce_refused"),
        ("", "nonce_refused"),
        ("A" * 24, "nonce_refused"),
        ("n" * 4000, "nonce_refused"),
        ("é" * 24, "nonce_refused"),
        (make_nonces().issue(Millis(NOW - 240_000)), "nonce_refused"),
        (make_nonces(NonceAudience.TOKEN_ENDPOINT).issue(NOW), "nonce_refused"),
    ],
    ids=["null", "integer", "empty", "random", "4 kB", "not ASCII", "stale", "of the token endpoint"],
)
def test_c28_a_bad_nonce_is_asked_for_again(nonce, reason):
    refusal = refusal_of([with_claims(nonce=nonce)], make_verifier(make_nonces()))

    assert (refusal.kind, refusal.reason) == (ErrorKind.USE_DPOP_NONCE, reason)


def test_c27_a_missing_nonce_is_asked_for():
    refusal = refusal_of([GOOD], make_verifier(make_nonces()))

    assert (refusal.kind, refusal.reason) == (ErrorKind.USE_DPOP_NONCE, "nonce_missing")


def test_a_missing_proof_is_not_a_missing_nonce():
    assert refusal_of([], make_verifier(make_nonces())).kind is ErrorKind.INVALID_DPOP_PROOF


def test_a_nonce_of_the_previous_minute_is_accepted_and_reported_as_aging():
    clock = FakeClock()
    verifier = make_verifier(make_nonces(), clock)
    value = with_claims(nonce=verifier.fresh_nonce())

    fresh = verifier.parse([value], method="POST", path=PATH, token=TOKEN)
    clock.advance(61)
    aging = verifier.parse([value], method="POST", path=PATH, token=TOKEN)

    assert (fresh.nonce_fresh, aging.nonce_fresh) == (True, False)
    assert verifier.verify_signature(fresh) == verifier.verify_signature(aging)


def test_d10_a_good_nonce_does_not_stretch_the_window_of_iat():
    """The day in ``iat`` chooses where the use is remembered, so an old ``iat`` is refused with a nonce too."""
    verifier = make_verifier(make_nonces())
    value = with_claims(nonce=verifier.fresh_nonce(), iat=NOW_S - 3600)

    assert refusal_of([value], verifier).reason == "proof_iat_window"


# the standard's own proofs


@pytest.mark.parametrize("figure", ["figure_5", "figure_13"])
def test_the_proofs_printed_in_rfc_9449_verify(figure):
    printed = RFC[figure]
    verifier = ProofVerifier(printed["origin"], None, FakeClock(Millis(printed["iat"] * 1000)))
    token = printed.get("token")
    claims = None if token is None else make_claims(token=token)
    if claims is not None:
        claims = type(claims)(**{**{name: getattr(claims, name) for name in claims.__slots__}, "jkt": RFC["jkt"]})

    verified = verify_proof(verifier, [printed["proof"]], method=printed["method"], path=printed["path"], token=claims)

    assert (verified.jkt, verified.jti, verified.iat) == (RFC["jkt"], printed["jti"], printed["iat"])


def test_the_proof_of_figure_13_is_for_its_token_only():
    printed = RFC["figure_13"]
    verifier = ProofVerifier(printed["origin"], None, FakeClock(Millis(printed["iat"] * 1000)))

    assert refusal_of([printed["proof"]], verifier, method="GET", path=printed["path"]).reason == "proof_ath"
