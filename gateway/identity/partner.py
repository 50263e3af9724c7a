"""Partners and their registered keys, and the states both go through.

For: the values that the directory gives and the token endpoint decides on.
Not for: which keys may be registered (``key_policy``), nor for how they are stored.
Source: "Partner key life cycle" of the security design; client identifiers in a form no person has (FAPI 2.0 section
6.7).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from gateway.base.canonical import parse_json_object
from gateway.base.clock import Millis
from gateway.base.errors import ErrorKind, GatewayError
from gateway.identity.jwk import Algorithm, PublicKey, parse_public_jwk

CLIENT_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{2,62}")
"""Lower case, digits and hyphens: no user name, address or identity number of a person has to look so."""


class PartnerState(StrEnum):
    """Whether a partner is served."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    CLOSED = "closed"


class KeyPurpose(StrEnum):
    """What a registered key is for. One key serves one purpose."""

    CLIENT_AUTH = "client-auth"


class KeyState(StrEnum):
    """Where a key is in its life. ``COMPROMISED`` is the end: nothing leads out of it."""

    PENDING = "pending"
    ACTIVE = "active"
    RETIRING = "retiring"
    RETIRED = "retired"
    SUSPENDED = "suspended"
    COMPROMISED = "compromised"


LIVE_STATES: Final = frozenset({KeyState.ACTIVE, KeyState.RETIRING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """A platform enterprise. ``scopes`` are what its tokens may carry, ``purposes`` what it may ask for."""

    partner_id: str
    client_id: str
    name: str
    sector: str
    scopes: frozenset[str]
    purposes: frozenset[str]
    state: PartnerState


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredKey:
    """A public key of a partner. The identity of a key is its thumbprint; ``kid`` is the partner's name for it."""

    kid: str
    key: PublicKey
    purpose: KeyPurpose
    state: KeyState
    not_before_ms: Millis
    created_ms: Millis
    retire_at_ms: Millis | None = None
    revoked_ms: Millis | None = None

    @property
    def thumbprint(self) -> str:
        """The RFC 7638 thumbprint."""
        return self.key.thumbprint

    def why_unusable(self, now: Millis) -> str | None:
        """Return why the key may not authenticate now, as a machine word for the log, or None if it may."""
        return _why_unusable(self.state, self.not_before_ms, self.retire_at_ms, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """A registered key as it is kept. Its JWK is not read yet: that costs as much as a signature, so only one is read."""

    kid: str
    alg: Algorithm
    jwk: str
    purpose: KeyPurpose
    state: KeyState
    not_before_ms: Millis
    created_ms: Millis
    retire_at_ms: Millis | None = None
    revoked_ms: Millis | None = None

    def why_unusable(self, now: Millis) -> str | None:
        """As ``RegisteredKey.why_unusable``."""
        return _why_unusable(self.state, self.not_before_ms, self.retire_at_ms, now)

    def read(self) -> RegisteredKey:
        """Return the key; ``JsonError`` or ``JwkError`` for a JWK that no registration wrote."""
        return RegisteredKey(
            kid=self.kid,
            key=parse_public_jwk(parse_json_object(self.jwk.encode()), alg=self.alg),
            purpose=self.purpose,
            state=self.state,
            not_before_ms=self.not_before_ms,
            created_ms=self.created_ms,
            retire_at_ms=self.retire_at_ms,
            revoked_ms=self.revoked_ms,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """An OAuth client: its partner and all the keys that partner ever registered for client authentication."""

    partner: Partner
    keys: tuple[RegisteredKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredClient:
    """An OAuth client with the keys that an assertion can mean, none of them read yet."""

    partner: Partner
    keys: tuple[StoredKey, ...]


def _why_unusable(state: KeyState, not_before_ms: Millis, retire_at_ms: Millis | None, now: Millis) -> str | None:
    if state not in LIVE_STATES:
        return f"key_{state.value}"
    if now < not_before_ms:
        return "key_not_yet_active"
    if retire_at_ms is not None and now >= retire_at_ms:
        return "key_retired"
    return None


def revoke_key(key: RegisteredKey, *, now: Millis, compromised: bool) -> RegisteredKey:
    """Return the key taken out of use for good. A compromised key stays compromised (``CONFLICT``, F12)."""
    if key.state is KeyState.COMPROMISED:
        raise GatewayError(ErrorKind.CONFLICT, reason="key_compromised")
    if key.state is KeyState.RETIRED and not compromised:
        raise GatewayError(ErrorKind.CONFLICT, reason="key_retired")
    state = KeyState.COMPROMISED if compromised else KeyState.RETIRED
    return replace(key, state=state, revoked_ms=now)
