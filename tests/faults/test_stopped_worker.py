"""A worker that is stopped while it holds the lock on the head (audit log design, row 2): the server frees the lock, others go on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import asyncpg
import pytest

from tests.conftest import Database
from tests.fakes.load import under_load
from tests.fakes.processes import serve
from tests.faults.checkers import check_history

pytestmark = pytest.mark.slow

CLIENTS = 8
TRIES = 400
FREED_WITHIN_S = 10.0
"""The server's limit is one second; the machine may be busy."""
_HOLDS = """
SELECT count(*) FROM pg_stat_activity AS session JOIN pg_locks AS held USING (pid)
WHERE session.application_name = 'credit-gateway worker-0 log' AND session.state = 'idle in transaction'
    AND held.relation = 'audit.head'::regclass AND held.granted
"""
"""Idle with the table locked: it got its row, and waits for the worker's next word."""


async def test_a_worker_stopped_under_the_head_lock_does_not_stop_the_others(
    database: Database, tmp_path: Path
) -> None:
    """SIGSTOP in the middle of a commit: the server ends its transaction, the other worker answers; woken, it recovers."""
    history_file = tmp_path / "history.jsonl"
    admin = await database.connect()
    async with serve(database, tmp_path) as served:
        clients = await served.crowd(CLIENTS)
        stopped = served.worker(0)
        async with under_load(clients, history_file) as history:
            await history.more_answers(CLIENTS)
            assert await stop_under_the_lock(admin, stopped)
            try:
                await history.more_answers(CLIENTS, FREED_WITHIN_S)
                assert await admin.fetchval(_HOLDS) == 0
            finally:
                os.kill(stopped, signal.SIGCONT)
            await history.more_answers(CLIENTS * 5)
            assert served.worker(0) == stopped
        checked = await check_history(history_file, database, served.policy, tmp_path)
    await admin.close()

    assert history.lost == 0
    assert checked.unanswered == 0


async def stop_under_the_lock(admin: asyncpg.Connection, pid: int) -> bool:
    """Stop a process at instants as they come until the server says that it is inside a transaction."""
    for _ in range(TRIES):
        os.kill(pid, signal.SIGSTOP)
        if await admin.fetchval(_HOLDS) and await admin.fetchval(_HOLDS):
            return True
        os.kill(pid, signal.SIGCONT)
        await admin.fetchval("SELECT 1 FROM pg_sleep(0.003)")  # lets it go on a little
    return False
