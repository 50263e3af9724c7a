"""The append-only log on PostgreSQL: the committer's store.

For: one transaction at a time on one dedicated connection, in the steps that ``gateway.audit.committer`` numbers.
Not for: reading the log for proofs, receipts and operators (``gateway.postgres.log_reader``), how the connection fails
(``gateway.postgres.log_session``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from gateway.audit.batch_mac import TreePoint
from gateway.audit.merkle import LOG_CONTRADICTS_HEAD, Frontier
from gateway.audit.ports import (
    Admission,
    Batch,
    CommitUnknown,
    Head,
    PendingEntry,
    Rider,
    StoreFailed,
)
from gateway.base.errors import ErrorKind, GatewayError
from gateway.postgres.log_session import STATEMENT_DEADLINE_S, Connect, LogSession, naming_failures
from gateway.postgres.pool import SERVER_AWAY
from gateway.postgres.queries import Queries


class PostgresLogStore:
    """``gateway.audit.ports.LogStore`` for one log. Not shared between tasks: the committer is its only user."""

    def __init__(self, connect: Connect, queries: Queries, *, log_id: int) -> None:
        self._connect: Final = connect
        self._queries: Final = queries
        self._log_id: Final = log_id
        self._session: LogSession | None = None  # owned by the committer's task

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

    async def _ready_session(self) -> LogSession:
        if self._session is None or self._session.lost:
            try:
                async with asyncio.timeout(STATEMENT_DEADLINE_S):
                    self._session = await LogSession.open(self._connect, self._queries)
            except SERVER_AWAY as exc:
                raise StoreFailed(type(exc).__name__) from exc
        return self._session

    def _drop_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.terminate()


class _Transaction:
    """``gateway.audit.ports.LogTransaction``."""

    def __init__(self, session: LogSession, log_id: int) -> None:
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
        with naming_failures():
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
