"""What the partner edge needs, and nothing else: its signature is the list of its powers.

Filled by ``gateway.wiring``. The Protocols name the part of each use case that the edge calls; every one of them may raise
``GatewayError``, which the edge answers. An implementation must not be cancelled halfway by its caller's deadline: it shields what it
has begun to commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.api.strangers import StrangerBounds
from gateway.base.clock import Clock
from gateway.base.errors import GatewayError
from gateway.credit.facts import SourceState
from gateway.identity.token_grant import TokenRequest, TokenResponse
from gateway.verification.call import Call
from gateway.verification.question import Question
from gateway.verification.read_back import Proven
from gateway.web.authenticate import Authenticator
from gateway.web.body import BodyLimits


class Verifies(Protocol):
    """Answers one question (``gateway.verification.verify.Verify``)."""

    async def __call__(self, call: Call, question: Question) -> Proven:
        """Return the answer once its leaf is durable."""
        ...


class ReadsBack(Protocol):
    """Gives a partner its own earlier answers (``gateway.verification.read_back.ReadBack``)."""

    async def answer(self, call: Call, verification_id: str) -> Proven:
        """Return an earlier answer; ``NOT_FOUND`` also for another partner's."""
        ...

    async def receipt(self, call: Call, verification_id: str) -> bytes:
        """Return the receipt of an earlier answer as JSON; ``NOT_FOUND`` as above."""
        ...


class RecordsRefusals(Protocol):
    """Writes refusals of authenticated callers into the log (``gateway.verification.ledger.Ledger``)."""

    async def refused(self, call: Call, refusal: GatewayError, *, status: int, purpose: str | None = None) -> None:
        """Return when the leaf is durable; raise what the caller must be told instead of the refusal."""
        ...


class ShowsLog(Protocol):
    """The public face of the log (``gateway.verification.log_face.LogFace``). Whatever is beyond its head is ``NOT_FOUND``."""

    async def checkpoint(self) -> str:
        """Return the signed checkpoint of the present head."""
        ...

    async def tile(self, level: int, index: int, width: int) -> bytes:
        """Return the first ``width`` hashes of a tile, 32 bytes each."""
        ...

    async def inclusion(self, index: int, size: int | None) -> str:
        """Return the tlog-proof of one leaf in the tree of ``size`` leaves, by default the present head."""
        ...

    async def consistency(self, old: int, new: int) -> Sequence[bytes]:
        """Return the hashes that prove one tree to be a prefix of another."""
        ...


class GrantsTokens(Protocol):
    """The token endpoint as a use case (``gateway.identity.token_grant.GrantToken``); refuses with ``OAuthError`` too."""

    def fresh_nonce(self) -> str | None:
        """Return the value for ``DPoP-Nonce``, or None if nonces are off."""
        ...

    async def __call__(self, request: TokenRequest) -> TokenResponse:
        """Return a token once its leaf is durable."""
        ...


class KnowsSource(Protocol):
    """Which feed version is being answered from (part of ``gateway.credit.ports.CreditReplica``)."""

    async def source_state(self) -> SourceState | None:
        """Return the state of the source; None before the first feed."""
        ...


class CountsAnswers(Protocol):
    """Counts what was answered, by values of ours only."""

    def verified(self, purpose: str, outcome: str) -> None:
        """Count one new answer."""
        ...

    def refused(self, code: str) -> None:
        """Count one refusal of the token endpoint by its ``OAuthCode``; the middleware counts all others."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Everything the partner edge works with.

    ``issuer``: the public base URL, without final slash. ``body_limits`` are for bodies of authenticated callers. ``jwks``, ``metadata``:
    the documents as bytes. ``max_stale_ms``: past this age of the source, answers are ``unavailable``.
    """

    issuer: str
    clock: Clock
    authenticate: Authenticator
    verify: Verifies
    read_back: ReadsBack
    ledger: RecordsRefusals
    log: ShowsLog
    grant_token: GrantsTokens
    source: KnowsSource
    metrics: CountsAnswers
    jwks: bytes
    metadata: bytes
    body_limits: BodyLimits
    strangers: StrangerBounds
    max_stale_ms: int
