"""The digests of the feed when the process dies between two commits, in both orders, and when the guard's disk fails.

After each fault the pair of database and digests is consistent, or is made so from the signed files, or is said to be unknown.
"""

import asyncio
import contextlib
import sqlite3

import pytest

from gateway.base.errors import ErrorKind, GatewayError
from gateway.guard.replica.digest_file import DigestFile
from gateway.guard.replica.drafting import Draft
from gateway.guard.replica.files import GuardFiles
from gateway.guard.replica.keeper import KeptGuard
from gateway.sandbox.lines import deletion
from gateway.wiring.feed_watch import DOUBTED, read_bounds
from gateway.worker.compare import RoundResult
from gateway.worker.feed import FeedLoop, Needs, TickResult
from tests.fakes.feed_stage import feed_stage
from tests.fakes.municipal import client_of, make_entry, make_registration, make_town


class Killed(BaseException):
    """The process ends here: nothing catches it, and nothing after it runs."""


class DyingGuard(KeptGuard):
    """A guard whose process dies at a draft's `keep`: before it, or after."""

    def __init__(self, files, when):
        super().__init__(files)
        self.when, self.fired = when, 0

    @contextlib.asynccontextmanager
    async def draft(self, manifest, base):
        draft = DyingDraft(self._files, self)
        await draft.begin(manifest, base)
        try:
            yield draft
        except Killed:
            # As after SIGKILL: open files are closed by the kernel, what was not committed stays where it is.
            for file in (draft._file, draft._before):
                if file is not None:
                    file.close()
            raise
        await draft.abandon()


class DyingDraft(Draft):
    def __init__(self, files, guard):
        super().__init__(files)
        self.guard = guard

    async def keep(self):
        if self.guard.when == "after":
            await super().keep()
        self.guard.fired += 1
        raise Killed


class LostReply:
    """A writer whose COMMIT happens and whose reply is lost, or which fails before it."""

    def __init__(self, writer, *, committed):
        self.writer, self.committed, self.fired = writer, committed, 0

    def __getattr__(self, name):
        return getattr(self.writer, name)

    async def apply(self, *args, **kwargs):
        if self.committed:
            await self.writer.apply(*args, **kwargs)
        else:
            async for _batch in args[1]:
                pass
        self.fired += 1
        raise GatewayError(ErrorKind.STORE_UNAVAILABLE, reason="replica_unavailable")


@pytest.fixture
async def town(database, tmp_path):
    async with feed_stage(database.dsn_of("gateway_feed"), tmp_path) as made:
        made.snapshot(make_town(40, listed=4))
        assert (await made.tick()).applied == (1,)
        yield made


@pytest.fixture
async def stage_of_pages(database, tmp_path):
    """Digests of several pages of the file."""
    async with feed_stage(database.dsn_of("gateway_feed"), tmp_path) as made:
        made.snapshot(make_town(1500))
        await made.tick()
        yield made


def publish(town, kind):
    if kind == "snapshot":
        town.snapshot(make_town(41, listed=6))
    else:
        town.delta(make_entry(9), make_registration(41), deletion("list_entry", make_entry(1)["id"]))


@contextlib.asynccontextmanager
async def loop_with(town, **changes):
    async with client_of(town.platform) as source:
        powers = {"source": source, "replica": town.writer, "guard": town.guard}
        town.clock.advance(1)
        yield FeedLoop(Needs(**(powers | changes), metrics=town.metrics, clock=town.clock))


KINDS = pytest.mark.parametrize("kind", ["snapshot", "delta"])


@KINDS
async def test_the_database_committed_and_the_digests_did_not(town, kind):
    """The next poll makes them from the signed file; until then they are known to be of the version before."""
    publish(town, kind)
    guard = DyingGuard(town.files, "before")
    async with loop_with(town, guard=guard) as loop:
        with pytest.raises(Killed):
            await loop.tick()
    assert (guard.fired, await town.version()) == (1, 2)

    between = await town.compare()
    outcome = await town.tick()
    after = await town.compare()

    assert (between.result, between.version, between.digests_version) == (RoundResult.UNKNOWN, 2, 1)
    assert (outcome.applied, outcome.unproven) == ((), False)
    assert (after.result, after.version) == (RoundResult.CLEAN, 2)
    assert town.metrics.differed == []


@KINDS
async def test_both_committed_and_the_process_died_before_it_wrote_down_where_it_stands(town, kind):
    publish(town, kind)
    guard = DyingGuard(town.files, "after")
    async with loop_with(town, guard=guard) as loop:
        with pytest.raises(Killed):
            await loop.tick()
    assert (guard.fired, town.files.stand().version) == (1, 1)

    assert (await town.compare()).result is RoundResult.CLEAN
    await town.tick()

    assert town.files.stand().version == 2
    assert (await town.compare()).result is RoundResult.CLEAN


@KINDS
@pytest.mark.parametrize("committed", [True, False])
async def test_a_commit_whose_reply_was_lost(town, kind, committed):
    """Whether it happened or not, the digests are not moved by it; the next poll finds out which, and settles both."""
    publish(town, kind)
    writer = LostReply(town.writer, committed=committed)
    async with loop_with(town, replica=writer) as loop:
        outcome = await loop.tick()
    assert (writer.fired, outcome.result) == (1, TickResult.STORE_FAILED)
    assert (await town.guard.digests()).version == 1

    after = await town.tick()

    assert after.applied == (() if committed else (2,))
    assert (await town.compare()).result is RoundResult.CLEAN
    assert town.metrics.differed == []


@KINDS
async def test_the_database_lost_a_version_that_the_digests_have(town, kind, database):
    """A restored backup or a failover that lost a commit: noticed at once, and no answer until an operator has mended it."""
    owner = await database.connect()
    dump = {table: await owner.fetch(f"SELECT * FROM replica.{table}") for table in ("subject", "record", "feed_head")}
    publish(town, kind)
    await town.tick()
    for table, rows in dump.items():
        await owner.execute(f"TRUNCATE replica.{table}")
        await owner.copy_records_to_table(table, schema_name="replica", records=[tuple(row) for row in rows])
    await owner.close()
    assert await town.version() == 1

    lost = await town.compare()
    bounds, _reason = read_bounds(town.files)
    town.replica.trust(bounds)
    source = (await town.facts(1)).source
    outcome = await town.tick()

    assert [one.kind.value for one in lost.named][:1] == ["feed_rolled_back"]
    assert source.doubted
    assert outcome.applied == (2,)
    assert read_bounds(town.files)[1] == DOUBTED
    assert (await town.tick(anew=True)).result is TickResult.CURRENT
    assert (await town.compare()).result is RoundResult.CLEAN


class FullDisk:
    """A digest file whose writes fail from some batch on."""

    def __init__(self, digests):
        self.digests, self.fired = digests, 0

    def take(self, batch):
        self.digests.take(batch)
        self.fired += 1
        msg = "database or disk is full"
        raise sqlite3.OperationalError(msg)


@KINDS
async def test_a_full_disk_holds_no_version_up_and_leaves_the_digests_unknown(town, kind):
    publish(town, kind)
    full = []

    class Guard(KeptGuard):
        @contextlib.asynccontextmanager
        async def draft(self, manifest, base):
            async with super().draft(manifest, base) as draft:
                full.append(FullDisk(draft._digests))
                draft._digests = full[-1]
                yield draft

    async with loop_with(town, guard=Guard(town.files)) as loop:
        outcome = await loop.tick()

    assert [disk.fired for disk in full] == [1, 1], "while it was applied, and once more from the signed file"
    assert (outcome.applied, outcome.unproven, await town.version()) == ((2,), True, 2)
    assert (await town.compare()).result is RoundResult.UNKNOWN
    assert len(list(town.files.folder.glob("digests-*"))) == 1
    assert (await town.tick()).unproven is False
    assert (await town.compare()).result is RoundResult.CLEAN


async def test_a_file_of_digests_that_is_garbage_is_made_anew(town):
    path = town.files.folder / town.files.stand().digests
    path.write_bytes(b"garbage" * 1000)
    assert DigestFile.open(path) is None

    assert (await town.compare()).result is RoundResult.UNKNOWN
    assert (await town.tick()).unproven is False

    assert (await town.compare()).result is RoundResult.CLEAN
    assert not path.exists()


async def test_digests_that_break_while_they_are_read_are_made_anew(stage_of_pages):
    """A bad sector in the middle of the file: found by the rounds, not taken for the database's fault."""
    town = stage_of_pages
    path = town.files.folder / town.files.stand().digests
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (size // 2))

    assert (await town.compare()).result is RoundResult.UNKNOWN
    assert (await town.tick()).unproven is False

    assert (await town.compare()).result is RoundResult.CLEAN
    assert town.metrics.differed == []


async def test_a_guard_folder_that_cannot_be_made_stops_the_feed_and_says_so(town, tmp_path):
    """Without its memory the host could not tell an old version from a new one."""
    (tmp_path / "file").write_bytes(b"")
    publish(town, "delta")
    async with loop_with(town, guard=KeptGuard(GuardFiles.of(tmp_path / "file", "test-city"))) as loop:
        outcome = await loop.tick()

    assert (outcome.result, outcome.reason) == (TickResult.STORE_FAILED, "guard_unavailable")
    assert await town.version() == 1


async def test_a_poll_cancelled_in_the_middle_leaves_no_half_file(town):
    publish(town, "snapshot")
    reached = asyncio.Event()

    class Stuck:
        def __getattr__(self, name):
            return getattr(town.writer, name)

        async def apply(self, _manifest, batches, **_rest):
            async for _batch in batches:
                reached.set()
                await asyncio.Event().wait()

    async with loop_with(town, replica=Stuck()) as loop:
        polling = asyncio.create_task(loop.tick())
        await reached.wait()
        polling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await polling

    assert len(list(town.files.folder.glob("digests-*"))) == 1
    assert (await town.compare()).result is RoundResult.CLEAN
