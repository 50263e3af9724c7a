"""The deadline of a request: it ends what takes too long, and leaves other cancellations alone."""

from __future__ import annotations

import asyncio

import pytest

from gateway.web.deadline import Deadlines


def running() -> asyncio.Task[None]:
    task = asyncio.current_task()
    assert task is not None
    return task


async def test_what_takes_too_long_ends_in_a_timeout_and_the_task_goes_on():
    with pytest.raises(TimeoutError), Deadlines(0.0).of(running()):
        await asyncio.Event().wait()

    assert await asyncio.sleep(0, "still running") == "still running"


async def test_what_is_in_time_is_not_disturbed():
    with Deadlines(60.0).of(running()):
        result = await asyncio.sleep(0, "done")

    assert result == "done"


async def test_a_cancellation_from_elsewhere_stays_a_cancellation():
    async def wait() -> None:
        with Deadlines(60.0).of(running()):
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
