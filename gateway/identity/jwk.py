"""Public keys of strangers in JOSE form: which ones may be used at all, and how they verify.

For: every key that is not our own: registered client keys, the keys inside proofs of possession, our own published keys
read back.
Not for: private keys (``signing_key``), life cycle and uniqueness of registered keys (``key_policy``).
Source: RFC 7517, RFC 7518 section 6, RFC 8037; RFC 7638 (thumbprint); RFC 7518 sections 3.4 and 3.5 and RFC 9864
(signatures); the key policy is rules K1, K2 and rule 3 of the partner key life cycle.

A stranger chooses the numbers, so lengths are compared as text before any of them becomes a number: verifying under a
65,536-bit modulus takes most of a second.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from gateway.base.canonical import Json, canonical_json
from gateway.base.codec import b64url, parse_b64url
from gateway.base.crypto import check_ed25519_public, sha256
from gateway.identity.roca import has_roca_fingerprint

MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 4096
MIN_RSA_EXPONENT: Final = 65_537
MAX_RSA_EXPONENT_CHARS: Final = 6
"""Four bytes: every exponent in real use, and the cost of a verification stays bounded."""
COORDINATE_CHARS: Final = 43
"""32 bytes in base64url: a P-256 coordinate or an Ed25519 point."""
P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}")
"""The form of an RFC 7638 SHA-256 thumbprint."""

_MIN_MODULUS_CHARS: Final = MIN_RSA_BITS // 8 * 4 // 3
_MAX_MODULUS_CHARS: Final = -(-MAX_RSA_BITS // 8 * 4 // 3)
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})
_ECDSA: Final = ec.ECDSA(hashes.SHA256())
_PSS: Final = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
_SHA256: Final = hashes.SHA256()

_Verify = Callable[[bytes, bytes], None]


class Algorithm(StrEnum):
    """The signature algorithms in use, by their JOSE names. ``Ed25519`` (RFC 9864) is read as ``EdDSA``."""

    ES256 = "ES256"
    PS256 = "PS256"
    EDDSA = "EdDSA"


ALGORITHM_NAMES: Final[Mapping[str, Algorithm]] = {
    "ES256": Algorithm.ES256,
    "PS256": Algorithm.PS256,
    "EdDSA": Algorithm.EDDSA,
    "Ed25519": Algorithm.EDDSA,
}
"""Every ``alg`` value we accept. ``none``, HS*, RS256, ES256K and Ed448 are not in it, and nothing is accepted outside
it."""


class JwkError(ValueError):
    """The key may not be used; ``reason`` is a short machine word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason: Final = reason


class PublicKey:
    """A public key that passed the policy, tied to one algorithm. Made by ``parse_public_jwk`` only.

    ``thumbprint`` is RFC 7638 with SHA-256, in base64url. ``jwk`` holds the required members and nothing else.
    """

    __slots__ = ("_verify", "alg", "jwk", "thumbprint")

    def __init__(self, alg: Algorithm, jwk: Mapping[str, str], verify: _Verify) -> None:
        self.alg: Final = alg
        self.jwk: Final = jwk
        self.thumbprint: Final = b64url(sha256(canonical_json(jwk)))
        self._verify: Final = verify

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Tell whether a signature is this key's. A bool and no error: strangers make this fail as often as they like."""
        try:
            self._verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def __repr__(self) -> str:
        return f"PublicKey({self.alg}, {self.thumbprint})"


def parse_public_jwk(members: Mapping[str, Json], *, alg: Algorithm | None) -> PublicKey:
    """Return the key of a JWK that passes the whole key policy, or raise ``JwkError``.

    ``alg`` is the algorithm the key must serve (the ``alg`` of the signature, or the registered one); None means: the
    only one its type allows. A member ``alg`` of the JWK must agree. Unknown members are ignored (RFC 7517 section 4).
    """
    if not _PRIVATE_MEMBERS.isdisjoint(members):
        raise JwkError("private_member")
    _check_use(members)
    match members.get("kty"):
        case "EC":
            served, parse = Algorithm.ES256, _parse_p256
        case "OKP":
            served, parse = Algorithm.EDDSA, _parse_ed25519
        case "RSA":
            served, parse = Algorithm.PS256, _parse_rsa
        case _:
            raise JwkError("unsupported_key_type")
    named = members.get("alg", served.value)
    if not isinstance(named, str) or ALGORITHM_NAMES.get(named) is not served or alg not in {None, served}:
        raise JwkError("algorithm_mismatch")
    return parse(members)


def _check_use(members: Mapping[str, Json]) -> None:
    """Refuse a key that says it is for something else than verifying signatures (RFC 7517 sections 4.2 and 4.3)."""
    if members.get("use", "sig") != "sig":
        raise JwkError("wrong_use")
    if members.get("key_ops", ["verify"]) != ["verify"]:
        raise JwkError("wrong_use")


def _parse_p256(members: Mapping[str, Json]) -> PublicKey:
    if members.get("crv") != "P-256":
        raise JwkError("unsupported_curve")
    x_text, y_text = _text(members, "x"), _text(members, "y")
    x, y = (int.from_bytes(_coordinate(text), "big") for text in (x_text, y_text))
    try:
        key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    except ValueError as exc:
        raise JwkError("not_on_curve") from exc

    def verify(signature: bytes, message: bytes) -> None:
        key.verify(_der_from_raw(signature), message, _ECDSA)

    return PublicKey(Algorithm.ES256, {"crv": "P-256", "kty": "EC", "x": x_text, "y": y_text}, verify)


def _der_from_raw(signature: bytes) -> bytes:
    """Turn the 64 bytes r || s of RFC 7518 section 3.4 into DER; refuse other lengths and values out of range."""
    if len(signature) != 64:  # noqa: PLR2004 - RFC 7518 section 3.4
        raise InvalidSignature
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if not (0 < r < P256_ORDER and 0 < s < P256_ORDER):
        raise InvalidSignature
    return encode_dss_signature(r, s)


def _parse_ed25519(members: Mapping[str, Json]) -> PublicKey:
    if members.get("crv") != "Ed25519":
        raise JwkError("unsupported_curve")
    x_text = _text(members, "x")
    point = _coordinate(x_text)
    try:
        key = check_ed25519_public(point)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise JwkError("weak_key") from exc
    return PublicKey(Algorithm.EDDSA, {"crv": "Ed25519", "kty": "OKP", "x": x_text}, key.verify)


def _parse_rsa(members: Mapping[str, Json]) -> PublicKey:
    n_text, e_text = _text(members, "n"), _text(members, "e")
    if not _MIN_MODULUS_CHARS <= len(n_text) <= _MAX_MODULUS_CHARS or len(e_text) > MAX_RSA_EXPONENT_CHARS:
        raise JwkError("weak_key")
    n, e = _unsigned(n_text), _unsigned(e_text)
    if not MIN_RSA_BITS <= n.bit_length() <= MAX_RSA_BITS or e < MIN_RSA_EXPONENT:
        raise JwkError("weak_key")
    if not n & e & 1 or has_roca_fingerprint(n):
        raise JwkError("weak_key")
    try:
        key = rsa.RSAPublicNumbers(e, n).public_key()
    except ValueError as exc:
        raise JwkError("weak_key") from exc

    def verify(signature: bytes, message: bytes) -> None:
        key.verify(signature, message, _PSS, _SHA256)

    return PublicKey(Algorithm.PS256, {"e": e_text, "kty": "RSA", "n": n_text}, verify)


def _text(members: Mapping[str, Json], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not value.isascii():
        raise JwkError("missing_member")
    return value


def _coordinate(text: str) -> bytes:
    """Decode exactly 32 bytes: a shorter or padded form would be a second name of the same key."""
    if len(text) != COORDINATE_CHARS:
        raise JwkError("wrong_length")
    return _canonical(text)


def _unsigned(text: str) -> int:
    """Decode a Base64urlUInt (RFC 7518 section 2): the least number of bytes, so no leading zero."""
    raw = _canonical(text)
    if raw[:1] in {b"", b"\x00"}:
        raise JwkError("not_canonical")
    return int.from_bytes(raw, "big")


def _canonical(text: str) -> bytes:
    try:
        return parse_b64url(text)
    except ValueError as exc:
        raise JwkError("not_canonical") from exc
