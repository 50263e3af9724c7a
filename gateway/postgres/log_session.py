"""The committer's one connection: its prepared statements, its deadlines, and what is said when it fails.

For: every statement of ``gateway.postgres.log_store``; the one place that tells "did not happen" from "nobody knows".
Not for: the order of the steps (``log_store``), what to do about a failure (``gateway.audit.committer``).

Facts this module rests on, each tried: a COMMIT whose wait for a synchronous standby is cancelled returns success with only a
warning 01000, so that warning makes the outcome unknown; asyncpg's own ``timeout`` sends a cancel request, so it is never used
here; a statement deadline of ours ends the connection, which before COMMIT can only mean rollback.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from asyncpg.exceptions import DataError, IntegrityConstraintViolationError, PostgresError

from gateway.audit.ports import BatchRefused, CommitUnknown, StoreFailed
from gateway.postgres.pool import SERVER_AWAY, Connection
from gateway.postgres.queries import Queries

Connect = Callable[[], Awaitable[Connection]]

STATEMENT_DEADLINE_S: Final = 5.0
"""For everything before COMMIT. The head row is locked meanwhile, so it is short."""
NO_PARTITION: Final = "23514"
"""A row without a partition is reported as a check violation without a constraint's name."""
CANCELLED_REPLICATION_WAIT: Final = "01000"
STATEMENTS: Final = (
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


class LogSession:
    """One connection with its prepared statements, and the one place that names what asyncpg raises."""

    def __init__(self, connection: Connection) -> None:
        self.connection: Final = connection
        self._statements: Final[dict[str, Any]] = {}
        self._replication_unsure = False

    @classmethod
    async def open(cls, connect: Connect, queries: Queries) -> LogSession:
        """Connect and prepare every statement once; raises what ``connect`` raises."""
        connection = await connect()
        session = cls(connection)
        connection.add_log_listener(session._hear)
        try:
            for name in STATEMENTS:
                session._statements[name] = await connection.prepare(queries[name])
        except BaseException:
            session.terminate()  # nobody else knows this connection
            raise
        return session

    @property
    def lost(self) -> bool:
        """Whether the connection has ended."""
        return bool(self.connection.is_closed())

    def _hear(self, _connection: object, message: Any) -> None:  # noqa: ANN401 - asyncpg's own message type
        if message.sqlstate == CANCELLED_REPLICATION_WAIT:
            self._replication_unsure = True

    async def execute(self, command: str) -> str:
        """Run one command; ``StoreFailed`` if it did not happen."""
        return str(await self._within_deadline(self.connection.execute(command)))

    async def fetchrow(self, name: str, *values: object) -> Any:  # noqa: ANN401 - asyncpg.Record is untyped
        """Run a prepared statement for its first row; ``StoreFailed`` or ``BatchRefused`` if it did not happen."""
        return await self._within_deadline(self._statements[name].fetchrow(*values))

    async def fetch(self, name: str, *values: object) -> Any:  # noqa: ANN401 - asyncpg.Record is untyped
        """Run a prepared statement for all its rows; errors as above."""
        return await self._within_deadline(self._statements[name].fetch(*values))

    async def _within_deadline(self, work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever asyncpg returns
        with naming_failures():
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
        """Give the connection up without a word to the server."""
        self.connection.terminate()

    async def close(self) -> None:
        """End the connection in good order, or give it up."""
        try:
            async with asyncio.timeout(STATEMENT_DEADLINE_S):
                await self.connection.close()
        except SERVER_AWAY:
            self.terminate()


class naming_failures:  # noqa: N801 - reads as a statement: `with naming_failures():`
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
