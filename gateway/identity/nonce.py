"""DPoP nonces that no process has to remember: the time, authenticated with a shared secret.

For: making proofs fresh on the server's clock, on every worker and host with the same secret.
Not for: single use; that is the audit commit's. A nonce may be used many times until it is old.
Source: RFC 9449 sections 8, 9 and 11.3. Token endpoint and resources have separate labels, so that the nonces of one
are refused by the other.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from enum import Enum, StrEnum
from typing import Final

from gateway.base.clock import Millis
from gateway.base.codec import b64url
from gateway.base.crypto import derive_key, hmac_sha256
from gateway.base.secret import Secret

STEP_MS: Final = 60_000
STEPS_BACK: Final = 2
"""A nonce is good for at least two and at most three minutes after it was handed out."""
STEPS_AHEAD: Final = 1
"""Another host's clock may have stepped already."""
NONCE_BYTES: Final = 18
"""144 bits, which are 24 characters without surplus bits."""
_NONCE_CHARS: Final = NONCE_BYTES * 4 // 3


class NonceAudience(StrEnum):
    """Who hands the nonce out; the other does not accept it."""

    TOKEN_ENDPOINT = "as"  # noqa: S105 - a label
    RESOURCES = "rs"


class NonceVerdict(Enum):
    """What a nonce is worth now."""

    FRESH = "fresh"
    AGING = "aging"
    """Accepted, but the answer should carry a newer one (RFC 9449 section 8.2)."""
    REFUSED = "refused"


class NonceIssuer:
    """Issues and recognises the nonces of one audience.

    The first secret issues; all are accepted, so that a secret is rotated by putting the new one in front and dropping
    the old one some minutes later. Each must be 32 random bytes.
    """

    __slots__ = ("_accepted", "_current", "_keys", "_step")

    def __init__(self, secrets: Sequence[Secret], audience: NonceAudience) -> None:
        if not secrets:
            msg = "a nonce issuer needs a secret"
            raise ValueError(msg)
        label = f"credit-gateway/v1/dpop-nonce/{audience.value}"
        self._keys: Final = tuple(derive_key(_checked(secret), label) for secret in secrets)
        # What is good in the present step; recomputed when the step changes. Owner: the event loop's thread.
        self._step = -1
        self._current = b""
        self._accepted: tuple[bytes, ...] = ()

    def issue(self, now: Millis) -> str:
        """Return the nonce to hand out now."""
        self._enter_step(now)
        return self._current.decode("ascii")

    def judge(self, nonce: object, now: Millis) -> NonceVerdict:
        """Say what a nonce claim is worth now; anything that is not one of our texts is refused."""
        if not isinstance(nonce, str) or len(nonce) != _NONCE_CHARS or not nonce.isascii():
            return NonceVerdict.REFUSED
        self._enter_step(now)
        given = nonce.encode("ascii")
        found = False
        for accepted in self._accepted:  # always all of them, so that time does not tell which one was near
            found |= hmac.compare_digest(given, accepted)
        if not found:
            return NonceVerdict.REFUSED
        return NonceVerdict.FRESH if given == self._current else NonceVerdict.AGING

    def _enter_step(self, now: Millis) -> None:
        step = now // STEP_MS
        if step == self._step:
            return
        steps = range(step - STEPS_BACK, step + STEPS_AHEAD + 1)
        self._accepted = tuple(_nonce(key, one) for key in self._keys for one in steps)
        self._current = _nonce(self._keys[0], step)
        self._step = step


def _checked(secret: Secret) -> bytes:
    raw = secret.reveal()
    if len(raw) != 32:  # noqa: PLR2004 - what derive_key asks for
        msg = "a nonce secret has 32 bytes"
        raise ValueError(msg)
    return raw


def _nonce(key: bytes, step: int) -> bytes:
    return b64url(hmac_sha256(key, str(step).encode("ascii"))[:NONCE_BYTES]).encode("ascii")
