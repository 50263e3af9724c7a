"""Work done in a row at the end of a turn of the event loop."""

from __future__ import annotations

import asyncio

import pytest

from gateway.base.errors import ErrorKind, GatewayError
from gateway.web.turn import MAX_IN_A_ROW, Turn


async def test_everyone_gets_what_was_found_for_them():
    turn = Turn(lambda number: number * 2)

    assert await asyncio.gather(*(turn.ask(number) for number in range(3 * MAX_IN_A_ROW))) == [
        number * 2 for number in range(3 * MAX_IN_A_ROW)
    ]


async def test_work_starts_when_everyone_who_is_ready_has_asked():
    begun = []
    turn = Turn(begun.append)

    first, second = turn.ask("first"), turn.ask("second")

    assert begun == []
    await asyncio.gather(first, second)
    assert begun == ["first", "second"]


async def test_others_have_their_turn_between_two_rows():
    order = []
    turn = Turn(order.append)
    last = [turn.ask(number) for number in range(MAX_IN_A_ROW + 1)][-1]
    asyncio.get_running_loop().call_soon(order.append, "other")

    await last

    assert order == [*range(MAX_IN_A_ROW), "other", MAX_IN_A_ROW]


async def test_a_refusal_reaches_only_whom_it_concerns():
    def work(number):
        if number == 1:
            raise GatewayError(ErrorKind.INVALID_TOKEN)
        return number

    turn = Turn(work)
    found = await asyncio.gather(*(turn.ask(number) for number in range(3)), return_exceptions=True)

    assert (found[0], found[2]) == (0, 2)
    assert isinstance(found[1], GatewayError)


async def test_a_defect_reaches_only_whom_it_concerns_and_keeps_its_places():
    turn = Turn(lambda number: 1 // number)
    broken, good = turn.ask(0), turn.ask(1)

    assert await good == 1
    with pytest.raises(ZeroDivisionError) as caught:
        await broken
    assert any(frame.name == "_settle" for frame in caught.traceback)


async def test_no_work_is_done_for_who_gave_up():
    begun = []
    turn = Turn(begun.append)
    asked = turn.ask("gone")
    stays = turn.ask("stays")

    asked.cancel()
    await stays

    assert begun == ["stays"]
