"""The rows of one version on their way into the replica: by COPY into an idle slot, or as changes of the current one.

For: ``replica_writer``, inside its transaction. Not for: transactions, locks, the head.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol

from gateway.credit.feed_version import BadLine, FeedReason, FeedRefused, LineBatch, Tally
from gateway.credit.identifiers import name_key
from gateway.credit.record import Registration, encode_value
from gateway.credit.replica_row import name_unread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gateway.credit.feed import FeedLine
    from gateway.postgres.queries import Queries

_SUBJECT_COLUMNS: Final = ("slot", "uscc", "reg_no", "name", "name_key", "body")
_RECORD_COLUMNS: Final = ("slot", "record_id", "subject_key", "kind", "body")
_REGISTRATION: Final = "registration"
"""The ``kind`` of a line that goes into ``replica.subject``; every other kind goes into ``replica.record``."""

Losses = tuple[dict[str, int], dict[str, int]]


class Admission(Protocol):
    """The judgement that ``apply`` was given (``gateway.worker.ports.Admission``)."""

    def during(self, quarantined: int) -> None:
        """Refuse early when there are too many bad lines already."""
        ...

    def before_commit(self, tally: Tally) -> None:
        """Refuse what was counted."""
        ...


class _Rows:
    """What both ways share: counting, and keeping the lines that could not be read."""

    def __init__(self, connection: Any, queries: Queries, *, slot: int, current: int, version: int) -> None:  # noqa: ANN401 - asyncpg
        self._connection: Final = connection
        self._queries: Final = queries
        self._slot: Final = slot
        self._current: Final = current
        self._version: Final = version
        self._puts = 0
        self._deletes = 0
        self._kinds: Final[dict[str, int]] = {}
        self._unattributed = 0
        self.quarantined = 0
        self.removed: Final[dict[str, int]] = {}

    def tally(self, losses: Losses) -> Tally:
        """Return what was counted, with what the version removes (first) of what there was (second)."""
        removed, held = losses
        return Tally(
            puts=self._puts,
            deletes=self._deletes,
            kinds=self._kinds,
            quarantined=self.quarantined,
            unattributed=self._unattributed,
            removed=removed,
            held=held,
        )

    def _note(self, lines: Sequence[FeedLine]) -> None:
        for line in lines:
            self._kinds[line.kind] = self._kinds.get(line.kind, 0) + 1
            if line.op == "put":
                self._puts += 1
            else:
                self._deletes += 1

    async def _quarantine(self, bad: Sequence[BadLine]) -> None:
        if not bad:
            return
        rows = [_bad_row(line, self._version) for line in bad]
        if len({row[0] for row in rows}) != len(rows):
            raise FeedRefused(FeedReason.DUPLICATE_RECORD, "among the lines that could not be read")
        kept = await self._connection.fetch(
            self._queries["quarantine_lines"], self._slot, self._version, *_columns(rows, 5), self._current
        )
        self.quarantined += len(rows)
        self._unattributed += sum(row["unattributed"] for row in kept)


class SnapshotRows(_Rows):
    """Into an empty slot, by COPY. A record twice is a unique violation, raised by ``store``."""

    async def store(self, batch: LineBatch) -> None:
        """Copy a batch: registrations and records each in one COPY."""
        subjects, records = await asyncio.to_thread(_snapshot_rows, batch.lines, self._slot)
        self._note(batch.lines)
        if subjects:
            await self._copy("subject", _SUBJECT_COLUMNS, subjects)
        if records:
            await self._copy("record", _RECORD_COLUMNS, records)
        await self._quarantine(batch.bad)

    def count(self, _before: int) -> int:
        """Return how many rows the version leaves."""
        return self._puts

    async def _copy(self, table: str, columns: Sequence[str], rows: Iterable[tuple[object, ...]]) -> None:
        await self._connection.copy_records_to_table(table, schema_name="replica", columns=columns, records=rows)


class DeltaRows(_Rows):
    """Into the current slot, by upsert and deletion."""

    def __init__(self, connection: Any, queries: Queries, *, slot: int, current: int, version: int) -> None:  # noqa: ANN401 - asyncpg
        super().__init__(connection, queries, slot=slot, current=current, version=version)
        self._added = 0
        # At most MAX_DELTA_LINES ids: an id twice in one version has no order that we would have to guess.
        self._ids: Final[set[tuple[str, str]]] = set()

    async def store(self, batch: LineBatch) -> None:
        """Apply a batch: 1 refuse repeated ids, 2 put, 3 delete, 4 release what good lines replace, 5 keep the bad."""
        lines = batch.lines
        self._note(lines)
        ids = [(line.kind, line.record_id) for line in lines]  # 1
        fresh = len(self._ids) + len(ids)
        self._ids.update(ids)
        if len(self._ids) != fresh:
            raise FeedRefused(FeedReason.DUPLICATE_RECORD)
        subjects, records = _snapshot_rows(lines, self._slot)
        await self._put("put_registrations", subjects, 6)  # 2
        await self._put("put_records", records, 5)
        await self._delete("delete_registrations", lines, lambda kind: kind == _REGISTRATION)  # 3
        await self._delete("delete_records", lines, lambda kind: kind != _REGISTRATION)
        await self._connection.execute(  # 4
            self._queries["release_lines"], self._slot, [line.record_id for line in lines]
        )
        await self._quarantine(batch.bad)  # 5

    def count(self, before: int) -> int:
        """Return how many rows the version leaves."""
        return before + self._added - sum(self.removed.values())

    async def _put(self, query: str, rows: Sequence[tuple[object, ...]], width: int) -> None:
        if rows:
            columns = _columns(rows, width)[1:]  # the slot is a parameter of its own
            self._added += await self._connection.fetchval(self._queries[query], self._slot, *columns)

    async def _delete(self, query: str, lines: Sequence[FeedLine], wanted: Callable[[str], bool]) -> None:
        ids = [line.record_id for line in lines if line.op == "delete" and wanted(line.kind)]
        if ids:
            for row in await self._connection.fetch(self._queries[query], self._slot, ids):
                self.removed[row["kind"]] = self.removed.get(row["kind"], 0) + row["removed"]


def _snapshot_rows(lines: Sequence[FeedLine], slot: int) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """Return the rows of ``replica.subject`` and of ``replica.record`` that the puts among some lines make."""
    subjects = list[tuple[object, ...]]()
    records = list[tuple[object, ...]]()
    for line in lines:
        value = line.value
        if value is None:
            continue
        if isinstance(value, Registration):
            subjects.append((slot, value.uscc, value.reg_no, value.name, name_key(value.name), encode_value(value)))
        else:
            records.append((slot, line.record_id, line.subject_key, line.kind, encode_value(value)))
    return subjects, records


def _bad_row(line: BadLine, version: int) -> tuple[str, str | None, int, str, bytes]:
    return (*name_unread(line, version), line.number, line.reason, line.digest)


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    """Turn rows into columns, as ``unnest`` takes them."""
    return [[row[index] for row in rows] for index in range(width)]
