"""The feed loop: keep the replica at the newest version that the platform signed, and say loudly when that cannot be.

For: one process of the cluster. ``tick`` is one poll: claim (what stands), decide (pure), act, settle. Not for: what a refusal is
(``decide``), what a record means (``gateway.credit``).

What is true if the process dies at any line: the replica shows one complete version, the last one committed. The next tick starts from
what stands in the database, so there is no recovery path beside the ordinary one.
"""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from gateway.base.errors import GatewayError
from gateway.base.log import get_logger
from gateway.credit.feed_version import (
    ApplyConflict,
    EventResult,
    FeedEvent,
    FeedRefused,
    FeedUnreachable,
    ReplicaState,
    VerifiedHead,
)
from gateway.worker.decide import (
    Step,
    VersionAdmission,
    check_head,
    check_manifest,
    decide_as_of,
    decide_pause,
    decide_step,
)
from gateway.worker.proving import Proving
from gateway.worker.reload import believed_state, reload_replica

if TYPE_CHECKING:
    from gateway.base.clock import Clock
    from gateway.worker.ports import FeedGuard, FeedMetrics, FeedSource, Jitter, ReplicaWriter

MAX_VERSIONS_A_TICK: Final = 64
TICK_DEADLINE_S: Final = 3600.0
"""A snapshot of 20 million records on a slow line; every wait inside has its own, shorter deadline."""

_log: Final = get_logger()


class TickResult(StrEnum):
    """How one poll ended."""

    CURRENT = "current"
    BEHIND = "behind"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    BUSY = "busy"
    STORE_FAILED = "store_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TickOutcome:
    """What one poll did: ``applied`` lists the versions that became visible, ``version`` the one that ``reason`` is about."""

    result: TickResult
    applied: tuple[int, ...] = ()
    version: int | None = None
    reason: str | None = None
    unproven: bool = False
    """The version stands, but this host could not bring its digests up to it."""

    @property
    def failed(self) -> bool:
        """Whether the next poll should wait longer."""
        return self.unproven or self.result in {TickResult.REFUSED, TickResult.UNREACHABLE, TickResult.STORE_FAILED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """The powers of the loop."""

    source: FeedSource
    replica: ReplicaWriter
    guard: FeedGuard
    metrics: FeedMetrics
    clock: Clock


@dataclass(slots=True)
class _Poll:
    """One poll on its way: what was asked for, and how far it came."""

    approve: int | None
    anew: bool
    applied: list[int]
    step: Step | None = None


class FeedLoop:
    """Polls one feed. ``tick`` may be called by hand (operators, tests); calls must not overlap."""

    def __init__(self, needs: Needs) -> None:
        self._needs: Final = needs
        self._proving: Final = Proving(needs.source, needs.guard, needs.metrics, needs.clock)
        self._seen: VerifiedHead | None = None  # owned by the task that ticks
        self._last_event: tuple[EventResult, int | None, str | None] | None = None  # the same task

    async def run(self, *, poll_s: float, jitter: Jitter) -> None:
        """Poll until cancelled."""
        failures = 0
        while True:
            try:
                async with asyncio.timeout(TICK_DEADLINE_S):
                    outcome = await self.tick()
                failures = failures + 1 if outcome.failed else 0
            except Exception:  # noqa: BLE001 - the worker loop: a defect in one poll must not end all later ones
                failures += 1
                _log.exception("feed_poll_failed")
            await asyncio.sleep(decide_pause(poll_s, failures, jitter()))

    async def tick(self, *, approve: int | None = None, anew: bool = False) -> TickOutcome:
        """Bring the replica to the newest version, one version at a time, as far as they can be believed.

        ``approve`` names a version whose mass deletion an operator has examined and wants. ``anew``: first load what stands once
        more from the signed files, whatever the database says.
        """
        poll = _Poll(approve, anew, [])
        try:
            async with self._needs.guard.own() as ours:
                if not ours:
                    return TickOutcome(result=TickResult.BUSY)
                return await self._poll(poll)
        except FeedRefused as exc:
            return await self._settle_refused(exc, poll.step, tuple(poll.applied))
        except FeedUnreachable as exc:
            return await self._settle_unreachable(exc, poll.step, tuple(poll.applied))
        except ApplyConflict:
            return TickOutcome(result=TickResult.BUSY, applied=tuple(poll.applied))
        except GatewayError as exc:
            _log.error("feed_store_failed", reason=exc.reason)
            return TickOutcome(result=TickResult.STORE_FAILED, applied=tuple(poll.applied), reason=exc.reason)

    async def _poll(self, poll: _Poll) -> TickOutcome:
        """1 what stands, 2 what is newest, 3 the versions between, 4 this host's own proof of the result."""
        needs, approve = self._needs, poll.approve
        state = await needs.replica.state()  # 1
        await self._proving.judge(state, None)
        head = await needs.source.head()  # 2
        await self._proving.judge(state, head)
        if poll.anew:
            state = await self._reload(poll, head, state)
        check_head(head, state, self._seen, needs.clock.now_ms())
        self._seen = head
        for _ in range(MAX_VERSIONS_A_TICK):  # 3
            poll.step = step = decide_step(head, state)
            if step is None:
                break
            await self._apply(step, head, state, approved=approve == step.version)
            poll.applied.append(step.version)
            state = await needs.replica.state()
        outcome = await self._settle_good(head, state, tuple(poll.applied))
        proven = await self._proving.bring_up(head, state)  # 4
        return outcome if proven else dataclasses.replace(outcome, unproven=True)

    async def _reload(self, poll: _Poll, head: VerifiedHead, state: ReplicaState) -> ReplicaState:
        needs = self._needs
        proven = await needs.guard.stand()
        check_head(head, believed_state(state, proven), self._seen, needs.clock.now_ms())
        manifest = await reload_replica(needs, head, state, proven, approve=poll.approve)
        await self._proving.applied(manifest, head)
        poll.applied.append(manifest.version)
        _log.warning("feed_reloaded", version=manifest.version)
        return await needs.replica.state()

    async def _apply(self, step: Step, head: VerifiedHead, state: ReplicaState, *, approved: bool) -> None:
        """1 manifest, 2 decide, 3 file, 4 store, 5 say so."""
        needs = self._needs
        # 1
        manifest = await needs.source.manifest(step.version)
        # 2
        check_manifest(manifest, step, state, head)
        as_of = decide_as_of(manifest, head, state)
        # 3
        async with needs.source.open_file(manifest) as batches, needs.guard.draft(manifest, state) as draft:
            # 4
            tally = await needs.replica.apply(
                manifest,
                draft.through(batches),
                base=state,
                as_of_ms=as_of,
                now_ms=needs.clock.now_ms(),
                admission=VersionAdmission(manifest, approved),
            )
            # 5 The version stands from here on, whether or not the next lines run. If they do not, the digests are those of the
            # version before, known as such, and the next poll makes them from the signed file.
            await draft.keep()
        await self._proving.applied(manifest, head)
        records = manifest.counts.lines - tally.quarantined
        needs.metrics.version_applied(manifest.kind.value, records)
        _log.info(
            "feed_version_applied",
            version=manifest.version,
            kind=manifest.kind.value,
            records=records,
            quarantined=tally.quarantined,
            unattributed=tally.unattributed,
        )
        if tally.quarantined:
            _log.warning("feed_lines_quarantined", version=manifest.version, quarantined=tally.quarantined)
        await self._record(EventResult.APPLIED, manifest.version, None, records, tally.quarantined)

    async def _settle_good(self, head: VerifiedHead, state: ReplicaState, applied: tuple[int, ...]) -> TickOutcome:
        current = state.version == head.version
        if current and head.issued_ms > state.as_of_ms:
            await self._needs.replica.advance(state, head.issued_ms)
            state = dataclasses.replace(state, as_of_ms=head.issued_ms)
        self._needs.metrics.feed_stands_at(state)
        if not applied:
            # The next trouble is news again, even if it is the same as before this good poll.
            self._last_event = None
        result = TickResult.CURRENT if current else TickResult.BEHIND
        return TickOutcome(result=result, applied=applied, version=state.version)

    async def _settle_refused(self, refusal: FeedRefused, step: Step | None, applied: tuple[int, ...]) -> TickOutcome:
        version = None if step is None else step.version
        self._needs.metrics.feed_refused(refusal.reason.value)
        _log.warning("feed_refused", version=version, reason=refusal.reason.value, detail=refusal.detail)
        await self._record(EventResult.REFUSED, version, refusal.reason.value)
        return TickOutcome(result=TickResult.REFUSED, applied=applied, version=version, reason=refusal.reason.value)

    async def _settle_unreachable(
        self, failure: FeedUnreachable, step: Step | None, applied: tuple[int, ...]
    ) -> TickOutcome:
        version, reason = None if step is None else step.version, str(failure)
        self._needs.metrics.feed_unreachable(reason)
        _log.warning("feed_unreachable", version=version, reason=reason)
        await self._record(EventResult.UNREACHABLE, version, reason)
        return TickOutcome(result=TickResult.UNREACHABLE, applied=applied, version=version, reason=reason)

    async def _record(
        self,
        result: EventResult,
        version: int | None,
        reason: str | None,
        records: int | None = None,
        quarantined: int | None = None,
    ) -> None:
        """Keep a row when something changed; the same trouble every minute is one row, and a counter that rises."""
        if self._last_event == (result, version, reason):
            return
        event = FeedEvent(
            at_ms=self._needs.clock.now_ms(),
            result=result,
            version=version,
            reason=reason,
            records=records,
            quarantined=quarantined,
        )
        try:
            await self._needs.replica.record_event(event)
        except GatewayError as exc:
            # The row is for reading later; the counter and the log line have already said it.
            _log.warning("feed_event_lost", version=version, reason=exc.reason)
            return
        self._last_event = (result, version, reason)
