"""No field that a stranger can send costs more than it is long: the lines that run are counted, not the time.

Counted are the lines of Python that are executed for a request, ours and those of libraries that read for us; the server library
itself is left out, since the number of its reads depends on the network. Lines do not see the inside of a regular expression: those
are judged by their form in ``tests/architecture/test_patterns_are_linear.py``. Both together would have found the pattern of ``htu``.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
import pytest_asyncio

from bench.growing import FIELDS, FILLERS, Sender, filled
from tests.fakes.use_cases import CLIENT_ID, CLIENT_KEY, ISSUER, PROOF_KEY, Loopback, World, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOISE_LINES = 150
"""What differs between two requests of one size: a timer that fires, a line of the log that is handed over."""
SLACK = 1.1
TOO_LARGE = (413, 414, 431)
"""What was not read shows nothing: the sizes must be such as are allowed."""
_LEFT_OUT = ("asyncio", "aiohttp", "selectors", "multidict", "yarl", "/tests/", "_pytest", "pluggy", "tempfile")


class Lines:
    """How many lines ran while it was counting."""

    def __init__(self) -> None:
        self.count = 0

    def enter(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        name = frame.f_code.co_filename
        return None if any(part in name for part in _LEFT_OUT) else self._line

    def _line(self, _frame: FrameType, event: str, _argument: Any) -> Any:
        self.count += event == "line"
        return self._line


@contextmanager
def counting() -> Iterator[Lines]:
    lines = Lines()
    before = sys.gettrace()
    sys.settrace(lines.enter)
    try:
        yield lines
    finally:
        sys.settrace(before)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway() -> AsyncIterator[Loopback]:
    async with running(World()) as loopback:
        await loopback.verify()
        yield loopback


def sender_of(world: World) -> Sender:
    """The partner of the gateway of fakes."""
    return Sender(
        issuer=ISSUER,
        client_id=CLIENT_ID,
        kid=CLIENT_KEY.public.thumbprint,
        jwk=dict(PROOF_KEY.public.jwk),
        now_s=world.clock.now // 1000,
        credentials=world.credentials,
    )


async def work(gateway: Loopback, wire: bytes) -> tuple[int, int]:
    """The status of a request's answer, and the lines it took."""
    client = await gateway.connect()
    with counting() as lines:
        await client.send(wire)
        answer = await client.receive()
    await client.close()
    return answer.status, lines.count


def superlinear(small: int, middle: int, large: int) -> bool:
    """Tell whether work grew more from a half to the whole than from a quarter to a half, beyond twice."""
    return large - middle > 2 * SLACK * max(middle - small, 0) + NOISE_LINES


@pytest.mark.parametrize("name", FIELDS)
async def test_refusing_costs_no_more_than_the_field_is_long(gateway, name):
    """A quarter, a half and the whole of what may be sent, of each filling."""
    field, sender = FIELDS[name], sender_of(gateway.world)
    for filler in FILLERS:
        sizes = [field.largest // part for part in (4, 2, 1)]
        requests = [field.build(sender, filled(filler, size)) for size in sizes]
        await work(gateway, field.build(sender, filled(filler, sizes[0])))  # what is made once is made now
        found = [await work(gateway, wire) for wire in requests]

        assert all(status < 500 and status not in TOO_LARGE for status, _lines in found), (filler, found)
        assert not superlinear(*(lines for _status, lines in found)), (filler, found)


async def test_the_measure_sees_a_square():
    """A walk within a walk is found, at the sizes that are used; a walk after a walk is not."""

    def lines_of(walk: Any, size: int) -> int:
        with counting() as lines:
            sys.settrace(lambda *_values: lines._line)
            walk(size)
        return lines.count

    def square(size: int) -> None:
        for end in range(size // 10):
            for _ in range(end):
                pass

    def twice(size: int) -> None:
        for _ in range(size):
            pass
        for _ in range(size):
            pass

    assert superlinear(*(lines_of(square, size) for size in (1000, 2000, 4000)))
    assert not superlinear(*(lines_of(twice, size) for size in (1000, 2000, 4000)))
