"""SIGKILL of worker processes under load (F1, F3): nothing that was answered is lost, and nobody has to help."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.conftest import Database
from tests.fakes.load import under_load
from tests.fakes.processes import serve
from tests.faults.checkers import check_history

pytestmark = pytest.mark.slow

CLIENTS = 8
KILLS = 3


async def test_answers_survive_the_death_of_workers_under_load(database: Database, tmp_path: Path) -> None:
    """Workers die at random instants: every answer has its leaf and proof, none is given twice, successors serve again."""
    rng = random.Random(20261122)
    history_file = tmp_path / "history.jsonl"
    async with serve(database, tmp_path) as served:
        clients = await served.crowd(CLIENTS)
        async with under_load(clients, history_file) as history:
            for kill in range(KILLS):
                await history.more_answers(rng.randint(30, 90))
                slot = kill % 2
                dead = served.worker(slot)
                await served.kill(dead)
                await served.until_replaced(slot, dead)
            await history.more_answers(CLIENTS * 5)

        checked = await check_history(history_file, database, served.policy, tmp_path)
        status, metrics = await served.admin("/metrics")

    # Only requests that were on their way may be lost, one a client: what waits for a successor is served by it.
    assert history.lost <= KILLS * CLIENTS
    assert history.count(503) == 0
    assert checked.unanswered <= history.lost
    assert checked.answers > KILLS * 30
    assert status == 200
    assert 'gateway_child_restarts{child="worker-0"} 2.0' in metrics
