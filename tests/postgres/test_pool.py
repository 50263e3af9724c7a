"""A busy pool is told apart from a database that fails, by everything that strangers reach."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from gateway.base.errors import ErrorKind, GatewayError
from gateway.base.secret import Secret
from gateway.postgres.log_reader import PostgresLogReader
from gateway.postgres.partner_store import PostgresPartnerDirectory
from gateway.postgres.pool import Pool, PoolSize, Target, borrow, open_pool
from gateway.postgres.queries import Queries
from gateway.postgres.replica_store import PostgresReplica
from tests.conftest import LOG_ID, Database

pytestmark = pytest.mark.slow  # each refusal waits for its deadline first

QUERIES = Queries.load()
SIZE = 2
SHORT_S = 0.05
BUSY = (ErrorKind.OVERLOADED, "database_busy", 1)

READS: dict[str, Callable[[Pool], Awaitable[object]]] = {
    "log": lambda pool: PostgresLogReader(pool, QUERIES, log_id=LOG_ID, acquire_s=SHORT_S).head(),
    "client": lambda pool: PostgresPartnerDirectory(pool, QUERIES).find_client("nobody-here", None),
    "status": lambda pool: PostgresReplica(pool, QUERIES, feed="municipal").source_state(),
    "names": lambda pool: PostgresReplica(pool, QUERIES, feed="municipal").candidates("天一", 1),
}


class OpeningInVain:
    """A pool that could have one more connection, and whose server does not let it in."""

    async def acquire(self, *, timeout: float) -> object:  # noqa: ASYNC109 - as asyncpg has it
        async with asyncio.timeout(timeout):
            return await asyncio.get_running_loop().create_future()

    def get_size(self) -> int:
        return SIZE - 1

    def get_max_size(self) -> int:
        return SIZE


async def opened(database: Database) -> Pool:
    target = Target(dsn=Secret(database.dsn.encode()), application_name="test")
    return await open_pool(target, PoolSize(minimum=1, maximum=SIZE))


async def refusal_of(awaitable: Awaitable[object]) -> tuple[ErrorKind, str, int | None]:
    with pytest.raises(GatewayError) as caught:
        await awaitable
    return caught.value.kind, caught.value.reason, caught.value.retry_after_s


@pytest.mark.parametrize("name", READS)
async def test_who_finds_every_connection_taken_is_told_to_come_back(database: Database, name: str) -> None:
    pool = await opened(database)
    try:
        async with AsyncExitStack() as stack:
            for _ in range(SIZE):
                await stack.enter_async_context(borrow(pool, timeout_s=5.0))
            refusal = await refusal_of(READS[name](pool))
        await READS[name](pool)  # all were given back
    finally:
        await pool.close()

    assert refusal == BUSY


@pytest.mark.parametrize("name", READS)
async def test_a_pool_that_is_gone_is_a_failure(database: Database, name: str) -> None:
    pool = await opened(database)
    pool.terminate()

    assert (await refusal_of(READS[name](pool)))[0] is ErrorKind.STORE_UNAVAILABLE


@pytest.mark.parametrize("name", READS)
async def test_a_server_that_lets_nobody_in_is_a_failure(name: str) -> None:
    assert (await refusal_of(READS[name](OpeningInVain())))[0] is ErrorKind.STORE_UNAVAILABLE


async def test_a_connection_is_given_back_by_a_block_that_fails(database: Database) -> None:
    pool = await opened(database)
    try:
        for _ in range(SIZE + 1):
            with pytest.raises(ZeroDivisionError):
                async with borrow(pool, timeout_s=5.0):
                    raise ZeroDivisionError
    finally:
        await pool.close()
