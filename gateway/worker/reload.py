"""Loading what stands once more from the platform's signed files: the way out when the database contradicts them.

For: ``feed pull --reload``. Not for: deciding that it is needed, nor that it has helped (``compare``).

The snapshot and the deltas up to what this host has proven go into the idle slot in one transaction and become visible at once: no answer
ever rests on a version on the way, and none on a row that was there before. What the database says of itself is used for one thing only,
to move its head away from where it stands.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol

from gateway.base.clock import Millis
from gateway.credit.feed_version import ProvenStand, ReplicaState, VerifiedHead, VerifiedManifest, VersionKind
from gateway.credit.replica_row import DigestsOf
from gateway.worker.decide import Step, VersionAdmission, check_manifest

if TYPE_CHECKING:
    from gateway.base.clock import Clock
    from gateway.worker.ports import FeedGuard, FeedSource, Reloading, ReplicaWriter


class Needs(Protocol):
    """Of the loop's powers, those that are needed here."""

    @property
    def source(self) -> FeedSource:
        """The platform."""
        ...

    @property
    def replica(self) -> ReplicaWriter:
        """The database."""
        ...

    @property
    def guard(self) -> FeedGuard:
        """This host's own memory."""
        ...

    @property
    def clock(self) -> Clock:
        """The time."""
        ...


def believed_state(state: ReplicaState, proven: ProvenStand | None) -> ReplicaState:
    """Return where the replica should stand by this host's own memory; nothing at all if it has none."""
    if proven is None:
        return dataclasses.replace(state, version=0, digest=b"", as_of_ms=Millis(0))
    return dataclasses.replace(state, version=proven.version, digest=proven.digest, as_of_ms=proven.as_of_ms)


async def reload_replica(
    needs: Needs, head: VerifiedHead, state: ReplicaState, proven: ProvenStand | None, *, approve: int | None
) -> VerifiedManifest:
    """Load the newest snapshot and its deltas up to the last version proven here; return the last one's manifest.

    A version that was never applied under this host's eyes is judged as any new one; the others have been.
    """
    highest = min(state.version, head.version) if proven is None else proven.version
    target = max(highest, head.snapshot)
    digests = await needs.guard.digests()
    reached = believed_state(state, None)
    step = Step(version=head.snapshot, kind=VersionKind.SNAPSHOT, digest=head.snapshot_digest)
    async with needs.replica.reload(state, attribute=digests is None) as reloading:
        while True:
            manifest = await needs.source.manifest(step.version)
            check_manifest(manifest, step, reached, head)
            approved = manifest.version <= highest or approve == manifest.version
            await _load(needs, reloading, VersionAdmission(manifest, approved), digests)
            if manifest.version >= target:
                break
            reached = dataclasses.replace(reached, version=manifest.version, digest=manifest.digest)
            following = manifest.version + 1
            digest = head.digest if following == head.version else None
            step = Step(version=following, kind=VersionKind.DELTA, digest=digest)
        as_of = head.issued_ms if manifest.version == head.version else manifest.issued_ms
        await reloading.show(as_of, needs.clock.now_ms())
    return manifest


async def _load(needs: Needs, reloading: Reloading, admission: VersionAdmission, digests: DigestsOf | None) -> None:
    """Load one version. Its digests may be kept before the rows are committed: they are the signed file's, whatever becomes of those."""
    manifest = admission.manifest
    base = None
    if digests is not None:
        # On top of what this host itself has proven, not of what the database says.
        empty = Millis(0)
        base = ReplicaState(
            slot=0, version=digests.version, digest=digests.manifest, as_of_ms=empty, record_count=0, quarantined=0
        )
    async with needs.source.open_file(manifest) as batches, needs.guard.draft(manifest, base) as draft:
        await reloading.load(manifest, draft.through(batches), admission)
        await draft.keep()
