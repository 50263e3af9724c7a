"""What the log's readers need from a store: hashes for proofs, and everything for re-derivation.

Consistency: all answers of one reader come from one snapshot of the log, or from later ones; rows are never changed,
so what is below the size a caller has seen is the same in each. Reads may run beside writers and lock nothing.
Failures: a store that cannot answer raises ``GatewayError``; a row that should be there and is not is an answer that
is too short, which the caller notices. The store never repairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.audit.batch_mac import ClaimedTree, TreePoint


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


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """A leaf as stored, with the hash stored beside it."""

    leaf_index: int
    leaf_hash: bytes
    leaf: bytes


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A size at which a checkpoint was signed. ``prev_size`` is None for the batch of size 0 alone."""

    size: int
    prev_size: int | None
    root: bytes


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
    before: TreePoint | None = None
    mac: bytes | None = None
    closed: bool = False

    @property
    def tree(self) -> ClaimedTree:
        """The tree that the head claims, with the batch that it rests on."""
        return ClaimedTree(TreePoint(self.size, self.root), self.before, self.mac)


class LogReader(Protocol):
    """The whole log, page by page, in order. A page shorter than ``limit`` is the last one."""

    async def head(self) -> StoredHead:
        """Return the head."""
        ...

    async def entries(self, first: int, limit: int) -> Sequence[StoredEntry]:
        """Return entries with ``leaf_index >= first``, by index."""
        ...

    async def batches(self, above: int, limit: int) -> Sequence[StoredBatch]:
        """Return batches with ``size > above``, by size; ``above`` is -1 for the first page."""
        ...

    async def tiles(self, level: int, first: int, limit: int) -> Sequence[StoredTile]:
        """Return full tiles of a level with ``index >= first``, by index."""
        ...

    async def repeated_request_ids(self, limit: int) -> Sequence[str]:
        """Return one-time request ids (hex) that more than one request row holds, at most ``limit``."""
        ...
