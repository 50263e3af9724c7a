"""A whole feed on one stage: a publisher, the platform that serves it, the real client, loop and replica on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from gateway.credit.facts import SubjectFacts
from gateway.credit.feed_version import ReplicaState, VerifiedManifest, VersionKind
from gateway.credit.identifiers import Uscc
from gateway.postgres.queries import Queries
from gateway.postgres.replica_store import PostgresReplica
from gateway.postgres.replica_writer import PostgresReplicaWriter
from gateway.sandbox.lines import Line
from gateway.sandbox.publisher import Publisher
from gateway.worker.feed import FeedLoop, Needs, TickOutcome
from tests.fakes.municipal import FEED, FakeMunicipal, SteadyClock, client_of, make_firm, serving


@dataclass
class CountedMetrics:
    """`gateway.worker.ports.FeedMetrics`, kept."""

    applied: list[tuple[str, int]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unreachable: list[str] = field(default_factory=list)
    stood_at: list[ReplicaState] = field(default_factory=list)

    def version_applied(self, kind: str, records: int) -> None:
        self.applied.append((kind, records))

    def feed_refused(self, reason: str) -> None:
        self.refused.append(reason)

    def feed_unreachable(self, reason: str) -> None:
        self.unreachable.append(reason)

    def feed_stands_at(self, state: ReplicaState) -> None:
        self.stood_at.append(state)


@dataclass
class Stage:
    """Everything a feed test touches."""

    clock: SteadyClock
    publisher: Publisher
    platform: FakeMunicipal
    pool: asyncpg.Pool
    writer: PostgresReplicaWriter
    replica: PostgresReplica
    loop: FeedLoop
    metrics: CountedMetrics

    def publish(self, kind: VersionKind, lines: list[Line | bytes]) -> VerifiedManifest:
        """Publish the next version, a second later."""
        self.clock.advance(1)
        return self.publisher.publish(kind, lines)

    def snapshot(self, lines: list[Line | bytes]) -> VerifiedManifest:
        return self.publish(VersionKind.SNAPSHOT, lines)

    def delta(self, *lines: Line | bytes) -> VerifiedManifest:
        return self.publish(VersionKind.DELTA, list(lines))

    async def tick(self, **options: int) -> TickOutcome:
        self.clock.advance(1)
        return await self.loop.tick(**options)

    async def facts(self, number: int) -> SubjectFacts:
        return await self.replica.look_up(Uscc(make_firm(number).uscc))

    async def version(self) -> int:
        return (await self.writer.state()).version

    async def rows(self, sql: str, *values: object) -> list[dict[str, object]]:
        return [dict(row) for row in await self.pool.fetch(sql, *values)]


def new_loop(stage: Stage, source: object) -> FeedLoop:
    """A loop as a restarted process has it: no memory."""
    return FeedLoop(Needs(source=source, replica=stage.writer, metrics=stage.metrics, clock=stage.clock))


@asynccontextmanager
async def feed_stage(dsn: str, directory: Path) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        clock, metrics, queries = SteadyClock(), CountedMetrics(), Queries.load("replica")
        publisher = Publisher(directory, feed=FEED, clock=clock)
        platform = await stack.enter_async_context(serving(publisher, directory))
        source = await stack.enter_async_context(client_of(platform))
        pool = await stack.enter_async_context(asyncpg.create_pool(dsn, min_size=0, max_size=6))
        writer = PostgresReplicaWriter(pool, queries, feed=FEED)
        replica = PostgresReplica(pool, queries, feed=FEED)
        stack.push_async_callback(replica.close)
        loop = FeedLoop(Needs(source=source, replica=writer, metrics=metrics, clock=clock))
        yield Stage(clock, publisher, platform, pool, writer, replica, loop, metrics)
