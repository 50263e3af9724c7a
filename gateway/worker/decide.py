"""What to do about the feed: pure decisions over signed words and counted lines.

For: which version to take next, whether to believe it, how fresh the replica is, when to look again. Not for: fetching or storing.
Every refusal is a ``FeedRefused`` with its reason; a refused version changes nothing, so the last good one stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.credit.feed_version import (
    FeedReason,
    FeedRefused,
    ProvenStand,
    ReplicaState,
    Tally,
    VerifiedHead,
    VerifiedManifest,
    VersionKind,
)
from gateway.credit.replica_row import DifferenceKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.base.clock import Millis

FUTURE_LEEWAY_MS: Final = 60_000
"""Two clocks may disagree by this much."""
MAX_DELTA_LINES: Final = 250_000
"""A delta is applied row by row; who changes more publishes a snapshot."""
MAX_DELETED_PERCENT: Final = 30
MIN_GUARDED: Final = 50
"""A kind of record with fewer rows than this is guarded only as part of the whole: 2 of 5 is not a mass."""
QUARANTINE_PERCENT: Final = 1
QUARANTINE_FLOOR: Final = 10
MAX_UNATTRIBUTED: Final = 10
"""Bad lines that name nobody could be about anybody. A few typing errors must not stop a city's feed; more must."""
MAX_PAUSE_S: Final = 900.0
AS_OF_LEEWAY_MS: Final = 900_000
"""``MAX_PAUSE_S``: by so much may another host have heard a later word of the platform than this one."""


@dataclass(frozen=True, slots=True)
class VersionAdmission:
    """``gateway.worker.ports.Admission`` for one manifest; ``approved``: its deletions have been examined and are wanted."""

    manifest: VerifiedManifest
    approved: bool

    def during(self, quarantined: int) -> None:
        """Refuse early when there are too many bad lines already."""
        check_quarantine(self.manifest, quarantined)

    def before_commit(self, tally: Tally) -> None:
        """Refuse what was counted."""
        check_tally(self.manifest, tally, approved=self.approved)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The version to take next. ``digest`` is what its manifest must hash to, where the head says so."""

    version: int
    kind: VersionKind | None
    digest: bytes | None


def check_head(head: VerifiedHead, state: ReplicaState, seen: VerifiedHead | None, now: Millis) -> None:
    """Refuse a head that is from the future, older than one seen before, or contradicts what was applied or seen."""
    if head.issued_ms > now + FUTURE_LEEWAY_MS:
        raise FeedRefused(FeedReason.ISSUED_IN_FUTURE)
    if head.version < state.version or head.issued_ms < state.as_of_ms:
        raise FeedRefused(FeedReason.HEAD_ROLLBACK)
    if head.version == state.version and head.digest != state.digest:
        raise FeedRefused(FeedReason.EQUIVOCATION, "another manifest for the applied version")
    if seen is None:
        return
    if head.version < seen.version or head.issued_ms < seen.issued_ms:
        raise FeedRefused(FeedReason.HEAD_ROLLBACK)
    if head.issued_ms == seen.issued_ms and head != seen:
        raise FeedRefused(FeedReason.EQUIVOCATION, "two heads of one instant")


def judge_stand(state: ReplicaState, proven: ProvenStand | None, head: VerifiedHead | None) -> DifferenceKind | None:
    """Tell how the database's word on where it stands contradicts what this host has proven, and what the platform signs now.

    Without ``head`` nothing is said about what may have changed elsewhere since. ``head`` was asked for after ``state`` was read.
    """
    if proven is not None:
        if state.version < proven.version:
            return DifferenceKind.ROLLED_BACK
        if state.version == proven.version and state.digest != proven.digest:
            return DifferenceKind.MANIFEST_DIFFERS
    if head is None:
        return None
    heard = max(head.issued_ms, 0 if proven is None else proven.as_of_ms)
    if state.as_of_ms > heard + AS_OF_LEEWAY_MS:
        return DifferenceKind.AS_OF_AHEAD
    # A word later than the version claims to be, from a platform that does not know the version.
    if state.version > head.version and head.issued_ms > state.as_of_ms:
        return DifferenceKind.VERSION_AHEAD
    return None


def decide_proof_step(head: VerifiedHead, proven: tuple[int, bytes] | None, state: ReplicaState) -> Step | None:
    """Return the version whose file the digests need next to be of the version that stands, or ``None``.

    ``None`` also where there is no way: the newest snapshot is already newer than what stands, and nothing older is known.
    """
    version = 0 if proven is None else proven[0]
    if version >= state.version or state.version > head.version:
        return None
    if version < head.snapshot:
        if head.snapshot <= state.version:
            return Step(version=head.snapshot, kind=VersionKind.SNAPSHOT, digest=head.snapshot_digest)
        if proven is None:
            return None
    number = version + 1
    return Step(version=number, kind=None, digest=head.digest if number == head.version else None)


def decide_step(head: VerifiedHead, state: ReplicaState) -> Step | None:
    """Return the version to take next, or ``None`` when the replica is what the head says is newest.

    Below the newest snapshot (or with nothing at all) that snapshot is taken, whatever lies between; from there on every
    version in order.
    """
    if state.version == head.version:
        return None
    if state.version < head.snapshot:
        return Step(version=head.snapshot, kind=VersionKind.SNAPSHOT, digest=head.snapshot_digest)
    version = state.version + 1
    return Step(version=version, kind=None, digest=head.digest if version == head.version else None)


def check_manifest(manifest: VerifiedManifest, step: Step, state: ReplicaState, head: VerifiedHead) -> None:
    """Refuse a manifest that is not the version asked for, does not continue the chain, or announces what may not be."""
    if manifest.version != step.version:
        older = manifest.version < step.version
        raise FeedRefused(FeedReason.VERSION_REPLAYED if older else FeedReason.VERSION_GAP)
    if step.digest is not None and manifest.digest != step.digest:
        raise FeedRefused(FeedReason.EQUIVOCATION, "the head names another manifest")
    if step.kind is not None and manifest.kind is not step.kind:
        raise FeedRefused(FeedReason.NO_SNAPSHOT)
    if manifest.issued_ms > head.issued_ms:
        raise FeedRefused(FeedReason.ISSUED_IN_FUTURE, "issued after the head that names it")
    _check_chain(manifest, state)
    if manifest.counts.lines == 0:
        raise FeedRefused(FeedReason.EMPTY)
    if manifest.kind is VersionKind.DELTA and manifest.counts.lines > MAX_DELTA_LINES:
        raise FeedRefused(FeedReason.DELTA_TOO_LARGE)


def check_tally(manifest: VerifiedManifest, tally: Tally, *, approved: bool) -> None:
    """Refuse a version whose lines are not what its manifest counted, or that would lose or garble too much.

    ``approved``: an operator has looked at this version and wants its deletions.
    """
    _check_counts(manifest, tally)
    check_quarantine(manifest, tally.quarantined)
    if tally.unattributed > MAX_UNATTRIBUTED:
        raise FeedRefused(FeedReason.TOO_MANY_UNATTRIBUTED, str(tally.unattributed))
    if not approved and is_mass_deletion(tally.removed, tally.held):
        raise FeedRefused(FeedReason.MASS_DELETION, f"{sum(tally.removed.values())} of {sum(tally.held.values())}")


def check_quarantine(manifest: VerifiedManifest, quarantined: int) -> None:
    """Refuse more than 10 bad lines that are more than 1 % of all; may be asked while lines are still being read."""
    if quarantined > QUARANTINE_FLOOR and quarantined * 100 > manifest.counts.lines * QUARANTINE_PERCENT:
        raise FeedRefused(FeedReason.TOO_MANY_QUARANTINED, str(quarantined))


def is_mass_deletion(removed: Mapping[str, int], held: Mapping[str, int]) -> bool:
    """Tell whether more than 30 % of all rows, or of the rows of one kind, would go.

    By kind as well: registrations outnumber records, so all list entries of a city could vanish below 30 % of the whole.
    """
    if _too_many(sum(removed.values()), sum(held.values())):
        return True
    return any(count >= MIN_GUARDED and _too_many(removed.get(kind, 0), count) for kind, count in held.items())


def decide_as_of(manifest: VerifiedManifest, head: VerifiedHead, state: ReplicaState) -> Millis:
    """Return the instant for which the replica will be complete once this version is applied.

    The newest version is vouched for by the head up to the head's own time; one on the way only up to its own issue, and never
    less than what held before.
    """
    if manifest.version == head.version:
        return head.issued_ms
    return max(state.as_of_ms, manifest.issued_ms)


def decide_pause(poll_s: float, failures: int, jitter: float) -> float:
    """Return the seconds to wait: doubled for each failure in a row up to 15 minutes, varied by ±10 % (``jitter`` 0 to 1).

    The jitter keeps a city's gateways from asking in step; the doubling keeps a bad snapshot from being loaded every minute.
    """
    longest = max(poll_s, MAX_PAUSE_S)
    return min(poll_s * float(1 << min(failures, 16)), longest) * (0.9 + 0.2 * jitter)


def _check_chain(manifest: VerifiedManifest, state: ReplicaState) -> None:
    """A version that follows what stands must say so with its digest; only a snapshot may jump, over what it replaces."""
    if manifest.predecessor == state.version:
        if manifest.predecessor_digest != state.digest:
            raise FeedRefused(FeedReason.CHAIN_BROKEN)
    elif manifest.kind is VersionKind.DELTA:
        raise FeedRefused(FeedReason.VERSION_GAP)


def _check_counts(manifest: VerifiedManifest, tally: Tally) -> None:
    """Good and bad lines must add up to what was counted, in total and, as far as a bad line can be told, by sort."""
    counts = manifest.counts
    missing_sorts = (counts.puts - tally.puts, counts.deletes - tally.deletes)
    kinds = counts.kinds.keys() | tally.kinds.keys()
    missing_kinds = [counts.kinds.get(kind, 0) - tally.kinds.get(kind, 0) for kind in kinds]
    for missing in (missing_sorts, missing_kinds):
        if min(missing, default=0) < 0 or sum(missing) != tally.quarantined:
            raise FeedRefused(FeedReason.COUNT_DIFFERS)


def _too_many(removed: int, held: int) -> bool:
    return removed * 100 > held * MAX_DELETED_PERCENT
