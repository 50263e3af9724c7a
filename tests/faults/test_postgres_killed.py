"""PostgreSQL dies and comes back under load (F4): killed, stopped fast, stopped at once, and single sessions of it ended."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import asyncpg
import pytest

from gateway.postgres.embedded_files import StopMode
from tests.conftest import Database
from tests.fakes.load import History, under_load
from tests.fakes.processes import Served, serve
from tests.faults.checkers import check_history

pytestmark = pytest.mark.slow

CLIENTS = 6
RECOVERY_S = 10.0
"""I14 of this fault: from the return of the server to the first answer."""


async def test_answers_survive_the_death_of_the_database_under_load(own_postgres: Database, tmp_path: Path) -> None:
    """While it is down every request is refused with 503 and a time to come back; after it, nobody has to help."""
    rng = random.Random(20261122)
    server = own_postgres.server
    history_file = tmp_path / "history.jsonl"
    async with serve(own_postgres, tmp_path) as served:
        workers = [served.worker(slot) for slot in range(2)]
        clients = await served.crowd(CLIENTS)
        async with under_load(clients, history_file) as history:
            for mode in (None, StopMode.IMMEDIATE, StopMode.FAST, None):
                await history.more_answers(rng.randint(20, 60))
                await (server.kill() if mode is None else server.stop(mode))
                await refused_while_down(history)
                await server.start()
                await history.more_answers(1, RECOVERY_S)
            await history.more_answers(CLIENTS * 5)
            await end_sessions(own_postgres)
            await history.more_answers(CLIENTS * 5)
            await served.until_ready()
        checked = await check_history(history_file, own_postgres, served.policy, tmp_path)
        assert [served.worker(slot) for slot in range(2)] == workers, served.tail()

    assert history.lost == 0  # the workers live: whoever asks is told something
    assert checked.answers > 100


async def refused_while_down(history: History) -> None:
    """Clients learn that they should come back; what was in flight has its fate known, so nothing is answered any more."""
    refusals = history.count(503)
    await history.until(lambda: history.count(503) >= refusals + 2 * CLIENTS, 30.0)
    answers = history.answers
    refusals = history.count(503)
    await history.until(lambda: history.count(503) >= refusals + CLIENTS, 30.0)
    assert history.answers == answers
    last = [told for told in history.told if told.status == 503][-CLIENTS:]
    assert all(told.retry_after is not None for told in last)


async def end_sessions(database: Database) -> None:
    """End every session of the gateway on the server, the committers' too."""
    connection: asyncpg.Connection = await database.connect()
    try:
        ended = await connection.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'credit-gateway%'"
        )
    finally:
        await connection.close()
    assert ended >= 4


async def test_a_gateway_that_starts_before_its_database_serves_once_it_is_there(
    own_postgres: Database, tmp_path: Path
) -> None:
    """The whole host comes up in any order (I14): `serve` waits for the database instead of giving up."""
    async with serve(own_postgres, tmp_path, workers=1) as served:
        client = await served.partner()
        dead = served.worker(0)
        await own_postgres.server.stop(StopMode.FAST)
        await served.kill(dead)
        await until_not_ready(served)
        await own_postgres.server.start()
        await served.until_ready()
        await client.sign_in()
        status, _headers, _answer = await client.verify("919900000000000192")

    assert status == 200


async def until_not_ready(served: Served) -> None:
    async with asyncio.timeout(10.0):
        while (await served.admin("/readyz"))[0] != 503:
            pass
