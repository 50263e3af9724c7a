"""What the committer needs from a store, and what it promises to those who submit.

A ``LogStore`` keeps one append-only log. Consistency: ``enter`` serialises all writers of a log, on every host, until the
transaction ends; what it says stays true until then. Durability: when ``commit`` returns, the batch survives a power cut;
when it raises ``CommitUnknown``, nobody knows, and ``settle`` finds out. Concurrency: one transaction at a time for one store object.
Retries: the store never retries; the committer does. Everything a store raises is one of the three errors below.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import msgspec

from gateway.audit.batch_mac import TreePoint
from gateway.audit.merkle import Frontier, FullTile, Growth
from gateway.audit.readers import TileReader
from gateway.base.clock import Millis
from gateway.base.onetime import OneTimeId


class StoreFailed(Exception):  # noqa: N818 - a statement about what happened
    """The transaction did not happen; the same batch may be submitted again."""


class BatchRefused(Exception):  # noqa: N818 - a statement about what happened
    """The transaction did not happen because a row of the batch is not acceptable; the same batch would fail again."""


class CommitUnknown(Exception):  # noqa: N818 - a statement about what happened
    """COMMIT was sent and its outcome is not known, or is not known to be replicated."""


class Rider(Protocol):
    """A change that must happen in the same transaction as its leaf, such as the revocation of a key."""

    async def ride(self, transaction: object) -> None:
        """Apply the change on the store's own transaction handle; raise ``GatewayError`` to refuse it and the leaf with it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyClaim:
    """``Idempotency-Key`` of one creating request: scope (partner, operation), key and body as SHA-256 (32 bytes each)."""

    partner_id: str
    operation: str
    key_hash: bytes
    body_hash: bytes
    verification_id: str
    created_ms: Millis


class PendingEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One leaf that waits to be committed, hashed already, with everything decided that can be decided before the lock.

    ``claims`` must all be unused, ``credential`` (if any) must be live and ``idempotency`` must be free, or the entry is refused
    and leaves no leaf. ``salt`` is 32 bytes; ``sealed`` the encrypted plaintext, possibly empty.
    """

    leaf: bytes
    leaf_hash: bytes
    kind: str
    operation: str
    decision: str
    salt: bytes
    key_id: int
    sealed: bytes
    partner_id: str | None = None
    purpose: str | None = None
    subject_index: bytes | None = None
    verification_id: str | None = None
    claims: tuple[OneTimeId, ...] = ()
    credential: str | None = None
    idempotency: IdempotencyClaim | None = None
    rider: Rider | None = None


class Refusal(StrEnum):
    """Why the commit did not take an entry."""

    REPLAYED = "replayed"
    REVOKED = "revoked"
    IDEMPOTENCY_TAKEN = "idempotency_taken"


@dataclass(frozen=True, slots=True)
class Refused:
    """The commit did not take the entry. ``claim`` is the one-time id that was used before, where that is the reason."""

    reason: Refusal
    claim: OneTimeId | None = None


class Committed(msgspec.Struct, frozen=True):
    """The entry is durable at ``leaf_index`` of a tree of ``tree_size`` leaves; ``proof`` is its tlog-proof text."""

    leaf_index: int
    tree_size: int
    proof: str


@dataclass(frozen=True, slots=True)
class Head:
    """The locked head: its frontier, root and the instant of the batch, never before the previous batch's.

    ``before`` and ``mac`` are of the batch that the head rests on: claims of the store, like all the rest.
    """

    frontier: Frontier
    root: bytes
    moment: dt.datetime
    before: TreePoint | None = None
    mac: bytes | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """What the store found under the lock: which claims are now ours, which credentials live, which keys were free."""

    claimed: frozenset[bytes]
    live: frozenset[str]
    reserved: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one transaction appends: ``growth`` leads from the locked head to the new frontier and makes the proofs.

    ``mac`` says to every host that a host appended it.
    """

    head: Head
    growth: Growth
    entries: Sequence[PendingEntry]
    tiles: Sequence[FullTile]
    mac: bytes
    writer: str


class LogTransaction(TileReader, Protocol):
    """One transaction on the log, which also reads it as it is under the lock. Leaving its context without ``commit`` rolls it back."""

    async def enter(self, entries: Sequence[PendingEntry]) -> tuple[Head, Admission]:
        """Lock the head, and under the lock claim one-time ids and idempotency keys and read which credentials are live.

        Nobody else appends until this transaction ends.
        """
        ...

    async def ride(self, rider: Rider) -> None:
        """Let a rider make its change in this transaction."""
        ...

    async def append(self, batch: Batch) -> None:
        """Insert the entries, tiles and batch, and move the head by compare-and-swap."""
        ...

    async def commit(self) -> None:
        """Make it durable. Never cancelled, never timed out by us."""
        ...


class LogStore(Protocol):
    """The store of one log."""

    def begin(self) -> AbstractAsyncContextManager[LogTransaction]:
        """Open a transaction on the store's one connection, connecting again if it was lost."""
        ...

    async def settle(self, size: int, root: bytes) -> bool:
        """Tell whether the batch that made this size and root is durable.

        Takes the head lock first, so that a lost transaction has ended one way or the other, and commits a write of its own,
        so that what it saw is replicated. May raise ``StoreFailed``.
        """
        ...
