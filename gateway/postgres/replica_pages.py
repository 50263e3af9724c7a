"""Reading the replica row by row to compare it: ``gateway.worker.ports.ReplicaPages`` on PostgreSQL.

For: the feed process and ``feed verify``. Not for: answers (``replica_store``); and nothing read here is believed by itself.

A page is one read-only transaction of one snapshot: its rows and the head that it comes with belong together.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from gateway.base.clock import Millis
from gateway.base.errors import ErrorKind, GatewayError
from gateway.credit.feed_version import ReplicaState
from gateway.credit.replica_row import Part, RowDigest, digest_record, digest_registration, digest_unread
from gateway.postgres.pool import SERVER_AWAY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from gateway.postgres.queries import Queries

PAGE_DEADLINE_S: Final = 30.0
"""For a page of a thousand rows from a cold disk."""
_SESSION: Final = "SET LOCAL enable_seqscan = off"
"""As for look-ups: a plan made while a slot was empty would read all of it."""
_HELD: Final = {
    Part.REGISTRATION: "held_registrations",
    Part.RECORD: "held_records",
    Part.UNREAD: "held_unread",
}
_KEYS: Final = {Part.REGISTRATION: "registration_keys", Part.RECORD: "record_keys", Part.UNREAD: "unread_keys"}

# asyncpg carries no types: its pool, connections and rows are Any.
_Untyped: TypeAlias = Any


class PostgresReplicaPages:
    """Reads one feed through a pool."""

    def __init__(self, pool: _Untyped, queries: Queries, *, feed: str) -> None:
        self._pool: Final = pool
        self._queries: Final = queries
        self._feed: Final = feed

    async def held(self, part: Part, keys: Sequence[str]) -> tuple[ReplicaState, Sequence[RowDigest]]:
        """Return the rows under some keys, digested, with the head."""
        async with self._snapshot() as (connection, state):
            rows = await connection.fetch(self._queries[_HELD[part]], state.slot, list(keys)) if keys else ()
        return state, await asyncio.to_thread(_digested, part, rows)

    async def keys(self, part: Part, after: str | None, limit: int) -> tuple[ReplicaState, Sequence[str]]:
        """Return the next keys by the order of the index, with the head."""
        async with self._snapshot() as (connection, state):
            # From the last key on, not past it: so that an empty key, which sorts before all, is not passed over.
            rows = await connection.fetch(self._queries[_KEYS[part]], state.slot, after or "", limit + 1)
        return state, [row["key"] for row in rows if row["key"] != after][:limit]

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[tuple[_Untyped, ReplicaState]]:
        try:
            async with (
                asyncio.timeout(PAGE_DEADLINE_S),
                self._pool.acquire() as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                await connection.execute(_SESSION)
                row = await connection.fetchrow(self._queries["page_head"], self._feed)
                yield connection, _state(row)
        except SERVER_AWAY as exc:
            raise GatewayError(
                ErrorKind.STORE_UNAVAILABLE, reason="replica_unavailable", facts={"cause": type(exc).__name__}
            ) from exc


def _state(row: _Untyped) -> ReplicaState:
    """Return the head of a page; one that is not there stands on nothing, in a slot that does not exist."""
    if row is None:
        return ReplicaState(slot=-1, version=0, digest=b"", as_of_ms=Millis(0), record_count=0, quarantined=0)
    return ReplicaState(
        slot=row["slot"],
        version=row["version"],
        digest=row["manifest_sha256"],
        as_of_ms=Millis(row["as_of_ms"]),
        record_count=row["record_count"],
        quarantined=0,
    )


def _digested(part: Part, rows: Sequence[_Untyped]) -> list[RowDigest]:
    match part:
        case Part.REGISTRATION:
            return [digest_registration(*row) for row in rows]
        case Part.RECORD:
            return [digest_record(*row) for row in rows]
        case Part.UNREAD:
            return [
                digest_unread(
                    row["record_id"],
                    row["subject_key"],
                    (row["version"], row["line"]),
                    row["reason"],
                    row["line_sha256"],
                )
                for row in rows
            ]
