"""Re-derivation: everything that is stored about the log must follow from its leaves.

For: reading the whole log once and comparing every leaf hash, full tile, batch root and the head with what the leaves
give.
Not for: repairing (a log is never repaired), comparing with signed checkpoints that others hold
(``proofs.verify_consistency``).

One pass, memory flat: a page of entries, a page of batches and a page of tiles a level. When a stored leaf hash
differs from its leaf, that is reported and the stored hash is carried upward: if it is the leaf that was changed,
everything above stays quiet, and one fault is reported, not thousands.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from gateway.audit.merkle import EMPTY_FRONTIER, TILE_HEIGHT, TILE_WIDTH, Frontier, Growth, grow, leaf_hash
from gateway.audit.paging import Rows
from gateway.audit.readers import LogReader, StoredBatch, StoredEntry, StoredHead, StoredTile

PAGE: Final = 8192
"""Entries or batches read at once: with leaves of half a kilobyte, a few megabytes."""
TILE_PAGE: Final = 64
MAX_FAULTS: Final = 100
MAX_LEVELS: Final = 8
"""Levels 0 to 7 of full tiles cover 2^64 leaves."""


class FaultCode(StrEnum):
    """What is wrong: stable words for machines."""

    LEAF_HASH = "leaf_hash"
    INDEX_GAP = "index_gap"
    TILE_MISSING = "tile_missing"
    TILE_HASHES = "tile_hashes"
    TILE_ROOT = "tile_root"
    TILE_BEYOND_HEAD = "tile_beyond_head"
    BATCH_ROOT = "batch_root"
    BATCH_CHAIN = "batch_chain"
    BATCH_BEYOND_HEAD = "batch_beyond_head"
    HEAD_SIZE = "head_size"
    HEAD_ROOT = "head_root"
    HEAD_FRONTIER = "head_frontier"
    HEAD_NOT_A_BATCH = "head_not_a_batch"
    REQUEST_REPEATED = "request_repeated"


@dataclass(frozen=True, slots=True)
class LogFault:
    """One contradiction. ``where`` is a leaf index, a tree size, a ``level/index`` of a tile, or a request id."""

    code: FaultCode
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FsckReport:
    """What was compared and what is wrong.

    ``complete`` is False when the pass stopped at too many faults or at a gap.
    """

    leaves: int
    batches: int
    tiles: int
    head_size: int
    root: bytes
    faults: tuple[LogFault, ...]
    complete: bool

    @property
    def clean(self) -> bool:
        """Whether everything was compared and nothing is wrong."""
        return self.complete and not self.faults


async def fsck(
    reader: LogReader, *, max_faults: int = MAX_FAULTS, progress: Callable[[int], None] = lambda _leaves: None
) -> FsckReport:
    """Re-derive the log from its leaves, up to the head as it is now.

    Entries that arrive meanwhile are left for next time. ``progress`` is told after each page how many leaves were checked.

    1. Walk the entries up to the head, comparing leaf hashes and indexes, tiles as they complete, and each batch root.
    2. Compare what is left over: tiles and batches past the head's size.
    3. Compare the head: size, root, frontier, and that it is the last batch.
    4. Ask the store for request ids that occur twice.
    """
    head = await reader.head()
    run = _Run(reader, head, max_faults)
    try:
        # 1
        await run.walk(progress)
        # 2
        await run.compare_leftovers()
        # 3
        run.compare_head()
        # 4
        for request_id in await reader.repeated_request_ids(max_faults):
            run.fault(FaultCode.REQUEST_REPEATED, request_id)
    except _Stopped:
        return run.report(complete=False)
    return run.report(complete=True)


class _Stopped(Exception):  # noqa: N818 - not an error: the report is the result
    """Going on would tell nothing more."""


@dataclass(slots=True)
class _Run:
    """One pass. Everything here belongs to the one task that runs it."""

    reader: LogReader
    head: StoredHead
    max_faults: int
    frontier: Frontier = EMPTY_FRONTIER
    faults: list[LogFault] = field(default_factory=list)
    batches_seen: int = 0
    tiles_seen: int = 0
    newest_size: int = 0
    last_batch: int | None = None
    batches: Rows[StoredBatch] = field(init=False)
    tiles: list[Rows[StoredTile]] = field(init=False)
    # Hashes of the tile under construction, a list a level.
    open_tiles: list[list[bytes]] = field(init=False)

    def __post_init__(self) -> None:
        reader = self.reader
        self.batches = Rows(lambda last: reader.batches(-1 if last is None else last.size, PAGE), PAGE)
        self.tiles = [Rows(_tile_pages(reader, level), TILE_PAGE) for level in range(MAX_LEVELS)]
        self.open_tiles = [[] for _ in range(MAX_LEVELS)]

    def fault(self, code: FaultCode, where: object) -> None:
        """Note a contradiction; stop the pass at the limit."""
        self.faults.append(LogFault(code, str(where)))
        if len(self.faults) >= self.max_faults:
            raise _Stopped

    def report(self, *, complete: bool) -> FsckReport:
        """Return the result."""
        return FsckReport(
            leaves=self.frontier.size,
            batches=self.batches_seen,
            tiles=self.tiles_seen,
            head_size=self.head.size,
            root=self.frontier.root,
            faults=tuple(self.faults),
            complete=complete,
        )

    async def walk(self, progress: Callable[[int], None]) -> None:
        """Read every entry below the head's size and grow the tree with it."""
        await self._compare_batches()  # the batch of size 0
        while (first := self.frontier.size) < self.head.size:
            page = await self.reader.entries(first, min(PAGE, self.head.size - first))
            hashes = self._leaf_hashes(page)
            at = 0
            while at < len(hashes):
                at += await self._advance(hashes, at)
            progress(self.frontier.size)
            if len(hashes) < len(page) or not page:
                self.fault(FaultCode.INDEX_GAP, self.frontier.size)
                raise _Stopped

    def _leaf_hashes(self, page: Sequence[StoredEntry]) -> list[bytes]:
        """Return the hashes of the entries that follow without a gap."""
        first = self.frontier.size
        hashes: list[bytes] = []
        for index, entry in enumerate(page, start=first):
            if entry.leaf_index != index:
                break
            if leaf_hash(entry.leaf) != entry.leaf_hash:
                self.fault(FaultCode.LEAF_HASH, index)
            hashes.append(entry.leaf_hash)
        return hashes

    async def _advance(self, hashes: list[bytes], at: int) -> int:
        """Append as many leaves as reach the next place where something is stored to compare with; return how many."""
        size = self.frontier.size
        batch = await self.batches.peek()
        stop = min(size + len(hashes) - at, (size // TILE_WIDTH + 1) * TILE_WIDTH)
        if batch is not None and batch.size > size:
            stop = min(stop, batch.size)
        count = stop - size
        growth = grow(self.frontier, hashes[at : at + count])
        self.frontier = growth.after
        self.open_tiles[0] += hashes[at : at + count]
        if stop % TILE_WIDTH == 0:
            await self._compare_tiles(growth)
        await self._compare_batches()
        return count

    async def _compare_tiles(self, growth: Growth) -> None:
        """Compare the tile that ends at this size at each level, as far up as one does."""
        size = self.frontier.size
        for level, hashes in enumerate(self.open_tiles):
            if len(hashes) < TILE_WIDTH:
                return
            index = (size >> (TILE_HEIGHT * (level + 1))) - 1
            root = growth.node(TILE_HEIGHT * (level + 1), index)
            await self._compare_tile(level, StoredTile(index, b"".join(hashes), root))
            hashes.clear()
            if level + 1 < MAX_LEVELS:
                self.open_tiles[level + 1].append(root)

    async def _compare_tile(self, level: int, derived: StoredTile) -> None:
        stored = await self.tiles[level].peek()
        if stored is None or stored.index != derived.index:
            self.fault(FaultCode.TILE_MISSING, f"{level}/{derived.index}")
            return
        self.tiles[level].take()
        self.tiles_seen += 1
        if stored.hashes != derived.hashes:
            self.fault(FaultCode.TILE_HASHES, f"{level}/{derived.index}")
        if stored.root != derived.root:
            self.fault(FaultCode.TILE_ROOT, f"{level}/{derived.index}")

    async def _compare_batches(self) -> None:
        """Compare the batch whose size is the present one, if there is one."""
        while (batch := await self.batches.peek()) is not None and batch.size <= self.frontier.size:
            self.batches.take()
            self.batches_seen += 1
            if batch.prev_size != self.last_batch:
                self.fault(FaultCode.BATCH_CHAIN, batch.size)
            self.last_batch = batch.size
            if batch.size != self.frontier.size or batch.root != self.frontier.root:
                self.fault(FaultCode.BATCH_ROOT, batch.size)

    async def compare_leftovers(self) -> None:
        """Find tiles and batches that no head reaches.

        A writer may have committed since we began, so the head is read again.
        """
        while (batch := await self.batches.peek()) is not None:
            self.batches.take()
            if not await self._reached(batch.size):
                self.fault(FaultCode.BATCH_BEYOND_HEAD, batch.size)
        for level, tiles in enumerate(self.tiles):
            while (tile := await tiles.peek()) is not None:
                tiles.take()
                if not await self._reached((tile.index + 1) << (TILE_HEIGHT * (level + 1))):
                    self.fault(FaultCode.TILE_BEYOND_HEAD, f"{level}/{tile.index}")

    async def _reached(self, size: int) -> bool:
        if size > self.newest_size:
            self.newest_size = (await self.reader.head()).size
        return size <= self.newest_size

    def compare_head(self) -> None:
        """Compare the head with the tree at its size."""
        if self.head.size != self.frontier.size:
            self.fault(FaultCode.HEAD_SIZE, self.head.size)
        if self.head.root != self.frontier.root:
            self.fault(FaultCode.HEAD_ROOT, self.head.size)
        if self.head.frontier != self.frontier.to_bytes():
            self.fault(FaultCode.HEAD_FRONTIER, self.head.size)
        if self.last_batch != self.head.size:
            self.fault(FaultCode.HEAD_NOT_A_BATCH, self.head.size)


def _tile_pages(reader: LogReader, level: int) -> Callable[[StoredTile | None], Awaitable[Sequence[StoredTile]]]:
    return lambda last: reader.tiles(level, 0 if last is None else last.index + 1, TILE_PAGE)
