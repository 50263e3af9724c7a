"""Requests signed before the clock starts: each with its own proof of possession, as bytes ready to send.

A proof may be used once, so a run needs as many as it will send. One costs some 30 µs to sign; all cores sign together just
before a window, while nothing else runs, so that nonces and issue times are fresh and the generator does no cryptography.
Source: RFC 9449 section 4.2 (the proof), RFC 7515 section 3.1 (compact form), RFC 7518 section 3.4 (ES256).
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from gateway.postgres.processes import with_parent

PATH: Final = "/v1/verifications"
CHUNK: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One partner's program: its proof-of-possession key (PEM) and the access token bound to that key."""

    proof_key_pem: bytes
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the requests go: ``origin`` is what proofs name, ``host`` what the Host field says."""

    origin: str
    host: str
    nonce: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request ready to send and what its answer must say. ``code`` is the subject asked about."""

    wire: bytes
    code: str


Spoil = Callable[[bytes], bytes]
"""Turns a good request into a bad one of the same shape."""


def b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def public_jwk(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """Return the public JWK of a P-256 key (RFC 7518 section 6.2)."""
    numbers = key.public_numbers()
    return {
        "crv": "P-256",
        "kty": "EC",
        "x": b64url(numbers.x.to_bytes(32, "big")),
        "y": b64url(numbers.y.to_bytes(32, "big")),
    }


def thumbprint(jwk: dict[str, str]) -> str:
    """Return the RFC 7638 thumbprint."""
    return b64url(hashlib.sha256(compact_json(jwk)).digest())


def compact_json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def sign_es256(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """Return the 64 bytes r‖s of JOSE."""
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def new_key() -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    """Return a fresh P-256 key and its PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key, pem


def load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        msg = "the proof key is not an elliptic-curve key"
        raise TypeError(msg)
    return key


def request_body(code: str, number: int) -> bytes:
    """Return the 150 bytes of JSON of one question."""
    reference = f"C-2026-{number:010d}"
    return (
        f'{{"subject":{{"uscc":"{code}"}},"purpose":"onboarding","business_ref":"{reference}",'
        f'"relation":"signed_merchant"}}'
    ).encode("ascii")


class ProofSigner:
    """Signs the proofs of one caller for one target. Everything that does not change is prepared once."""

    def __init__(self, caller: Caller, target: Target) -> None:
        self._key = load_key(caller.proof_key_pem)
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": public_jwk(self._key.public_key())}
        self._head = b64url(compact_json(header)).encode("ascii")
        ath = b64url(hashlib.sha256(caller.token.encode("ascii")).digest())
        nonce = "" if target.nonce is None else f'"nonce":"{target.nonce}",'
        self._claims = f'{{"ath":"{ath}","htm":"POST","htu":"{target.origin}{PATH}",{nonce}'
        self._lines = (
            f"POST {PATH} HTTP/1.1\r\nHost: {target.host}\r\nUser-Agent: partner-app/2.4\r\nAccept: application/json\r\n"
            f"Accept-Encoding: gzip, deflate\r\nContent-Type: application/json\r\nAuthorization: DPoP {caller.token}\r\n"
        ).encode("ascii")

    def request(self, body: bytes, now_s: int) -> bytes:
        """Return one request with a proof that was never used."""
        claims = f'{self._claims}"iat":{now_s},"jti":"{secrets.token_urlsafe(16)}"}}'
        signed = self._head + b"." + b64url(claims.encode("ascii")).encode("ascii")
        proof = signed + b"." + b64url(sign_es256(self._key, signed)).encode("ascii")
        return b"%bDPoP: %b\r\nContent-Length: %d\r\n\r\n%b" % (self._lines, proof, len(body), body)


class Corpus:
    """A pool of signers. ``prepare`` blocks until the requests are signed."""

    def __init__(self, callers: Sequence[Caller], codes: Sequence[str], *, workers: int) -> None:
        self._callers = tuple(callers)
        self._codes = tuple(codes)
        with_us = with_parent(signal.SIGKILL)

        def enter() -> None:
            with_us()
            _use_all_cores()

        self._pool = ProcessPoolExecutor(max_workers=workers, initializer=enter)
        self._serial = 0

    def prepare(self, target: Target, count: int, *, spoil: Spoil | None = None) -> list[Prepared]:
        """Return ``count`` requests that take turns through the callers and the codes."""
        starts = range(self._serial, self._serial + count, CHUNK)
        sizes = [min(CHUNK, self._serial + count - start) for start in starts]
        self._serial += count
        work = partial(_sign_chunk, _Order(self._callers, self._codes, target, spoil))
        return [prepared for chunk in self._pool.map(work, starts, sizes) for prepared in chunk]

    def use_callers(self, callers: Sequence[Caller]) -> None:
        """Go on with fresh tokens."""
        self._callers = tuple(callers)

    def close(self) -> None:
        self._pool.shutdown()


def _use_all_cores() -> None:
    # The parent may be pinned to the generator's core; signing happens while nobody measures.
    os.sched_setaffinity(0, range(os.cpu_count() or 1))


@dataclass(frozen=True, slots=True)
class _Order:
    """What all chunks of one preparation have in common."""

    callers: tuple[Caller, ...]
    codes: tuple[str, ...]
    target: Target
    spoil: Spoil | None


def _sign_chunk(order: _Order, start: int, size: int) -> list[Prepared]:
    signers = [ProofSigner(caller, order.target) for caller in order.callers]
    now_s = int(time.time())
    signed: list[Prepared] = []
    for number in range(start, start + size):
        code = order.codes[number % len(order.codes)]
        wire = signers[number % len(signers)].request(request_body(code, number), now_s)
        signed.append(Prepared(wire=wire if order.spoil is None else order.spoil(wire), code=code))
    return signed
