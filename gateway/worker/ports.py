"""What the feed loop needs from the world.

``FeedSource`` verifies: whatever it returns was signed by a registered platform key for this feed, and the lines of a file were
checked against the signed length and digest before the first is given. It raises ``FeedRefused`` or ``FeedUnreachable``, nothing else.

``ReplicaWriter`` is all or nothing: a version is visible completely or not at all, also when the process dies, and readers see one
version at any moment. One process in the cluster writes at a time; the others get ``ApplyConflict``, as does a writer whose ``base``
is no longer what stands. A store that does not answer raises ``GatewayError(STORE_UNAVAILABLE)``. Nobody retries below this port.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from gateway.base.clock import Millis
    from gateway.credit.feed_version import (
        FeedEvent,
        LineBatch,
        ReplicaState,
        Tally,
        VerifiedHead,
        VerifiedManifest,
    )


class FeedSource(Protocol):
    """One feed of the municipal platform."""

    async def head(self) -> VerifiedHead:
        """Return what the platform says is newest."""
        ...

    async def manifest(self, version: int) -> VerifiedManifest:
        """Return the manifest served for a version."""
        ...

    def open_file(self, manifest: VerifiedManifest) -> AbstractAsyncContextManager[AsyncIterator[LineBatch]]:
        """Download and verify the file of a version, and give its lines in batches."""
        ...


class Admission(Protocol):
    """The pure part of applying: called while lines come in, and once before anything becomes visible. Refuses by raising."""

    def during(self, quarantined: int) -> None:
        """Refuse early when there are too many bad lines already."""
        ...

    def before_commit(self, tally: Tally) -> None:
        """Refuse what was counted."""
        ...


class ReplicaWriter(Protocol):
    """The writing side of the replica."""

    async def state(self) -> ReplicaState:
        """Return what the replica stands on."""
        ...

    async def apply(  # noqa: PLR0913 - each part is named at the call
        self,
        manifest: VerifiedManifest,
        batches: AsyncIterator[LineBatch],
        *,
        base: ReplicaState,
        as_of_ms: Millis,
        now_ms: Millis,
        admission: Admission,
    ) -> Tally:
        """Make a version visible on top of ``base``, or leave everything as it was."""
        ...

    async def advance(self, base: ReplicaState, as_of_ms: Millis) -> None:
        """Record that ``base`` was still the newest at a later instant; ``ApplyConflict`` if it no longer stands."""
        ...

    async def record_event(self, event: FeedEvent) -> None:
        """Keep a row for operators."""
        ...


class FeedMetrics(Protocol):
    """Counters and gauges of the feed, for the alarm rules. Reasons come from closed lists, never from a stranger."""

    def version_applied(self, kind: str, records: int) -> None:
        """Count a version that became visible."""
        ...

    def feed_refused(self, reason: str) -> None:
        """Count a refusal. This is the alarm."""
        ...

    def feed_unreachable(self, reason: str) -> None:
        """Count a poll without an answer."""
        ...

    def feed_stands_at(self, state: ReplicaState) -> None:
        """Set the gauges of version, freshness and lines in quarantine."""
        ...


Jitter = Callable[[], float]
"""A number from 0 to 1; random in the loop, fixed in tests."""
