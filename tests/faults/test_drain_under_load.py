"""SIGTERM under load (F39): a rolling restart and an orderly stop cost no request, and the exit code says that all went well."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import Database
from tests.fakes.load import History, Told, under_load
from tests.fakes.processes import serve, until
from tests.faults.checkers import check_history

pytestmark = pytest.mark.slow

CLIENTS = 6


async def test_a_rolling_restart_of_every_worker_fails_no_request(database: Database, tmp_path: Path) -> None:
    """Each worker in turn is asked to end and is replaced; clients that obey `Connection: close` notice nothing."""
    history_file = tmp_path / "history.jsonl"
    async with serve(database, tmp_path) as served:
        clients = await served.crowd(CLIENTS)
        async with under_load(clients, history_file) as history:
            for slot in range(2):
                await history.more_answers(CLIENTS * 3)
                old = served.worker(slot)
                os.kill(old, signal.SIGTERM)
                await served.until_replaced(slot, old)
            await history.more_answers(CLIENTS * 3)
        checked = await check_history(history_file, database, served.policy, tmp_path)

    assert failures(history) == []
    assert checked.unanswered == 0


async def test_an_orderly_stop_under_load_answers_everything_it_has_accepted(
    database: Database, tmp_path: Path
) -> None:
    """`serve` ends with 0 within its drain time; until then every request on an accepted connection is answered."""
    history_file = tmp_path / "history.jsonl"
    async with serve(database, tmp_path, drain_s="6") as served:
        clients = await served.crowd(CLIENTS)
        async with under_load(clients, history_file) as history:
            await history.more_answers(CLIENTS * 3)
            served.process.send_signal(signal.SIGTERM)
            # Clients are turned away one by one: each learns it on a new connection, never on one it was using.
            await until(lambda: served.process.poll() is not None, "end of serve", 6 + 5)
        checked = await check_history(history_file, database, served.policy, tmp_path)
        code = served.process.returncode

    assert code == 0, served.tail()
    lost = Counter(told.document for told in history.told if told.status == 0)
    resets = lost.total() - lost[REFUSED]
    # Newcomers are refused at once, not left in a queue until the end; only who came in the very moment is reset.
    assert lost[REFUSED] > CLIENTS
    assert resets <= CLIENTS
    assert history.count(503) == 0
    assert checked.unanswered == 0


REFUSED = "ClientConnectorError"
"""How the client names a connection that nobody took."""


def failures(history: History) -> list[Told]:
    """Return what no client should have been told: anything but an answer or a fresh nonce."""
    return [told for told in history.told if told.status not in {200, 401}]
