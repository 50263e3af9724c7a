"""The owner of the database against the replica: what it deletes, changes, adds or moves is found, named, and mended from signed files."""

import asyncio
import dataclasses

import pytest

from gateway.credit.identifiers import name_key
from gateway.credit.replica_row import DifferenceKind, Part
from gateway.guard.replica.files import GuardUnreadable
from gateway.municipal.envelope import parse_platform_keys
from gateway.municipal.manifest import render_head, verify_head
from gateway.sandbox.lines import deletion
from gateway.wiring.feed_watch import DOUBTED, UNREADABLE, read_bounds
from gateway.worker.compare import PAGE_ROWS, RoundResult
from gateway.worker.feed import TickResult
from gateway.worker.rounds import RoundNeeds, Rounds
from tests.fakes.feed_stage import feed_stage, new_loop
from tests.fakes.municipal import (
    FEED,
    client_of,
    instead,
    make_entry,
    make_firm,
    make_registration,
    make_town,
    make_unreadable,
)

FIRM, LISTED = make_firm(20).uscc, make_firm(2).uscc
ENTRY, UNREAD = make_entry(2)["id"], make_unreadable(7)["id"]
NAMELESS = make_entry(1)["id"]
NOBODY = "91990000MA00000000"
FROM_FIRM = f"FROM replica.subject WHERE uscc = '{FIRM}'"
FROM_ENTRY = f"FROM replica.record WHERE record_id = '{ENTRY}'"
FROM_UNREAD = f"FROM replica.quarantine WHERE record_id = '{UNREAD}'"


def nameless(number):
    return {key: member for key, member in make_unreadable(number).items() if key != "uscc"}


@pytest.fixture
async def stage(database, tmp_path):
    async with feed_stage(database.dsn_of("gateway_feed"), tmp_path) as made:
        yield made


@pytest.fixture
async def town(stage):
    """Forty firms, four listed, and two lines that could not be read, one of them without a subject of its own."""
    stage.snapshot(make_town(40, listed=4))
    stage.delta(make_unreadable(7), nameless(1), make_entry(8))
    assert (await stage.tick()).applied == (1, 2)
    return stage


@pytest.fixture
async def owner(database):
    """The database's owner, whom nothing stops."""
    connection = await database.connect()
    await connection.execute("SET session_replication_role = 'replica'")
    yield connection
    await connection.close()


def rounds_of(stage, round_s=0):
    needs = RoundNeeds(guard=stage.guard, pages=stage.pages, metrics=stage.metrics, clock=stage.clock)
    return Rounds(needs, round_s=round_s)


async def test_what_was_applied_is_what_was_signed(town):
    found = await town.compare()

    assert (found.result, found.version, found.named) == (RoundResult.CLEAN, 2, [])
    assert found.rows == 40 + 5 + 2
    assert (await town.guard.digests()).entries == found.rows


TAMPERING = {
    "a record deleted": (
        f"DELETE FROM replica.record WHERE record_id = '{ENTRY}'",
        ("missing", Part.RECORD, ENTRY, LISTED),
    ),
    "a registration deleted": (
        f"DELETE FROM replica.subject WHERE uscc = '{FIRM}'",
        ("missing", Part.REGISTRATION, FIRM, FIRM),
    ),
    "an unread line deleted": (
        f"DELETE FROM replica.quarantine WHERE record_id = '{UNREAD}'",
        ("missing", Part.UNREAD, UNREAD, make_firm(7).uscc),
    ),
    "a record changed": (
        f"UPDATE replica.record SET body = body || ' '::bytea WHERE record_id = '{ENTRY}'",
        ("changed", Part.RECORD, ENTRY, LISTED),
    ),
    "a record moved to another firm": (
        f"UPDATE replica.record SET subject_key = '{FIRM}' WHERE record_id = '{ENTRY}'",
        ("moved", Part.RECORD, ENTRY, LISTED),
    ),
    "the kind of a record": (
        f"UPDATE replica.record SET kind = 'penalty' WHERE record_id = '{ENTRY}'",
        ("changed", Part.RECORD, ENTRY, LISTED),
    ),
    "the key of a name": (
        f"UPDATE replica.subject SET name_key = 'x' WHERE uscc = '{FIRM}'",
        ("changed", Part.REGISTRATION, FIRM, FIRM),
    ),
    "a name": (
        f"UPDATE replica.subject SET name = 'x' WHERE uscc = '{FIRM}'",
        ("changed", Part.REGISTRATION, FIRM, FIRM),
    ),
    "an old number": (
        f"UPDATE replica.subject SET reg_no = '110108000000016' WHERE uscc = '{FIRM}'",
        ("changed", Part.REGISTRATION, FIRM, FIRM),
    ),
    "whom an unread line is about": (
        f"UPDATE replica.quarantine SET subject_key = '{FIRM}' WHERE record_id = '{UNREAD}'",
        ("moved", Part.UNREAD, UNREAD, make_firm(7).uscc),
    ),
    "whom a nameless unread line falls on": (
        f"UPDATE replica.quarantine SET subject_key = NULL WHERE record_id = '{NAMELESS}'",
        ("moved", Part.UNREAD, NAMELESS, make_firm(1).uscc),
    ),
    "why a line could not be read": (
        f"UPDATE replica.quarantine SET reason = 'x' WHERE record_id = '{UNREAD}'",
        ("changed", Part.UNREAD, UNREAD, make_firm(7).uscc),
    ),
    "a registration added": (
        f"INSERT INTO replica.subject SELECT slot, '{NOBODY}', reg_no, name, name_key, body {FROM_FIRM}",
        ("added", Part.REGISTRATION, NOBODY, None),
    ),
    "a record added": (
        f"INSERT INTO replica.record SELECT slot, 'ZZ-1', subject_key, kind, body {FROM_ENTRY}",
        ("added", Part.RECORD, "ZZ-1", None),
    ),
    "a record without an id added": (
        f"INSERT INTO replica.record SELECT slot, '', subject_key, kind, body {FROM_ENTRY}",
        ("added", Part.RECORD, "", None),
    ),
    "an unread line added": (
        f"INSERT INTO replica.quarantine SELECT slot, 'ZZ-2', subject_key, version, line, reason, line_sha256 {FROM_UNREAD}",
        ("added", Part.UNREAD, "ZZ-2", None),
    ),
    "the head moved back": (
        "UPDATE replica.feed_head SET version = 1",
        ("feed_rolled_back", None, None, None),
    ),
    "another manifest": (
        "UPDATE replica.feed_head SET manifest_sha256 = decode(repeat('ab', 32), 'hex')",
        ("manifest_differs", None, None, None),
    ),
    "fresher than it is": (
        "UPDATE replica.feed_head SET as_of_ms = as_of_ms + 86400000",
        ("as_of_ahead", None, None, None),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERING)
async def test_whatever_the_owner_does_is_found_named_and_mended(town, owner, what):
    """Found by `feed verify`; after loading the signed files once more nothing differs."""
    sql, expected = TAMPERING[what]
    assert (await owner.execute(sql)).split()[-1] == "1"

    found = await town.compare()
    outcome = await town.tick(anew=True)
    after = await town.compare()

    assert found.result is RoundResult.DIFFERS
    assert [(one.kind.value, one.part, one.key, one.subject) for one in found.named] == [expected]
    assert (outcome.result, outcome.applied) == (TickResult.CURRENT, (2,))
    assert (after.result, after.rows) == (RoundResult.CLEAN, 47)
    assert [len((await town.facts(number)).records) for number in (2, 8)] == [1, 1]
    assert [(await town.facts(number)).quarantined for number in (1, 7)] == [1, 1]


async def test_a_primary_key_taken_away_hides_no_second_row(town, owner):
    await owner.execute("ALTER TABLE replica.record DROP CONSTRAINT record_pkey")
    await owner.execute(
        "INSERT INTO replica.record SELECT slot, record_id, subject_key, kind, ''::bytea FROM replica.record WHERE record_id = $1",
        ENTRY,
    )

    found = await town.compare()

    assert {(one.kind.value, one.key) for one in found.named} >= {("added", ENTRY)}


async def test_the_slot_that_was_left_is_not_taken_for_the_one_that_stands(town, owner):
    """The head shown the other slot: an older version's rows under the newest version's number."""
    town.snapshot(make_town(40, listed=9))
    await town.tick()
    await owner.execute("UPDATE replica.feed_head SET slot = 1 - slot")

    found = await town.compare()

    assert found.counts[DifferenceKind.MISSING] == 4  # of nine entries, those that the left slot has not
    assert found.counts[DifferenceKind.ADDED] == 2  # the lines that could not be read then


async def test_of_many_differences_all_are_counted_and_some_named(town, owner):
    await owner.execute("DELETE FROM replica.subject")

    found = await town.compare()

    assert found.counts == {DifferenceKind.MISSING: 40}


async def test_more_than_a_page_is_compared_to_the_end(stage, owner):
    stage.snapshot(make_town(2 * PAGE_ROWS + 1, listed=2))
    await stage.tick()
    last = max(make_firm(number).uscc for number in range(1, 2 * PAGE_ROWS + 2))
    assert (await stage.compare()).result is RoundResult.CLEAN
    await owner.execute("UPDATE replica.subject SET body = '' WHERE uscc = $1", last)
    await owner.execute(
        "INSERT INTO replica.subject SELECT slot, 'Z', reg_no, name, name_key, body FROM replica.subject LIMIT 1"
    )

    found = await stage.compare()

    assert [(one.kind.value, one.key) for one in found.named] == [("changed", last), ("added", "Z")]


# What follows for the answers ------------------------------------------------------------------------------------------


async def test_the_rounds_of_the_feed_process_stop_the_answers_once_and_say_so_once(town, owner):
    rounds = rounds_of(town)
    assert (await rounds.go_round()).result is RoundResult.CLEAN
    assert town.metrics.compared_at == [town.clock.now_ms()]
    assert read_bounds(town.files)[1] is None
    await owner.execute("DELETE FROM replica.record WHERE record_id = $1", ENTRY)

    await rounds.go_round()
    await rounds.go_round()

    bounds, reason = read_bounds(town.files)
    assert (bounds.doubted, reason) == (True, DOUBTED)
    assert (town.metrics.differed, town.metrics.doubted) == ([("missing", 1)], True)
    (noted,) = town.files.doubt().differences
    assert (noted.kind, noted.part, noted.key, noted.subject) == ("missing", "record", ENTRY, LISTED)


async def test_however_slow_the_rounds_are_what_is_found_is_said_at_once(town, owner):
    """A round may take a week; the pause comes after what a page has shown."""
    await owner.execute("DELETE FROM replica.record WHERE record_id = $1", ENTRY)

    async with asyncio.timeout(60):
        found = await rounds_of(town, round_s=7 * 86_400).go_round()

    assert found.result is RoundResult.DIFFERS
    assert read_bounds(town.files)[1] == DOUBTED


async def test_a_worker_within_its_bounds_believes_neither_an_old_version_nor_a_late_hour(town, owner):
    """Without the feed process, at the next answer: the version may not fall, and freshness is what the platform signed."""
    honest = (await town.facts(2)).source
    town.replica.trust(read_bounds(town.files)[0])
    assert (await town.facts(2)).source == honest

    await owner.execute("UPDATE replica.feed_head SET as_of_ms = as_of_ms + 86400000")
    late = (await town.facts(2)).source
    await owner.execute("UPDATE replica.feed_head SET version = 1")
    old = (await town.facts(2)).source
    names = (await town.replica.candidates(name_key(make_firm(2).name), 1)).source

    assert late == honest
    assert (old.doubted, names.doubted, (await town.replica.source_state()).doubted) == (True, True, True)


@pytest.mark.parametrize("file", ["stand.json", "doubt.json"])
async def test_a_guard_that_cannot_be_read_is_a_doubt(town, file):
    (town.files.folder / file).write_bytes(b"{")

    bounds, reason = read_bounds(town.files)

    assert (bounds.doubted, reason) == (True, UNREADABLE)
    with pytest.raises(GuardUnreadable):
        town.files.stand() and town.files.doubt()


async def test_a_version_rolled_back_is_noticed_at_the_next_poll_and_stays_in_doubt(town, owner):
    """Even when the poll itself brings the version up again."""
    await owner.execute("UPDATE replica.feed_head SET version = 1, manifest_sha256 = $1", town.first_digest())

    outcome = await town.tick()

    assert outcome.applied == (2,)
    assert town.metrics.differed == [("feed_rolled_back", 1)]
    assert read_bounds(town.files)[1] == DOUBTED


async def test_freshness_that_the_platform_never_signed_is_noticed_at_the_next_poll(town, owner):
    await owner.execute("UPDATE replica.feed_head SET as_of_ms = as_of_ms + 86400000")

    outcome = await town.tick()

    assert (outcome.result, outcome.reason) == (TickResult.REFUSED, "head_rollback")
    assert town.metrics.differed == [("as_of_ahead", 1)]


async def test_a_version_that_the_platform_does_not_know_is_noticed_at_the_next_poll(town, owner):
    await owner.execute("UPDATE replica.feed_head SET version = 99")
    town.clock.advance(60)

    await town.tick()

    assert town.metrics.differed == [("version_ahead", 1)]
    assert (await town.compare()).result is RoundResult.UNKNOWN


async def test_a_platform_that_contradicts_itself_is_not_blamed_on_the_database(town):
    """The last good version stands and is right, whatever the platform says later."""
    town.platform.lies["/head.json"] = lie_about(town)

    outcome = await town.tick()

    assert outcome.result is TickResult.REFUSED
    assert town.metrics.differed == []


def lie_about(town):
    honest = verify_head(town.publisher.head(), parse_platform_keys(town.publisher.keys_text), FEED)
    return instead(town.publisher.seal(render_head(dataclasses.replace(honest, digest=b"x" * 32))))


# Mending --------------------------------------------------------------------------------------------------------------


async def test_a_reload_shows_nothing_on_the_way_and_needs_nothing_of_the_database(town, owner):
    """Head, rows and slot all wrong: one switch to the right version, from signed files alone."""
    await owner.execute(
        "UPDATE replica.feed_head SET version = 7, as_of_ms = as_of_ms + 86400000, manifest_sha256 = 'x'"
    )
    await owner.execute("DELETE FROM replica.subject; DELETE FROM replica.record; DELETE FROM replica.quarantine")
    seen = []
    load = town.platform.asked

    outcome = await town.tick(anew=True)
    seen += await town.rows("SELECT version, as_of_ms FROM replica.feed_head")

    assert (outcome.result, outcome.applied) == (TickResult.CURRENT, (2,))
    assert load.count("/manifests/1.json") == load.count("/manifests/2.json") == 2
    assert seen == [{"version": 2, "as_of_ms": town.clock.now_ms()}]
    assert (await town.compare()).result is RoundResult.CLEAN
    assert [event["result"] for event in await town.rows("SELECT result FROM replica.feed_event")] == ["applied"] * 2


async def test_a_reload_that_fails_leaves_what_stood_and_the_doubt(town, owner):
    await owner.execute("DELETE FROM replica.record WHERE record_id = $1", ENTRY)
    await rounds_of(town).go_round()
    (town.platform.directory / "files" / "00000002-delta.ndjson.gz").unlink()

    outcome = await town.tick(anew=True)

    assert outcome.result is TickResult.UNREACHABLE
    assert (await town.facts(8)).source.version == 2
    assert len((await town.facts(8)).records) == 1
    assert read_bounds(town.files)[1] == DOUBTED


async def test_a_reload_goes_on_to_versions_that_were_not_applied_yet_and_judges_them(town, owner):
    await owner.execute("DELETE FROM replica.record WHERE record_id = $1", ENTRY)
    town.delta(make_entry(9))
    town.delta(*[deletion("registration", make_firm(number).uscc) for number in range(11, 40)])

    outcome = await town.tick(anew=True)

    assert (outcome.result, outcome.reason, outcome.applied) == (TickResult.REFUSED, "mass_deletion", (2, 3))
    assert (await town.compare()).result is RoundResult.CLEAN


async def test_a_reload_finds_the_subject_of_a_nameless_line_again(town):
    """The record that names it was only in an earlier version; this host remembers."""
    town.snapshot([*make_town(40, listed=4)[:40], *map(make_entry, (2, 3, 4)), nameless(1)])
    town.snapshot([*make_town(40, listed=4)[:40], *map(make_entry, (2, 3, 4)), nameless(1)])
    await town.tick()
    assert (await town.facts(1)).quarantined == 1, "a second snapshot with the same bad line makes nobody clear"

    await town.tick(anew=True)

    assert (await town.facts(1)).quarantined == 1
    assert (await town.compare()).result is RoundResult.CLEAN


# Other hosts, other times -----------------------------------------------------------------------------------------------


async def test_a_host_that_applied_nothing_itself_makes_its_digests_from_the_signed_files(town, database, tmp_path):
    async with feed_stage(database.dsn_of("gateway_feed"), tmp_path / "other") as other:
        assert (await other.compare()).result is RoundResult.UNKNOWN
        async with client_of(town.platform) as source:
            outcome = await new_loop(other, source).tick()
            found = await other.compare()
            town.delta(make_entry(12), make_registration(50))
            await town.tick()
            behind = await other.compare()
            other.clock.now = town.clock.now
            again = await new_loop(other, source).tick()
            after = await other.compare()

    assert (outcome.applied, outcome.unproven, found.result) == ((), False, RoundResult.CLEAN)
    assert (behind.result, behind.version, behind.digests_version) == (RoundResult.UNKNOWN, 3, 2)
    assert (again.applied, after.result, after.rows) == ((), RoundResult.CLEAN, 49)


async def test_digests_that_cannot_be_made_are_said_to_be_unknown_and_hold_nothing_up(town, database, tmp_path):
    async with feed_stage(database.dsn_of("gateway_feed"), tmp_path / "other") as other:
        (town.platform.directory / "files" / "00000001-snapshot.ndjson.gz").unlink()
        async with client_of(town.platform) as source:
            outcome = await new_loop(other, source).tick()

        assert (outcome.result, outcome.unproven, outcome.failed) == (TickResult.CURRENT, True, True)
        assert (await other.compare()).result is RoundResult.UNKNOWN
        assert read_bounds(other.files)[1] is None


async def test_two_processes_of_one_host_do_not_both_write(town):
    async with town.guard.own() as ours:
        outcome = await town.tick()

    assert (ours, outcome.result) == (True, TickResult.BUSY)
