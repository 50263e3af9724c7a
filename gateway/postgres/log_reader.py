"""Reading the log on PostgreSQL: for proofs, for answers read again and for operators.

For: ``gateway.verification.ports.Archive``. Not for: appending (``log_store``), checking the whole log (``fsck_reader``).
Reads use the pool; a leaf whose commit was acknowledged is visible to every one of them. Whatever PostgreSQL raises becomes
``GatewayError(STORE_UNAVAILABLE)``, and that no connection came free ``GatewayError(OVERLOADED)``: a reader can only ask again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.audit.batch_mac import ClaimedTree, TreePoint
from gateway.audit.columns import EntryColumns
from gateway.audit.merkle import EMPTY_ROOT
from gateway.audit.readers import StoredHead
from gateway.base.clock import Millis
from gateway.base.errors import ErrorKind, GatewayError
from gateway.postgres.pool import SERVER_AWAY, Pool, borrow
from gateway.postgres.queries import Queries
from gateway.verification.ports import Archived, Kept, StoredLeaf, StoredSecret

READ_DEADLINE_S: Final = 5.0
MAX_LEAF_INDEX: Final = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentLeaf:
    """One leaf as operators list it."""

    leaf_index: int
    logged_at: dt.datetime
    kind: str
    partner_id: str | None
    operation: str
    purpose: str | None
    decision: str
    verification_id: str | None
    leaf: bytes


@dataclass(frozen=True, slots=True)
class SealedLeaf:
    """A leaf and its secret as stored."""

    leaf: bytes
    salt: bytes
    key_id: int
    sealed: bytes


class PostgresLogReader:
    """Reads one log through a pool; ``acquire_s`` is how long it waits for a connection of it."""

    def __init__(self, pool: Pool, queries: Queries, *, log_id: int, acquire_s: float = READ_DEADLINE_S) -> None:
        self._acquire_s: Final = acquire_s
        self._pool: Final = pool
        self._queries: Final = queries
        self._log_id: Final = log_id

    # What proofs need -------------------------------------------------------------------------------------------

    async def full_tile(self, level: int, index: int) -> bytes:
        """Return the 8,192 bytes of a full tile; empty bytes if it is not stored."""
        row = await self._one("full_tile", level, index)
        return b"" if row is None else bytes(row["hashes"])

    async def leaf_hashes(self, first: int, count: int) -> Sequence[bytes]:
        """Return consecutive leaf hashes."""
        rows = await self._all("leaf_hashes", first, first + count)
        return [row["leaf_hash"] for row in rows]

    async def tile_roots(self, level: int, first: int, count: int) -> Sequence[bytes]:
        """Return the roots of consecutive full tiles of a level."""
        rows = await self._all("tile_roots", level, first, first + count)
        return [row["root"] for row in rows]

    # What answers read again need --------------------------------------------------------------------------------

    async def verification(self, verification_id: str) -> Archived | None:
        """Return the row found under a verification's id, with the batch that committed it."""
        row = await self._one("verification", verification_id)
        if row is None:
            return None
        batch = await self._one("batch_after", row["leaf_index"])
        tree = ClaimedTree(TreePoint(0, EMPTY_ROOT))
        if batch is not None:
            tree = ClaimedTree(TreePoint(batch["size"], batch["root"]), _before(batch), batch["mac"])
        columns = EntryColumns(
            kind=row["kind"],
            partner_id=row["partner_id"],
            operation=row["op"],
            purpose=row["purpose"],
            decision=row["decision"],
            subject_index=row["subject_bidx"],
            verification_id=row["verification_id"],
        )
        return Archived(stored=_stored_leaf(row), leaf_hash=row["leaf_hash"], columns=columns, tree=tree)

    async def kept(self, partner_id: str, operation: str, key_hash: bytes, since: Millis) -> Kept | None:
        """Return what an idempotency key was used for since an instant."""
        row = await self._one("idempotency", partner_id, operation, key_hash, since)
        return None if row is None else Kept(row["body_hash"], row["verification_id"])

    # What the token endpoint needs --------------------------------------------------------------------------------

    async def registrations(self, partner_id: str, thumbprint: str, limit: int) -> Sequence[StoredLeaf]:
        """Return the leaves about a partner and about one key of it, in the order of the log."""
        rows = await self._all("registrations", partner_id, thumbprint.encode("ascii"), limit)
        return [_stored_leaf(row) for row in rows]

    async def head(self) -> StoredHead:
        """Return the head as stored."""
        row = _present(await self._one("head"))
        return StoredHead(row["size"], row["root"], row["frontier"], row["ts"], _before(row), row["mac"], row["closed"])

    # What operators need ------------------------------------------------------------------------------------------

    async def recent(self, limit: int, before: int = MAX_LEAF_INDEX) -> Sequence[RecentLeaf]:
        """Return the latest leaves before an index, newest first."""
        rows = await self._all("recent_entries", before, limit)
        return [
            RecentLeaf(
                leaf_index=row["leaf_index"],
                logged_at=row["logged_at"],
                kind=row["kind"],
                partner_id=row["partner_id"],
                operation=row["op"],
                purpose=row["purpose"],
                decision=row["decision"],
                verification_id=row["verification_id"],
                leaf=row["leaf"],
            )
            for row in rows
        ]

    async def sealed(self, index: int) -> SealedLeaf | None:
        """Return the sealed plaintext of one leaf; ``None`` after an erasure."""
        row = await self._one("sealed", index)
        return None if row is None else SealedLeaf(row["leaf"], row["salt"], row["key_id"], row["sealed"])

    async def _one(self, name: str, *values: object) -> Any:  # noqa: ANN401 - asyncpg.Record is untyped
        rows = await self._all(name, *values)
        return rows[0] if rows else None

    async def _all(self, name: str, *values: object) -> Any:  # noqa: ANN401 - asyncpg.Record is untyped
        try:
            async with borrow(self._pool, timeout_s=self._acquire_s) as connection:
                return await connection.fetch(self._queries[name], self._log_id, *values, timeout=READ_DEADLINE_S)
        except SERVER_AWAY as exc:
            facts = {"query": name, "cause": type(exc).__name__}
            raise GatewayError(ErrorKind.STORE_UNAVAILABLE, facts=facts, retry_after_s=1) from exc


def _before(row: Any) -> TreePoint | None:  # noqa: ANN401 - asyncpg.Record is untyped
    return None if row["prev_root"] is None else TreePoint(row["prev_size"], row["prev_root"])


def _stored_leaf(row: Any) -> StoredLeaf:  # noqa: ANN401 - asyncpg.Record is untyped
    secret = None
    if row["salt"] is not None:
        secret = StoredSecret(salt=row["salt"], key_id=row["key_id"], sealed=row["sealed"])
    return StoredLeaf(leaf_index=row["leaf_index"], leaf=row["leaf"], secret=secret)


def _present(row: Any) -> Any:  # noqa: ANN401 - asyncpg.Record is untyped
    if row is None:
        raise GatewayError(ErrorKind.STORE_UNAVAILABLE, facts={"missing_row": True}, retry_after_s=1)
    return row
