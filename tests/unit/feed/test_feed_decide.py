"""The decisions about the feed, as tables."""

import dataclasses

import pytest

from gateway.credit.feed_version import Counts, FeedRefused, Tally, VersionKind
from gateway.worker.decide import (
    MAX_DELTA_LINES,
    Step,
    check_head,
    check_manifest,
    check_quarantine,
    check_tally,
    decide_as_of,
    decide_pause,
    decide_step,
    is_mass_deletion,
)
from tests.fakes.municipal import NOW, make_head, make_manifest, make_state

SNAPSHOT, DELTA = VersionKind.SNAPSHOT, VersionKind.DELTA


def counts(lines=2, deletes=0, **kinds):
    return Counts(lines=lines, puts=lines - deletes, deletes=deletes, kinds=kinds or {"penalty": lines})


def make_tally(**changes):
    tally = Tally(
        puts=2,
        deletes=0,
        kinds={"registration": 1, "penalty": 1},
        quarantined=0,
        unattributed=0,
        removed={},
        held={"registration": 100},
    )
    return dataclasses.replace(tally, **changes)


@pytest.mark.parametrize(
    ("head", "seen"),
    [
        pytest.param(make_head(), None, id="the first head"),
        pytest.param(make_head(), make_head(), id="the same head again"),
        pytest.param(make_head(), make_head(version=3, digest=b"3" * 32, issued_ms=NOW - 2_000), id="a newer one"),
        pytest.param(make_head(issued_ms=NOW + 60_000), None, id="as far ahead as clocks may differ"),
        pytest.param(
            make_head(digest=b"5" * 32), make_head(issued_ms=NOW - 9_000), id="a version made anew before we took it"
        ),
    ],
)
def test_a_head_that_goes_on_from_what_we_know_is_taken(head, seen):
    check_head(head, make_state(), seen, NOW)


@pytest.mark.parametrize(
    ("head", "seen", "reason"),
    [
        pytest.param(make_head(issued_ms=NOW + 60_001), None, "issued_in_future", id="from the future"),
        pytest.param(make_head(version=2), None, "head_rollback", id="below the applied version"),
        pytest.param(make_head(issued_ms=NOW - 60_001), None, "head_rollback", id="older than what we vouch for"),
        pytest.param(make_head(), make_head(issued_ms=NOW), "head_rollback", id="older than the last head"),
        pytest.param(make_head(), make_head(version=5), "head_rollback", id="below the last head's version"),
        pytest.param(
            make_head(version=3, digest=b"x" * 32), None, "equivocation", id="another manifest for what we applied"
        ),
        pytest.param(make_head(digest=b"x" * 32), make_head(), "equivocation", id="two heads of one instant"),
    ],
)
def test_a_head_that_goes_back_or_contradicts_is_refused(head, seen, reason):
    with pytest.raises(FeedRefused) as refused:
        check_head(head, make_state(), seen, NOW)

    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("state", "head", "step"),
    [
        pytest.param(make_state(version=4), make_head(), None, id="up to date"),
        pytest.param(
            make_state(version=0), make_head(), Step(version=1, kind=SNAPSHOT, digest=b"1" * 32), id="nothing yet"
        ),
        pytest.param(
            make_state(version=3), make_head(), Step(version=4, kind=None, digest=b"4" * 32), id="the newest is next"
        ),
        pytest.param(make_state(version=2), make_head(), Step(version=3, kind=None, digest=None), id="one on the way"),
        pytest.param(
            make_state(version=2),
            make_head(version=9, snapshot=7, snapshot_digest=b"7" * 32),
            Step(version=7, kind=SNAPSHOT, digest=b"7" * 32),
            id="a snapshot lies ahead",
        ),
        pytest.param(
            make_state(version=7),
            make_head(version=9, snapshot=7),
            Step(version=8, kind=None, digest=None),
            id="on the snapshot",
        ),
    ],
)
def test_the_next_version_is_the_newest_snapshot_ahead_or_the_one_that_follows(state, head, step):
    assert decide_step(head, state) == step


NEXT = Step(version=4, kind=None, digest=b"4" * 32)


def test_the_next_delta_of_the_chain_is_taken():
    check_manifest(make_manifest(), NEXT, make_state(), make_head())


def test_a_snapshot_may_jump_over_versions_that_it_replaces():
    snapshot = make_manifest(kind=SNAPSHOT, version=9, predecessor=8, predecessor_digest=b"8" * 32, digest=b"9" * 32)

    check_manifest(snapshot, Step(version=9, kind=SNAPSHOT, digest=b"9" * 32), make_state(), make_head(version=9))


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        pytest.param(make_manifest(version=3), "version_replayed", id="an old version again"),
        pytest.param(make_manifest(version=5), "version_gap", id="one too far"),
        pytest.param(make_manifest(digest=b"x" * 32), "equivocation", id="not the one the head names"),
        pytest.param(make_manifest(predecessor=2), "version_gap", id="on top of another version"),
        pytest.param(make_manifest(predecessor_digest=b"x" * 32), "chain_broken", id="on top of another history"),
        pytest.param(
            make_manifest(kind=SNAPSHOT, predecessor_digest=b"x" * 32),
            "chain_broken",
            id="a snapshot with another history",
        ),
        pytest.param(make_manifest(issued_ms=NOW), "issued_in_future", id="issued after the head that names it"),
        pytest.param(make_manifest(counts=counts(0)), "empty", id="no lines"),
        pytest.param(make_manifest(counts=counts(MAX_DELTA_LINES + 1)), "delta_too_large", id="a snapshot in disguise"),
    ],
)
def test_a_manifest_that_does_not_follow_is_refused(manifest, reason):
    with pytest.raises(FeedRefused) as refused:
        check_manifest(manifest, NEXT, make_state(), make_head())

    assert refused.value.reason == reason


def test_where_a_snapshot_is_due_a_delta_is_refused():
    step = Step(version=4, kind=SNAPSHOT, digest=b"4" * 32)

    with pytest.raises(FeedRefused) as refused:
        check_manifest(make_manifest(), step, make_state(version=0), make_head(snapshot=4))

    assert refused.value.reason == "no_snapshot"


@pytest.mark.parametrize(
    "tally",
    [
        pytest.param(make_tally(), id="all good"),
        pytest.param(make_tally(puts=1, kinds={"penalty": 1}, quarantined=1), id="one unreadable"),
        pytest.param(make_tally(removed={"registration": 30}), id="just 30 percent"),
    ],
)
def test_what_was_counted_and_fits_is_admitted(tally):
    check_tally(make_manifest(), tally, approved=False)


@pytest.mark.parametrize(
    ("tally", "reason"),
    [
        pytest.param(make_tally(puts=1, kinds={"penalty": 1}), "count_differs", id="a line missing"),
        pytest.param(
            make_tally(puts=3, kinds={"registration": 2, "penalty": 1}), "count_differs", id="a line too many"
        ),
        pytest.param(make_tally(kinds={"registration": 2}), "count_differs", id="another kind than announced"),
        pytest.param(make_tally(puts=1, deletes=1), "count_differs", id="a deletion announced as put"),
        pytest.param(
            make_tally(kinds={"registration": 1, "list_entry": 1}), "count_differs", id="a kind not announced"
        ),
        pytest.param(make_tally(removed={"registration": 31}), "mass_deletion", id="more than 30 percent"),
    ],
)
def test_what_was_counted_and_does_not_fit_is_refused(tally, reason):
    with pytest.raises(FeedRefused) as refused:
        check_tally(make_manifest(), tally, approved=False)

    assert refused.value.reason == reason


def test_more_than_ten_bad_lines_that_name_nobody_are_refused():
    manifest = make_manifest(counts=counts(5000))
    tally = make_tally(puts=4989, kinds={"penalty": 4989}, quarantined=11, unattributed=11)

    with pytest.raises(FeedRefused) as refused:
        check_tally(manifest, tally, approved=False)

    assert refused.value.reason == "too_many_unattributed"


def test_an_operator_may_approve_a_mass_deletion_and_nothing_else():
    check_tally(make_manifest(), make_tally(removed={"registration": 90}), approved=True)

    with pytest.raises(FeedRefused):
        check_tally(make_manifest(), make_tally(puts=1), approved=True)


@pytest.mark.parametrize(("lines", "quarantined"), [(2, 2), (100, 10), (1100, 11), (100_000, 1000)])
def test_few_bad_lines_are_borne(lines, quarantined):
    check_quarantine(make_manifest(counts=counts(lines)), quarantined)


@pytest.mark.parametrize(("lines", "quarantined"), [(100, 11), (1099, 11), (100_000, 1001)])
def test_more_than_one_percent_and_more_than_ten_bad_lines_are_refused(lines, quarantined):
    with pytest.raises(FeedRefused) as refused:
        check_quarantine(make_manifest(counts=counts(lines)), quarantined)

    assert refused.value.reason == "too_many_quarantined"


@pytest.mark.parametrize(
    ("removed", "held", "mass"),
    [
        ({}, {}, False),
        ({}, {"registration": 10}, False),
        ({"registration": 3}, {"registration": 10}, False),
        ({"registration": 4}, {"registration": 10}, True),
        ({"list_entry": 40}, {"registration": 1000, "list_entry": 40}, False),
        ({"list_entry": 16}, {"registration": 1000, "list_entry": 50}, True),
        ({"list_entry": 15}, {"registration": 1000, "list_entry": 50}, False),
    ],
)
def test_losing_more_than_thirty_percent_of_all_or_of_one_kind_is_a_mass_deletion(removed, held, mass):
    assert is_mass_deletion(removed, held) is mass


def test_the_newest_version_is_vouched_for_up_to_the_head():
    assert decide_as_of(make_manifest(), make_head(), make_state()) == make_head().issued_ms


def test_a_version_on_the_way_is_vouched_for_up_to_its_own_issue_and_never_less_than_before():
    later = make_head(version=9)

    assert decide_as_of(make_manifest(), later, make_state()) == make_manifest().issued_ms
    assert decide_as_of(make_manifest(), later, make_state(as_of_ms=NOW - 3_000)) == NOW - 3_000


@pytest.mark.parametrize(
    ("failures", "jitter", "pause"),
    [(0, 0.5, 60), (0, 0.0, 54), (0, 1.0, 66), (1, 0.5, 120), (3, 0.5, 480), (4, 0.5, 900), (10**6, 0.5, 900)],
)
def test_the_pause_doubles_with_each_failure_up_to_fifteen_minutes(failures, jitter, pause):
    assert decide_pause(60.0, failures, jitter) == pytest.approx(pause)


def test_a_poll_interval_above_the_ceiling_stays_what_was_set():
    assert decide_pause(3600.0, 5, 0.5) == pytest.approx(3600)
