"""What identity needs from a store, and what it may rely on.

``PartnerDirectory``. Consistency: may lag by the time a cache keeps entries (at most one second); exactness comes from
the ledger. Finding nobody must take the same work as finding somebody, and no key is read here. Concurrency: any number
of calls. May raise: ``GatewayError`` of kind ``STORE_UNAVAILABLE`` or ``OVERLOADED``.

``Registrations``. Says whether the log bears out what the directory gave: rows are claims, leaves are facts. Asked only after the
client's signature was found good, so that nobody else learns from its time which keys exist. May raise: ``Unregistered``, and
``GatewayError`` where the log cannot be read.

``TokenLedger``. Consistency and durability: when ``record_issue`` returns, both one-time ids were unused and are ours,
the credential was live, and the leaf is durable, all in one commit; when it raises, no token may be handed out.
Retries: the ledger's. May raise: ``Replayed``, ``CredentialRevoked``, and ``GatewayError`` of kind
``STORE_UNAVAILABLE`` or ``OVERLOADED``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from gateway.base.clock import Millis
from gateway.base.onetime import OneTimeId
from gateway.identity.partner import Partner, RegisteredKey, StoredClient


class Replayed(Exception):  # noqa: N818 - a statement about what happened
    """A one-time id was used before. ``digests`` are the used ones if the ledger can tell, else empty."""

    def __init__(self, digests: frozenset[bytes] = frozenset()) -> None:
        super().__init__("a one-time id was used before")
        self.digests: Final = digests


class CredentialRevoked(Exception):  # noqa: N818 - a statement about what happened
    """The key that authenticated is not live any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIssue:
    """A token about to be handed out: everything the commit must check and the leaf will say.

    ``credential`` is the thumbprint of the registered key that authenticated, ``jkt`` that of the key the token is
    bound to. ``token_jti`` names the token. ``request_hash`` is SHA-256(proof as received, one zero byte, body as
    received).
    """

    request_id: str
    request_hash: bytes
    partner_id: str
    client_id: str
    credential: str
    jkt: str
    token_jti: str
    scopes: frozenset[str]
    issued_ms: Millis
    lifetime_s: int
    assertion_claim: OneTimeId
    proof_claim: OneTimeId


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRefusal:
    """A token request of an authenticated client that is about to be refused, as its leaf will say it."""

    request_hash: bytes
    partner_id: str
    credential: str
    reason: str
    status: int
    refused_ms: Millis
    assertion_claim: OneTimeId


class Unregistered(Exception):  # noqa: N818 - a statement about what was found
    """No leaf of the log says of a partner and its key what their rows say."""


class Registrations(Protocol):
    """Checks partners and keys against the leaves that brought them."""

    async def require(self, partner: Partner, key: RegisteredKey) -> None:
        """Return if the log says of partner and key exactly what is given; raise ``Unregistered`` otherwise."""
        ...


class PartnerDirectory(Protocol):
    """Finds clients by their identifier."""

    async def find_client(self, client_id: str, kid: str | None) -> StoredClient | None:
        """Return the client with its keys of that name, in whatever state (without a name: with all of them), or None."""
        ...


class TokenLedger(Protocol):
    """Records that a token was issued, or refused to a client that had authenticated."""

    async def record_issue(self, issue: TokenIssue) -> None:
        """Claim both one-time ids, check that the credential is live, and append the leaf, in one commit."""
        ...

    async def record_refusal(self, refusal: TokenRefusal) -> None:
        """Use the assertion up and append the leaf; ``Replayed`` or ``CredentialRevoked`` say that nobody authenticated."""
        ...
