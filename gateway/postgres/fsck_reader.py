"""Reading the whole log on PostgreSQL, and what stands beside it, for the check of the log.

For: ``gateway.audit.readers.LogReader``. Not for: requests (``log_reader``), judging (``gateway.audit.fsck``).
A check has deadlines of its own: it reads long tables in the background of a database that others use.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.audit.acts import Row
from gateway.audit.columns import EntryColumns
from gateway.audit.readers import (
    Deviation,
    EntrySecret,
    StoredBatch,
    StoredEntry,
    StoredHead,
    StoredIdempotency,
    StoredRequest,
    StoredTile,
    Stray,
)
from gateway.base.canonical import Json, JsonError, parse_json_object
from gateway.base.errors import ErrorKind, GatewayError
from gateway.postgres.pool import SERVER_AWAY, Pool
from gateway.postgres.queries import Queries
from gateway.postgres.safeguards import find_deviations

PAGE_DEADLINE_S: Final = 30.0
"""For one page: thousands of rows by an index, on a server that may be busy."""


class PostgresFsckReader:
    """Reads one log through a pool."""

    def __init__(self, pool: Pool, queries: Queries, *, log_id: int) -> None:
        self._pool: Final = pool
        self._queries: Final = queries
        self._log_id: Final = log_id

    async def head(self) -> StoredHead:
        """Return the head as stored."""
        rows = await self._all("fsck_head")
        if not rows:
            raise GatewayError(ErrorKind.STORE_UNAVAILABLE, facts={"missing_row": True}, retry_after_s=1)
        row = rows[0]
        return StoredHead(row["size"], row["root"], row["frontier"], row["ts"])

    async def origin(self) -> str | None:
        """Return the name that the row of the log says."""
        rows = await self._all("fsck_origin")
        return rows[0]["origin"] if rows else None

    async def logs(self) -> Sequence[str]:
        """Return the names of all logs."""
        return [row["origin"] for row in await self._whole("fsck_logs")]

    async def of_log(self, origin: str) -> PostgresFsckReader | None:
        """Return the reader of another log."""
        rows = await self._whole("fsck_log", origin)
        return PostgresFsckReader(self._pool, self._queries, log_id=rows[0]["log_id"]) if rows else None

    async def entries(self, first: int, count: int) -> Sequence[StoredEntry]:
        """Return a range of entries by index."""
        rows = await self._all("fsck_entries", first, first + count, 2 * count)
        return [
            StoredEntry(
                leaf_index=row["leaf_index"],
                leaf_hash=row["leaf_hash"],
                leaf=row["leaf"],
                logged_at=row["logged_at"],
                columns=EntryColumns(
                    kind=row["kind"],
                    operation=row["op"],
                    decision=row["decision"],
                    partner_id=row["partner_id"],
                    purpose=row["purpose"],
                    subject_index=row["subject_bidx"],
                    verification_id=row["verification_id"],
                ),
            )
            for row in rows
        ]

    async def secrets(self, first: int, count: int) -> Sequence[EntrySecret]:
        """Return a range of secrets by index."""
        rows = await self._all("fsck_secrets", first, first + count, 2 * count)
        return [EntrySecret(**dict(row)) for row in rows]

    async def strays(self, limit: int) -> Sequence[tuple[Stray, int]]:
        """Return rows whose index the head does not reach."""
        return [(Stray(row["stray"]), row["leaf_index"]) for row in await self._all("fsck_strays", limit)]

    async def batches(self, above: int, limit: int) -> Sequence[StoredBatch]:
        """Return a page of batches by size."""
        return [StoredBatch(**dict(row)) for row in await self._all("fsck_batches", above, limit)]

    async def tiles(self, level: int, first: int, limit: int) -> Sequence[StoredTile]:
        """Return a page of the full tiles of a level by index."""
        rows = await self._all("fsck_tiles", level, first, limit)
        return [StoredTile(row["idx"], row["hashes"], row["root"]) for row in rows]

    async def request_days(self) -> Sequence[dt.date]:
        """Return the days that have a partition for one-time ids."""
        return [row["day"] for row in await self._all("fsck_request_days")]

    async def requests(
        self, days: Sequence[dt.date], low: bytes, high: bytes, limit: int, *, without: str | None = None
    ) -> Sequence[StoredRequest]:
        """Return one-time ids of some days in a range of ids."""
        rows = await self._all("fsck_requests", days, low, high, limit, without)
        return [StoredRequest(row["req_id"], row["day"]) for row in rows]

    async def idempotency(self, after: StoredIdempotency | None, limit: int) -> Sequence[StoredIdempotency]:
        """Return a page of idempotency keys."""
        last = ("", "", b"") if after is None else (after.partner_id, after.operation, after.key_hash)
        return [_idempotency(row) for row in await self._all("fsck_idempotency", *last, limit)]

    async def partners(self) -> Mapping[str, Row]:
        """Return all partners by identifier."""
        rows = [dict(row) for row in await self._whole("fsck_partners")]
        return {
            row["partner_id"]: {**row, "scopes": sorted(row["scopes"]), "purposes": sorted(row["purposes"])}
            for row in rows
        }

    async def keys(self) -> Mapping[str, Row]:
        """Return all keys by thumbprint."""
        rows = [dict(row) for row in await self._whole("fsck_keys")]
        return {row["thumbprint"]: {**row, "jwk": _object(row["jwk"])} for row in rows}

    async def deviations(self) -> Sequence[tuple[Deviation, str]]:
        """Return what differs from what was shipped."""
        try:
            async with self._pool.acquire(timeout=PAGE_DEADLINE_S) as connection:
                return await find_deviations(connection)
        except SERVER_AWAY as exc:
            raise _away("deviations", exc) from exc

    async def _all(self, name: str, *values: object) -> Any:  # noqa: ANN401 - asyncpg.Record is untyped
        return await self._whole(name, self._log_id, *values)

    async def _whole(self, name: str, *values: object) -> Any:  # noqa: ANN401 - asyncpg.Record is untyped
        try:
            async with self._pool.acquire(timeout=PAGE_DEADLINE_S) as connection:
                return await connection.fetch(self._queries[name], *values, timeout=PAGE_DEADLINE_S)
        except SERVER_AWAY as exc:
            raise _away(name, exc) from exc


def _away(name: str, exc: BaseException) -> GatewayError:
    facts = {"query": name, "cause": type(exc).__name__}
    return GatewayError(ErrorKind.STORE_UNAVAILABLE, facts=facts, retry_after_s=1)


def _idempotency(row: Any) -> StoredIdempotency:  # noqa: ANN401 - asyncpg.Record is untyped
    return StoredIdempotency(
        partner_id=row["partner_id"],
        operation=row["op"],
        key_hash=row["key_hash"],
        body_hash=row["body_hash"],
        verification_id=row["verification_id"],
        created_ms=row["created_ms"],
        leaf=row["leaf"],
        salt=row["salt"],
        key_id=row["key_id"],
        sealed=row["sealed"],
    )


def _object(text: str) -> Json:
    try:
        return parse_json_object(text.encode())
    except JsonError:
        return None
