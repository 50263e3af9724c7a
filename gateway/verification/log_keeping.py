"""What operators do about a log that a host guards: look, begin to guard, resolve a doubt, close it for its successor.

For: ``credit-gateway log …``. Not for: finding doubts (``gateway.audit.guardian``), making the rows of a successor log
(``gateway.postgres.successor``).
Each act that changes what this host trusts is decided by the same comparison that the guardian makes before it signs, tried on a guard in
memory first, and is a leaf that names who did it and why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.audit.batch_mac import BatchMac, TreePoint
from gateway.audit.checkpoint import CheckpointSigner
from gateway.audit.entry import LeafKind
from gateway.audit.guard import Doubt, DoubtObserver, Guard, GuardState, ScratchGuard
from gateway.audit.guardian import LogGuardian
from gateway.audit.merkle import EMPTY_ROOT
from gateway.audit.readers import HeadReader
from gateway.base.canonical import canonical_json
from gateway.base.codec import b64
from gateway.base.errors import ErrorKind, GatewayError
from gateway.verification.operator_ledger import OperatorLedger

EMPTY_TREE: Final = TreePoint(0, EMPTY_ROOT)


class ResolvableGuard(Guard, Protocol):
    """A guard that an operator may begin and whose doubt an operator may resolve."""

    def create(self, point: TreePoint) -> None:
        """Begin to guard a log from a tree; ``FileExistsError`` if it is guarded already."""
        ...

    def resolve(self, seen: Doubt) -> bool:
        """Forget a doubt; tell whether it still was the one seen."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How this host stands to the log: what it has signed and doubts, what the database shows, and what a comparison says now."""

    origin: str
    guarded: GuardState
    head: TreePoint
    verdict: Doubt | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Because:
    """Who acts, and why: recorded in the leaf."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogHost:
    """This host's side of one log: its name, its keys, its guard, and how it reads."""

    host: str
    signer: CheckpointSigner
    mac: BatchMac
    guard: ResolvableGuard
    reader: HeadReader


class _Silent(DoubtObserver):
    def log_doubted(self, doubt: Doubt, seen: TreePoint | None, kept: Sequence[TreePoint]) -> None:
        """Say nothing: it was only tried."""


Acting = Callable[[LogGuardian], AbstractAsyncContextManager[OperatorLedger]]
"""Commits acts under a guardian of the caller's, for the length of a block."""


class LogKeeping:
    """An operator's acts on one log, as one host.

    The leaf of an act comes first, committed under a guardian that trusts what the act is about to make true; only then does the guard
    change. Who is interrupted in between has a leaf too many and says the command again; never a change without its leaf.
    """

    def __init__(self, host: LogHost, acting: Acting) -> None:
        self._host: Final = host
        self._acting: Final = acting

    async def standing(self) -> Standing:
        """Compare the database with the guard, and change nothing."""
        guarded = self._host.guard.read()
        verdict = guarded.doubt if guarded.doubt is Doubt.GUARD_MISSING else await self._try(guarded.last)
        head = (await self._host.reader.head()).tree.point
        return Standing(origin=self._host.signer.origin, guarded=guarded, head=head, verdict=verdict)

    async def join(self, known: TreePoint | None, because: Because) -> int:
        """Begin to guard a log that has leaves already: a new host, or one that lost its guard. Return the index of the leaf.

        ``known`` is a tree from a signed checkpoint that somebody else kept; None trusts the database for what lies before.

        Raises:
            GatewayError: ``CONFLICT`` (``guard_exists``); a doubt, if the head does not grow out of what is known or no host appended it.
        """
        if self._host.guard.read().doubt is not Doubt.GUARD_MISSING:
            raise GatewayError(ErrorKind.CONFLICT, reason="guard_exists")
        trial = await self._compare(known or EMPTY_TREE)
        leaf = await self._act(trial, "log.join", because, {"from": None if known is None else _shown(known)})
        try:
            self._host.guard.create(trial.state().last)
        except FileExistsError as exc:
            raise GatewayError(ErrorKind.CONFLICT, reason="guard_exists") from exc
        return leaf

    async def resolve(self, because: Because) -> int:
        """Forget a doubt whose cause is gone; return the index of the leaf.

        Raises:
            GatewayError: ``CONFLICT`` (``no_doubt``); the doubt, if the comparison still finds one; then only the right database, or a
                successor log, helps.
        """
        guarded = self._host.guard.read()
        if guarded.doubt is None:
            raise GatewayError(ErrorKind.CONFLICT, reason="no_doubt")
        if guarded.doubt in {Doubt.GUARD_MISSING, Doubt.GUARD_UNUSABLE}:
            raise GatewayError(ErrorKind.STORE_UNAVAILABLE, reason=guarded.doubt)
        trial = await self._compare(guarded.last)
        leaf = await self._act(trial, "log.resolve", because, {"doubt": guarded.doubt})
        self._host.guard.resolve(guarded.doubt)
        return leaf

    async def begin_successor(self, predecessor: str, last: TreePoint | None, because: Because) -> int:
        """Commit the first leaf of this log, which names the log it succeeds and the last tree of it that this host has signed."""
        guarded = self._host.guard.read()
        if guarded.doubt is not None:
            raise GatewayError(ErrorKind.STORE_UNAVAILABLE, reason=guarded.doubt)
        trial = await self._compare(guarded.last)
        said = {"predecessor": predecessor, "last": None if last is None else _shown(last)}
        leaf = await self._act(trial, "log.succeed", because, said)
        self._host.guard.advance(guarded.last, trial.state().last)
        return leaf

    async def _try(self, last: TreePoint) -> Doubt | None:
        try:
            await self._compare(last)
        except GatewayError as exc:
            if exc.reason in set(Doubt):
                return Doubt(exc.reason)
            raise
        return None

    async def _compare(self, last: TreePoint) -> LogGuardian:
        """Return a guardian that trusts a tree and has found the head to grow out of it; raise what it doubts."""
        host = self._host
        trial = LogGuardian(host.signer, host.mac, ScratchGuard(last), host.reader, _Silent())
        await trial.compare(await host.reader.head(), last)
        return trial

    async def _act(self, trial: LogGuardian, operation: str, because: Because, said: Mapping[str, object]) -> int:
        members = {"by": because.by, "host": self._host.host, "reason": because.reason, **said}
        async with self._acting(trial) as acts:
            return await acts.act(LeafKind.CONFIG, operation, canonical_json(members), None)


def _shown(point: TreePoint) -> dict[str, object]:
    return {"root": b64(point.root), "size": point.size}
