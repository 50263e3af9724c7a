"""The demo stops in order, gateway, platform, database, and after its last word there is nothing: no process, no traceback, no 503."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fakes.stopping import CTRL_C, Started, started, until

pytestmark = pytest.mark.slow

DIRECT = [sys.executable, "-m", "gateway", "demo"]
LAST_WORD = b"Stopped."
STOPPING = b"stopping"


@dataclass
class Demo:
    """A demo with the smallest city and one worker, and the files of its run."""

    run: Started
    home: Path
    ready_file: Path

    def until_up(self) -> None:
        until(lambda: self.ready_file.exists() or self.run.process.poll() is not None, "the ready file")
        assert self.ready_file.exists(), bytes(self.run.said).decode(errors="replace")
        assert len(self.run.running()) >= 5

    def log(self, name: str) -> str:
        return (self.home / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def check_order(self) -> None:
        """The logs of a stop in order: no part missed another that had gone before it."""
        for name in ("gateway", "municipal"):
            assert "Traceback" not in self.log(name)
            assert '"level": "error"' not in self.log(name).replace('":"', '": "')
        server = (self.home / "postgres" / "server.log").read_text(encoding="utf-8", errors="replace")
        assert "received fast shutdown request" in server
        assert "terminating connection due to administrator command" not in server, "somebody was still connected"
        assert "database system is shut down" in server
        gateway, city = self.home / "gateway.log", self.home / "postgres" / "server.log"
        assert gateway.stat().st_mtime <= city.stat().st_mtime


@contextmanager
def demo(folder: Path, *, terminal: bool, make: bool = False, before: tuple[str, ...] = ()) -> Iterator[Demo]:
    """Run a demo for the length of a block, in which it is stopped; afterwards there is nothing but its directory."""
    home, ready_file = folder / "home", folder / "ready.json"
    options = ["--data-dir", str(home), "--port", "0", "--size", "10", "--workers", "1", "--ready-file", str(ready_file),
               "--lang", "en"]  # fmt: skip
    command = ["make", "demo", f"ARGS={' '.join(options)}"] if make else [*before, *DIRECT, *options]
    with started(command, lambda: [home], terminal=terminal) as run:
        yield Demo(run, home, ready_file)
        left = run.left_over()
    assert left == [], bytes(run.said).decode(errors="replace")
    assert not ready_file.exists()
    assert b"Traceback" not in run.said


@dataclass
class Crowd:
    """Somebody who asks again and again until nobody answers any more."""

    url: str
    statuses: set[int] = field(default_factory=set)
    _thread: threading.Thread = field(init=False)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()
        until(lambda: self.statuses, "the first answer")

    def gone(self) -> set[int]:
        self._thread.join()
        return self.statuses

    def _ask(self) -> None:
        while True:
            try:
                with urllib.request.urlopen(self.url, timeout=10) as answer:
                    self.statuses.add(answer.status)
            except urllib.error.HTTPError as refused:
                self.statuses.add(refused.code)
                refused.close()
            except OSError:
                return


def test_sigterm_stops_it_in_order_and_nobody_is_answered_503(tmp_path: Path):
    with demo(tmp_path, terminal=False) as one:
        one.until_up()
        crowd = Crowd(json.loads(one.ready_file.read_bytes())["api"] + "/v1/log/checkpoint")
        crowd.start()

        one.run.process.send_signal(signal.SIGTERM)

        assert one.run.ended() == 0
        assert crowd.gone() == {200}
        one.check_order()
        until(lambda: LAST_WORD in one.run.said, "its last word")
        assert bytes(one.run.said).rstrip().splitlines()[-1].startswith(LAST_WORD)


def test_ctrl_c_on_a_terminal_through_make_and_a_second_one_changes_nothing(tmp_path: Path):
    with demo(tmp_path, terminal=True, make=True) as one:
        one.until_up()

        one.run.type(CTRL_C)
        one.run.until_said(STOPPING)
        # make dies of a second one at once, and would tell us too early that all is over: the demo gets it alone.
        (ours,) = (pid for pid, name in one.run.running().items() if "credit-gateway demo" in name)
        os.kill(ours, signal.SIGINT)

        one.run.ended()
        one.check_order()
        assert LAST_WORD in one.run.said


def test_a_terminal_that_closes_stops_it_in_order(tmp_path: Path):
    with demo(tmp_path, terminal=True) as one:
        one.until_up()

        one.run.hang_up()

        assert one.run.ended() == 0
        one.check_order()


def test_a_terminal_that_closes_without_a_signal_to_it_is_noticed(tmp_path: Path):
    """In a session of its own it still writes to the terminal, which no longer controls it."""
    with demo(tmp_path, terminal=True, before=("sh", "-c", 'setsid "$@" & wait', "sh")) as one:
        one.until_up()

        one.run.hang_up()

        until(lambda: not one.run.running(), "its end")
        one.check_order()


def test_sigterm_to_make_stops_it_in_order(tmp_path: Path):
    with demo(tmp_path, terminal=False, make=True) as one:
        one.until_up()

        one.run.process.send_signal(signal.SIGTERM)

        one.run.ended()
        until(lambda: LAST_WORD in one.run.said, "its last word")
        one.check_order()


@pytest.mark.parametrize("moment", ["database", "platform", "gateway"])
def test_a_signal_in_the_middle_of_the_start_stops_what_has_begun(tmp_path: Path, moment: str):
    signs = {"database": "initdb", "platform": "gateway.sandbox", "gateway": "serve"}
    with demo(tmp_path, terminal=False) as one:
        until(lambda: any(signs[moment] in name for name in one.run.running().values()), moment)

        one.run.process.send_signal(signal.SIGINT)

        assert one.run.ended() == 0
        assert not one.ready_file.exists()
