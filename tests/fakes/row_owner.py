"""The owner of the database, as a test plays it on single rows, and puts back what was there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.conftest import Database

_BY_INDEX = ("audit.entry", "audit.secret")
_BY_NAME = {
    "identity.partner": "partner_id",
    "identity.partner_key": "thumbprint",
    "audit.idempotency": "verification_id",
}


@dataclass
class RowOwner:
    """Runs statements with triggers and foreign keys off; ``restore`` puts back every row that was there before the first one.

    A changed leaf hash breaks the proofs of its neighbours too, so a test that shares its database cleans up after itself.
    """

    database: Database
    _saved_size: int | None = None

    async def run(self, sql: str, *values: object) -> int:
        """Run one statement; return how many rows it touched. One that touched none proves nothing and fails the test."""
        connection: Any = await self._connect()
        try:
            if self._saved_size is None:
                await self._save(connection)
            touched = int((await connection.execute(sql, *values)).rpartition(" ")[2])
        finally:
            await connection.close()
        assert touched > 0, sql
        return touched

    async def restore(self) -> None:
        """Put back what was there; what the gateway appended since stays."""
        if self._saved_size is None:
            return
        connection: Any = await self._connect()
        try:
            for table in _BY_INDEX:
                appended = "leaf_index >= $1 AND leaf_index < (SELECT size FROM audit.head)"
                await connection.execute(f"DELETE FROM {table} WHERE NOT ({appended})", self._saved_size)
                await connection.execute(f"INSERT INTO {table} SELECT * FROM {_copy(table)}")
            for table, name in _BY_NAME.items():
                await connection.execute(f"DELETE FROM {table} WHERE {name} IN (SELECT {name} FROM {_copy(table)})")
                await connection.execute(f"INSERT INTO {table} SELECT * FROM {_copy(table)} ON CONFLICT DO NOTHING")
            for table in (*_BY_INDEX, *_BY_NAME):
                await connection.execute(f"DROP TABLE {_copy(table)}")
        finally:
            await connection.close()
        self._saved_size = None

    async def _connect(self) -> Any:
        connection: Any = await self.database.connect()
        await connection.execute("SET session_replication_role = replica")
        return connection

    async def _save(self, connection: Any) -> None:
        self._saved_size = await connection.fetchval("SELECT size FROM audit.head")
        for table in (*_BY_INDEX, *_BY_NAME):
            await connection.execute(f"CREATE TABLE {_copy(table)} AS TABLE {table}")


def _copy(table: str) -> str:
    return "public.saved_" + table.replace(".", "_")
