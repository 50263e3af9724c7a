"""The audit commit on a real PostgreSQL that fails at COMMIT and around it (F5, F7, F14, F16; audit log design, rows 3, 4, 9, 12).

The committer and its store are the real ones; the faults come from a proxy before the server, from triggers or from other sessions.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg
import pytest

from gateway.audit.committer import Committer, Outcome, Pace
from gateway.audit.policy import parse_policy, render_policy
from gateway.audit.ports import Committed, PendingEntry, Refusal, Refused
from gateway.audit.proofs import verify_inclusion
from gateway.audit.tlog_proof import parse_tlog_proof
from gateway.base.errors import ErrorKind, GatewayError
from gateway.base.secret import Secret
from gateway.postgres.log_store import PostgresLogStore
from gateway.postgres.pool import COMMITTER_SETTINGS, Target, connect
from gateway.postgres.queries import Queries
from tests.conftest import LOG_ID, Database
from tests.fakes.entries import DAY, make_entry, make_signer
from tests.fakes.guard import make_guardian
from tests.fakes.processes import until
from tests.fakes.proxy import AtCommit, Proxy, proxied
from tests.faults.checkers import check_log

pytestmark = pytest.mark.slow

PATIENCE_S = 30.0
DEADLINE_S = 20.0
"""Nobody may wait longer than this for an answer or a refusal."""


@dataclass
class Failures:
    """`gateway.audit.committer.CommitterMetrics`, kept, with an event for news."""

    committed: int = 0
    failed: list[str] = field(default_factory=list)

    def batch_committed(self, entries: int, seconds: float) -> None:
        del seconds
        self.committed += entries

    def batch_failed(self, reason: str) -> None:
        self.failed.append(reason)


@dataclass
class Bench:
    """A committer on a database, and what it said about its failures."""

    committer: Committer
    failures: Failures

    async def submit(self, *entries: PendingEntry) -> list[Outcome | BaseException]:
        async with asyncio.timeout(DEADLINE_S):
            return await asyncio.gather(*map(self.committer.submit, entries), return_exceptions=True)


@asynccontextmanager
async def committing(dsn: str, *, settle_s: float = 8.0) -> AsyncIterator[Bench]:
    target = Target(dsn=Secret(dsn.encode()), application_name="test log", settings=COMMITTER_SETTINGS)
    store = PostgresLogStore(lambda: connect(target), Queries.load("audit"), log_id=LOG_ID)
    failures = Failures()
    committer = Committer(store, make_guardian(), failures, writer="test/0", pace=Pace(linger_s=0.0, settle_s=settle_s))
    task = asyncio.create_task(committer.run())
    try:
        yield Bench(committer, failures)
    finally:
        committer.close()
        await task
        await store.close()


@pytest.fixture
async def proxy(database: Database) -> AsyncIterator[Proxy]:
    async with proxied(database) as made:
        yield made


@pytest.fixture
async def bench(proxy: Proxy, database: Database) -> AsyncIterator[Bench]:
    async with committing(proxy.dsn(database)) as made:
        yield made


@pytest.fixture
async def admin(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await database.connect()
    yield connection
    await connection.close()


async def leaves(connection: asyncpg.Connection) -> list[bytes]:
    return [bytes(row["leaf"]) for row in await connection.fetch("SELECT leaf FROM audit.entry ORDER BY leaf_index")]


def assert_proven(entries: Sequence[PendingEntry], outcomes: Sequence[object], stored: Sequence[bytes]) -> None:
    """Each entry was answered, has one leaf, and its proof verifies up to the signature."""
    policy = parse_policy(render_policy([make_signer().vkey]).encode())
    for entry, outcome in zip(entries, outcomes, strict=True):
        assert isinstance(outcome, Committed), outcome
        assert stored[outcome.leaf_index] == entry.leaf
        assert stored.count(entry.leaf) == 1
        proof = parse_tlog_proof(outcome.proof.encode())
        tree = policy.open_checkpoint(proof.checkpoint).checkpoint
        verify_inclusion(
            leaf_hash=entry.leaf_hash, index=outcome.leaf_index, size=tree.size, path=proof.path, root=tree.root
        )


def assert_unavailable(outcomes: Sequence[object]) -> None:
    for outcome in outcomes:
        assert isinstance(outcome, GatewayError), outcome
        assert (outcome.kind, outcome.retry_after_s) == (ErrorKind.STORE_UNAVAILABLE, 1)


@pytest.mark.parametrize("fate", [AtCommit.CUT_BEFORE, AtCommit.CUT_AFTER])
@pytest.mark.parametrize("size", [0, 253, 254, 256])
async def test_a_commit_without_reply_is_resolved_and_answered_once(  # noqa: PLR0917 - fixtures, by name
    bench: Bench, proxy: Proxy, admin: asyncpg.Connection, database: Database, fate: AtCommit, size: int
) -> None:
    """The reply of COMMIT is lost, or COMMIT itself: four callers get their answers, each with exactly one leaf."""
    if size:
        await bench.submit(*(make_entry() for _ in range(size)))
    entries = [make_entry() for _ in range(4)]
    proxy.commits = [fate]

    outcomes = await bench.submit(*entries)

    stored = await leaves(admin)
    assert proxy.faults == 1
    assert len(stored) == size + 4
    assert_proven(entries, outcomes, stored)
    # In the one form the outcome was found out, in the other the batch was run again.
    assert bench.failures.failed == ([] if fate is AtCommit.CUT_AFTER else ["CommitUnknown"])
    await check_log(database)


@pytest.mark.parametrize("fate", [AtCommit.CUT_BEFORE, AtCommit.CUT_AFTER])
async def test_several_commits_in_a_row_may_get_lost_and_the_one_that_looks_too(
    bench: Bench, proxy: Proxy, admin: asyncpg.Connection, database: Database, fate: AtCommit
) -> None:
    """The COMMIT of the look (which is a write of its own) gets lost as well: looked again, answered once."""
    entries = [make_entry() for _ in range(3)]
    proxy.commits = [fate, fate, fate]

    outcomes = await bench.submit(*entries)

    stored = await leaves(admin)
    assert (proxy.faults, len(stored)) == (3, 3)
    assert_proven(entries, outcomes, stored)
    await check_log(database)


async def test_a_proof_whose_commit_reply_was_lost_stays_used(
    bench: Bench, proxy: Proxy, admin: asyncpg.Connection
) -> None:
    """Nothing is answered twice for one one-time id, however its commit went."""
    claim = b"p" * 16
    proxy.commits = [AtCommit.CUT_AFTER]

    first, second = await bench.submit(make_entry(claim=claim), make_entry(claim=claim))
    (later,) = await bench.submit(make_entry(claim=claim))

    assert isinstance(first, Committed)
    for outcome in (second, later):
        assert isinstance(outcome, Refused)
        assert (outcome.reason, outcome.claim.day) == (Refusal.REPLAYED, DAY)
    assert len(await leaves(admin)) == 1


async def test_a_server_that_stays_away_after_the_commit_means_no_answer(database: Database, own_log: Database) -> None:
    """COMMIT got lost in either form and the server is unreachable until the deadline: refused; one leaf too many at most."""

    async def lose(where: Database, fate: AtCommit) -> list[bytes]:
        async with proxied(where) as proxy, committing(proxy.dsn(where), settle_s=1.0) as bench:
            proxy.commits, proxy.refuse_after_fault = [fate], True
            entries = [make_entry() for _ in range(2)]
            assert_unavailable(await bench.submit(*entries))

            proxy.refusing, proxy.refuse_after_fault = False, False
            last = make_entry()
            outcomes = await bench.submit(last)

        connection = await where.connect()
        stored = await leaves(connection)
        await connection.close()
        assert_proven([last], outcomes, stored)
        assert stored[:-1] == ([entry.leaf for entry in entries] if fate is AtCommit.CUT_AFTER else [])
        await check_log(where)
        return stored

    await asyncio.gather(lose(database, AtCommit.CUT_AFTER), lose(own_log, AtCommit.CUT_BEFORE))


@pytest.fixture
async def own_log(database: Database) -> AsyncIterator[Database]:
    """A second database on the same server."""
    other = Database(database.server, f"{database.name}_b")
    await database.server.create_database(other.name, template="gateway_template")
    yield other
    await database.server.drop_database(other.name)


async def test_a_commit_whose_reply_does_not_come_holds_the_answers_and_ends_no_one_elses(
    bench: Bench, proxy: Proxy, admin: asyncpg.Connection, database: Database
) -> None:
    """The line goes dead after COMMIT, without an end: callers may give up, no answer leaves, and work resumes with the line."""
    entry, waiting = make_entry(), make_entry()
    proxy.commits = [AtCommit.MUTE]
    caller = asyncio.create_task(bench.committer.submit(entry))
    await proxy.fault_seen.wait()
    caller.cancel()  # its deadline passed
    next_caller = asyncio.create_task(bench.committer.submit(waiting))

    assert await leaves(admin) == [entry.leaf]
    assert not next_caller.done()
    proxy.thaw()

    async with asyncio.timeout(DEADLINE_S):
        outcome = await next_caller
    assert caller.cancelled()
    assert_proven([waiting], [outcome], await leaves(admin))
    await check_log(database)


WARN_AT_COMMIT = """
CREATE FUNCTION public.warn() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE WARNING 'canceling wait for synchronous replication due to user request' USING ERRCODE = '01000';
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER warn_at_commit AFTER {event} ON audit.{table}
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.warn();
"""


async def test_a_warning_on_commit_makes_its_outcome_unknown_until_a_commit_without_one(
    bench: Bench, admin: asyncpg.Connection, database: Database
) -> None:
    """A cancelled wait for the standby says COMMIT and warns: looked up by a synchronous write, then answered once."""
    await admin.execute(WARN_AT_COMMIT.format(table="batch", event="INSERT"))
    entries = [make_entry() for _ in range(3)]

    outcomes = await bench.submit(*entries)

    assert_proven(entries, outcomes, await leaves(admin))
    # The look went over another connection: the first one's word was not taken.
    assert await admin.fetchval("SELECT count(*) FROM audit.entry") == 3
    await admin.execute("DROP TRIGGER warn_at_commit ON audit.batch")
    await check_log(database)


async def test_while_every_commit_warns_nothing_is_answered(admin: asyncpg.Connection, database: Database) -> None:
    """No standby confirms anything: the rows are on one machine only, so the callers are refused; it heals by itself."""
    await admin.execute(WARN_AT_COMMIT.format(table="head", event="UPDATE"))

    async with committing(database.dsn_of("gateway_api"), settle_s=1.0) as bench:
        assert_unavailable(await bench.submit(make_entry(), make_entry()))

        await admin.execute("DROP TRIGGER warn_at_commit ON audit.head")
        last = make_entry()
        assert_proven([last], await bench.submit(last), await leaves(admin))
    await check_log(database)


async def test_a_locked_head_is_waited_for_with_a_limit_and_then_tried_again(
    bench: Bench, admin: asyncpg.Connection, database: Database
) -> None:
    """An operator's session holds the head: `lock_timeout` ends each wait, and the entry is committed once it lets go."""
    entry = make_entry()
    transaction = admin.transaction()
    await transaction.start()
    await admin.execute("SELECT FROM audit.head FOR UPDATE")
    caller = asyncio.create_task(bench.committer.submit(entry))
    await until(lambda: bench.failures.failed, "a failed attempt", PATIENCE_S)
    assert not caller.done()
    await transaction.rollback()

    async with asyncio.timeout(DEADLINE_S):
        outcome = await caller
    assert set(bench.failures.failed) == {"StoreFailed"}
    assert_proven([entry], [outcome], await leaves(admin))
    await check_log(database)


@pytest.mark.parametrize("table", ["request", "entry", "secret"])
async def test_a_missing_partition_fails_no_entry_for_good(
    bench: Bench, admin: asyncpg.Connection, database: Database, table: str
) -> None:
    """The partition of the day or month is not there: that is the store's fault, not the entry's; made, it is committed."""
    suffix = f"{DAY:%Y%m%d}" if table == "request" else f"{DAY:%Y%m}"
    await admin.execute(f"DROP TABLE audit.{table}_{suffix}")
    entries = [make_entry() for _ in range(3)]
    callers = asyncio.gather(*map(bench.committer.submit, entries))
    await until(lambda: bench.failures.failed, "a failed attempt", PATIENCE_S)
    if table != "request":
        await restore(admin, table, suffix)
    await admin.execute("SELECT audit.ensure_partitions($1, 7)", DAY)

    async with asyncio.timeout(DEADLINE_S):
        outcomes = await callers
    assert set(bench.failures.failed) == {"StoreFailed"}
    assert_proven(entries, outcomes, await leaves(admin))
    await check_log(database)


async def restore(admin: asyncpg.Connection, table: str, suffix: str) -> None:
    """Make one month's partition by hand: `ensure_partitions` makes those of entry and secret together or not at all."""
    first = DAY.replace(day=1)
    following = (first + dt.timedelta(days=31)).replace(day=1)
    await admin.execute(
        f"CREATE TABLE audit.{table}_{suffix} PARTITION OF audit.{table} "
        f"FOR VALUES FROM ('{first} 00:00:00+00') TO ('{following} 00:00:00+00')"
    )


async def test_a_writer_whose_session_is_ended_again_and_again_commits_each_entry_once(
    bench: Bench, admin: asyncpg.Connection, database: Database
) -> None:
    """An administrator ends the writer's session at whatever it is doing, connecting included; then lets it get one batch through."""
    rounds = 25
    entries = [make_entry() for _ in range(3 * rounds)]
    outcomes: list[object] = []
    ended = 0
    for number in range(0, len(entries), 3):
        callers = asyncio.create_task(bench.submit(*entries[number : number + 3]))
        failed = len(bench.failures.failed)
        while not callers.done() and len(bench.failures.failed) == failed:
            ended += await admin.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'test log'"
            )
        outcomes += await callers

    assert ended >= rounds // 2
    assert_proven(entries, outcomes, await leaves(admin))
    await check_log(database)
