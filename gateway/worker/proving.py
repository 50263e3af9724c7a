"""Keeping this host's own proof of the replica: what stands is compared with what was signed, and digests are brought up to it.

For: ``FeedLoop``, once a poll. Not for: comparing the rows (``compare``), nor for what a contradiction is (``decide``).

A host whose own feed process applied a version has its digests from that. Where another host did, or the process died between the
database's commit and the digests', the same signed files are read once more here, and nothing of them is stored but the digests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.base.clock import Millis
from gateway.base.log import get_logger
from gateway.credit.feed_version import (
    FeedReason,
    FeedRefused,
    FeedUnreachable,
    ProvenStand,
    ReplicaState,
    VerifiedHead,
)
from gateway.credit.replica_row import DifferenceKind, Finding
from gateway.worker.decide import check_manifest, decide_proof_step, judge_stand

if TYPE_CHECKING:
    from gateway.base.clock import Clock
    from gateway.credit.feed_version import VerifiedManifest
    from gateway.worker.ports import FeedGuard, FeedMetrics, FeedSource

MAX_VERSIONS_A_TIME: Final = 64

_log: Final = get_logger()


class Proving:
    """The guard's side of the feed loop. Calls must not overlap."""

    def __init__(self, source: FeedSource, guard: FeedGuard, metrics: FeedMetrics, clock: Clock) -> None:
        self._source: Final = source
        self._guard: Final = guard
        self._metrics: Final = metrics
        self._clock: Final = clock

    async def judge(self, state: ReplicaState, head: VerifiedHead | None) -> None:
        """Doubt a database whose word on where it stands contradicts what was signed."""
        kind = judge_stand(state, await self._guard.stand(), head)
        if kind is not None:
            await self._doubt(kind, state)

    async def applied(self, manifest: VerifiedManifest, head: VerifiedHead) -> None:
        """Record a version that this host's own process has just made visible."""
        await self._prove(manifest.version, manifest.digest, head, manifest.issued_ms)

    async def bring_up(self, head: VerifiedHead, state: ReplicaState) -> bool:
        """Bring the digests to the version that stands, from signed files; tell whether they are of it now."""
        issued_ms: Millis | None = None
        try:
            for _ in range(MAX_VERSIONS_A_TIME):
                found = await self._guard.digests()
                proven = None if found is None else found[:2]
                step = decide_proof_step(head, proven, state)
                if step is None:
                    break
                reached = ReplicaState(
                    slot=0,
                    version=proven[0] if proven else 0,
                    digest=proven[1] if proven else b"",
                    as_of_ms=Millis(0),
                    record_count=0,
                    quarantined=0,
                )
                manifest = await self._source.manifest(step.version)
                check_manifest(manifest, step, reached, head)
                if not await self._take_down(manifest):
                    return False
                issued_ms = manifest.issued_ms
            return await self._settle(head, state, issued_ms)
        except FeedRefused as exc:
            _log.warning("feed_digests_refused", version=state.version, reason=exc.reason.value, detail=exc.detail)
        except FeedUnreachable as exc:
            _log.warning("feed_digests_unreachable", version=state.version, reason=str(exc))
        return False

    async def _take_down(self, manifest: VerifiedManifest) -> bool:
        async with self._source.open_file(manifest) as batches, self._guard.draft(manifest, None) as draft:
            lines = 0
            async for batch in draft.through(batches):
                lines += len(batch.lines) + len(batch.bad)
            if lines != manifest.counts.lines:
                raise FeedRefused(FeedReason.COUNT_DIFFERS)
            kept = await draft.keep()
        if kept:
            _log.info("feed_digests_made", version=manifest.version, records=lines)
        return kept

    async def _settle(self, head: VerifiedHead, state: ReplicaState, issued_ms: Millis | None) -> bool:
        found = await self._guard.digests()
        if found is None or found.version != state.version:
            return state.version == 0
        if found.manifest != state.digest:
            # The digests follow the signed chain; the database names another manifest for the same number.
            await self._doubt(DifferenceKind.MANIFEST_DIFFERS, state)
            return False
        await self._prove(state.version, state.digest, head, issued_ms)
        return True

    async def _prove(self, version: int, digest: bytes, head: VerifiedHead, issued_ms: Millis | None) -> None:
        """Record a version with the latest instant for which the platform vouched for it, if it said one that we have read."""
        as_of = head.issued_ms if (version, digest) == (head.version, head.digest) else issued_ms
        if as_of is not None:
            await self._guard.prove(ProvenStand(version=version, digest=digest, as_of_ms=as_of))

    async def _doubt(self, kind: DifferenceKind, state: ReplicaState) -> None:
        finding = Finding.of_head(kind, state.version)
        await raise_doubt(self._guard, self._metrics, finding, self._clock.now_ms())


async def raise_doubt(guard: FeedGuard, metrics: FeedMetrics, finding: Finding, now_ms: Millis) -> None:
    """Stop the answers of this host, and say so once: the marker is the memory of having said it, also across restarts."""
    fresh = await guard.raise_doubt(finding, now_ms)
    metrics.replica_doubted(doubted=True)
    if fresh:
        kind = finding.differences[0].kind.value
        metrics.replica_differs(kind, finding.count)
        _log.error("feed_replica_differs", version=finding.version, reason=kind, records=finding.count)
