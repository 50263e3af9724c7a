"""The polling loop around `tick`: nothing ends it but its owner."""

import asyncio
import contextlib

import pytest

from gateway.credit.feed_version import FeedUnreachable
from gateway.guard.replica.files import GuardFiles
from gateway.guard.replica.keeper import KeptGuard
from gateway.worker.feed import FeedLoop, Needs, TickResult
from tests.fakes.feed_stage import CountedMetrics
from tests.fakes.municipal import FEED, SteadyClock, make_state


class Replica:
    """Knows what stands; a failing poll records its event here."""

    def __init__(self):
        self.events = []

    async def state(self):
        return make_state()

    async def record_event(self, event):
        self.events.append(event)


class Source:
    """Fails in each of the ways given, in order, and then says that it was asked enough."""

    def __init__(self, *failures):
        self.failures = list(failures)
        self.done = asyncio.Event()

    async def head(self):
        if not self.failures:
            self.done.set()
            await asyncio.Event().wait()
        raise self.failures.pop(0)


def make_loop(source, folder):
    metrics = CountedMetrics()
    guard = KeptGuard(GuardFiles.of(folder, FEED))
    needs = Needs(source=source, replica=Replica(), guard=guard, metrics=metrics, clock=SteadyClock())
    return FeedLoop(needs), metrics


async def test_a_defect_in_one_poll_does_not_end_the_next(tmp_path):
    source = Source(RuntimeError("defect"), FeedUnreachable("status_503"), RuntimeError("defect"))
    loop, metrics = make_loop(source, tmp_path)
    running = asyncio.create_task(loop.run(poll_s=0.0, jitter=lambda: 0.5))

    await source.done.wait()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running

    assert running.cancelled()
    assert metrics.unreachable == ["status_503"]


async def test_cancelling_in_the_middle_of_a_poll_ends_the_loop(tmp_path):
    source = Source()
    loop, _ = make_loop(source, tmp_path)
    running = asyncio.create_task(loop.run(poll_s=0.0, jitter=lambda: 0.5))
    await source.done.wait()

    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running


async def test_an_outcome_says_whether_to_wait_longer(tmp_path):
    loop, _ = make_loop(Source(FeedUnreachable("cut_off")), tmp_path)

    outcome = await loop.tick()

    assert (outcome.result, outcome.reason, outcome.failed) == (TickResult.UNREACHABLE, "cut_off", True)
