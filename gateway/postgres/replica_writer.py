"""Writing the replica: one version of the feed, visible completely or not at all.

For: ``gateway.worker.ports.ReplicaWriter`` on PostgreSQL. Not for: deciding what to believe; the admission given to ``apply`` does.

A snapshot is loaded by COPY into the slot no reader uses, and the head then names that slot. A delta changes the rows of the current
slot. Both end with the same statement, the move of the head, in the same transaction as the rows. One writer in the cluster: the row
lock on the head, taken with SKIP LOCKED so that a second process turns away instead of waiting; no advisory lock.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from asyncpg.exceptions import (
    LockNotAvailableError,
    UniqueViolationError,
)

from gateway.base.clock import Millis
from gateway.credit.feed_version import (
    ApplyConflict,
    FeedEvent,
    FeedReason,
    FeedRefused,
    LineBatch,
    ReplicaState,
    Tally,
    VerifiedManifest,
    VersionKind,
)
from gateway.postgres.pool import replica_failures
from gateway.postgres.replica_rows import Admission, DeltaRows, Losses, SnapshotRows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

from gateway.postgres.queries import Queries

QUERY_DEADLINE_S: Final = 10.0
RELOAD_PAUSE: Final = "600s"
"""How long a transaction that loads several files may wait for the next one."""
COMPARE_DEADLINE_S: Final = 280.0
"""For comparing two slots of 20 million rows; nobody waits for it."""
TRUNCATE_LOCK_TIMEOUTS: Final = ("200ms", "200ms", "200ms", "3s")
"""While TRUNCATE waits for its lock, look-ups wait behind it: so it gives up quickly. The last try is longer than
``deadlock_timeout`` (1 s), after which PostgreSQL ends an autovacuum that stands in the way."""

# asyncpg carries no types: its pool and connection are Any.
_Untyped: TypeAlias = Any


class PostgresReplicaWriter:
    """Writes one feed through a pool opened with ``LOADER_SETTINGS``. Calls must not overlap."""

    def __init__(self, pool: _Untyped, queries: Queries, *, feed: str) -> None:
        self._pool: Final = pool
        self.queries: Final = queries
        self._feed: Final = feed

    async def state(self) -> ReplicaState:
        """Return what the replica stands on; the first call for a feed makes its empty head."""
        async with replica_failures():
            row = await self._pool.fetchrow(self.queries["feed_state"], self._feed)
            if row is None:
                await self._pool.execute(self.queries["open_feed"], self._feed)
                row = await self._pool.fetchrow(self.queries["feed_state"], self._feed)
        return ReplicaState(
            slot=row["slot"],
            version=row["version"],
            digest=row["manifest_sha256"],
            as_of_ms=Millis(row["as_of_ms"]),
            record_count=row["record_count"],
            quarantined=row["quarantined"],
        )

    async def apply(  # noqa: PLR0913 - the port's signature; each is named at the call
        self,
        manifest: VerifiedManifest,
        batches: AsyncIterator[LineBatch],
        *,
        base: ReplicaState,
        as_of_ms: Millis,
        now_ms: Millis,
        admission: Admission,
    ) -> Tally:
        """Make a version visible on top of ``base``, or leave everything as it was.

        1. For a snapshot: empty the idle slot, in a short transaction of its own, because TRUNCATE keeps readers out.
        2. Lock the head and see that ``base`` still stands.
        3. Store the lines, batch by batch; the admission may refuse.
        4. Count, and let the admission judge what was counted; a full slot is analysed, for it was planned for while empty.
        5. Move the head.

        If the process dies before the COMMIT of 5, the old version stands and the idle slot holds invisible rows that the
        next snapshot truncates. After it, the new version stands; a COMMIT whose reply was lost shows in ``state``.
        """
        async with replica_failures(), self._pool.acquire() as connection:
            slot = base.slot
            if manifest.kind is VersionKind.SNAPSHOT:
                slot = 1 - base.slot
                await self._empty_slot(connection, slot, base)  # 1
            async with connection.transaction():
                await self._become_writer(connection, base)  # 2
                rows = self._rows(connection, manifest, slot, base)
                held = await self._held_before(connection, manifest, slot)
                await _store(rows, batches, admission)  # 3
                if manifest.kind is VersionKind.SNAPSHOT:  # 4
                    await connection.execute(self.queries[f"analyze_slot_{slot}"], timeout=COMPARE_DEADLINE_S)
                    tally = rows.tally(await self.compare(connection, base, slot))
                else:
                    tally = rows.tally((rows.removed, held))
                admission.before_commit(tally)
                count = rows.count(base.record_count)
                await self.move(  # 5
                    connection, base, (slot, manifest.version, manifest.digest, as_of_ms, count, now_ms)
                )
        return tally

    @asynccontextmanager
    async def reload(self, base: ReplicaState, *, attribute: bool) -> AsyncIterator[_Reloading]:
        """Build the replica anew in the idle slot, in one transaction; see ``gateway.worker.ports.ReplicaWriter``.

        If the process dies before the COMMIT, what stood stands, as with ``apply``.
        """
        slot = 1 - base.slot
        async with replica_failures(), self._pool.acquire() as connection:
            await self._empty_slot(connection, slot, base)
            async with connection.transaction():
                await self._become_writer(connection, base)
                # The next file may take minutes to come while nothing is asked of the database.
                await connection.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{RELOAD_PAUSE}'")
                yield _Reloading(self, connection, base, slot, attribute=attribute)

    async def advance(self, base: ReplicaState, as_of_ms: Millis) -> None:
        """Record that ``base`` was still the newest at a later instant."""
        async with replica_failures():
            row = await self._pool.fetchrow(
                self.queries["advance_feed"], self._feed, base.version, base.digest, as_of_ms
            )
        if row is None:
            raise ApplyConflict

    async def record_event(self, event: FeedEvent) -> None:
        """Keep a row for operators."""
        async with replica_failures():
            await self._pool.execute(
                self.queries["record_feed_event"],
                self._feed,
                event.at_ms,
                event.version,
                event.result.value,
                event.reason,
                event.records,
                event.quarantined,
            )

    async def move(self, connection: _Untyped, base: ReplicaState, to: tuple[object, ...]) -> None:
        """Move the head from ``base``, inside a transaction that holds it; the rest in the order of ``move_feed``."""
        moved = await connection.fetchrow(self.queries["move_feed"], self._feed, base.version, *to)
        if moved is None:
            raise ApplyConflict

    def _rows(
        self,
        connection: _Untyped,
        manifest: VerifiedManifest,
        slot: int,
        base: ReplicaState,
    ) -> SnapshotRows | DeltaRows:
        form = SnapshotRows if manifest.kind is VersionKind.SNAPSHOT else DeltaRows
        return form(connection, self.queries, slot=slot, current=base.slot, version=manifest.version)

    async def _empty_slot(self, connection: _Untyped, slot: int, base: ReplicaState) -> None:
        last = TRUNCATE_LOCK_TIMEOUTS[-1]
        for limit in TRUNCATE_LOCK_TIMEOUTS:
            try:
                async with connection.transaction():
                    await self._become_writer(connection, base)
                    await connection.execute(f"SET LOCAL lock_timeout = '{limit}'")
                    await connection.execute(self.queries[f"truncate_slot_{slot}"])
            except LockNotAvailableError:
                if limit == last:
                    raise
            else:
                return

    async def _become_writer(self, connection: _Untyped, base: ReplicaState) -> None:
        row = await connection.fetchrow(self.queries["lock_feed"], self._feed)
        if row is None or (row["slot"], row["version"], row["manifest_sha256"]) != (
            base.slot,
            base.version,
            base.digest,
        ):
            raise ApplyConflict

    async def _held_before(self, connection: _Untyped, manifest: VerifiedManifest, slot: int) -> dict[str, int]:
        """Return how many rows of each kind a delta finds; only needed when it deletes."""
        if manifest.kind is VersionKind.SNAPSHOT or manifest.counts.deletes == 0:
            return {}
        found = await connection.fetch(self.queries["count_held"], slot, timeout=COMPARE_DEADLINE_S)
        return {row["kind"]: row["held"] for row in found}

    async def compare(self, connection: _Untyped, base: ReplicaState, slot: int) -> Losses:
        """Return what a snapshot loses against the version before it, and what that one held."""
        if base.version == 0:
            return {}, {}
        # Hashing both slots in memory is what makes this seconds instead of minutes.
        await connection.execute("SET LOCAL work_mem = '64MB'; SET LOCAL enable_nestloop = off")
        found = await connection.fetch(self.queries["count_lost"], base.slot, slot, timeout=COMPARE_DEADLINE_S)
        return {row["kind"]: row["lost"] for row in found}, {row["kind"]: row["held"] for row in found}


class _Reloading:
    """``gateway.worker.ports.Reloading``, inside the transaction of ``PostgresReplicaWriter.reload``."""

    def __init__(
        self, writer: PostgresReplicaWriter, connection: _Untyped, base: ReplicaState, slot: int, *, attribute: bool
    ) -> None:
        self._writer: Final = writer
        self._connection: Final = connection
        self._base: Final = base
        self._slot: Final = slot
        self._attribute: Final = attribute
        self._last: VerifiedManifest | None = None
        self._count = 0

    async def load(self, manifest: VerifiedManifest, batches: AsyncIterator[LineBatch], admission: Admission) -> Tally:
        """Take the next version into the idle slot."""
        writer, connection, slot = self._writer, self._connection, self._slot
        first = manifest.kind is VersionKind.SNAPSHOT
        form = SnapshotRows if first else DeltaRows
        current = self._base.slot if first and self._attribute else slot
        rows = form(connection, writer.queries, slot=slot, current=current, version=manifest.version)
        await _store(rows, batches, admission)
        losses: Losses = ({}, {})
        if first:
            await connection.execute(writer.queries[f"analyze_slot_{slot}"], timeout=COMPARE_DEADLINE_S)
            losses = await writer.compare(connection, self._base, slot)
        tally = rows.tally(losses)
        admission.before_commit(tally)
        self._count = rows.count(self._count)
        self._last = manifest
        return tally

    async def show(self, as_of_ms: Millis, now_ms: Millis) -> None:
        """Move the head to what was loaded."""
        last = self._last
        if last is None:
            raise ApplyConflict
        await self._writer.move(
            self._connection, self._base, (self._slot, last.version, last.digest, as_of_ms, self._count, now_ms)
        )


async def _store(rows: SnapshotRows | DeltaRows, batches: AsyncIterator[LineBatch], admission: Admission) -> None:
    try:
        async for batch in batches:
            await rows.store(batch)
            admission.during(rows.quarantined)
    except UniqueViolationError as exc:
        raise FeedRefused(FeedReason.DUPLICATE_RECORD) from exc
