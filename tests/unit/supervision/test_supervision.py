"""Supervision: the line to a child, its restarts and its end. The children here are the real line with no gateway on it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket

import pytest

from gateway.supervision.children import MAX_BACKOFF_S, Blueprint, Child, decide_backoff
from gateway.supervision.heartbeat import lifeline, read_beats
from gateway.supervision.notify import notify_systemd


def test_the_back_off_doubles_and_is_capped():
    waits = [decide_backoff(failures) for failures in range(1, 40)]

    assert waits[:4] == [0.2, 0.4, 0.8, 1.6]
    assert max(waits) == waits[-1] == MAX_BACKOFF_S


async def test_the_supervisor_hears_what_the_child_reports():
    reading, writing = os.pipe()
    beats = read_beats(reading)

    async with lifeline(writing) as line:
        assert await anext(beats) == ("starting",)
        line.report(["no_feed_applied"])
        assert await anext(beats) == ("no_feed_applied",)
        line.report([])
        assert await anext(beats) == ()

    os.close(writing)
    assert [beat async for beat in beats] == []


async def test_a_child_whose_supervisor_is_gone_stops():
    reading, writing = os.pipe()

    async with lifeline(writing) as line:
        os.close(reading)
        line.report(["draining"])

        async with asyncio.timeout(5):
            await line.stopping.wait()
    os.close(writing)


async def test_sigterm_asks_the_child_to_stop():
    reading, writing = os.pipe()

    async with lifeline(writing) as line:
        os.kill(os.getpid(), signal.SIGTERM)

        async with asyncio.timeout(5):
            await line.stopping.wait()
    os.close(reading)
    os.close(writing)


async def test_a_line_that_is_no_beat_is_passed_over():
    reading, writing = os.pipe()
    os.write(writing, b'nonsense\n{"reasons":["x"]}\n')
    os.close(writing)

    assert [beat async for beat in read_beats(reading)] == [("x",)]


async def test_a_child_that_no_restart_can_mend_ends_its_keeping():
    """Wrong settings stay wrong: the exit code 78 is handed up instead of being tried again."""
    blueprint = Blueprint(name="feed", arguments=("feed-worker",), environment={"PATH": os.environ["PATH"]})
    stopping = asyncio.Event()

    assert await Child(blueprint).keep_alive(stopping) == 78


@pytest.mark.slow
async def test_a_child_that_dies_is_started_again():
    blueprint = Blueprint(name="odd", arguments=("version",), environment={"PATH": os.environ["PATH"]}, fatal_exit=78)
    stopping, child = asyncio.Event(), None
    deaths: list[int] = []

    def died() -> None:
        deaths.append(1)
        if len(deaths) == 2:
            stopping.set()

    child = Child(Blueprint(name="odd", arguments=blueprint.arguments, environment=blueprint.environment, died=died))

    assert await child.keep_alive(stopping) is None
    assert child.restarts >= 1


@pytest.mark.slow
async def test_a_child_that_is_born_while_we_stop_is_told_so():
    blueprint = Blueprint(name="late", arguments=("version",), environment={"PATH": os.environ["PATH"]})
    child, stopping = Child(blueprint), asyncio.Event()
    keeping = asyncio.create_task(child.keep_alive(stopping))
    await asyncio.sleep(0)  # it is being started
    stopping.set()

    async with asyncio.timeout(30):
        assert await keeping is None

    assert child.restarts == 0


def test_systemd_is_told_only_where_it_asked(monkeypatch: pytest.MonkeyPatch, tmp_path):
    notify_systemd("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "n"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "n"))

        notify_systemd("READY=1")

        assert sock.recv(100) == b"READY=1"
