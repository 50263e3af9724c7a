"""One-time ids against the leaves that claimed them: each id has its row, each row its leaf, and no id was taken twice.

For: telling a row of ``audit.request`` that was deleted (its proof could be used again), moved to another day (likewise), added
(somebody's proof would be refused), and a proof that two leaves took. Not for: which ids a proof has (``gateway.base.onetime``).

The rule it rests on, made true by the audit commit: an id is claimed in the transaction of the leaf that names it (``req_id``,
``assert_id``) and in no other; what is refused claims nothing. So no row without a leaf is explainable, but those of leaves that
came while we read: they are looked up before a row is called extra,
and those that a successor log took along: its predecessor has them under the same day.
Rows go by day: partitions are dropped once nothing of their day can be replayed, and what a missing partition held is not missed if
the day is over for ``KEPT_DAYS``. A younger one that is missing is a fault of its own.

Memory: ids of leaves are spilled to unnamed files by their first byte, and compared a few buckets at a time.
"""

from __future__ import annotations

import datetime as dt
import struct
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Final

from gateway.audit.entry import LeafError, LeafFields, decode_leaf
from gateway.audit.fsck_report import FaultCode, Faults, Stopped
from gateway.audit.readers import LogReader, StoredRequest
from gateway.base.canonical import Json
from gateway.base.clock import Millis, parse_rfc3339, to_datetime

KEPT_DAYS: Final = 2
"""Partitions of yesterday and the day before are never dropped yet: nothing signed on an older day is accepted any more."""
SLACK_S: Final = 7200
"""Between the time inside a proof, which gives the day, and the time of its leaf: assertions live an hour at most."""
BUCKETS: Final = 256
IDS_AT_ONCE: Final = 65_536
"""Ids of leaves in memory at a time: some ten megabytes, with as many rows beside them."""
IN_MEMORY_BYTES: Final = 65_536
"""Of a bucket, before it becomes a file."""
PAGE: Final = 4096
IDS_OF_A_LEAF: Final = 2
MAX_EXTRA: Final = 50_000
"""Rows without a leaf that are remembered before the log's newest leaves are asked about them."""
_RECORD: Final = struct.Struct(">16sQQ")
_LAST: Final = b"\xff" * 15


@dataclass(frozen=True, slots=True)
class _Named:
    """An id as a leaf names it: ``second`` is the leaf's own time."""

    req_id: bytes
    index: int
    second: int

    @property
    def days(self) -> frozenset[dt.date]:
        """The days under which the id may stand: two around midnight, else one."""
        return frozenset(to_datetime(Millis((self.second + slack) * 1000)).date() for slack in (-SLACK_S, SLACK_S))


@dataclass(slots=True, kw_only=True)
class RequestCheck:
    """Collects the ids of leaves on the way through the log (a ``Witness``), then compares."""

    reader: LogReader
    faults: Faults
    today: dt.date
    predecessor: str | None = None
    """The log whose ids of its last days this one took along."""
    ids_at_once: int = IDS_AT_ONCE
    compared: int = 0
    unread: int = 0
    lost: list[_Named] = field(default_factory=list)
    extra: dict[bytes, StoredRequest] = field(default_factory=dict)
    _spilled: dict[int, IO[bytes]] = field(default_factory=dict)
    _named: int = 0

    def saw(self, index: int, fields: LeafFields, arguments: Json) -> None:
        """Note the ids that a leaf names."""
        del arguments
        for text in (fields.req_id, fields.assert_id):
            if text is None:
                continue
            try:
                req_id, second = bytes.fromhex(text), parse_rfc3339(fields.ts) // 1000
                record = _RECORD.pack(req_id, index, second)
            except (ValueError, struct.error):
                self.faults.add(FaultCode.LEAF_FORM, index)
                continue
            if len(req_id) == _ID_BYTES:
                self._bucket(req_id[0]).write(record)
                self._named += 1
            else:
                self.faults.add(FaultCode.LEAF_FORM, index)

    def missed(self) -> None:
        """Count a leaf that cannot be read: the ids that it named will seem to be extra."""
        self.unread += 1

    def _bucket(self, number: int) -> IO[bytes]:
        bucket = self._spilled.get(number)
        if bucket is None:
            bucket = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115 - closed with the pass
            self._spilled[number] = bucket
        return bucket

    def close(self) -> None:
        """Remove what was spilled."""
        for bucket in self._spilled.values():
            bucket.close()
        self._spilled.clear()

    async def compare(self, size: int) -> None:
        """Compare the ids of the first ``size`` leaves, and of those that came since, with the rows of every day there is.

        1. Go through the buckets, some together while they are small.
        2. Of ids without a row, excuse those whose day was over and dropped; the rest are missing.
        3. Of rows without a leaf, strike those whose leaf came meanwhile; the rest are extra.
        """
        days = await self.reader.request_days()
        # 1
        together = max(1, BUCKETS * self.ids_at_once // max(self._named, 1))
        for first in range(0, BUCKETS, together):
            last = min(first + together, BUCKETS) - 1
            await self._compare_buckets(first, last, days)
            if len(self.extra) > MAX_EXTRA:
                size = await self._strike_newer(size)
                if len(self.extra) > MAX_EXTRA:
                    self._report_extra()
        # 2
        days = await self.reader.request_days()  # a partition may have been dropped since
        for one in self.lost:
            self._judge_lost(one, days)
        # 3
        await self._strike_newer(size)
        self._report_extra()

    def _report_extra(self) -> None:
        if len(self.extra) <= IDS_OF_A_LEAF * self.unread:
            return  # leaves that were changed account for them
        for row in self.extra.values():
            self.faults.add(FaultCode.REQUEST_EXTRA, f"{row.day} {row.req_id.hex()}")

    async def _compare_buckets(self, first: int, last: int, days: Sequence[dt.date]) -> None:
        named = sorted(self._read(first, last), key=lambda one: (one.req_id, one.index))
        limit = 2 * len(named) + MAX_EXTRA
        rows = await self.reader.requests(
            days, bytes([first]) + bytes(15), bytes([last]) + _LAST, limit, without=self.predecessor
        )
        by_id: dict[bytes, StoredRequest] = {}
        repeated: set[bytes] = set()
        for row in rows:
            if row.req_id in by_id:
                self.faults.add(FaultCode.REQUEST_REPEATED, row.req_id.hex())
                repeated.add(row.req_id)
            by_id[row.req_id] = row
        before: bytes | None = None
        for one in named:
            self.compared += 1
            if one.req_id == before:
                self.faults.add(FaultCode.REQUEST_TWICE, one.index)
                continue
            before = one.req_id
            claimed = by_id.pop(one.req_id, None)
            if claimed is None:
                self._lose(one, days)
            elif claimed.day not in one.days and one.req_id not in repeated:
                self.faults.add(FaultCode.REQUEST_DAY, one.index)
        self.extra |= by_id
        if len(rows) >= limit:  # more rows than the log and its growth can explain
            self._report_extra()
            raise Stopped

    def _lose(self, named: _Named, days: Sequence[dt.date]) -> None:
        # Ids of days that were dropped are many; what is remembered is what would be a fault now.
        gone = [day for day in named.days if day not in days]
        excused = any(not self._must_be_kept(day, days) for day in gone)
        if not excused and len(self.lost) < self.faults.limit:
            self.lost.append(named)

    def _judge_lost(self, named: _Named, days: Sequence[dt.date]) -> None:
        gone = [day for day in named.days if day not in days]
        if not gone:
            self.faults.add(FaultCode.REQUEST_MISSING, named.index)
        elif all(self._must_be_kept(day, days) for day in gone):
            self._report_partition(min(gone))

    def _must_be_kept(self, day: dt.date, days: Sequence[dt.date]) -> bool:
        # Partitions end oldest first: one that is missing among later and earlier ones was not ended by its clock.
        return day >= self.today - dt.timedelta(days=KEPT_DAYS) or any(other < day for other in days)

    def _report_partition(self, day: dt.date) -> None:
        if not any(
            fault.code is FaultCode.REQUEST_PARTITION and fault.where == str(day) for fault in self.faults.found
        ):
            self.faults.add(FaultCode.REQUEST_PARTITION, day)

    def _read(self, first: int, last: int) -> Iterator[_Named]:
        for number in range(first, last + 1):
            bucket = self._spilled.get(number)
            if bucket is None:
                continue
            bucket.seek(0)
            for fields in _RECORD.iter_unpack(bucket.read()):
                yield _Named(*fields)

    async def _strike_newer(self, size: int) -> int:
        """Forget the extra rows whose leaf stands at or after a size; return the size up to which leaves were read."""
        if not self.extra:
            return size
        newest = (await self.reader.head()).size
        for first in range(size, newest, PAGE):
            for entry in await self.reader.entries(first, min(PAGE, newest - first)):
                try:
                    fields = decode_leaf(entry.leaf)
                except LeafError:
                    continue  # the next pass reports it
                for text in (fields.req_id, fields.assert_id):
                    if text is not None:
                        self.extra.pop(_from_hex(text), None)
        return newest


_ID_BYTES: Final = 16


def _from_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
