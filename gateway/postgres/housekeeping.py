"""Housekeeping of the log's database: coming partitions are made, what has ended by its own clock is forgotten.

For: the feed process, once an hour. Not for: what may be forgotten and when, which the database decides from more than the caller's
clock (``migrations/sql/0004_own_clocks.sql``), nor for tables that only grow (``docs/operations.md``).

What is true if the process dies at any line: each statement is a transaction of its own, and the next hour goes on with what is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from asyncpg import LockNotAvailableError

from gateway.base.clock import utc_day

if TYPE_CHECKING:
    import datetime as dt

    from gateway.base.clock import Millis
    from gateway.postgres.pool import Connection
    from gateway.postgres.queries import Queries

PARTITION_DAYS: Final = 7
"""How many days ahead partitions are made: so long the feed process may be away before a commit finds none."""
KEYS_AT_ONCE: Final = 1000
"""Idempotency keys in one transaction: some ten milliseconds."""
MAX_STEPS: Final = 10_000
"""Days, and batches of keys, forgotten in one turn: ten million keys; what is left is the next hour's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What one turn forgot: days of one-time ids, and how many idempotency keys.

    ``held_up`` says that somebody held a lock for longer than we wait, and that the rest is left for the next turn.
    """

    days: tuple[dt.date, ...]
    keys: int
    held_up: bool


async def make_partitions(connection: Connection, queries: Queries, now: Millis) -> None:
    """Make sure that the log has partitions for the coming days: a missing one would abort a commit."""
    await connection.execute(queries["ensure_partitions"], utc_day(now // 1000), PARTITION_DAYS)


async def forget_what_is_over(connection: Connection, queries: Queries, now: Millis) -> Forgotten:
    """Drop days of one-time ids and delete idempotency keys, one transaction each, as far as they are over. Raises what asyncpg raises."""
    days: list[dt.date] = []
    keys = 0
    try:
        for _ in range(MAX_STEPS):
            day = await connection.fetchval(queries["forget_requests"], now)
            if day is None:
                break
            days.append(day)
        for _ in range(MAX_STEPS):
            gone = await connection.fetchval(queries["forget_idempotency"], now, KEYS_AT_ONCE)
            keys += gone
            if gone < KEYS_AT_ONCE:
                break
    except LockNotAvailableError:
        return Forgotten(days=tuple(days), keys=keys, held_up=True)
    return Forgotten(days=tuple(days), keys=keys, held_up=False)
