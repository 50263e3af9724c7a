"""What the log's readers need from a store: hashes for proofs, and everything for re-derivation.

Consistency: all answers of one reader come from one snapshot of the log, or from later ones; rows are never changed,
so what is below the size a caller has seen is the same in each. Reads may run beside writers and lock nothing.
Failures: a store that cannot answer raises ``GatewayError``; a row that should be there and is not is an answer that
is too short, which the caller notices. The store never repairs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gateway.audit.acts import Row
from gateway.audit.batch_mac import ClaimedTree, TreePoint
from gateway.audit.columns import EntryColumns


class TileReader(Protocol):
    """Stored hashes of one log, by tile level.

    Hashes of level 0 are leaf hashes, of level n roots of full tiles of level n-1.
    """

    async def full_tile(self, level: int, index: int) -> bytes:
        """Return the 8,192 bytes of a full tile; empty bytes if it is not stored."""
        ...

    async def leaf_hashes(self, first: int, count: int) -> Sequence[bytes]:
        """Return the hashes of neighbouring leaves, in order, from their entries."""
        ...

    async def tile_roots(self, level: int, first: int, count: int) -> Sequence[bytes]:
        """Return the roots of neighbouring full tiles *of this level*, in order: the hashes of level + 1."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """A leaf as stored, with the hash and the columns stored beside it."""

    leaf_index: int
    leaf_hash: bytes
    leaf: bytes
    logged_at: dt.datetime
    columns: EntryColumns


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrySecret:
    """The secret of an entry as stored."""

    leaf_index: int
    logged_at: dt.datetime
    salt: bytes
    key_id: int
    sealed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBatch:
    """A size at which a checkpoint was signed. ``prev_size`` is None for the batch of size 0 alone, and so is ``mac``."""

    size: int
    prev_size: int | None
    root: bytes
    ts: dt.datetime
    writer: str
    mac: bytes | None


@dataclass(frozen=True, slots=True)
class StoredTile:
    """A full tile as stored."""

    index: int
    hashes: bytes
    root: bytes


@dataclass(frozen=True, slots=True)
class StoredHead:
    """The head as stored; ``frontier`` is unread bytes, because reading it is part of the check.

    ``closed`` tells that a successor log was opened.
    """

    size: int
    root: bytes
    frontier: bytes
    ts: dt.datetime
    before: TreePoint | None = None
    mac: bytes | None = None
    closed: bool = False

    @property
    def tree(self) -> ClaimedTree:
        """The tree that the head claims, with the batch that it rests on."""
        return ClaimedTree(TreePoint(self.size, self.root), self.before, self.mac)


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """A one-time id (16 bytes) and the day under which it was claimed."""

    req_id: bytes
    day: dt.date


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredIdempotency:
    """An idempotency key with the leaf and the secret of the verification it names; None where there is none."""

    partner_id: str
    operation: str
    key_hash: bytes
    body_hash: bytes
    verification_id: str
    created_ms: int
    leaf: bytes | None
    salt: bytes | None
    key_id: int | None
    sealed: bytes | None


class Stray(StrEnum):
    """A table with a row for a leaf that the log does not have."""

    ENTRY = "entry"
    SECRET = "secret"  # noqa: S105 - the name of a table


class Deviation(StrEnum):
    """How something that guards the tables differs from what was shipped."""

    CHANGED = "changed"
    MISSING = "missing"
    UNKNOWN = "unknown"
    TRIGGERS_OFF = "triggers_off"


class HeadReader(TileReader, Protocol):
    """What the guardian of a log compares: its head, and the hashes for a proof."""

    async def head(self) -> StoredHead:
        """Return the head as stored."""
        ...


class LogReader(Protocol):
    """The whole log and what stands beside it, piece by piece, in order.

    Pages are asked for by a range of keys; a limit bounds what a table with too many rows can cost.
    """

    async def head(self) -> StoredHead:
        """Return the head."""
        ...

    async def origin(self) -> str | None:
        """Return the name that the row of the log says; None without a row."""
        ...

    async def logs(self) -> Sequence[str]:
        """Return the names of all logs in the same database."""
        ...

    async def of_log(self, origin: str) -> LogReader | None:
        """Return the reader of the log of that name in the same database; None if there is none."""
        ...

    async def entries(self, first: int, count: int) -> Sequence[StoredEntry]:
        """Return entries with ``first <= leaf_index < first + count``, by index, at most twice as many as there should be."""
        ...

    async def secrets(self, first: int, count: int) -> Sequence[EntrySecret]:
        """Return secrets with ``first <= leaf_index < first + count``, by index, at most twice as many as there should be."""
        ...

    async def strays(self, limit: int) -> Sequence[tuple[Stray, int]]:
        """Return rows of entries and secrets with an index below 0 or not below the head's size at this moment."""
        ...

    async def batches(self, above: int, limit: int) -> Sequence[StoredBatch]:
        """Return batches with ``size > above``, by size. A page shorter than ``limit`` is the last one."""
        ...

    async def tiles(self, level: int, first: int, limit: int) -> Sequence[StoredTile]:
        """Return full tiles of a level with ``index >= first``, by index. A page shorter than ``limit`` is the last one."""
        ...

    async def request_days(self) -> Sequence[dt.date]:
        """Return the days that have a partition for one-time ids, ascending."""
        ...

    async def requests(
        self, days: Sequence[dt.date], low: bytes, high: bytes, limit: int, *, without: str | None = None
    ) -> Sequence[StoredRequest]:
        """Return claimed ids of some days with ``low <= req_id <= high``, at most ``limit``, in no order.

        ``without`` leaves out those that the log of that name has under the same day.
        """
        ...

    async def idempotency(self, after: StoredIdempotency | None, limit: int) -> Sequence[StoredIdempotency]:
        """Return idempotency keys that follow one, by (partner, operation, key). A page shorter than ``limit`` is the last."""
        ...

    async def partners(self) -> Mapping[str, Row]:
        """Return all partners by identifier; they number in the hundreds. A row is as the leaf of its registration says it."""
        ...

    async def keys(self) -> Mapping[str, Row]:
        """Return all keys of all partners by thumbprint; ``jwk`` is None where the column holds no object."""
        ...

    async def deviations(self) -> Sequence[tuple[Deviation, str]]:
        """Return what differs among functions, triggers, constraints and rules from what was shipped, by name."""
        ...
