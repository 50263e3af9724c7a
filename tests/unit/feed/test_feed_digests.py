"""What a row's digest covers, and what this host concludes from where the database says it stands."""

import pytest

from gateway.credit.facts import SourceBounds, SourceState
from gateway.credit.feed_version import ProvenStand, VersionKind
from gateway.credit.replica_row import (
    DifferenceKind,
    Part,
    RowDigest,
    digest_record,
    digest_registration,
    digest_unread,
)
from gateway.worker.compare import compare_rows
from gateway.worker.decide import AS_OF_LEEWAY_MS, decide_proof_step, judge_stand
from tests.fakes.municipal import NOW, make_head, make_state

GOLDEN = [
    "43bb432ffa758b308afe015dd50e0f36",
    "ced82bc4312117b0e4793bd4e41b394a",
    "05a9ba4e817768d69a7ebc3e6f7f4e71",
]
PROVEN = ProvenStand(version=3, digest=b"3" * 32, as_of_ms=NOW - 60_000)


def test_digests_are_these_bytes_for_ever():
    """Kept in files: another form needs another number in its domain prefix and in the file's ``FORM``."""
    rows = [
        digest_registration("91990000000000035P", None, "某公司", "某公司", b"{}"),
        digest_record("A-1", "91990000000000035P", "penalty", b"{}"),
        digest_unread("line 2 7", None, (2, 7), "bad_id", b"\x00" * 32),
    ]

    assert [row.digest.hex() for row in rows] == GOLDEN


def test_fields_cannot_flow_into_each_other():
    """Lengths are part of what is hashed, and an absent field is not an empty one."""
    digests = {
        digest_registration("a", None, "bc", "d", b"").digest,
        digest_registration("a", "", "bc", "d", b"").digest,
        digest_registration("a", "b", "c", "d", b"").digest,
        digest_registration("ab", "c", "", "d", b"").digest,
        digest_registration("a", None, "bc", "", b"d").digest,
        digest_record("a", None, "bc", b"d").digest,
    }

    assert len(digests) == 6


def row(key, subject="s", digest=b"d", *, any_subject=False):
    return RowDigest(Part.UNREAD, key, subject, digest, any_subject)


@pytest.mark.parametrize(
    ("wanted", "held", "kinds"),
    [
        ([row("a")], [row("a")], []),
        ([row("a")], [], ["missing"]),
        ([row("a")], [row("a", digest=b"x")], ["changed"]),
        ([row("a")], [row("a", "t")], ["moved"]),
        ([row("a")], [row("a", None)], ["moved"]),
        ([row("a", None, any_subject=True)], [row("a", "t")], []),
        ([row("a", None, any_subject=True)], [row("a", "t", b"x")], ["changed"]),
        ([row("a")], [row("a"), row("a")], ["added"]),
    ],
)
def test_how_two_rows_differ(wanted, held, kinds):
    assert [one.kind.value for one in compare_rows(wanted, held)] == kinds


@pytest.mark.parametrize(
    ("state", "proven", "head", "kind"),
    [
        ({}, None, None, None),
        ({}, PROVEN, None, None),
        ({"version": 2}, PROVEN, None, DifferenceKind.ROLLED_BACK),
        ({"digest": b"x" * 32}, PROVEN, None, DifferenceKind.MANIFEST_DIFFERS),
        ({"version": 4, "digest": b"x" * 32}, PROVEN, None, None),
        ({"as_of_ms": NOW + AS_OF_LEEWAY_MS * 2}, PROVEN, None, None),
        ({"as_of_ms": NOW - 1_000 + AS_OF_LEEWAY_MS}, PROVEN, make_head(), None),
        ({"as_of_ms": NOW - 999 + AS_OF_LEEWAY_MS}, PROVEN, make_head(), DifferenceKind.AS_OF_AHEAD),
        ({"as_of_ms": NOW - 999 + AS_OF_LEEWAY_MS}, None, make_head(), DifferenceKind.AS_OF_AHEAD),
        ({"version": 5, "as_of_ms": NOW - 1_000}, PROVEN, make_head(), None),
        ({"version": 5, "as_of_ms": NOW - 1_001}, PROVEN, make_head(), DifferenceKind.VERSION_AHEAD),
    ],
)
def test_what_the_head_of_the_database_contradicts(state, proven, head, kind):
    assert judge_stand(make_state(**state), proven, head) == kind


@pytest.mark.parametrize(
    ("digests", "stands", "head", "step"),
    [
        (None, 4, {}, (1, VersionKind.SNAPSHOT, b"1" * 32)),
        ((3, b"3" * 32), 4, {}, (4, None, b"4" * 32)),
        ((2, b"2" * 32), 4, {}, (3, None, None)),
        ((4, b"4" * 32), 4, {}, None),
        ((5, b"5" * 32), 4, {}, None),
        (None, 5, {}, None),  # a version that the head does not know
        ((2, b"2" * 32), 4, {"snapshot": 3}, (3, VersionKind.SNAPSHOT, b"1" * 32)),
        (None, 3, {"snapshot": 4}, None),  # what stands is older than the oldest that is still offered
        ((2, b"2" * 32), 3, {"snapshot": 4}, (3, None, None)),
    ],
)
def test_which_signed_file_the_digests_need_next(digests, stands, head, step):
    found = decide_proof_step(make_head(**head), digests, make_state(version=stands))

    assert (found and (found.version, found.kind, found.digest)) == step


def test_bounds_only_ever_take_away():
    """An older version is in doubt, a later hour is cut to the one that was signed, and nothing is made better."""
    state = SourceState("f", 3, NOW, 0)

    assert SourceBounds().bound(state) == state
    assert SourceBounds(min_version=3, max_as_of_ms=NOW + 1).bound(state) == state
    assert SourceBounds(max_as_of_ms=NOW - 1).bound(state) == SourceState("f", 3, NOW - 1, 0)
    assert SourceBounds(min_version=4).bound(state).doubted
    assert SourceBounds(doubted=True).bound(state).doubted
