"""A log in memory: the strict stand-in for a store, for readers of the log and for re-derivation.

It grows only as a store may: through ``Frontier.plan``, reading the hashes that the plan asks for and nothing else. It refuses
what a store refuses: reading past the end, a tile that is not full. Rows are replaced by tests to play a store that lies.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.audit.acts import Row
from gateway.audit.batch_mac import TreePoint
from gateway.audit.columns import EntryColumns, columns_of
from gateway.audit.entry import LeafError, decode_leaf
from gateway.audit.merkle import EMPTY_FRONTIER, EMPTY_ROOT, Appended, Frontier, HashRange, leaf_hash
from gateway.audit.plaintext import NOTHING, seal_plaintext
from gateway.audit.readers import (
    Deviation,
    EntrySecret,
    StoredBatch,
    StoredEntry,
    StoredHead,
    StoredIdempotency,
    StoredRequest,
    StoredTile,
    Stray,
)
from tests.fakes.entries import ORIGIN, SEALER, make_leaf
from tests.fakes.guard import make_batch_mac

BEGAN = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
_OTHERWISE = EntryColumns(kind="query", operation="test", decision="allow")


@dataclass(slots=True)
class MemoryLog:
    """One append-only log; implements ``TileReader`` and ``LogReader``. Each batch comes a second after the last."""

    frontier: Frontier = EMPTY_FRONTIER
    entry_rows: list[StoredEntry] = field(default_factory=list)
    secret_rows: dict[int, EntrySecret | None] = field(default_factory=dict)  # those that are not as they were made
    batch_rows: list[StoredBatch] = field(
        default_factory=lambda: [
            StoredBatch(size=0, prev_size=None, root=EMPTY_ROOT, ts=BEGAN, writer="genesis", mac=None)
        ]
    )
    tile_rows: dict[int, list[StoredTile]] = field(default_factory=dict)
    request_rows: list[StoredRequest] = field(default_factory=list)
    days: list[dt.date] = field(default_factory=lambda: [BEGAN.date()])
    idempotency_rows: list[StoredIdempotency] = field(default_factory=list)
    partner_rows: dict[str, Row] = field(default_factory=dict)
    key_rows: dict[str, Row] = field(default_factory=dict)
    deviation_rows: list[tuple[Deviation, str]] = field(default_factory=list)
    stray_rows: list[tuple[Stray, int]] = field(default_factory=list)
    plaintexts: dict[int, bytes] = field(default_factory=dict)
    stored_origin: str | None = ORIGIN
    stored_head: StoredHead | None = None
    committed: int = 0
    leaves: list[bytes] = field(default_factory=list)  # as they were appended
    times: list[dt.datetime] = field(default_factory=list)
    tile_reads: list[tuple[str, int]] = field(default_factory=list)

    @property
    def now(self) -> dt.datetime:
        """The time of the last batch."""
        return BEGAN + dt.timedelta(seconds=self.committed)

    def append(self, leaves: Sequence[bytes]) -> Appended:
        """Append one batch as the committer does."""
        plan = self.frontier.plan(len(leaves))
        appended = plan.append([leaf_hash(leaf) for leaf in leaves], [self._earlier(gap) for gap in plan.missing])
        first = self.frontier.size
        self.committed += 1
        ts = self.now
        self.leaves += leaves
        self.times += [ts] * len(leaves)
        for at, leaf in enumerate(leaves):
            self._append_entry(first + at, leaf, ts)
        for tile in appended.tiles:
            row = self.tile_rows.setdefault(tile.level, [])
            assert tile.index == len(row), "tiles complete in order, each once"
            row.append(StoredTile(tile.index, tile.hashes, tile.root))
        before, after = TreePoint(first, self.frontier.root), TreePoint(appended.frontier.size, appended.root)
        mac = make_batch_mac().make(before, after)
        self.batch_rows.append(
            StoredBatch(size=after.size, prev_size=first, root=after.root, ts=ts, writer="gw/test", mac=mac)
        )
        self.frontier = appended.frontier
        return appended

    def _append_entry(self, index: int, leaf: bytes, ts: dt.datetime) -> None:
        try:
            fields = decode_leaf(leaf)
        except LeafError:
            columns = _OTHERWISE
        else:
            columns = columns_of(fields)
            claimed = [bytes.fromhex(text) for text in (fields.req_id, fields.assert_id) if text is not None]
            self.request_rows += [StoredRequest(digest, BEGAN.date()) for digest in claimed]
        self.entry_rows.append(
            StoredEntry(leaf_index=index, leaf_hash=leaf_hash(leaf), leaf=leaf, logged_at=ts, columns=columns)
        )

    def secret_of(self, index: int, plaintext: bytes = NOTHING) -> EntrySecret:
        """Return the secret of a leaf as a host makes it."""
        salt = salt_of(index)
        digest = leaf_hash(self.leaves[index])
        sealed = seal_plaintext(SEALER, plaintext, digest, salt)
        logged_at = self.times[index]
        return EntrySecret(leaf_index=index, logged_at=logged_at, salt=salt, key_id=1, sealed=sealed)

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
        if self.stored_head is not None:
            return self.stored_head
        return StoredHead(self.frontier.size, self.frontier.root, self.frontier.to_bytes(), self.now)

    async def origin(self) -> str | None:
        return self.stored_origin

    async def logs(self) -> Sequence[str]:
        return [] if self.stored_origin is None else [self.stored_origin]

    async def of_log(self, origin: str) -> MemoryLog | None:
        return self if origin == self.stored_origin else None

    async def entries(self, first: int, count: int) -> Sequence[StoredEntry]:
        assert count > 0
        return [row for row in self.entry_rows if first <= row.leaf_index < first + count][: 2 * count]

    async def secrets(self, first: int, count: int) -> Sequence[EntrySecret]:
        assert count > 0
        found = [
            self.secret_rows[index]
            if index in self.secret_rows
            else self.secret_of(index, self.plaintexts.get(index, NOTHING))
            for index in range(first, min(first + count, len(self.leaves)))
        ]
        return [row for row in found if row is not None]

    async def strays(self, limit: int) -> Sequence[tuple[Stray, int]]:
        return self.stray_rows[:limit]

    async def batches(self, above: int, limit: int) -> Sequence[StoredBatch]:
        assert limit > 0
        return [row for row in self.batch_rows if row.size > above][:limit]

    async def tiles(self, level: int, first: int, limit: int) -> Sequence[StoredTile]:
        assert limit > 0
        return [row for row in self.tile_rows.get(level, []) if row.index >= first][:limit]

    async def request_days(self) -> Sequence[dt.date]:
        return self.days

    async def requests(
        self, days: Sequence[dt.date], low: bytes, high: bytes, limit: int, *, without: str | None = None
    ) -> Sequence[StoredRequest]:
        assert without is None
        return [row for row in self.request_rows if row.day in days and low <= row.req_id <= high][:limit]

    async def idempotency(self, after: StoredIdempotency | None, limit: int) -> Sequence[StoredIdempotency]:
        first = 0 if after is None else self.idempotency_rows.index(after) + 1
        return self.idempotency_rows[first : first + limit]

    async def partners(self) -> Mapping[str, Row]:
        return dict(self.partner_rows)

    async def keys(self) -> Mapping[str, Row]:
        return dict(self.key_rows)

    async def deviations(self) -> Sequence[tuple[Deviation, str]]:
        return self.deviation_rows


def salt_of(index: int) -> bytes:
    """Return the salt of a leaf: random enough."""
    return hashlib.sha256(b"salt %d" % index).digest()


def make_leaves(count: int, first: int = 0) -> list[bytes]:
    """Return distinct leaves of no form: their index as text."""
    return [b"leaf %d" % index for index in range(first, first + count)]


def make_calls(count: int, first: int = 0) -> list[bytes]:
    """Return distinct leaves of calls."""
    return [make_leaf(index) for index in range(first, first + count)]
