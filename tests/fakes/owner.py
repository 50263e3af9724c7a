"""The owner of the database, as a test plays it: a superuser whose session fires no trigger; and what must then be seen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
from prometheus_client import generate_latest

from gateway.audit.entry import LeafKind
from gateway.audit.guard import Doubt
from gateway.audit.merkle import Frontier, leaf_hash
from gateway.base.clock import SystemClock
from gateway.base.sealing import Sealer
from gateway.base.secret import Secret
from gateway.verification.ledger import Names
from gateway.verification.operator_ledger import OperatorLedger
from gateway.wiring.worker import Worker, readiness
from tests.conftest import LOG_ID, ORIGIN, Database
from tests.fakes import gateway as kit
from tests.fakes.gateway import Gateway, PartnerClient

CHECKPOINT = "/v1/log/checkpoint"
TABLES = ("head", "batch", "entry", "secret", "request", "tile", "idempotency")


@dataclass
class Owner:
    """The owner of the database: a superuser whose session fires no trigger."""

    connection: asyncpg.Connection

    async def run(self, sql: str, *values: object) -> None:
        await self.connection.execute(sql, *values)

    async def save(self) -> None:
        """Keep a copy of the log as it is now, as a backup would."""
        for table in TABLES:
            await self.run(f"CREATE TABLE public.kept_{table} AS TABLE audit.{table}")

    async def restore(self) -> None:
        """Put the copy in the log's place."""
        async with self.connection.transaction():
            for table in TABLES:
                await self.run(f"DELETE FROM audit.{table}")
                await self.run(f"INSERT INTO audit.{table} SELECT * FROM public.kept_{table}")

    async def head(self) -> asyncpg.Record:
        return await self.connection.fetchrow("SELECT size, root, frontier, ts FROM audit.head")

    async def append(self, leaves: list[bytes], mac: bytes | None) -> Frontier:
        """Append leaves that nobody logged, all rows as the committer writes them."""
        head = await self.head()
        plan = Frontier.from_bytes(head["size"], head["frontier"]).plan(len(leaves))
        rows = [
            await self.connection.fetch(
                "SELECT leaf_hash FROM audit.entry WHERE leaf_index >= $1 AND leaf_index < $2 ORDER BY leaf_index",
                gap.first,
                gap.first + gap.count,
            )
            for gap in plan.missing
        ]
        grown = plan.append([leaf_hash(leaf) for leaf in leaves], [[row[0] for row in gap] for gap in rows])
        async with self.connection.transaction():
            for index, leaf in enumerate(leaves, start=head["size"]):
                await self.run(
                    "INSERT INTO audit.entry (log_id, leaf_index, logged_at, leaf_hash, leaf, kind, op, decision) "
                    "VALUES ($1, $2, $3, $4, $5, 'query', 'verifications', 'allow:clear')",
                    LOG_ID,
                    index,
                    head["ts"],
                    leaf_hash(leaf),
                    leaf,
                )
            await self.run(
                "INSERT INTO audit.batch (log_id, size, prev_size, root, ts, writer, mac) VALUES ($1,$2,$3,$4,$5,$6,$7)",
                LOG_ID,
                grown.frontier.size,
                head["size"],
                grown.root,
                head["ts"],
                "gw-test/worker-0",
                mac,
            )
            await self.run(
                "UPDATE audit.head SET size = $1, root = $2, frontier = $3",
                grown.frontier.size,
                grown.root,
                grown.frontier.to_bytes(),
            )
        return grown.frontier


async def public(gateway: Gateway, path: str) -> tuple[int, str]:
    async with gateway.session.get(gateway.base + path) as answer:
        return answer.status, await answer.text()


async def assert_stopped(gateway: Gateway, partner: PartnerClient, doubt: Doubt) -> None:
    """Nothing is answered or signed, the process says why, and the numbers of the log stand still."""
    before = await gateway.audit_rows()
    status, headers, problem = await partner.verify(kit.CLEAR)
    checkpoint, _text = await public(gateway, CHECKPOINT)

    assert (status, problem["code"], checkpoint) == (503, "store_unavailable", 503)
    assert int(headers["Retry-After"]) > 0
    assert await readiness(gateway.worker) == (doubt,)
    assert f'gateway_log_doubted{{reason="{doubt}"}} 1.0' in generate_latest(gateway.worker.metrics.registry).decode()
    assert await gateway.audit_rows() == before


async def commit_one(worker: Worker) -> None:
    """Let a process commit an operator's act: the shortest way to one more batch."""
    ledger = OperatorLedger(
        worker.committer,
        Sealer({1: Secret(bytes(32))}, current=1),
        Names(origin=ORIGIN, gateway="gw-test"),
        SystemClock(),
    )
    await ledger.act(LeafKind.CONFIG, "test.act", b"{}", None)


async def copy_tables(connection: asyncpg.Connection, copy: Database) -> None:
    there = await copy.connect()
    await there.execute("SET session_replication_role = replica")
    for table in TABLES:
        rows = await connection.fetch(f"SELECT * FROM audit.{table}")
        await there.execute(f"DELETE FROM audit.{table}")
        if rows:
            marks = ", ".join(f"${n}" for n in range(1, len(rows[0]) + 1))
            await there.executemany(f"INSERT INTO audit.{table} VALUES ({marks})", [tuple(row) for row in rows])
    await there.close()


@asynccontextmanager
async def owning(database: Database) -> AsyncIterator[Owner]:
    """Play the owner for the length of a block."""
    connection = await database.connect()
    try:
        await connection.execute("SET session_replication_role = replica")
        yield Owner(connection)
    finally:
        await connection.close()
