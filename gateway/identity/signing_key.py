"""Private keys that sign JWTs: the issuer's own, and a partner's on the partner's machine.

For: the key of the token endpoint, the command line, tests and the bench.
Not for: the log's and the feed's keys (``gateway.base.crypto``).
Source: RFC 7515 section 7.1; RFC 7518 sections 3.4 and 3.5; RFC 8037. The encoder is PyJWT's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from gateway.base.canonical import Json
from gateway.base.codec import b64url
from gateway.base.secret import Secret
from gateway.identity.jwk import Algorithm, JwkError, PublicKey, parse_public_jwk

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


class SigningKey:
    """One private key with its one algorithm. ``public`` is what the other side may know."""

    __slots__ = ("_private", "public")

    def __init__(self, private: PrivateKey) -> None:
        self._private: Final = private
        self.public: Final = _public_of(private)

    @property
    def alg(self) -> Algorithm:
        """The algorithm it signs with."""
        return self.public.alg

    @classmethod
    def generate(cls, alg: Algorithm = Algorithm.ES256) -> SigningKey:
        """Make a new key. PS256 takes a noticeable moment."""
        match alg:
            case Algorithm.ES256:
                return cls(ec.generate_private_key(ec.SECP256R1()))
            case Algorithm.EDDSA:
                return cls(ed25519.Ed25519PrivateKey.generate())
            case Algorithm.PS256:
                return cls(rsa.generate_private_key(public_exponent=65_537, key_size=3072))

    @classmethod
    def from_pem(cls, pem: Secret) -> SigningKey:
        """Read an unencrypted PEM private key (PKCS #8, SEC 1 or PKCS #1); ``ValueError`` if it may not be used."""
        try:
            private = load_pem_private_key(pem.reveal(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
            msg = "not an unencrypted PEM private key"
            raise ValueError(msg) from exc
        if not isinstance(private, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey):
            msg = "the key is neither EC P-256, Ed25519 nor RSA"
            raise ValueError(msg)  # noqa: TRY004 - what is wrong is the content of the file
        return cls(private)

    def to_pem(self) -> Secret:
        """Return the key as unencrypted PKCS #8 PEM, for a file that only its owner reads."""
        return Secret(self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def sign_jwt(self, header: Mapping[str, Json], claims: Mapping[str, Json]) -> str:
        """Return the claims as a signed compact JWS; ``alg`` is set from the key, ``typ`` is the caller's."""
        payload: dict[str, Any] = dict(claims)
        return jwt.encode(payload, self._private, algorithm=self.alg.value, headers=dict(header))

    def __repr__(self) -> str:
        return f"SigningKey({self.public.alg}, {self.public.thumbprint})"


def _public_of(private: PrivateKey) -> PublicKey:
    """Return the public half, through the same policy that strangers' keys pass; ``JwkError`` if it does not."""
    public = private.public_key()
    jwk: dict[str, Json]
    if isinstance(public, ed25519.Ed25519PublicKey):
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64url(public.public_bytes_raw())}
    elif isinstance(public, rsa.RSAPublicKey):
        rsa_numbers = public.public_numbers()
        jwk = {"kty": "RSA", "n": _uint(rsa_numbers.n), "e": _uint(rsa_numbers.e)}
    elif public.curve.name == "secp256r1":
        numbers = public.public_numbers()
        x, y = (b64url(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y}
    else:
        raise JwkError("unsupported_curve")
    return parse_public_jwk(jwk, alg=None)


def _uint(number: int) -> str:
    return b64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))
