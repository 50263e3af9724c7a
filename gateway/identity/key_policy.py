"""Which public keys a partner may register.

For: ``key add`` and the future key registry: a submitted JWK becomes a ``RegisteredKey``, or a list of what is wrong
with it.
Not for: how keys are stored; the caller brings what the store knows (the client's keys, whether the thumbprint is known
anywhere).
Source: "Partner key life cycle", rules 1, 3 and 4; rows F04 to F08. A key is known by its thumbprint, whose encoding is
canonical, so the same key in another spelling is the same key.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.base.canonical import Json, JsonError, parse_json_object
from gateway.base.clock import Millis
from gateway.base.errors import ErrorKind, Fault, GatewayError
from gateway.identity.jwk import THUMBPRINT, JwkError, PublicKey, parse_public_jwk
from gateway.identity.partner import LIVE_STATES, KeyPurpose, KeyState, RegisteredKey

MAX_JWK_BYTES: Final = 8192
MAX_LIVE_KEYS: Final = 2
"""Active and retiring keys of one client and purpose: the one in use and the one that replaces it."""

_KID: Final = re.compile(r"[A-Za-z0-9._~-]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedKey:
    """A public key that passed the policy, with the name its JWK gave it, if any."""

    key: PublicKey
    kid: str | None


def parse_submitted_key(raw: bytes) -> SubmittedKey:
    """Read a submitted JWK; ``VALIDATION_FAILED`` with a fault at its place if it may not be registered.

    Fault codes: ``jwk_unreadable``, ``jwk_private`` (the sender has leaked its private key), ``jwk_refused`` (parameter
    ``reason``), ``kid_malformed``, ``kid_is_a_thumbprint`` (of another key, if of any: whoever revokes by thumbprint must mean one
    key and no other).
    """
    if len(raw) > MAX_JWK_BYTES:
        raise _failed([Fault(path="", code="jwk_unreadable")])
    try:
        members = parse_json_object(raw)
    except JsonError as exc:
        raise _failed([Fault(path="", code="jwk_unreadable")]) from exc
    faults: list[Fault] = []
    kid = _read_kid(members, faults)
    try:
        key = parse_public_jwk(members, alg=None)
    except JwkError as exc:
        faults.insert(0, _fault_of(exc))
        raise _failed(faults) from exc
    if kid is not None and kid != key.thumbprint and THUMBPRINT.fullmatch(kid):
        faults.append(Fault(path="/kid", code="kid_is_a_thumbprint"))
    if faults:
        raise _failed(faults)
    return SubmittedKey(key=key, kid=kid)


def register_key(
    submitted: SubmittedKey,
    *,
    client_keys: Sequence[RegisteredKey],
    thumbprint_known: bool,
    not_before_ms: Millis,
    now: Millis,
) -> RegisteredKey:
    """Return the key as registered, active from ``not_before_ms``, or raise ``CONFLICT``.

    ``client_keys`` are all keys the client ever registered; ``thumbprint_known`` tells whether this key is known under
    any client, in any state: a key once retired or compromised never comes back. ``kid`` is the JWK's, or else the
    thumbprint.
    """
    if thumbprint_known or any(key.thumbprint == submitted.key.thumbprint for key in client_keys):
        raise GatewayError(ErrorKind.CONFLICT, reason="key_known")
    kid = submitted.kid or submitted.key.thumbprint
    if any(key.kid == kid for key in client_keys):
        raise GatewayError(ErrorKind.CONFLICT, reason="kid_taken")
    purpose = KeyPurpose.CLIENT_AUTH
    if sum(_counts(key, purpose, now) for key in client_keys) >= MAX_LIVE_KEYS:
        raise GatewayError(ErrorKind.CONFLICT, reason="too_many_keys")
    return RegisteredKey(
        kid=kid,
        key=submitted.key,
        purpose=purpose,
        state=KeyState.ACTIVE,
        not_before_ms=Millis(max(not_before_ms, now)),
        created_ms=now,
    )


def _counts(key: RegisteredKey, purpose: KeyPurpose, now: Millis) -> bool:
    over = key.retire_at_ms is not None and now >= key.retire_at_ms
    return key.purpose is purpose and key.state in LIVE_STATES and not over


def _read_kid(members: dict[str, Json], faults: list[Fault]) -> str | None:
    kid = members.get("kid")
    if "kid" not in members:
        return None
    if not isinstance(kid, str) or _KID.fullmatch(kid) is None:
        faults.append(Fault(path="/kid", code="kid_malformed"))
        return None
    return kid


def _fault_of(refusal: JwkError) -> Fault:
    if refusal.reason == "private_member":
        return Fault(path="", code="jwk_private")
    return Fault(path="", code="jwk_refused", params={"reason": refusal.reason})


def _failed(faults: Sequence[Fault]) -> GatewayError:
    return GatewayError(ErrorKind.VALIDATION_FAILED, reason="key_refused", faults=faults)
