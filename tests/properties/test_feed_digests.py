"""Digests taken down from signed lines are those of the rows that PostgreSQL holds, whatever sequence of versions came."""

import contextlib
import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.guard.replica.files import GuardFiles
from gateway.guard.replica.keeper import KeptGuard
from gateway.sandbox.lines import deletion
from gateway.worker.compare import Comparison, RoundResult, compare_all
from gateway.worker.feed import FeedLoop, Needs
from tests.fakes.feed_stage import feed_stage
from tests.fakes.municipal import FEED, client_of, make_entry, make_firm, make_registration, make_unreadable

NUMBERS = st.integers(1, 6)


def nameless(number):
    return {key: member for key, member in make_unreadable(number).items() if key != "uscc"}


def changed(number):
    return {**make_entry(number), "grounds": "另一事由"}


def moved(number):
    return {**make_entry(number), "uscc": make_firm(number % 6 + 1).uscc}


def bad_registration(number):
    return {**make_registration(number), "name": 7}


def garbage(number):
    return b"\xff garbage %d" % number


PUTS = st.tuples(st.sampled_from([make_registration, make_entry, changed, moved]), NUMBERS)
BAD = st.tuples(st.sampled_from([make_unreadable, nameless, bad_registration, garbage]), NUMBERS)
GONE = st.tuples(
    st.sampled_from(
        [
            lambda number: deletion("list_entry", make_entry(number)["id"]),
            lambda number: deletion("registration", make_firm(number).uscc),
        ]
    ),
    NUMBERS,
)


def by_id(lines):
    """At most one good line and one bad line of each id: twice is a refusal, which is another test's."""
    kept = {}
    for good, (make, number) in lines:
        line = make(number)
        key = (good, line if isinstance(line, bytes) else (line["kind"], line["id"]))
        kept.setdefault(key, line)
    return list(kept.values())


GOOD_LINE, BAD_LINE = st.just("good"), st.just("bad")


def versions():
    snapshot = st.lists(st.one_of(st.tuples(GOOD_LINE, PUTS), st.tuples(BAD_LINE, BAD)), min_size=1, max_size=9)
    delta = st.lists(
        st.one_of(st.tuples(GOOD_LINE, st.one_of(PUTS, GONE)), st.tuples(BAD_LINE, BAD)),
        min_size=1,
        max_size=9,
    )
    first = snapshot.map(lambda lines: ("snapshot", by_id(lines)))
    rest = st.lists(st.one_of(first, delta.map(lambda lines: ("delta", by_id(lines)))), max_size=5)
    return st.tuples(first, rest).map(lambda pair: [pair[0], *pair[1]])


@pytest.fixture
async def towns(database, tmp_path):
    """A stage for each example: an emptied replica, a new platform, a host without memory."""
    numbers = itertools.count()
    owner = await database.connect()

    @contextlib.asynccontextmanager
    async def town():
        await owner.execute("TRUNCATE replica.subject, replica.record, replica.quarantine, replica.feed_head")
        async with feed_stage(database.dsn_of("gateway_feed"), tmp_path / str(next(numbers))) as made:
            yield made

    yield town
    await owner.close()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=versions(), batches=st.lists(st.booleans(), min_size=6, max_size=6))
async def test_whatever_was_published_the_digests_are_those_of_the_rows(towns, history, batches):
    """Applied one at a time or several at once; and made anew from the signed files by a host that applied nothing."""
    async with towns() as town:
        for (kind, lines), at_once in zip(history, batches, strict=False):
            if kind == "snapshot":
                town.snapshot(lines)
            else:
                town.delta(*lines)
            if not at_once:
                await town.tick(approve=town.publisher.version)
        while await town.version() < town.publisher.version:
            for version in range(await town.version() + 1, town.publisher.version + 1):
                await town.tick(approve=version)
        found = await town.compare()
        anew = await another_host(town)

    assert found.named == []
    assert anew.named == []
    assert found.result is anew.result is RoundResult.CLEAN


async def another_host(town):
    """Compare by a host that has seen nothing of it but the signed files of now."""
    guard = KeptGuard(GuardFiles.of(town.files.folder / "other", FEED))
    async with client_of(town.platform) as source:
        needs = Needs(source=source, replica=town.writer, guard=guard, metrics=town.metrics, clock=town.clock)
        await FeedLoop(needs).tick()
    return await compare_all(Comparison(guard, town.pages), lambda _rows: None, pause_s=0, patience=3)
