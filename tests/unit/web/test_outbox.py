"""Answers that leave together, and those that may not wait."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from gateway.web.answer import WireAnswer
from gateway.web.outbox import Outbox


class Wire(asyncio.Transport):
    """A transport that keeps what is written in a list shared by all; ``backlog`` bytes wait for its client."""

    def __init__(self, written, *, closing=False, backlog=0):
        super().__init__()
        self._written = written
        self._closing = closing
        self._backlog = backlog

    def is_closing(self):
        return self._closing

    def get_write_buffer_size(self):
        return self._backlog

    def write(self, data):
        self._written.append(data)

    def writelines(self, parts):
        self._written.append(tuple(parts))


async def test_answers_are_written_in_order_when_everything_ready_has_run():
    written = []
    outbox = Outbox()

    outbox.put(Wire(written), b"first")
    outbox.put(Wire(written), b"second")
    assert written == []

    await asyncio.sleep(0)
    assert written == [b"first", b"second"]


async def test_each_turn_has_its_own():
    written = []
    outbox = Outbox()

    for answer in (b"first", b"second"):
        outbox.put(Wire(written), answer)
        await asyncio.sleep(0)
        assert written[-1] == answer

    assert written == [b"first", b"second"]


async def test_what_must_leave_at_once_leaves_after_what_waits():
    written = []
    outbox = Outbox()
    wire = Wire(written)

    outbox.put(wire, b"first")
    outbox.write_now(wire, b"last")

    assert written == [b"first", b"last"]
    await asyncio.sleep(0)
    assert written == [b"first", b"last"]


async def test_a_connection_that_has_closed_is_left_out():
    written = []
    outbox = Outbox()

    outbox.put(Wire(written, closing=True), b"lost")
    outbox.put(Wire(written), b"kept")
    await asyncio.sleep(0)

    assert written == [b"kept"]


async def test_a_body_beside_its_head_leaves_in_the_same_write():
    written = []
    body = bytes(10)
    outbox = Outbox()

    outbox.put(Wire(written), b"head", body)
    outbox.write_now(Wire(written), b"head", body)

    assert written == [(b"head", body)] * 2
    assert all(parts[1] is body for parts in written)


class BrokenWire(Wire):
    """A transport that finds out while it writes that it cannot."""

    def write(self, data):
        raise RuntimeError(data)


async def test_a_connection_that_breaks_takes_no_other_answer_with_it():
    written, errors = [], []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context["exception"]))
    outbox = Outbox()

    for wire, text in ((BrokenWire(written), b"lost"), (Wire(written), b"kept")):
        outbox.put(wire, text)
    await asyncio.sleep(0)
    outbox.put(Wire(written), b"next")
    await asyncio.sleep(0)

    assert written == [b"kept", b"next"]
    assert [error.args for error in errors] == [(b"lost",)]


async def answer(wire, *, keep_alive=True):
    """Answer a request on a connection, and tell how often its client was waited for."""
    waits = []

    async def drain():
        waits.append(wire)

    request = SimpleNamespace(transport=wire, writer=SimpleNamespace(drain=drain))
    ready = WireAnswer(200, (b"answer", b""), Outbox(), keep_alive=keep_alive)
    await ready.prepare(request)
    await ready.write_eof()
    return len(waits)


async def test_an_answer_on_a_connection_that_stays_open_waits_for_the_end_of_the_turn():
    written = []

    assert await answer(Wire(written)) == 0

    assert written == []
    await asyncio.sleep(0)
    assert written == [b"answer"]


async def test_an_answer_before_the_connection_closes_is_written_at_once():
    written = []

    assert await answer(Wire(written), keep_alive=False) == 0

    assert written == [b"answer"]


async def test_a_client_that_has_not_read_the_last_answer_is_waited_for():
    written = []

    assert await answer(Wire(written, backlog=1)) == 1

    assert written == [b"answer"]


async def test_a_client_that_is_gone_ends_the_connection():
    with pytest.raises(ConnectionResetError):
        await answer(Wire([], closing=True))
