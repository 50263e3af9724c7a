"""The feed process: one a host, of which one in the cluster applies a version at a time; and the housekeeping of the database.

Not for: answering requests; a version that takes a minute to load must not make one of them wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Final

from gateway.base.clock import SystemClock
from gateway.base.log import get_logger
from gateway.base.settings import Settings
from gateway.guard.replica.files import GuardFiles
from gateway.guard.replica.keeper import KeptGuard
from gateway.municipal.client import FeedLimits, MunicipalFeed, open_feed_session
from gateway.postgres.housekeeping import forget_what_is_over, make_partitions
from gateway.postgres.pool import LOADER_SETTINGS, SERVER_AWAY, Pool, PoolSize, Target, open_pool
from gateway.postgres.queries import Queries
from gateway.postgres.replica_pages import PostgresReplicaPages
from gateway.postgres.replica_writer import PostgresReplicaWriter
from gateway.wiring.feed_watch import read_bounds
from gateway.wiring.host import read_platform_keys
from gateway.wiring.metrics import Metrics, name_process
from gateway.wiring.worker import READINESS_S, Lifeline
from gateway.worker.feed import FeedLoop, Needs
from gateway.worker.rounds import RoundNeeds, Rounds

HOUSEKEEPING_S: Final = 3600.0
_log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPowers:
    """What the feed process and an operator's feed commands work with."""

    loop: FeedLoop
    rounds: Rounds
    guard: KeptGuard
    pages: PostgresReplicaPages
    pool: Pool


@asynccontextmanager
async def open_feed(settings: Settings, metrics: Metrics) -> AsyncIterator[FeedPowers]:
    """Build the powers over one feed and keep them for the length of a block."""
    keys = read_platform_keys(settings)
    target = Target(dsn=settings.feed_database_dsn, application_name="credit-gateway feed", settings=LOADER_SETTINGS)
    pool = await open_pool(target, PoolSize(minimum=1, maximum=3))
    limits = FeedLimits()
    clock = SystemClock()
    guard = KeptGuard(GuardFiles.of(settings.guard_dir, settings.feed_name))
    pages = PostgresReplicaPages(pool, Queries.load("replica_pages"), feed=settings.feed_name)
    try:
        async with open_feed_session(limits) as session:
            source = MunicipalFeed(
                session,
                base_url=settings.feed_url,
                feed=settings.feed_name,
                keys=keys,
                directory=Path(gettempdir()),
                limits=limits,
            )
            replica = PostgresReplicaWriter(pool, Queries.load("replica"), feed=settings.feed_name)
            yield FeedPowers(
                loop=FeedLoop(Needs(source=source, replica=replica, guard=guard, metrics=metrics, clock=clock)),
                rounds=Rounds(
                    RoundNeeds(guard=guard, pages=pages, metrics=metrics, clock=clock), round_s=settings.feed_verify_s
                ),
                guard=guard,
                pages=pages,
                pool=pool,
            )
    finally:
        await pool.close()


async def run_feed(settings: Settings, line: Lifeline) -> None:
    """Pull the feed, compare and keep house until the line says stop. A version that is being applied is abandoned whole."""
    name_process("feed")
    files = GuardFiles.of(settings.guard_dir, settings.feed_name)
    async with open_feed(settings, Metrics(settings.feed_name)) as powers, asyncio.TaskGroup() as group:
        pulling = powers.loop.run(poll_s=settings.feed_poll_s, jitter=random.random)
        tasks = [
            group.create_task(pulling, name="feed"),
            group.create_task(powers.rounds.run(), name="feed-rounds"),
            group.create_task(_keep_house(powers.pool), name="housekeeping"),
        ]
        while not line.stopping.is_set():
            _bounds, reason = await asyncio.to_thread(read_bounds, files)
            line.report(() if reason is None else (reason,))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(READINESS_S):
                    await line.stopping.wait()
        for task in tasks:
            task.cancel()


async def _keep_house(pool: Pool) -> None:
    """Make the partitions of the coming days and forget what has ended by its own clock, once an hour."""
    queries = Queries.load("audit")
    clock = SystemClock()
    while True:
        now = clock.now_ms()
        try:
            async with pool.acquire() as connection:
                await make_partitions(connection, queries, now)
                forgotten = await forget_what_is_over(connection, queries, now)
            if forgotten.held_up:
                _log.info("forgetting_held_up")  # a backup, perhaps: nothing waits for it, and the next hour will do
            if forgotten.days or forgotten.keys:
                _log.info("past_forgotten", days=len(forgotten.days), keys=forgotten.keys)
        except SERVER_AWAY as exc:
            # Partitions exist for a week ahead: the next hour will do.
            _log.warning("housekeeping_failed", error=type(exc).__name__)
        await asyncio.sleep(HOUSEKEEPING_S)
