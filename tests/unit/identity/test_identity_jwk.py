"""Which public keys may be used: K1, K2, rule 3 of the key life cycle, rows C15 to C17, F05 to F07, A45."""

import json
import math
import random
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from gateway.identity.jwk import Algorithm, JwkError, parse_public_jwk
from gateway.identity.roca import has_roca_fingerprint
from tests.unit.identity.kit import ED_KEY, KEY, OTHER_KEY, RSA_KEY, b64url, unb64url, without

VECTORS = Path(__file__).parents[2] / "vectors" / "identity"
RFC = json.loads((VECTORS / "rfc_jwk.json").read_text())
WYCHEPROOF = json.loads((VECTORS / "wycheproof_jwk.json").read_text())

EC = {**KEY.public.jwk}
RSA = {**RSA_KEY.public.jwk}
OKP = {**ED_KEY.public.jwk}
MESSAGE = b"the message"

P256_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
ED_P = 2**255 - 19
Y8 = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
SIGN = 1 << 255
SMALL_ORDER = {
    "identity": 1,
    "order 2": ED_P - 1,
    "order 4": 0,
    "order 4, sign": SIGN,
    "order 8": Y8,
    "order 8, sign": Y8 | SIGN,
    "order 8, other": ED_P - Y8,
    "order 8, other, sign": (ED_P - Y8) | SIGN,
    "identity, sign": 1 | SIGN,
    "order 2, sign": (ED_P - 1) | SIGN,
    "non-canonical 0": ED_P,
    "non-canonical 1": ED_P + 1,
    "non-canonical 1, sign": (ED_P + 1) | SIGN,
    "non-canonical 18": ED_P + 18,
}


def ed_point(number):
    return {**OKP, "x": b64url(number.to_bytes(32, "little"))}


def rsa_of(n, e=65_537):
    return {
        "kty": "RSA",
        "n": b64url(n.to_bytes((n.bit_length() + 7) // 8 or 1, "big")),
        "e": b64url(e.to_bytes((e.bit_length() + 7) // 8 or 1, "big")),
    }


def odd(bits):
    return random.Random(bits).getrandbits(bits) | 1 | 1 << (bits - 1)


N = int.from_bytes(unb64url(RSA["n"]), "big")

REFUSED = {
    "C15 private member d": ({**EC, "d": EC["x"]}, "private_member"),
    "C15 private member k": ({**EC, "k": "AA"}, "private_member"),
    "C15 private member null": ({**RSA, "qi": None}, "private_member"),
    "F05 private RSA": ({**RSA, "p": "AQ", "q": "AQ", "d": "AQ"}, "private_member"),
    "C15 kty oct": ({"kty": "oct", "k": "AA"}, "private_member"),
    "C15 kty oct without k": ({"kty": "oct"}, "unsupported_key_type"),
    "kty missing": (without(EC, "kty"), "unsupported_key_type"),
    "kty a list": ({**EC, "kty": ["EC"]}, "unsupported_key_type"),
    "kty lower case": ({**EC, "kty": "ec"}, "unsupported_key_type"),
    "C15 X25519": ({**OKP, "crv": "X25519"}, "unsupported_curve"),
    "A07 Ed448": ({**OKP, "crv": "Ed448", "x": b64url(bytes(57))}, "unsupported_curve"),
    "C15 P-521": ({**EC, "crv": "P-521", "x": b64url(bytes(66)), "y": b64url(bytes(66))}, "unsupported_curve"),
    "F06 P-384": ({**EC, "crv": "P-384", "x": b64url(bytes(48)), "y": b64url(bytes(48))}, "unsupported_curve"),
    "F06 secp256k1": ({**EC, "crv": "secp256k1"}, "unsupported_curve"),
    "crv missing": (without(EC, "crv"), "unsupported_curve"),
    "C15 off the curve": ({**EC, "y": OTHER_KEY.public.jwk["y"]}, "not_on_curve"),
    "C15 the point 0,0": ({**EC, "x": b64url(bytes(32)), "y": b64url(bytes(32))}, "not_on_curve"),
    "coordinate not reduced": ({**EC, "x": b64url((P256_P + 5).to_bytes(32, "big"))}, "not_on_curve"),
    "C15 x with 31 bytes": ({**EC, "x": b64url(unb64url(EC["x"])[1:])}, "wrong_length"),
    "C15 x with 33 bytes": ({**EC, "x": b64url(b"\0" + unb64url(EC["x"]))}, "wrong_length"),
    "F07 x padded": ({**EC, "x": EC["x"] + "="}, "wrong_length"),
    "F07 x with surplus bits": ({**EC, "x": b64url(bytes(32))[:-1] + "B"}, "not_canonical"),
    "x in the other alphabet": ({**EC, "x": "+" * 43}, "not_canonical"),
    "x an integer": ({**EC, "x": 5}, "missing_member"),
    "x not ASCII": ({**EC, "x": "é" * 43}, "missing_member"),
    "x with a surrogate": ({**EC, "x": "\ud800" * 43}, "missing_member"),
    "y missing": (without(EC, "y"), "missing_member"),
    "C17 1024 bits": (rsa_of(odd(1024)), "weak_key"),
    "C17 2047 bits": (rsa_of(odd(2047)), "weak_key"),
    "C17 4097 bits": (rsa_of(odd(4097)), "weak_key"),
    "C17 16384 bits": (rsa_of(odd(16_384)), "weak_key"),
    "C17 65536 bits": (rsa_of(odd(65_536)), "weak_key"),
    "C17 e = 1": (rsa_of(N, 1), "weak_key"),
    "C17 e = 3": (rsa_of(N, 3), "weak_key"),
    "e = 65535": (rsa_of(N, 65_535), "weak_key"),
    "e even": (rsa_of(N, 65_538), "weak_key"),
    "e as long as n": (rsa_of(N, N - 2), "weak_key"),
    "C17 n even": (rsa_of(N - 1), "weak_key"),
    "F07 n with leading zero": ({**RSA, "n": b64url(b"\0" + unb64url(RSA["n"]))}, "not_canonical"),
    "F07 e with leading zero": ({**RSA, "e": b64url(b"\0" + unb64url(RSA["e"]))}, "not_canonical"),
    "n empty": ({**RSA, "n": ""}, "weak_key"),
    "e empty": ({**RSA, "e": ""}, "not_canonical"),
    "use enc": ({**EC, "use": "enc"}, "wrong_use"),
    "use null": ({**EC, "use": None}, "wrong_use"),
    "key_ops encrypt": ({**EC, "key_ops": ["encrypt"]}, "wrong_use"),
    "key_ops sign": ({**EC, "key_ops": ["verify", "sign"]}, "wrong_use"),
    "key_ops empty": ({**EC, "key_ops": []}, "wrong_use"),
    "key_ops a text": ({**EC, "key_ops": "verify"}, "wrong_use"),
    "alg of another type": ({**EC, "alg": "PS256"}, "algorithm_mismatch"),
    "alg RS256": ({**RSA, "alg": "RS256"}, "algorithm_mismatch"),
    "alg a list": ({**RSA, "alg": ["PS256"]}, "algorithm_mismatch"),
    "alg null": ({**RSA, "alg": None}, "algorithm_mismatch"),
    "empty": ({}, "unsupported_key_type"),
    **{f"C16 small order: {name}": (ed_point(number), "weak_key") for name, number in SMALL_ORDER.items()},
}


def reason_of(jwk, alg=None):
    with pytest.raises(JwkError) as caught:
        parse_public_jwk(jwk, alg=alg)
    return caught.value.reason


@pytest.mark.parametrize(("jwk", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_a_key_outside_the_policy_is_refused(jwk, reason):
    assert reason_of(jwk) == reason


@pytest.mark.parametrize("case", WYCHEPROOF["refused"], ids=lambda case: case["name"])
def test_a_published_bad_key_is_refused(case):
    assert reason_of(case["jwk"]) == case["reason"]


@pytest.mark.parametrize("case", RFC["thumbprints"], ids=lambda case: case["name"])
def test_the_thumbprint_is_that_of_the_standard(case):
    assert parse_public_jwk(case["jwk"], alg=None).thumbprint == case["thumbprint"]


@pytest.mark.parametrize("jwk", [EC, RSA, OKP], ids=["EC", "RSA", "OKP"])
def test_members_that_mean_nothing_here_do_not_change_the_key(jwk):
    """RFC 7517 section 4: unknown members are ignored; and the stored form has the required members only."""
    plain = parse_public_jwk(jwk, alg=None)

    decorated = parse_public_jwk(
        {**jwk, "use": "sig", "key_ops": ["verify"], "kid": "k", "x5c": ["AA"], "ext": True}, alg=plain.alg
    )

    assert (decorated.thumbprint, decorated.jwk) == (plain.thumbprint, jwk)


@pytest.mark.parametrize(("bits", "e"), [(2048, 65_537), (3072, 65_539), (4096, 65_537), (4096, 2**32 - 1)], ids=str)
def test_rsa_from_2048_to_4096_bits_is_accepted(bits, e):
    assert parse_public_jwk(rsa_of(odd(bits), e), alg=Algorithm.PS256).alg is Algorithm.PS256


def test_the_other_name_of_eddsa_is_understood():
    """RFC 9864: a key may say ``Ed25519`` where older ones say ``EdDSA``."""
    assert parse_public_jwk({**OKP, "alg": "Ed25519"}, alg=Algorithm.EDDSA).alg is Algorithm.EDDSA


@pytest.mark.parametrize(
    ("jwk", "alg"),
    [(EC, Algorithm.PS256), (EC, Algorithm.EDDSA), (RSA, Algorithm.ES256), (OKP, Algorithm.ES256)],
    ids=str,
)
def test_a_key_serves_the_algorithm_of_its_type_only(jwk, alg):
    assert reason_of(jwk, alg) == "algorithm_mismatch"


def test_a_modulus_of_the_broken_library_is_recognised():
    """Each prime is 65537^a modulo the product of small primes; then so is the product of two."""
    product = math.prod([3, 5, 7, *(n for n in range(11, 168, 2) if all(n % d for d in range(3, n, 2)))])
    modulus = pow(65_537, 1234, product) * pow(65_537, 77, product) + product * 12_345

    assert has_roca_fingerprint(modulus)


def test_an_ordinary_modulus_is_not_taken_for_one_of_the_broken_library():
    assert not [bits for bits in range(2048, 2248) if has_roca_fingerprint(odd(bits))]


# signatures


@pytest.mark.parametrize("key", [KEY, RSA_KEY, ED_KEY], ids=["ES256", "PS256", "EdDSA"])
def test_a_good_signature_verifies_and_every_altered_one_does_not(key):
    text = key.sign_jwt({"typ": "JWT"}, {"a": 1})
    message, signature = text.rpartition(".")[0].encode(), unb64url(text.rpartition(".")[2])
    altered = {
        "empty": b"",
        "zero": bytes(len(signature)),
        "one": b"\x01" * len(signature),
        "ones": b"\xff" * len(signature),
        "cut": signature[:-1],
        "surplus zero": signature + b"\0",
        "leading zero": b"\0" + signature,
        "doubled": signature * 2,
        "halves swapped": signature[len(signature) // 2 :] + signature[: len(signature) // 2],
        **{f"bit {bit}": flipped(signature, bit) for bit in range(0, len(signature) * 8, 61)},
    }

    assert key.public.verifies(signature, message)

    assert [name for name, bad in altered.items() if key.public.verifies(bad, message)] == []
    assert not key.public.verifies(signature, message + b".")


def flipped(raw, bit):
    changed = bytearray(raw)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_es256_takes_the_raw_form_in_range_only():
    """A08 to A10: zero, DER, values at and above the order of the curve."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    der = KEY._private.sign(MESSAGE, ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(der)

    def raw(r, s):
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    bad = {
        "A09 DER": der,
        "A08 zero": raw(0, 0),
        "r zero": raw(0, s),
        "s zero": raw(r, 0),
        "r the order": raw(order, s),
        "s the order": raw(r, order),
        "r and s the order": raw(order, order),
        "A10 surplus": raw(r, s) + b"\0",
        "65 bytes": b"\0" + raw(r, s),
    }

    assert KEY.public.verifies(raw(r, s), MESSAGE)

    assert [name for name, signature in bad.items() if KEY.public.verifies(signature, MESSAGE)] == []


def test_ps256_takes_a_salt_of_32_bytes_and_sha_256_only():
    """A11: salt 0, 20 and the longest; other digests and RSASSA-PKCS1-v1_5."""
    sha256, sha1, sha512 = hashes.SHA256(), hashes.SHA1(), hashes.SHA512()
    private = RSA_KEY._private
    bad = {
        "salt 0": private.sign(MESSAGE, padding.PSS(padding.MGF1(sha256), 0), sha256),
        "salt 20": private.sign(MESSAGE, padding.PSS(padding.MGF1(sha256), 20), sha256),
        "salt max": private.sign(MESSAGE, padding.PSS(padding.MGF1(sha256), padding.PSS.MAX_LENGTH), sha256),
        "mgf1 sha1": private.sign(MESSAGE, padding.PSS(padding.MGF1(sha1), 32), sha256),
        "sha512": private.sign(MESSAGE, padding.PSS(padding.MGF1(sha512), 64), sha512),
        "pkcs1": private.sign(MESSAGE, padding.PKCS1v15(), sha256),
    }

    assert RSA_KEY.public.verifies(private.sign(MESSAGE, padding.PSS(padding.MGF1(sha256), 32), sha256), MESSAGE)

    assert [name for name, signature in bad.items() if RSA_KEY.public.verifies(signature, MESSAGE)] == []


def test_eddsa_verifies_the_published_example_and_no_malleated_form():
    key = parse_public_jwk(RFC["thumbprints"][1]["jwk"], alg=Algorithm.EDDSA)
    message = RFC["eddsa"]["signing_input"].encode()
    signature = unb64url(RFC["eddsa"]["signature"])
    order = 2**252 + 27742317777372353535851937790883648493
    malleated = signature[:32] + (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")

    assert key.verifies(signature, message)

    assert not key.verifies(malleated, message)


def test_a_key_prints_nothing_but_its_name():
    assert repr(KEY.public) == f"PublicKey(ES256, {KEY.public.thumbprint})"
