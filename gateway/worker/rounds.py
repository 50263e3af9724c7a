"""Going round the replica all the time, slowly, and doubting it when a row is not what was signed.

For: the feed process. Not for: one round at once (``compare.compare_all``), nor for ending a doubt, which is an operator's act.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.base.errors import GatewayError
from gateway.base.log import get_logger
from gateway.worker.compare import MAX_UNSETTLED, PAGE_ROWS, Comparison, Round, RoundResult, Unsettled
from gateway.worker.proving import raise_doubt

if TYPE_CHECKING:
    from gateway.base.clock import Clock
    from gateway.worker.ports import FeedGuard, FeedMetrics, ReplicaPages

REST_S: Final = 10.0
"""Between rounds, and between looks at whether a doubt has ended."""
MIN_PAUSE_S: Final = 0.02
"""Between pages, however many there are: a version is never kept waiting, nor a processor filled."""

_log: Final = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundNeeds:
    """The powers of the rounds."""

    guard: FeedGuard
    pages: ReplicaPages
    metrics: FeedMetrics
    clock: Clock


class Rounds:
    """Compares one feed for ever."""

    def __init__(self, needs: RoundNeeds, *, round_s: float) -> None:
        self._needs: Final = needs
        self._round_s: Final = round_s

    async def run(self) -> None:
        """Go round until cancelled. Two sweeps along all rows take ``round_s``, or longer where the pages are too many for it."""
        while True:
            try:
                doubted = await self._needs.guard.doubted()
                self._needs.metrics.replica_doubted(doubted=doubted)
                if not doubted:
                    await self.go_round()
            except GatewayError as exc:
                _log.warning("feed_comparison_failed", reason=exc.reason)
            await asyncio.sleep(REST_S)

    async def go_round(self) -> Round:
        """Go round once; a difference ends it, for one is enough to stop the answers."""
        needs = self._needs
        comparison = Comparison(needs.guard, needs.pages)
        found = comparison.round
        await comparison.head()
        pause_s = await self._pause()
        more, unsettled = not found.counts, 0
        while more:
            try:
                more = await comparison.page()
                unsettled = 0
            except Unsettled:
                unsettled += 1
            more = more and not found.counts and unsettled <= MAX_UNSETTLED
            if more:  # never between what was found and saying so
                await asyncio.sleep(pause_s)
        now = needs.clock.now_ms()
        match found.result:
            case RoundResult.DIFFERS:
                await raise_doubt(needs.guard, needs.metrics, found.finding, now)
            case RoundResult.CLEAN:
                needs.metrics.replica_compared(now)
                _log.info("feed_replica_compared", version=found.version, records=found.rows)
            case RoundResult.UNKNOWN:
                _log.warning("feed_replica_not_proven", version=found.version)
        return found

    async def _pause(self) -> float:
        digests = await self._needs.guard.digests()
        rows = 0 if digests is None else digests.entries
        return max(MIN_PAUSE_S, self._round_s / (2 * rows / PAGE_ROWS + 6))
