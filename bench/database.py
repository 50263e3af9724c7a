"""The harness's own connections: short, without the limits that the gateway's have."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import asyncpg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence

    CountRows = Callable[[], Coroutine[Any, Any, int]]

# asyncpg carries no types: what comes out of it is Any.
_connect: Final[Callable[..., Awaitable[Any]]] = asyncpg.connect
_CONNECT_S: Final = 10.0


@contextlib.asynccontextmanager
async def connected(database: str) -> AsyncIterator[Any]:
    """Give an asyncpg connection for the length of a block."""
    connection = await _connect(database, timeout=_CONNECT_S)
    try:
        yield connection
    finally:
        await connection.close(timeout=_CONNECT_S)


async def copy(connection: Any, table: str, columns: Sequence[str], records: Sequence[tuple[object, ...]]) -> None:
    """Append rows to ``schema.table`` by COPY."""
    schema, _, name = table.partition(".")
    await connection.copy_records_to_table(name, schema_name=schema, records=records, columns=list(columns))


def counter(database: str, question: str) -> CountRows:
    """Return a function that asks the database for one number."""

    async def count() -> int:
        async with connected(database) as connection:
            return int(await connection.fetchval(question) or 0)

    return count
