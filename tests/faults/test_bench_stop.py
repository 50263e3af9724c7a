"""The benchmark, however it ends, leaves nothing running and no folder behind."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fakes.stopping import CTRL_C, Started, started, until

pytestmark = pytest.mark.slow

ON_DISK = Path("/var/tmp")
UP = b"Memory over"
"""Said once the database and the gateway's worker answer."""
ARGUMENTS = ["-m", "bench", "--only", "memory", "--memory-requests", "2000000"]

if len(os.sched_getaffinity(0)) < 2:
    pytest.skip("the benchmark needs two cores", allow_module_level=True)


class Folders:
    """The folders that runs have made since, those included that are gone."""

    def __init__(self) -> None:
        self._before = self._now()
        self._seen: set[Path] = set()

    def __call__(self) -> set[Path]:
        self._seen |= self._now() - self._before
        return self._seen

    def kept(self) -> set[Path]:
        return self() & self._now()

    @staticmethod
    def _now() -> set[Path]:
        return set(ON_DISK.glob("credit-gateway-bench-*"))


@contextmanager
def bench(*, terminal: bool) -> Iterator[Started]:
    """A run that would take hours; afterwards there is nothing of it."""
    folders = Folders()
    with started([sys.executable, *ARGUMENTS], folders, terminal=terminal) as run:
        yield run
        assert folders() != set(), "it made none"
        left = (run.left_over(), folders.kept())
    assert left == ([], set()), bytes(run.said).decode(errors="replace")


def until_up(run: Started) -> None:
    run.until_said(UP)
    names = " ".join(run.running().values())
    assert "bench.service L5" in names
    assert "postgres" in names


def test_sigterm_ends_everything():
    with bench(terminal=False) as run:
        until_up(run)

        run.process.send_signal(signal.SIGTERM)

        assert run.ended() == 128 + signal.SIGTERM
        assert b"Traceback" not in run.said


def test_ctrl_c_reaches_every_process_of_the_terminal_and_a_second_one_changes_nothing():
    with bench(terminal=True) as run:
        until_up(run)

        run.type(CTRL_C)
        run.until_said(b"SIGINT: stopping")
        run.type(CTRL_C)

        assert run.ended() == 128 + signal.SIGINT
        assert b"Traceback" not in run.said


def test_a_terminal_that_closes_ends_everything():
    with bench(terminal=True) as run:
        until_up(run)

        run.hang_up()

        assert run.ended() == 128 + signal.SIGHUP


def test_a_signal_in_the_middle_of_the_start_ends_what_has_begun():
    with bench(terminal=False) as run:
        until(lambda: "postgres" in " ".join(run.running().values()), "the database")

        run.process.send_signal(signal.SIGTERM)

        assert run.ended() == 128 + signal.SIGTERM
        assert UP not in run.said


def test_a_crash_of_the_run_itself_ends_everything():
    with bench(terminal=False) as run:
        until_up(run)
        (measuring,) = (
            int(pid) for pid in Path(f"/proc/{run.process.pid}/task/{run.process.pid}/children").read_text().split()
        )

        os.kill(measuring, signal.SIGKILL)

        assert run.ended() == 128 + signal.SIGKILL


def test_a_guard_that_is_killed_takes_every_process_with_it():
    folders = Folders()
    with started([sys.executable, *ARGUMENTS], folders, terminal=False) as run:
        until_up(run)

        run.process.kill()
        run.ended()

        until(lambda: not run.running(), "the end of every process")
    assert len(folders.kept()) == 1, "the folder stays: nobody is there to remove it"
    for folder in folders.kept():
        shutil.rmtree(folder)
