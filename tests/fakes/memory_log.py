"""A log in memory: the strict stand-in for a store, for readers of the log and for re-derivation.

It grows only as a store may: through ``Frontier.plan``, reading the hashes that the plan asks for and nothing else. It refuses
what a store refuses: reading past the end, a tile that is not full. Rows are replaced by tests to play a store that lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.audit.merkle import EMPTY_FRONTIER, EMPTY_ROOT, Appended, Frontier, HashRange, leaf_hash
from gateway.audit.readers import StoredBatch, StoredEntry, StoredHead, StoredTile


@dataclass(slots=True)
class MemoryLog:
    """One append-only log; implements ``TileReader`` and ``LogReader``."""

    frontier: Frontier = EMPTY_FRONTIER
    entry_rows: list[StoredEntry] = field(default_factory=list)
    batch_rows: list[StoredBatch] = field(default_factory=lambda: [StoredBatch(0, None, EMPTY_ROOT)])
    tile_rows: dict[int, list[StoredTile]] = field(default_factory=dict)
    repeated: list[str] = field(default_factory=list)
    stored_head: StoredHead | None = None
    tile_reads: list[tuple[str, int]] = field(default_factory=list)

    def append(self, leaves: Sequence[bytes]) -> Appended:
        """Append one batch as the committer does."""
        plan = self.frontier.plan(len(leaves))
        appended = plan.append([leaf_hash(leaf) for leaf in leaves], [self._earlier(gap) for gap in plan.missing])
        first = self.frontier.size
        self.entry_rows += [StoredEntry(first + at, leaf_hash(leaf), leaf) for at, leaf in enumerate(leaves)]
        for tile in appended.tiles:
            row = self.tile_rows.setdefault(tile.level, [])
            assert tile.index == len(row), "tiles complete in order, each once"
            row.append(StoredTile(tile.index, tile.hashes, tile.root))
        self.batch_rows.append(StoredBatch(appended.frontier.size, first, appended.root))
        self.frontier = appended.frontier
        return appended

    def _earlier(self, gap: HashRange) -> list[bytes]:
        stop = gap.first + gap.count
        if gap.level == 0:
            found = [row.leaf_hash for row in self.entry_rows[gap.first : stop]]
        else:
            found = [row.root for row in self.tile_rows[gap.level - 1][gap.first : stop]]
        assert len(found) == gap.count > 0, "a plan asks only for what is stored"
        return found

    # TileReader

    async def full_tile(self, level: int, index: int) -> bytes:
        self.tile_reads.append(("full", level))
        rows = self.tile_rows.get(level, [])
        return rows[index].hashes if index < len(rows) else b""

    async def leaf_hashes(self, first: int, count: int) -> Sequence[bytes]:
        self.tile_reads.append(("leaves", 0))
        assert 0 < count < 256, "at most a partial tile is read from entries"
        return [row.leaf_hash for row in self.entry_rows[first : first + count]]

    async def tile_roots(self, level: int, first: int, count: int) -> Sequence[bytes]:
        self.tile_reads.append(("roots", level + 1))
        assert 0 < count < 256, "at most a partial tile is read from the roots below"
        return [row.root for row in self.tile_rows[level][first : first + count]]

    # LogReader

    async def head(self) -> StoredHead:
        return self.stored_head or StoredHead(self.frontier.size, self.frontier.root, self.frontier.to_bytes())

    async def entries(self, first: int, limit: int) -> Sequence[StoredEntry]:
        assert limit > 0
        if self.entry_rows and self.entry_rows[-1].leaf_index == len(self.entry_rows) - 1:
            return self.entry_rows[first : first + limit]
        return [row for row in self.entry_rows if row.leaf_index >= first][:limit]

    async def batches(self, above: int, limit: int) -> Sequence[StoredBatch]:
        assert limit > 0
        return [row for row in self.batch_rows if row.size > above][:limit]

    async def tiles(self, level: int, first: int, limit: int) -> Sequence[StoredTile]:
        assert limit > 0
        return [row for row in self.tile_rows.get(level, []) if row.index >= first][:limit]

    async def repeated_request_ids(self, limit: int) -> Sequence[str]:
        return self.repeated[:limit]


def make_leaves(count: int, first: int = 0) -> list[bytes]:
    """Return distinct leaves: their index as text."""
    return [b"leaf %d" % index for index in range(first, first + count)]
