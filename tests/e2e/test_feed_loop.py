"""The feed from a platform's signature to the replica's answer: every refusal provoked, and the last good version kept (F17 to F24)."""

import asyncio
import dataclasses

import pytest

from gateway.base.errors import ErrorKind
from gateway.credit.feed_version import VersionKind
from gateway.municipal.manifest import render_manifest
from gateway.sandbox.lines import deletion
from gateway.sandbox.publisher import Publisher
from gateway.worker.feed import TickResult
from tests.fakes import municipal as fakes
from tests.fakes.feed_stage import feed_stage, new_loop
from tests.fakes.municipal import (
    FEED,
    SteadyClock,
    client_of,
    make_entry,
    make_firm,
    make_registration,
    make_town,
    make_unreadable,
)


@pytest.fixture
async def stage(database, tmp_path):
    async with feed_stage(database.dsn_of("gateway_feed"), tmp_path) as made:
        yield made


@pytest.fixture
async def town(stage):
    """Forty firms, four of them listed, as version 1."""
    stage.snapshot(make_town(40, listed=4))
    outcome = await stage.tick()
    assert outcome.applied == (1,)
    return stage


async def refused(stage, reason):
    """One poll that must be refused for a reason, with its event row, its count, and version 1 still answering."""
    outcome = await stage.tick()

    assert (outcome.result, outcome.reason) == (TickResult.REFUSED, reason)
    assert stage.metrics.refused[-1] == reason
    assert await stage.version() == 1
    assert len((await stage.facts(1)).records) == 1
    (event,) = await stage.rows("SELECT result, reason FROM replica.feed_event ORDER BY event_id DESC LIMIT 1")
    assert event == {"result": "refused", "reason": reason}
    return outcome


async def test_before_the_first_version_there_is_no_source(stage):
    assert (await stage.facts(1)).source is None
    assert await stage.replica.source_state() is None


async def test_a_snapshot_and_deltas_in_order_are_applied_in_one_poll(stage):
    stage.snapshot(make_town(5, listed=1))
    stage.delta(make_entry(2))
    stage.delta(deletion("list_entry", make_entry(1)["id"]), make_registration(6))

    outcome = await stage.tick()

    assert (outcome.result, outcome.applied) == (TickResult.CURRENT, (1, 2, 3))
    assert [len((await stage.facts(number)).records) for number in (1, 2, 6)] == [0, 1, 0]
    assert (await stage.facts(6)).registration.name == make_firm(6).name
    assert (await stage.writer.state()).record_count == 7
    assert stage.metrics.applied == [("snapshot", 6), ("delta", 1), ("delta", 2)]


async def test_a_newer_snapshot_is_taken_instead_of_the_deltas_before_it(town):
    town.delta(make_entry(9))
    town.snapshot(make_town(40, listed=5))
    town.delta(make_entry(10))

    outcome = await town.tick()

    assert outcome.applied == (3, 4)
    assert "/manifests/2.json" not in town.platform.asked
    assert [len((await town.facts(number)).records) for number in (5, 9, 10)] == [1, 0, 1]


async def test_a_platform_without_changes_still_proves_freshness(town):
    before = (await town.facts(1)).source.as_of_ms
    town.clock.advance(3600)

    outcome = await town.tick()

    assert (outcome.result, outcome.applied) == (TickResult.CURRENT, ())
    assert (await town.facts(1)).source.as_of_ms == town.clock.now_ms() > before


@pytest.mark.parametrize("lie", [fakes.hang, fakes.server_error, fakes.drip, fakes.cut_off])
async def test_a_platform_that_does_not_answer_lets_the_answers_grow_old(town, lie):
    """as_of must not move: past max_stale every worker then answers `unavailable`."""
    before = (await town.facts(1)).source
    town.platform.lies["/head.json"] = lie
    town.clock.advance(3600)

    async with client_of(town.platform, limits=fakes.QUICK) as source:
        outcome = await new_loop(town, source).tick()

    assert outcome.result == TickResult.UNREACHABLE
    assert (await town.facts(1)).source == before
    assert len(town.metrics.unreachable) == 1


async def test_a_refused_version_lets_the_answers_grow_old(town):
    before = (await town.facts(1)).source
    town.delta(*[deletion("registration", make_firm(number).uscc) for number in range(1, 30)])

    await refused(town, "mass_deletion")

    assert (await town.facts(1)).source == before


async def test_a_gap_is_refused(town):
    town.delta(make_entry(9))
    third = town.delta(make_entry(10))
    town.platform.lies["/manifests/2.json"] = fakes.instead(town.platform.honest("/manifests/3.json"))

    outcome = await refused(town, "version_gap")

    assert third.version == 3
    assert outcome.version == 2


async def test_a_replayed_version_is_refused(town):
    town.delta(make_entry(9))
    town.platform.lies["/manifests/2.json"] = fakes.instead(town.platform.honest("/manifests/1.json"))

    await refused(town, "version_replayed")


async def test_reordered_deltas_are_refused_at_the_first(town):
    town.delta(make_entry(9))
    town.delta(make_entry(10))
    second, third = (town.platform.honest(f"/manifests/{number}.json") for number in (2, 3))
    town.platform.lies["/manifests/2.json"] = fakes.instead(third)
    town.platform.lies["/manifests/3.json"] = fakes.instead(second)

    await refused(town, "version_gap")


async def test_a_manifest_signed_by_nobody_we_know_is_refused(town, tmp_path):
    town.delta(make_entry(9))
    stranger = Publisher(tmp_path / "stranger", feed=FEED, clock=SteadyClock())
    stranger.publish(VersionKind.SNAPSHOT, make_town(40))
    forged = (tmp_path / "stranger" / "manifests" / "1.json").read_bytes()

    town.platform.lies["/manifests/2.json"] = fakes.instead(forged)
    await refused(town, "signature_wrong")
    town.platform.lies["/manifests/2.json"] = fakes.instead(
        forged.replace(b"sandbox-platform-1", b"sandbox-platform-2")
    )
    await refused(town, "key_unknown")


async def test_a_manifest_without_signature_is_refused(town):
    town.delta(make_entry(9))
    honest = town.platform.honest("/manifests/2.json")
    unsigned = honest[: honest.index(b'"signatures":[')] + b'"signatures":[]}'
    town.platform.lies["/manifests/2.json"] = fakes.instead(unsigned)

    await refused(town, "signature_missing")


@pytest.mark.parametrize(
    ("lie", "reason"),
    [(fakes.truncated, "file_truncated"), (fakes.cut_off, "file_truncated"), (fakes.flipped, "digest_differs")],
)
async def test_a_file_that_arrives_damaged_is_refused_and_taken_when_it_arrives_whole(town, lie, reason):
    town.delta(make_entry(9))
    town.platform.lies["/files/00000002-delta.ndjson.gz"] = lie
    await refused(town, reason)

    town.platform.lies.clear()

    assert (await town.tick()).applied == (2,)


async def test_a_count_that_differs_is_refused(town):
    """The platform signed another number of lines than its file has."""
    manifest = town.delta(make_entry(9), make_registration(41))
    more = dataclasses.replace(manifest.counts, lines=3, puts=3, kinds={"registration": 1, "list_entry": 2})
    town.publisher.publish_manifest(dataclasses.replace(manifest, counts=more))

    await refused(town, "count_differs")
    assert (await town.facts(41)).registration is None


async def test_counts_that_do_not_add_up_are_refused_unread(town):
    """Such a manifest is not even read by an honest publisher, so it is sealed by hand."""
    manifest = town.delta(make_entry(9))
    broken = dataclasses.replace(manifest, counts=dataclasses.replace(manifest.counts, lines=3))
    town.platform.lies["/manifests/2.json"] = fakes.instead(town.publisher.seal(render_manifest(broken)))

    await refused(town, "count_differs")


async def test_zero_records_are_refused(town):
    town.delta()

    await refused(town, "empty")


async def test_an_empty_snapshot_is_refused(town):
    town.snapshot([])

    await refused(town, "empty")


async def test_more_than_thirty_percent_deletions_in_a_delta_are_refused(town):
    town.delta(*[deletion("registration", make_firm(number).uscc) for number in range(21, 35)])

    await refused(town, "mass_deletion")
    assert (await town.facts(30)).registration is not None


async def test_a_snapshot_that_loses_more_than_thirty_percent_is_refused(town):
    town.snapshot(make_town(28, listed=2))

    await refused(town, "mass_deletion")


async def test_a_snapshot_of_other_firms_is_a_mass_deletion_too(town):
    """As many lines as before, and everyone gone: the net number says nothing."""
    town.snapshot([make_registration(number) for number in range(1001, 1100)])

    await refused(town, "mass_deletion")


async def test_an_operator_can_approve_the_deletions_of_one_version(town):
    town.snapshot(make_town(28, listed=2))
    await refused(town, "mass_deletion")

    outcome = await town.tick(approve=2)

    assert outcome.applied == (2,)
    assert (await town.facts(40)).registration is None


async def test_too_many_bad_lines_are_refused(town):
    town.delta(*map(make_unreadable, range(1, 12)), make_registration(41))

    await refused(town, "too_many_quarantined")
    assert await town.rows("SELECT record_id FROM replica.quarantine") == []


@pytest.mark.parametrize("kind", [VersionKind.SNAPSHOT, VersionKind.DELTA])
async def test_a_record_twice_in_one_version_is_refused(town, kind):
    town.publish(kind, [*make_town(40, listed=4), make_registration(40)])

    await refused(town, "duplicate_record")


async def test_one_bad_record_makes_its_firm_partial_until_a_good_one_replaces_it(town):
    town.delta(make_unreadable(7), make_entry(8))
    await town.tick()

    bad = await town.facts(7)
    assert (bad.quarantined, bad.records) == (1, ())
    assert (await town.facts(8)).quarantined == 0
    (row,) = await town.rows("SELECT record_id, subject_key, version, line, reason FROM replica.quarantine")
    assert row["record_id"] == make_entry(7)["id"]
    assert (row["subject_key"], row["version"], row["line"]) == (make_firm(7).uscc, 2, 1)
    assert "decided_on" in row["reason"]
    (event,) = await town.rows("SELECT records, quarantined FROM replica.feed_event ORDER BY event_id DESC LIMIT 1")
    assert event == {"records": 1, "quarantined": 1}

    town.delta(make_entry(7))
    await town.tick()

    good = await town.facts(7)
    assert (good.quarantined, len(good.records)) == (0, 1)


async def test_a_deletion_too_ends_a_quarantine(town):
    town.delta(make_unreadable(7))
    town.delta(deletion("list_entry", make_entry(7)["id"]))

    await town.tick()

    assert (await town.facts(7)).quarantined == 0


async def test_a_bad_line_without_subject_falls_on_the_firm_whose_record_it_is(town):
    """A change of firm 1's entry that no longer says whose it is."""
    nameless = {key: member for key, member in make_unreadable(1).items() if key != "uscc"}
    town.delta(nameless)

    await town.tick()

    assert (await town.facts(1)).quarantined == 1


async def test_garbage_that_names_nobody_is_kept_and_counted_and_stops_nothing(town):
    town.delta(b"\xff\xfe garbage", make_entry(8))

    outcome = await town.tick()

    assert outcome.applied == (2,)
    (row,) = await town.rows("SELECT record_id, subject_key FROM replica.quarantine")
    assert row == {"record_id": "line 2 1", "subject_key": None}
    assert town.metrics.stood_at[-1].quarantined == 1


async def test_an_older_head_is_refused(town):
    old = town.publisher.head()
    town.clock.advance(60)
    await town.tick()
    town.platform.lies["/head.json"] = fakes.instead(old)

    await refused(town, "head_rollback")


async def test_an_older_head_is_refused_by_a_restarted_process_too(town):
    old = town.publisher.head()
    town.clock.advance(60)
    await town.tick()
    town.platform.lies["/head.json"] = fakes.instead(old)

    async with client_of(town.platform) as source:
        outcome = await new_loop(town, source).tick()

    assert outcome.reason == "head_rollback"


async def test_a_head_from_the_future_is_refused(town):
    town.clock.advance(61)
    ahead = town.publisher.head()
    town.clock.advance(-61.0 - 1)
    town.platform.lies["/head.json"] = fakes.instead(ahead)

    await refused(town, "issued_in_future")


async def test_another_manifest_for_the_version_we_applied_is_equivocation(town, tmp_path):
    """The platform's key signed two different versions 1."""
    manifests = tmp_path / "manifests"
    honest = (manifests / "1.json").read_bytes()
    town.clock.advance(5)
    liar = Publisher(tmp_path, feed=FEED, clock=town.clock)
    (manifests / "1.json").unlink()
    twin = Publisher(tmp_path, feed=FEED, clock=town.clock)
    twin.publish(VersionKind.SNAPSHOT, make_town(40, listed=1))
    town.platform.lies["/head.json"] = fakes.instead(twin.head())

    await refused(town, "equivocation")
    assert liar.version == 1
    assert honest != (manifests / "1.json").read_bytes()


async def test_a_delta_on_top_of_another_history_is_refused(town, tmp_path):
    """The fork shows in the digest of the predecessor, whatever the numbers say."""
    town.clock.advance(5)
    (tmp_path / "manifests" / "1.json").unlink()
    fork = Publisher(tmp_path, feed=FEED, clock=town.clock)
    fork.publish(VersionKind.SNAPSHOT, make_town(40, listed=1))
    fork.publish(VersionKind.DELTA, [deletion("list_entry", make_entry(1)["id"])])
    town.platform.lies["/head.json"] = fakes.instead(fork.head())

    await refused(town, "chain_broken")


async def test_the_same_trouble_again_is_counted_but_not_written_again(town):
    town.delta()
    await town.tick()
    await town.tick()

    events = await town.rows("SELECT result FROM replica.feed_event WHERE result = 'refused'")
    assert (len(events), town.metrics.refused) == (1, ["empty", "empty"])


async def test_a_process_that_dies_in_the_middle_leaves_the_old_version_and_the_next_one_goes_on(town, database):
    """SIGKILL of the feed process is a connection that ends: the transaction never happened."""
    town.snapshot(make_town(40, listed=9))
    killer = await database.connect()

    class KilledInTheMiddle:
        async def __aiter__(self):
            yield await anext(self.batches)
            await killer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = 'gateway_feed' AND state = 'idle in transaction'"
            )
            async for batch in self.batches:
                yield batch

    class Source:
        def __init__(self, honest):
            self.head, self.manifest, self.honest = honest.head, honest.manifest, honest

        def open_file(self, manifest):
            return Killing(self.honest.open_file(manifest))

    class Killing:
        def __init__(self, opened):
            self.opened = opened

        async def __aenter__(self):
            broken = KilledInTheMiddle()
            broken.batches = await self.opened.__aenter__()
            return broken.__aiter__()

        async def __aexit__(self, *failure):
            return await self.opened.__aexit__(*failure)

    async with client_of(town.platform) as honest:
        outcome = await new_loop(town, Source(honest)).tick()
    await killer.close()

    assert (outcome.result, outcome.reason) == (TickResult.STORE_FAILED, "replica_unavailable")
    assert await town.version() == 1
    assert (await town.facts(9)).records == ()
    assert (await town.tick()).applied == (2,)
    assert len((await town.facts(9)).records) == 1


async def test_two_processes_never_apply_at_the_same_time(town, database):
    """The second turns away at once; it neither waits nor applies."""
    town.delta(make_entry(9))
    first = await database.connect("gateway_feed")
    async with first.transaction():
        await first.execute("SELECT version FROM replica.feed_head FOR UPDATE")

        outcome = await town.tick()
    await first.close()

    assert (outcome.result, outcome.applied) == (TickResult.BUSY, ())
    assert (await town.tick()).applied == (2,)


async def test_two_processes_that_start_at_once_apply_each_version_once(town):
    town.delta(make_entry(9))
    async with client_of(town.platform) as one, client_of(town.platform) as other:
        outcomes = await asyncio.gather(new_loop(town, one).tick(), new_loop(town, other).tick())

    assert sorted(outcome.applied for outcome in outcomes if outcome.applied) == [(2,)]
    events = await town.rows("SELECT version FROM replica.feed_event WHERE result = 'applied' ORDER BY event_id")
    assert [event["version"] for event in events] == [1, 2]


async def test_look_ups_during_a_swap_see_one_version_only(town):
    """F24: while snapshots replace each other, an answer is wholly of the version that it names."""
    wrong, done = [], asyncio.Event()

    async def ask():
        while not done.is_set():
            facts = await asyncio.gather(*[town.facts(number) for number in range(1, 41)])
            versions = {answer.source.version for answer in facts}
            listed = sum(len(answer.records) for answer in facts)
            expected = {1: 4, 2: 20, 3: 7}
            if len(versions) != 1 or listed != expected[versions.pop()]:
                wrong.append((facts[0].source, listed))

    async with asyncio.TaskGroup() as group:
        group.create_task(ask())
        for listed in (20, 7):
            town.snapshot(make_town(40, listed=listed))
            await town.tick()
        await asyncio.sleep(0)
        done.set()

    assert wrong == []
    assert (await town.facts(1)).source.version == 3


async def test_a_database_that_is_away_is_a_failed_poll_and_not_a_crash(stage):
    await stage.replica.close()
    await stage.pool.close()

    outcome = await stage.loop.tick()

    assert outcome.result == TickResult.STORE_FAILED
    assert outcome.reason != ErrorKind.INTERNAL
