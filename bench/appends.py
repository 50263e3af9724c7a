"""T8: how many leaves a second become durable through the committer, beside one row a commit with 32 clients of pgbench.

Both write the same rows to the same server: a leaf, its secret and a one-time id. The committer serialises on the head row, grows
the tree, signs a checkpoint a batch and renders a proof a leaf; pgbench only inserts and commits. Both drive from the service's
core while PostgreSQL has the other.

    python -m bench.appends --core 0 --setup setup.json --seconds 5      (called by the harness; prints one line of JSON)
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import uvloop

from bench import machine
from bench.database import connected
from bench.processes import ROOT
from gateway.audit.merkle import leaf_hash
from gateway.audit.ports import Committed, PendingEntry
from gateway.base.host_keys import load_host_keys
from gateway.base.onetime import one_time_id
from gateway.base.settings import Settings, load_settings
from gateway.postgres.log_reader import PostgresLogReader
from gateway.postgres.pool import PoolSize, Target, open_pool
from gateway.postgres.queries import Queries
from gateway.wiring.log import guarded_log, running_committer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.world import World
    from gateway.audit.committer import Committer

IN_FLIGHT: Final = 256
"""As many as one batch takes; a loaded gateway of two workers has about that many requests at once."""
PGBENCH_CLIENTS: Final = 32
LEAF_BYTES: Final = 700
SEALED_BYTES: Final = 600
_TPS: Final = re.compile(r"^tps = ([0-9.]+) \(without initial connection time\)", re.MULTILINE)

_PGBENCH_TABLES: Final = """
CREATE SCHEMA IF NOT EXISTS bench_one_row;
CREATE TABLE IF NOT EXISTS bench_one_row.entry (LIKE audit.entry INCLUDING ALL);
CREATE TABLE IF NOT EXISTS bench_one_row.secret (LIKE audit.secret INCLUDING ALL);
CREATE TABLE IF NOT EXISTS bench_one_row.request (LIKE audit.request INCLUDING ALL);
CREATE SEQUENCE IF NOT EXISTS bench_one_row.any_index;
CREATE TABLE IF NOT EXISTS bench_one_row.head (log_id smallint PRIMARY KEY, size bigint NOT NULL) WITH (fillfactor = 10);
INSERT INTO bench_one_row.head VALUES (1, 0) ON CONFLICT DO NOTHING;
"""
_ROWS: Final = f"""), request AS (
    INSERT INTO bench_one_row.request (log_id, req_day, req_id)
    SELECT 1, current_date, uuid_send(gen_random_uuid()) FROM fresh
), secret AS (
    INSERT INTO bench_one_row.secret (log_id, leaf_index, logged_at, salt, key_id, sealed)
    SELECT 1, n, now(), sha256(int8send(n)), 1, convert_to(repeat('x', {SEALED_BYTES}), 'UTF8') FROM fresh
)
INSERT INTO bench_one_row.entry (log_id, leaf_index, logged_at, leaf_hash, leaf, kind, partner_id, op, purpose, decision,
    subject_bidx, verification_id)
SELECT 1, n, now(), sha256(int8send(n)), convert_to(repeat('x', {LEAF_BYTES}), 'UTF8'), 'query', 'prt_bench',
    'verifications', 'onboarding', 'allow.clear', substr(sha256(int8send(n)), 1, 16), 'ver_' || n
FROM fresh;
"""
# One statement and one round trip a row: the friendliest form for the peer.
_IN_ORDER: Final = (
    f"WITH fresh AS (UPDATE bench_one_row.head SET size = size + 1 WHERE log_id = 1 RETURNING size AS n{_ROWS}"
)
_IN_ANY_ORDER: Final = f"WITH fresh AS (SELECT nextval('bench_one_row.any_index') AS n{_ROWS}"


class Silent:
    """Counts nothing."""

    def batch_committed(self, entries: int, seconds: float) -> None:
        """One batch became durable."""

    def batch_failed(self, reason: str) -> None:
        """One attempt failed."""


def committer_rate(world: World, setup: Path, cores: machine.Cores, seconds: float) -> float:
    """Run the committer in a process of its own and return its durable appends per second, checked against the log."""
    command = [sys.executable, "-m", "bench.appends", "--core", str(cores.service), "--setup", str(setup)]
    count = world.counter("SELECT size FROM audit.head WHERE log_id = 1")
    before = asyncio.run(count())
    done = subprocess.run([*command, "--seconds", str(seconds)], cwd=ROOT, check=True, capture_output=True, timeout=120)
    report = json.loads(done.stdout)
    if asyncio.run(count()) - before != report["total"]:
        msg = "the log did not grow by what was acknowledged"
        raise SystemExit(msg)
    return float(report["rate"])


def one_row_a_commit_rate(world: World, cores: machine.Cores, seconds: float, *, in_order: bool) -> float:
    """Return what pgbench makes durable per second with one transaction a row.

    ``in_order``: each row takes the next index of the log, without gaps, as an append-only log must; otherwise a sequence numbers
    them, with gaps and in no order, which is a table and no log.
    """
    asyncio.run(_execute(world.database, _PGBENCH_TABLES))
    script = world.folder / "one-row.sql"
    script.write_text(_IN_ORDER if in_order else _IN_ANY_ORDER, encoding="utf-8")
    command = [
        world.postgres.program("pgbench"), "--protocol", "prepared", "--no-vacuum", "--client", str(PGBENCH_CLIENTS), "--jobs", "1",
        "--time", str(max(int(seconds), 1)), "--file", str(script), world.database,
    ]  # fmt: skip
    done = subprocess.run(
        ["taskset", "-c", str(cores.service), *command], check=False, capture_output=True, text=True, timeout=120
    )
    found = _TPS.search(done.stdout)
    if found is None:
        msg = f"pgbench: {done.stderr.strip()[-500:]}"
        raise SystemExit(msg)
    return float(found[1])


async def _execute(database: str, statements: str) -> None:
    async with connected(database) as connection:
        await connection.execute(statements)


async def _drive(settings: Settings, seconds: float) -> dict[str, float]:
    """Keep ``IN_FLIGHT`` entries in the committer for some seconds; count what was acknowledged."""
    keys = load_host_keys(settings)
    deadline = time.perf_counter() + 1.0 + seconds
    opened = deadline - seconds
    counts = {"total": 0, "measured": 0}

    async def submit_in_turn(lane: int, committer: Committer) -> None:
        number = 0
        while time.perf_counter() < deadline:
            number += 1
            if not isinstance(await committer.submit(_entry(lane, number)), Committed):
                msg = "the committer refused an entry"
                raise SystemExit(msg)
            counts["total"] += 1
            counts["measured"] += opened <= time.perf_counter() < deadline

    pool = await open_pool(Target(dsn=settings.database_dsn, application_name="bench-appends"), PoolSize(maximum=1))
    reader = PostgresLogReader(pool, Queries.load(), log_id=settings.log_id)
    async with (
        guarded_log(settings, keys, reader) as guardian,
        running_committer(settings, settings.database_dsn, guardian, Silent(), process="bench-appends") as committer,
        asyncio.TaskGroup() as group,
    ):
        for lane in range(IN_FLIGHT):
            group.create_task(submit_in_turn(lane, committer), name=f"lane-{lane}")
    await pool.close()
    return {"total": counts["total"], "rate": counts["measured"] / seconds}


def _entry(lane: int, number: int) -> PendingEntry:
    salt = os.urandom(32)
    leaf = (f'{{"lane":{lane},"n":{number},"salt":"{salt.hex()}"' + '"x"'.ljust(LEAF_BYTES)).encode("ascii")[
        :LEAF_BYTES
    ]
    digest = leaf_hash(leaf)
    return PendingEntry(
        leaf=leaf,
        leaf_hash=digest,
        kind="query",
        operation="verifications",
        decision="allow:clear",
        salt=salt,
        key_id=1,
        sealed=bytes(SEALED_BYTES),
        partner_id="prt_bench",
        purpose="onboarding",
        subject_index=digest[:16],
        verification_id=f"ver_{salt[:13].hex()}",
        claims=(one_time_id(kind="dpop", holder="bench", jti=salt.hex(), signed_time_s=int(time.time())),),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--core", type=int, required=True)
    parser.add_argument("--setup", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args(arguments)
    machine.pin(options.core)
    settings = load_settings(msgspec.json.decode(options.setup.read_bytes(), type=dict[str, str]))
    print(json.dumps(uvloop.run(_drive(settings, options.seconds))))


if __name__ == "__main__":
    main()
