"""Keys that nobody registered, to verify against where there is no key to verify against.

For: client assertions that name no key we have. The time is spent all the same, so that it tells nobody which clients and keys
exist. What a decoy says is never believed: a signature that verifies is refused too.
Not for: anything that is registered.
Source: the elliptic keys are printed in RFC 7515 A.3 and RFC 8037 A.2. The RSA moduli are no products of known primes but numbers
just below a power of two, one for each usual length, so that there is hardly a signature of that length that is not below them.

WEAK: a registered RSA key of another length than these (2048, 3072, 4096 bits) costs a little more or less than its decoy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.base.canonical import Json, canonical_json
from gateway.base.clock import Millis
from gateway.base.codec import b64url, parse_b64url
from gateway.base.crypto import sha256
from gateway.identity.jwk import Algorithm, PublicKey, parse_public_jwk
from gateway.identity.partner import KeyPurpose, KeyState, StoredKey

RSA_BYTES: Final = (256, 384, 512)
"""Lengths of the usual moduli, and so of their signatures."""
_EC: Final[dict[str, Json]] = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
_OKP: Final[dict[str, Json]] = {
    "kty": "OKP",
    "crv": "Ed25519",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}
_HEAD: Final = b"\xff" * 8


@dataclass(frozen=True, slots=True)
class Decoy:
    """A key as it would be kept, to be read like one, and as read."""

    stored: StoredKey
    key: PublicKey


def decoy_for(alg: Algorithm, signature: bytes) -> Decoy:
    """Return the decoy of an algorithm; for RSA the one whose signatures are as long, else the shortest."""
    if alg is not Algorithm.PS256:
        return _DECOYS[alg]
    return _RSA_DECOYS.get(len(signature), _RSA_DECOYS[RSA_BYTES[0]])


def admits(key: PublicKey, signature: bytes) -> bool:
    """Tell whether a signature could be of a key at all: an RSA one has the length of the modulus and is below it."""
    if key.alg is not Algorithm.PS256:
        return True
    modulus = parse_b64url(key.jwk["n"])
    return len(signature) == len(modulus) and signature < modulus


def _rsa(size: int) -> dict[str, Json]:
    """Return a key with an odd modulus of so many bytes, the same in every process."""
    stretched = b"".join(sha256(b"credit-gateway decoy %d" % part) for part in range(size // 32))
    modulus = _HEAD + stretched[: size - len(_HEAD) - 1] + b"\x01"
    return {"kty": "RSA", "e": "AQAB", "n": b64url(modulus)}


def _decoy(jwk: dict[str, Json]) -> Decoy:
    key = parse_public_jwk(jwk, alg=None)
    stored = StoredKey(
        kid=key.thumbprint,
        alg=key.alg,
        jwk=canonical_json(jwk).decode("ascii"),
        purpose=KeyPurpose.CLIENT_AUTH,
        state=KeyState.RETIRED,
        not_before_ms=Millis(0),
        created_ms=Millis(0),
    )
    return Decoy(stored, key)


_DECOYS: Final = {Algorithm.ES256: _decoy(_EC), Algorithm.EDDSA: _decoy(_OKP)}
_RSA_DECOYS: Final = {size: _decoy(_rsa(size)) for size in RSA_BYTES}
