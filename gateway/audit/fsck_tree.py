"""Re-derivation of the tree: everything that is stored about the log must follow from its leaves.

For: reading the whole log once and comparing every leaf hash, full tile, batch (root, chain, MAC, time) and the head with what
the leaves give. Not for: what stands beside the tree (``fsck_rows``), repairing (a log is never repaired).

One pass, memory flat: a page of entries, a page of batches and a page of tiles a level. When a stored leaf hash differs from its
leaf, that is reported and the stored hash is carried upward: if it is the leaf that was changed, everything above stays quiet, and
one fault is reported, not thousands. Likewise a batch that is wrong in one respect is not blamed for what follows from it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.audit.batch_mac import BatchMac, TreePoint
from gateway.audit.fsck_report import FaultCode, Faults, Stopped
from gateway.audit.merkle import EMPTY_FRONTIER, TILE_HEIGHT, TILE_WIDTH, Frontier, Growth, grow, leaf_hash
from gateway.audit.paging import Rows
from gateway.audit.readers import LogReader, StoredBatch, StoredEntry, StoredHead, StoredTile

PAGE: Final = 4096
"""Entries or batches read at once: with leaves and secrets of two kilobytes, some megabytes."""
TILE_PAGE: Final = 64
MAX_LEVELS: Final = 8
"""Levels 0 to 7 of full tiles cover 2^64 leaves."""
_BEFORE_ALL: Final = -(2**63)

Visit = Callable[[Sequence[StoredEntry]], Awaitable[None]]
"""Is given each page of entries, one for each index, before the tree grows by it."""


@dataclass(slots=True, kw_only=True)
class TreeWalk:
    """One pass over the tree. Everything here belongs to the one task that runs it.

    ``roots_at`` is filled with the derived root of each size in ``wanted``.
    """

    reader: LogReader
    head: StoredHead
    faults: Faults
    mac: BatchMac
    wanted: frozenset[int] = frozenset()
    roots_at: dict[int, bytes] = field(default_factory=dict)
    frontier: Frontier = EMPTY_FRONTIER
    batches_seen: int = 0
    tiles_seen: int = 0
    newest_size: int = 0
    last_batch: StoredBatch | None = None
    last_root: bytes = EMPTY_FRONTIER.root
    # The time of the last batch whose time was right.
    last_time: dt.datetime | None = None
    batches: Rows[StoredBatch] = field(init=False)
    tiles: list[Rows[StoredTile]] = field(init=False)
    # Hashes of the tile under construction, a list a level.
    open_tiles: list[list[bytes]] = field(init=False)
    # Of the batch under way: how many entries bear its time, and which do not.
    on_time: int = 0
    off_time: list[int] = field(default_factory=list)
    stops: list[int] = field(init=False)

    def __post_init__(self) -> None:
        reader = self.reader
        self.batches = Rows(lambda last: reader.batches(_BEFORE_ALL if last is None else last.size, PAGE), PAGE)
        self.tiles = [Rows(_tile_pages(reader, level), TILE_PAGE) for level in range(MAX_LEVELS)]
        self.open_tiles = [[] for _ in range(MAX_LEVELS)]
        self.stops = sorted(self.wanted)

    async def walk(self, visit: Visit, progress: Callable[[int], None]) -> None:
        """Read every entry below the head's size and grow the tree with it."""
        await self._at_size()  # the batch of size 0
        while (first := self.frontier.size) < self.head.size:
            count = min(PAGE, self.head.size - first)
            page = self._neighbours(await self.reader.entries(first, count))
            await visit(page)
            at = 0
            while at < len(page):
                at += await self._advance(page, at)
            progress(self.frontier.size)
            if len(page) < count:
                self.faults.add(FaultCode.INDEX_GAP, self.frontier.size)
                raise Stopped

    def _neighbours(self, rows: Sequence[StoredEntry]) -> list[StoredEntry]:
        """Return the entries that follow without a gap, comparing each hash; a second row of an index is a fault."""
        index = self.frontier.size
        page: list[StoredEntry] = []
        for entry in rows:
            if entry.leaf_index < index:
                self.faults.add(FaultCode.ENTRY_REPEATED, entry.leaf_index)
                continue
            if entry.leaf_index != index:
                break
            if leaf_hash(entry.leaf) != entry.leaf_hash:
                self.faults.add(FaultCode.LEAF_HASH, index)
            page.append(entry)
            index += 1
        return page

    async def _advance(self, page: list[StoredEntry], at: int) -> int:
        """Append as many leaves as reach the next place where there is something to compare with; return how many."""
        size = self.frontier.size
        batch = await self.batches.peek()
        stop = min(size + len(page) - at, (size // TILE_WIDTH + 1) * TILE_WIDTH)
        if batch is not None and batch.size > size:
            stop = min(stop, batch.size)
        if self.stops:
            stop = min(stop, self.stops[0])
        part = page[at : at + stop - size]
        self._note_times(part, batch)
        hashes = [entry.leaf_hash for entry in part]
        growth = grow(self.frontier, hashes)
        self.frontier = growth.after
        self.open_tiles[0] += hashes
        if stop % TILE_WIDTH == 0:
            await self._compare_tiles(growth)
        await self._at_size()
        return len(part)

    def _note_times(self, part: list[StoredEntry], batch: StoredBatch | None) -> None:
        for entry in part:
            if batch is None or entry.logged_at == batch.ts:
                self.on_time += 1
            elif len(self.off_time) < self.faults.limit:
                self.off_time.append(entry.leaf_index)

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
            self.faults.add(FaultCode.TILE_MISSING, f"{level}/{derived.index}")
            return
        self.tiles[level].take()
        self.tiles_seen += 1
        if stored.hashes != derived.hashes:
            self.faults.add(FaultCode.TILE_HASHES, f"{level}/{derived.index}")
        if stored.root != derived.root:
            self.faults.add(FaultCode.TILE_ROOT, f"{level}/{derived.index}")

    async def _at_size(self) -> None:
        """Compare what is stored for the present size: batches, and the roots that somebody wants to know."""
        size = self.frontier.size
        while self.stops and self.stops[0] <= size:
            self.roots_at[self.stops.pop(0)] = self.frontier.root
        while (batch := await self.batches.peek()) is not None and batch.size <= size:
            self.batches.take()
            self.batches_seen += 1
            mac_holds = self._compare_batch(batch)
            self._compare_times(batch, mac_holds=mac_holds)
            self.last_batch, self.last_root = batch, self.frontier.root

    def _compare_batch(self, batch: StoredBatch) -> bool:
        """Compare root, chain and MAC of a batch, the first that differs; return whether the batch is a host's."""
        before = TreePoint(0 if self.last_batch is None else self.last_batch.size, self.last_root)
        after = TreePoint(self.frontier.size, self.frontier.root)
        if batch.size != self.frontier.size or batch.root != self.frontier.root:
            self.faults.add(FaultCode.BATCH_ROOT, batch.size)
        elif batch.prev_size != (None if self.last_batch is None else self.last_batch.size):
            self.faults.add(FaultCode.BATCH_CHAIN, batch.size)
        elif not _is_vouched_for(batch, self.mac, before, after):
            self.faults.add(FaultCode.BATCH_MAC, batch.size)
        else:
            return True
        return False

    def _compare_times(self, batch: StoredBatch, *, mac_holds: bool) -> None:
        """Compare the time of a batch with the one before and with its entries: one fault for whoever stands alone."""
        late = self.last_time is not None and batch.ts < self.last_time
        if late or (self.off_time and not self.on_time):
            self.faults.add(FaultCode.BATCH_TIME, batch.size)
        else:
            self.last_time = batch.ts
            # The entries of a batch that was taken away bear its time: there the MAC has told.
            for index in self.off_time if mac_holds else ():
                self.faults.add(FaultCode.ENTRY_TIME, index)
        self.on_time, self.off_time = 0, []

    async def compare_leftovers(self) -> None:
        """Find tiles and batches that no head reaches.

        A writer may have committed since we began, so the head is read again.
        """
        while (batch := await self.batches.peek()) is not None:
            self.batches.take()
            if not await self._reached(batch.size):
                self.faults.add(FaultCode.BATCH_BEYOND_HEAD, batch.size)
        for level, tiles in enumerate(self.tiles):
            while (tile := await tiles.peek()) is not None:
                tiles.take()
                if not await self._reached((tile.index + 1) << (TILE_HEIGHT * (level + 1))):
                    self.faults.add(FaultCode.TILE_BEYOND_HEAD, f"{level}/{tile.index}")

    async def _reached(self, size: int) -> bool:
        if size > self.newest_size:
            self.newest_size = (await self.reader.head()).size
        return size <= self.newest_size

    def compare_head(self) -> None:
        """Compare the head with the tree at its size."""
        head, last = self.head, self.last_batch
        if head.size != self.frontier.size:
            self.faults.add(FaultCode.HEAD_SIZE, head.size)
        if head.root != self.frontier.root:
            self.faults.add(FaultCode.HEAD_ROOT, head.size)
        if head.frontier != self.frontier.to_bytes():
            self.faults.add(FaultCode.HEAD_FRONTIER, head.size)
        if last is None or last.size != head.size:
            self.faults.add(FaultCode.HEAD_NOT_A_BATCH, head.size)
        elif head.ts not in {last.ts, self.last_time}:
            self.faults.add(FaultCode.HEAD_TIME, head.size)


def _is_vouched_for(batch: StoredBatch, mac: BatchMac, before: TreePoint, after: TreePoint) -> bool:
    """Tell whether a host made the batch. Only the empty tree, which nobody appended, has no MAC."""
    return batch.mac is None if batch.size == 0 else mac.holds(batch.mac, before, after)


def _tile_pages(reader: LogReader, level: int) -> Callable[[StoredTile | None], Awaitable[Sequence[StoredTile]]]:
    return lambda last: reader.tiles(level, 0 if last is None else last.index + 1, TILE_PAGE)
