"""Reading the replica of the municipal platform: ``gateway.credit.ports.CreditReplica`` on PostgreSQL.

For: look-ups of many concurrent requests, answered together. Not for: writing (``replica_writer``).

While one query is on its way the next look-ups gather, and then go as one: no timer, no delay at low load, and at high load one round
trip for hundreds. One statement is one MVCC snapshot, so head, registration and records of an answer belong to one version even
while another is being made visible.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
from asyncpg.exceptions import InterfaceError

from gateway.base.clock import Millis
from gateway.base.errors import ErrorKind, GatewayError
from gateway.credit.facts import Candidates, SourceBounds, SourceState, SubjectFacts
from gateway.credit.feed import old_number_key
from gateway.credit.identifiers import Uscc
from gateway.credit.record import Record, Registration, decode_record, decode_registration
from gateway.postgres.pool import ACQUIRE_DEADLINE_S, borrow, replica_failures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.postgres.queries import Queries

MAX_KEYS: Final = 512
"""Codes in one query: past this a longer array only delays the first answer."""
QUERY_DEADLINE_S: Final = 2.0
BORROW_S: Final = 1.0
"""Of that, for a connection to come free where none is kept: then it is told that others hold them all, and not that the database fails."""
MAX_CANDIDATES: Final = 100

_HEAD, _REGISTRATION, _RECORD = 0, 1, 2
_LAST_CHARACTER: Final = "\U0010ffff"
# asyncpg carries no types: its pool and connection are Any.
_Untyped: TypeAlias = Any

# The statement is planned once for a version, as generic plan: planning for each batch would cost more than looking up. A plan made
# while a slot was empty would read all its rows later, so plans are thrown away when the version changes, and scans are off.
_SESSION: Final = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off"
_REPLAN: Final = "DISCARD PLANS"

_Waiters = dict[Uscc, list["asyncio.Future[SubjectFacts]"]]


class PostgresReplica:
    """Looks up through one connection of a pool, which it keeps. Call ``close`` before the pool is closed."""

    def __init__(self, pool: _Untyped, queries: Queries, *, feed: str) -> None:
        self._pool: Final = pool
        self._feed: Final = feed
        self._look_up: Final = queries["look_up"]
        self._candidates: Final = queries["candidates"]
        self._state: Final = queries["feed_state"]
        self._waiting: _Waiters = {}  # owned by look_up, emptied by the flight task
        self._flight: asyncio.Task[None] | None = None
        self._session: _Session | None = None  # owned by the flight task
        self._bounds = SourceBounds()  # replaced whole by whoever looks at the guard

    def trust(self, bounds: SourceBounds) -> None:
        """Believe the database's word on its source only within these bounds, from the next answer on."""
        self._bounds = bounds

    async def look_up(self, uscc: Uscc) -> SubjectFacts:
        """Return everything known about one code (see the port). HOT."""
        future: asyncio.Future[SubjectFacts] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(uscc, []).append(future)
        if self._flight is None:
            self._flight = asyncio.create_task(self._fly(), name="replica-look-up")
        return await future

    async def candidates(self, key: str, limit: int) -> Candidates:
        """Return registrations whose name key begins with ``key``, the exact name first (see the port)."""
        if not key:
            return Candidates(source=await self.source_state(), rows=())
        async with (
            replica_failures(),
            asyncio.timeout(QUERY_DEADLINE_S),
            borrow(self._pool, timeout_s=BORROW_S) as connection,
        ):
            rows = await connection.fetch(
                self._candidates, self._feed, key, key + _LAST_CHARACTER, min(limit, MAX_CANDIDATES)
            )
        if not rows:
            return Candidates(source=None, rows=())
        head = rows[0]
        source = self._source(head)
        bodies = [row["body"] for row in rows if row["body"] is not None]
        return Candidates(source=source, rows=tuple(_decode_readable(bodies)))

    async def source_state(self) -> SourceState | None:
        """Return which version is being answered from; ``None`` before the first."""
        async with (
            replica_failures(),
            asyncio.timeout(QUERY_DEADLINE_S),
            borrow(self._pool, timeout_s=BORROW_S) as connection,
        ):
            row = await connection.fetchrow(self._state, self._feed)
        if row is None or row["version"] == 0:
            return None
        return self._source(row)

    async def close(self) -> None:
        """Wait for the look-ups on their way and give the connection back."""
        if self._flight is not None:
            await asyncio.wait({self._flight})
        session, self._session = self._session, None
        if session is not None:
            await session.give_back()

    async def _fly(self) -> None:
        """Answer what waits, batch after batch, until nothing waits."""
        taken: _Waiters = {}
        try:
            while self._waiting:
                taken = self._take()
                try:
                    facts = await self._query(list(taken))
                except GatewayError as exc:
                    _refuse(taken, exc)
                else:
                    _answer(taken, facts)
        except BaseException as exc:
            # A defect here must not leave requests waiting for ever; the task then ends with it, where it is seen.
            failure = GatewayError(ErrorKind.STORE_UNAVAILABLE, reason="look_up_ended")
            failure.__cause__ = exc
            _refuse(taken, failure)
            _refuse(self._waiting, failure)
            self._waiting = {}
            raise
        finally:
            # Nothing is awaited between the last look at `_waiting` and here, so no look-up is left without a flight.
            self._flight = None

    def _take(self) -> _Waiters:
        if len(self._waiting) <= MAX_KEYS:
            taken, self._waiting = self._waiting, {}
            return taken
        return {key: self._waiting.pop(key) for key in list(self._waiting)[:MAX_KEYS]}

    async def _query(self, keys: list[Uscc]) -> dict[Uscc, SubjectFacts]:
        """Ask; once more on a new connection if the kept one turns out to be dead, since reading twice harms nothing."""
        kept = self._session is not None
        try:
            rows = await self._fetch(keys)
        except GatewayError:
            if not kept:
                raise
            rows = await self._fetch(keys)
        return _gather(self._feed, keys, rows, self._bounds)

    def _source(self, head: Any) -> SourceState:  # noqa: ANN401 - an asyncpg row
        state = SourceState(self._feed, head["version"], Millis(head["as_of_ms"]), head["slot"])
        return self._bounds.bound(state)

    async def _fetch(self, keys: list[Uscc]) -> Sequence[Any]:
        try:
            async with replica_failures(), asyncio.timeout(QUERY_DEADLINE_S):
                if self._session is None:
                    self._session = await _Session.open(self._pool, self._look_up)
                return await self._session.look_up(keys, self._feed)
        except GatewayError:
            session, self._session = self._session, None
            if session is not None:
                await session.drop()
            raise


class _Session:
    """The kept connection with its prepared statement."""

    def __init__(self, pool: _Untyped, connection: _Untyped, statement: Any) -> None:  # noqa: ANN401 - asyncpg is untyped
        self._pool: Final = pool
        self._connection: Final = connection
        self._statement: Final = statement
        self._version: str | None = None  # slot and number

    @classmethod
    async def open(cls, pool: _Untyped, sql: str) -> _Session:
        connection = await pool.acquire(timeout=ACQUIRE_DEADLINE_S)
        try:
            await connection.execute(_SESSION)
            return cls(pool, connection, await connection.prepare(sql))
        except BaseException:
            await _end(pool, connection)
            raise

    async def look_up(self, keys: list[Uscc], feed: str) -> Sequence[Any]:
        """Ask, and have the statement planned anew if the answer is the first of a version."""
        rows: Sequence[Any] = await self._statement.fetch(keys, feed)
        version = rows[0]["key"].rpartition(":")[0] if rows and rows[0]["part"] == _HEAD else None
        if version != self._version:
            await self._connection.execute(_REPLAN)
            self._version = version
        return rows

    async def give_back(self) -> None:
        """Return a healthy connection; the pool resets its settings."""
        await self._pool.release(self._connection, timeout=QUERY_DEADLINE_S)

    async def drop(self) -> None:
        """End a connection that may be half dead."""
        await _end(self._pool, self._connection)


async def _end(pool: _Untyped, connection: _Untyped) -> None:
    """End a connection without a cancel request, which would wait for a server that may be gone."""
    # A pool notices by itself when a connection was lost, and then refuses to hear of it again.
    with contextlib.suppress(InterfaceError):
        connection.terminate()
        await pool.release(connection)


def _gather(feed: str, keys: list[Uscc], rows: Sequence[Any], bounds: SourceBounds) -> dict[Uscc, SubjectFacts]:
    """Sort the rows of one query by subject; records filed under an old number go to the firm that has it."""
    source: SourceState | None = None
    registrations: dict[str, Registration] = {}
    records: dict[str, list[Record]] = {}
    unread: dict[str, int] = {}
    for part, key, body in rows:
        try:
            if part == _RECORD:
                records.setdefault(key, []).append(decode_record(body))
            elif part == _REGISTRATION:
                registrations[key] = decode_registration(body)
            elif part == _HEAD:
                slot, version, as_of = key.split(":")
                source = bounds.bound(SourceState(feed, int(version), Millis(int(as_of)), int(slot)))
            else:
                unread[key] = unread.get(key, 0) + 1
        except msgspec.DecodeError:
            unread[key] = unread.get(key, 0) + 1  # a row of ours that cannot be read makes `partial`, never `clear`
    facts: dict[Uscc, SubjectFacts] = {}
    for code in keys:
        registration = registrations.get(code)
        found, lost = records.get(code, ()), unread.get(code, 0)
        if registration is not None and registration.reg_no is not None:
            old = old_number_key(registration.reg_no)
            found, lost = [*found, *records.get(old, ())], lost + unread.get(old, 0)
        facts[code] = SubjectFacts(source, registration, tuple(found), lost)
    return facts


def _answer(taken: _Waiters, facts: dict[Uscc, SubjectFacts]) -> None:
    for key, futures in taken.items():
        for future in futures:
            if not future.done():  # a request that gave up
                future.set_result(facts[key])


def _refuse(taken: _Waiters, failure: GatewayError) -> None:
    for futures in taken.values():
        for future in futures:
            if not future.done():
                future.set_exception(failure)


def _decode_readable(bodies: list[bytes]) -> list[Registration]:
    """Decode names for a choice; one that cannot be read is no candidate, and its code answers `partial` when asked."""
    found = list[Registration]()
    for body in bodies:
        try:
            found.append(decode_registration(body))
        except msgspec.DecodeError:
            continue
    return found
