"""The append-only log on PostgreSQL: the committer's store.

For: one transaction at a time on one dedicated connection, in the steps that ``gateway.audit.committer`` numbers.
Not for: reading the log for proofs, receipts and operators (``gateway.postgres.log_reader``).

Facts this module rests on, each tried: a COMMIT whose wait for a synchronous standby is cancelled returns success with only a
warning 01000, so that warning makes the outcome unknown; asyncpg's own ``timeout`` sends a cancel request, so it is never used
here; a statement deadline of ours ends the connection, which before COMMIT can only mean rollback.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from asyncpg.exceptions import DataError, IntegrityConstraintViolationError, PostgresError

from gateway.audit.batch_mac import TreePoint
from gateway.audit.merkle import LOG_CONTRADICTS_HEAD, Frontier
from gateway.audit.ports import (
    Admission,
    Batch,
    BatchRefused,
    CommitUnknown,
    Head,
    PendingEntry,
    Rider,
    StoreFailed,
)
from gateway.base.errors import ErrorKind, GatewayError
from gateway.postgres.pool import SERVER_AWAY, Connection
from gateway.postgres.queries import Queries

Connect = Callable[[], Awaitable[Connection]]

STATEMENT_DEADLINE_S: Final = 5.0
"""For everything before COMMIT. The head row is locked meanwhile, so it is short."""
NO_PARTITION: Final = "23514"
"""A row without a partition is reported as a check violation without a constraint's name."""
CANCELLED_REPLICATION_WAIT: Final = "01000"
_STATEMENTS: Final = (
    "lock_head",
    "enter",
    "append_batch",
    "append_tiles",
    "leaf_hashes",
    "tile_roots",
    "full_tile",
    "batch_at",
    "touch_head",
)


class PostgresLogStore:
    """``gateway.audit.ports.LogStore`` for one log. Not shared between tasks: the committer is its only user."""

    def __init__(self, connect: Connect, queries: Queries, *, log_id: int) -> None:
        self._connect: Final = connect
        self._queries: Final = queries
        self._log_id: Final = log_id
        self._session: _Session | None = None  # owned by the committer's task

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[_Transaction]:
        """Open a transaction, on a new connection if the last one was lost."""
        session = await self._ready_session()
        transaction = _Transaction(session, self._log_id)
        try:
            await session.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
            yield transaction
        except BaseException:
            # After an unknown COMMIT, `settle` has already replaced the session.
            if self._session is session and not await session.rolled_back():
                self._session = None
            raise
        if not transaction.ended:
            # Left without COMMIT: nothing happened and nothing may linger.
            await session.execute("ROLLBACK")

    async def settle(self, size: int, root: bytes) -> bool:
        """Tell whether a batch is durable: lock, look, write, commit (see the port)."""
        self._drop_session()
        session = await self._ready_session()
        try:
            await session.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
            await session.fetchrow("lock_head", self._log_id)
            found = await session.fetchrow("batch_at", self._log_id, size)
            await session.fetchrow("touch_head", self._log_id)
            await session.commit()
        except CommitUnknown as exc:
            self._drop_session()
            raise StoreFailed(str(exc)) from exc
        except StoreFailed:
            self._drop_session()
            raise
        return found is not None and found["root"] == root

    async def close(self) -> None:
        """End the connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _ready_session(self) -> _Session:
        if self._session is None or self._session.lost:
            try:
                async with asyncio.timeout(STATEMENT_DEADLINE_S):
                    self._session = await _Session.open(self._connect, self._queries)
            except SERVER_AWAY as exc:
                raise StoreFailed(type(exc).__name__) from exc
        return self._session

    def _drop_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.terminate()


class _Session:
    """One connection with its prepared statements, and the one place that names what asyncpg raises."""

    def __init__(self, connection: Connection) -> None:
        self.connection: Final = connection
        self._statements: Final[dict[str, Any]] = {}
        self._replication_unsure = False

    @classmethod
    async def open(cls, connect: Connect, queries: Queries) -> _Session:
        connection = await connect()
        session = cls(connection)
        connection.add_log_listener(session._hear)
        try:
            for name in _STATEMENTS:
                session._statements[name] = await connection.prepare(queries[name])
        except BaseException:
            session.terminate()  # nobody else knows this connection
            raise
        return session

    @property
    def lost(self) -> bool:
        return bool(self.connection.is_closed())

    def _hear(self, _connection: object, message: Any) -> None:  # noqa: ANN401 - asyncpg's own message type
        if message.sqlstate == CANCELLED_REPLICATION_WAIT:
            self._replication_unsure = True

    async def execute(self, command: str) -> str:
        return str(await self._within_deadline(self.connection.execute(command)))

    async def fetchrow(self, name: str, *values: object) -> Any:  # noqa: ANN401 - asyncpg.Record is untyped
        return await self._within_deadline(self._statements[name].fetchrow(*values))

    async def fetch(self, name: str, *values: object) -> Any:  # noqa: ANN401 - asyncpg.Record is untyped
        return await self._within_deadline(self._statements[name].fetch(*values))

    async def _within_deadline(self, work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever asyncpg returns
        with _naming_failures():
            try:
                async with asyncio.timeout(STATEMENT_DEADLINE_S):
                    return await work
            except TimeoutError:
                self.terminate()  # asyncpg would send a cancel request and wait for a server that may be gone
                raise

    async def commit(self) -> None:
        """COMMIT without any deadline of ours; everything but a clean success is unknown."""
        self._replication_unsure = False
        try:
            status = await self.connection.execute("COMMIT")
        except SERVER_AWAY as exc:
            raise CommitUnknown(type(exc).__name__) from exc
        if status != "COMMIT":  # an aborted transaction answers ROLLBACK
            raise StoreFailed(status)
        if self._replication_unsure:
            reason = "replication_wait_cancelled"
            raise CommitUnknown(reason)

    async def rolled_back(self) -> bool:
        """Roll back if the connection still can; tell whether the session is fit for another transaction."""
        if self.lost:
            return False
        try:
            async with asyncio.timeout(STATEMENT_DEADLINE_S):
                await self.connection.execute("ROLLBACK")
        except SERVER_AWAY:
            self.terminate()
            return False
        return True

    def terminate(self) -> None:
        self.connection.terminate()

    async def close(self) -> None:
        try:
            async with asyncio.timeout(STATEMENT_DEADLINE_S):
                await self.connection.close()
        except SERVER_AWAY:
            self.terminate()


class _Transaction:
    """``gateway.audit.ports.LogTransaction``."""

    def __init__(self, session: _Session, log_id: int) -> None:
        self._session: Final = session
        self._log_id: Final = log_id
        self.ended = False

    async def enter(self, entries: Sequence[PendingEntry]) -> tuple[Head, Admission]:
        claims = [(claim, entry.credential) for entry in entries for claim in entry.claims]
        claimless = [entry.credential for entry in entries if entry.credential is not None and not entry.claims]
        row = await self._session.fetchrow(
            "enter",
            self._log_id,
            [claim.day for claim, _credential in claims],
            [claim.digest for claim, _credential in claims],
            [credential for _claim, credential in claims] + claimless,
            *_idempotency_columns(entries),
        )
        if row is None:
            reason = "log_missing"
            raise StoreFailed(reason)
        before = None if row["prev_root"] is None else TreePoint(row["prev_size"], row["prev_root"])
        try:
            frontier = Frontier.from_bytes(row["size"], row["frontier"])
        except (TypeError, ValueError) as exc:  # of another length, or NULL where no constraint is left
            raise GatewayError(ErrorKind.INTERNAL, reason=LOG_CONTRADICTS_HEAD) from exc
        head = Head(frontier, row["root"], row["moment"], before, row["mac"])
        return head, Admission(frozenset(row["claimed"]), frozenset(row["live"]), frozenset(row["reserved"]))

    async def full_tile(self, level: int, index: int) -> bytes:
        row = await self._session.fetchrow("full_tile", self._log_id, level, index)
        return b"" if row is None else bytes(row["hashes"])

    async def leaf_hashes(self, first: int, count: int) -> Sequence[bytes]:
        rows = await self._session.fetch("leaf_hashes", self._log_id, first, first + count)
        return [row["leaf_hash"] for row in rows]

    async def tile_roots(self, level: int, first: int, count: int) -> Sequence[bytes]:
        rows = await self._session.fetch("tile_roots", self._log_id, level, first, first + count)
        return [row["root"] for row in rows]

    async def ride(self, rider: Rider) -> None:
        with _naming_failures():
            await rider.ride(self._session.connection)

    async def append(self, batch: Batch) -> None:
        entries = batch.entries
        if batch.tiles:
            await self._session.fetch(
                "append_tiles",
                self._log_id,
                [tile.level for tile in batch.tiles],
                [tile.index for tile in batch.tiles],
                [tile.hashes for tile in batch.tiles],
                [tile.root for tile in batch.tiles],
            )
        moved = await self._session.fetchrow(
            "append_batch",
            self._log_id,
            batch.head.frontier.size,
            batch.growth.after.size,
            batch.growth.root,
            batch.growth.after.to_bytes(),
            batch.head.moment,
            [entry.leaf_hash for entry in entries],
            [entry.leaf for entry in entries],
            [entry.kind for entry in entries],
            [entry.partner_id for entry in entries],
            [entry.operation for entry in entries],
            [entry.purpose for entry in entries],
            [entry.decision for entry in entries],
            [entry.subject_index for entry in entries],
            [entry.verification_id for entry in entries],
            [entry.salt for entry in entries],
            [entry.key_id for entry in entries],
            [entry.sealed for entry in entries],
            batch.writer,
            batch.head.root,
            batch.mac,
        )
        if moved is None:
            reason = "head_moved_under_lock"
            raise StoreFailed(reason)

    async def commit(self) -> None:
        self.ended = True  # whatever COMMIT answers, there is nothing left to roll back
        await self._session.commit()


def _idempotency_columns(entries: Sequence[PendingEntry]) -> tuple[list[object], ...]:
    """Return the columns of the idempotency keys to reserve, one row a key: the first entry of the batch that names it.

    An entry whose one-time id an earlier one names is a replay, and reserves nothing.
    """
    columns: tuple[list[object], ...] = ([], [], [], [], [], [], [], [])
    seen: set[tuple[str, str, bytes]] = set()
    spent: set[bytes] = set()
    for entry in entries:
        replay = any(one.digest in spent for one in entry.claims)
        spent.update(one.digest for one in entry.claims)
        claim = entry.idempotency
        if claim is None or not entry.claims or replay:
            continue
        key = (claim.partner_id, claim.operation, claim.key_hash)
        if key in seen:
            continue
        seen.add(key)
        row = (
            claim.partner_id,
            claim.operation,
            claim.key_hash,
            claim.body_hash,
            claim.verification_id,
            claim.created_ms,
            entry.claims[0].digest,
            entry.credential,
        )
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    return columns


class _naming_failures:  # noqa: N801 - reads as a statement: `with _naming_failures():`
    """Turn what asyncpg raises before COMMIT into ``StoreFailed`` or ``BatchRefused``, cause kept."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None or isinstance(error, StoreFailed | BatchRefused):
            return
        if isinstance(error, PostgresError):
            # asyncpg sets both at run time, untyped
            sqlstate = getattr(error, "sqlstate", None)
            missing_partition = sqlstate == NO_PARTITION and not getattr(error, "constraint_name", None)
            if isinstance(error, DataError | IntegrityConstraintViolationError) and not missing_partition:
                raise BatchRefused(sqlstate) from error
            raise StoreFailed(sqlstate) from error
        if isinstance(error, SERVER_AWAY):
            raise StoreFailed(type(error).__name__) from error
