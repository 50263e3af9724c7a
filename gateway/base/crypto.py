"""The crypto suite of the log, the feed and our own signatures: Ed25519, SHA-256, HMAC-SHA-256.

For: one place that says which primitives are used and refuses the inputs their library lets pass.
Not for: partners' keys and tokens in JOSE form (``gateway.identity.jwk``), which use ``check_ed25519_public`` from here.
Source: RFC 8032; RFC 2104; RFC 5869 section 2.3. SM2 and SM3 will be a second suite beside this one, never mixed in one key.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.base.secret import Secret

_P: Final = 2**255 - 19
_SIGN_BIT: Final = 1 << 255
# The y coordinates of the eight points of small order; any of them, in any encoding, verifies forged signatures in
# common libraries (S = 0, R = identity). The library does not check.
_Y8: Final = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
_SMALL_ORDER_Y: Final = frozenset({0, 1, _P - 1, _Y8, _P - _Y8})


class BadSignature(Exception):  # noqa: N818 - named for what it says
    """A signature does not verify, or its key may not be used."""


def check_ed25519_public(raw: bytes) -> Ed25519PublicKey:
    """Return the key of 32 bytes; ``ValueError`` for a wrong length, a non-canonical or a small-order point."""
    if len(raw) != 32:  # noqa: PLR2004 - RFC 8032 section 5.1.5
        msg = "an Ed25519 public key has 32 bytes"
        raise ValueError(msg)
    y = int.from_bytes(raw, "little") & ~_SIGN_BIT
    if y >= _P:
        msg = "non-canonical point"
        raise ValueError(msg)
    if y in _SMALL_ORDER_Y:
        msg = "point of small order"
        raise ValueError(msg)
    return Ed25519PublicKey.from_public_bytes(raw)


def verify_ed25519(public: bytes, signature: bytes, message: bytes) -> None:
    """Return if the signature is good; raise ``BadSignature`` otherwise, for a forbidden key too."""
    try:
        check_ed25519_public(public).verify(signature, message)
    except (InvalidSignature, ValueError) as exc:
        reason = "signature does not verify"
        raise BadSignature(reason) from exc


class Ed25519Signer:
    """Signs with one Ed25519 private key of 32 bytes. Deterministic (RFC 8032): the same message, the same bytes."""

    __slots__ = ("_key", "public")

    def __init__(self, seed: Secret) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed.reveal())
        self.public: Final[bytes] = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return the 64 signature bytes."""
        return self._key.sign(message)


def sha256(message: bytes) -> bytes:
    """Return the 32 bytes of SHA-256."""
    return hashlib.sha256(message).digest()


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """Return the 32 bytes of HMAC-SHA-256."""
    return hmac.digest(key, message, "sha256")


def derive_key(secret: bytes, label: str) -> bytes:
    """Return 32 bytes bound to a label: one block of HKDF-Expand (RFC 5869 section 2.3).

    ``secret`` must be 32 uniformly random bytes, so that the extract step may be skipped (section 3.3).
    """
    return hmac_sha256(secret, label.encode("ascii") + b"\x01")
