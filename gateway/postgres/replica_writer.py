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
from gateway.base.errors import ErrorKind, GatewayError
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
from gateway.postgres.pool import SERVER_AWAY
from gateway.postgres.replica_rows import Admission, DeltaRows, Losses, SnapshotRows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

from gateway.postgres.queries import Queries

QUERY_DEADLINE_S: Final = 10.0
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
        self._queries: Final = queries
        self._feed: Final = feed

    async def state(self) -> ReplicaState:
        """Return what the replica stands on; the first call for a feed makes its empty head."""
        async with _naming_failures():
            row = await self._pool.fetchrow(self._queries["feed_state"], self._feed)
            if row is None:
                await self._pool.execute(self._queries["open_feed"], self._feed)
                row = await self._pool.fetchrow(self._queries["feed_state"], self._feed)
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
        async with _naming_failures(), self._pool.acquire() as connection:
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
                    await connection.execute(self._queries[f"analyze_slot_{slot}"], timeout=COMPARE_DEADLINE_S)
                    tally = rows.tally(await self._compare(connection, base, slot))
                else:
                    tally = rows.tally((rows.removed, held))
                admission.before_commit(tally)
                count = rows.count(base.record_count)
                moved = await connection.fetchrow(  # 5
                    self._queries["move_feed"],
                    *(self._feed, base.version, slot, manifest.version, manifest.digest, as_of_ms, count, now_ms),
                )
                if moved is None:
                    raise ApplyConflict
        return tally

    async def advance(self, base: ReplicaState, as_of_ms: Millis) -> None:
        """Record that ``base`` was still the newest at a later instant."""
        async with _naming_failures():
            row = await self._pool.fetchrow(
                self._queries["advance_feed"], self._feed, base.version, base.digest, as_of_ms
            )
        if row is None:
            raise ApplyConflict

    async def record_event(self, event: FeedEvent) -> None:
        """Keep a row for operators."""
        async with _naming_failures():
            await self._pool.execute(
                self._queries["record_feed_event"],
                self._feed,
                event.at_ms,
                event.version,
                event.result.value,
                event.reason,
                event.records,
                event.quarantined,
            )

    def _rows(
        self,
        connection: _Untyped,
        manifest: VerifiedManifest,
        slot: int,
        base: ReplicaState,
    ) -> SnapshotRows | DeltaRows:
        form = SnapshotRows if manifest.kind is VersionKind.SNAPSHOT else DeltaRows
        return form(connection, self._queries, slot=slot, current=base.slot, version=manifest.version)

    async def _empty_slot(self, connection: _Untyped, slot: int, base: ReplicaState) -> None:
        last = TRUNCATE_LOCK_TIMEOUTS[-1]
        for limit in TRUNCATE_LOCK_TIMEOUTS:
            try:
                async with connection.transaction():
                    await self._become_writer(connection, base)
                    await connection.execute(f"SET LOCAL lock_timeout = '{limit}'")
                    await connection.execute(self._queries[f"truncate_slot_{slot}"])
            except LockNotAvailableError:
                if limit == last:
                    raise
            else:
                return

    async def _become_writer(self, connection: _Untyped, base: ReplicaState) -> None:
        row = await connection.fetchrow(self._queries["lock_feed"], self._feed)
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
        found = await connection.fetch(self._queries["count_held"], slot, timeout=COMPARE_DEADLINE_S)
        return {row["kind"]: row["held"] for row in found}

    async def _compare(self, connection: _Untyped, base: ReplicaState, slot: int) -> Losses:
        """Return what a snapshot loses against the version before it, and what that one held."""
        if base.version == 0:
            return {}, {}
        # Hashing both slots in memory is what makes this seconds instead of minutes.
        await connection.execute("SET LOCAL work_mem = '64MB'; SET LOCAL enable_nestloop = off")
        found = await connection.fetch(self._queries["count_lost"], base.slot, slot, timeout=COMPARE_DEADLINE_S)
        return {row["kind"]: row["lost"] for row in found}, {row["kind"]: row["held"] for row in found}


async def _store(rows: SnapshotRows | DeltaRows, batches: AsyncIterator[LineBatch], admission: Admission) -> None:
    try:
        async for batch in batches:
            await rows.store(batch)
            admission.during(rows.quarantined)
    except UniqueViolationError as exc:
        raise FeedRefused(FeedReason.DUPLICATE_RECORD) from exc


@asynccontextmanager
async def _naming_failures() -> AsyncIterator[None]:
    try:
        yield
    except SERVER_AWAY as exc:
        raise GatewayError(
            ErrorKind.STORE_UNAVAILABLE, reason="replica_unavailable", facts={"cause": type(exc).__name__}
        ) from exc
