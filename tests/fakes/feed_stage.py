"""A whole feed on one stage: a publisher, the platform that serves it, the real client, loop and replica on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from gateway.credit.facts import SubjectFacts
from gateway.credit.feed_version import ReplicaState, VerifiedManifest, VersionKind
from gateway.credit.identifiers import Uscc
from gateway.guard.replica.files import GuardFiles
from gateway.guard.replica.keeper import KeptGuard
from gateway.municipal.envelope import parse_platform_keys
from gateway.municipal.manifest import verify_manifest
from gateway.postgres.queries import Queries
from gateway.postgres.replica_pages import PostgresReplicaPages
from gateway.postgres.replica_store import PostgresReplica
from gateway.postgres.replica_writer import PostgresReplicaWriter
from gateway.sandbox.lines import Line
from gateway.sandbox.publisher import Publisher
from gateway.worker.compare import Comparison, Round, compare_all
from gateway.worker.feed import FeedLoop, Needs, TickOutcome
from tests.fakes.municipal import FEED, FakeMunicipal, SteadyClock, client_of, make_firm, serving


@dataclass
class CountedMetrics:
    """`gateway.worker.ports.FeedMetrics`, kept."""

    applied: list[tuple[str, int]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unreachable: list[str] = field(default_factory=list)
    stood_at: list[ReplicaState] = field(default_factory=list)
    differed: list[tuple[str, int]] = field(default_factory=list)
    compared_at: list[int] = field(default_factory=list)
    doubted: bool = False

    def version_applied(self, kind: str, records: int) -> None:
        self.applied.append((kind, records))

    def feed_refused(self, reason: str) -> None:
        self.refused.append(reason)

    def feed_unreachable(self, reason: str) -> None:
        self.unreachable.append(reason)

    def feed_stands_at(self, state: ReplicaState) -> None:
        self.stood_at.append(state)

    def replica_differs(self, kind: str, count: int) -> None:
        self.differed.append((kind, count))

    def replica_compared(self, now_ms: int) -> None:
        self.compared_at.append(now_ms)

    def replica_doubted(self, *, doubted: bool) -> None:
        self.doubted = doubted


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
    guard: KeptGuard
    pages: PostgresReplicaPages
    files: GuardFiles

    def publish(self, kind: VersionKind, lines: list[Line | bytes]) -> VerifiedManifest:
        """Publish the next version, a second later."""
        self.clock.advance(1)
        return self.publisher.publish(kind, lines)

    def snapshot(self, lines: list[Line | bytes]) -> VerifiedManifest:
        return self.publish(VersionKind.SNAPSHOT, lines)

    def delta(self, *lines: Line | bytes) -> VerifiedManifest:
        return self.publish(VersionKind.DELTA, list(lines))

    def first_digest(self) -> bytes:
        """The manifest digest of version 1, as anyone can read it."""
        keys = parse_platform_keys(self.publisher.keys_text)
        return verify_manifest((self.platform.directory / "manifests" / "1.json").read_bytes(), keys, FEED).digest

    async def tick(self, **options: Any) -> TickOutcome:
        self.clock.advance(1)
        return await self.loop.tick(**options)

    async def facts(self, number: int) -> SubjectFacts:
        return await self.replica.look_up(Uscc(make_firm(number).uscc))

    async def version(self) -> int:
        return (await self.writer.state()).version

    async def compare(self) -> Round:
        """Compare everything, once."""
        return await compare_all(Comparison(self.guard, self.pages), lambda _rows: None, pause_s=0, patience=3)

    async def rows(self, sql: str, *values: object) -> list[dict[str, object]]:
        return [dict(row) for row in await self.pool.fetch(sql, *values)]


def new_loop(stage: Stage, source: object) -> FeedLoop:
    """A loop as a restarted process has it: no memory but the guard's folder."""
    return FeedLoop(
        Needs(source=source, replica=stage.writer, guard=stage.guard, metrics=stage.metrics, clock=stage.clock)
    )


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
        files = GuardFiles.of(directory / "guard", FEED)
        guard = KeptGuard(files, patience_s=0.0)
        pages = PostgresReplicaPages(pool, Queries.load("replica_pages"), feed=FEED)
        loop = FeedLoop(Needs(source=source, replica=writer, guard=guard, metrics=metrics, clock=clock))
        yield Stage(clock, publisher, platform, pool, writer, replica, loop, metrics, guard, pages, files)
