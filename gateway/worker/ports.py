"""What the feed loop needs from the world.

``FeedSource`` verifies: whatever it returns was signed by a registered platform key for this feed, and the lines of a file were
checked against the signed length and digest before the first is given. It raises ``FeedRefused`` or ``FeedUnreachable``, nothing else.

``ReplicaWriter`` is all or nothing: a version is visible completely or not at all, also when the process dies, and readers see one
version at any moment. One process in the cluster writes at a time; the others get ``ApplyConflict``, as does a writer whose ``base``
is no longer what stands. A store that does not answer raises ``GatewayError(STORE_UNAVAILABLE)``. Nobody retries below this port.

``FeedGuard`` is this host's own memory of what was signed, outside the database. What it says is never taken from the database; what
it cannot say it says to be unknown. Its failures are ``GatewayError(STORE_UNAVAILABLE)``, but those of digests, which it logs itself.

``ReplicaPages`` reads rows as the database holds them, each page in one snapshot together with the head. It believes nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from gateway.base.clock import Millis
    from gateway.credit.feed_version import (
        FeedEvent,
        LineBatch,
        ProvenStand,
        ReplicaState,
        Tally,
        VerifiedHead,
        VerifiedManifest,
    )
    from gateway.credit.replica_row import DigestsOf, Finding, Part, RowDigest


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

    def reload(self, base: ReplicaState, *, attribute: bool) -> AbstractAsyncContextManager[Reloading]:
        """Build the replica anew in one transaction; what stands is not touched before ``Reloading.show``.

        ``attribute``: take the subjects of nameless bad lines from what stands, because nobody else knows them.
        """
        ...

    async def record_event(self, event: FeedEvent) -> None:
        """Keep a row for operators."""
        ...


class Reloading(Protocol):
    """A replica being built anew beside the one that stands."""

    async def load(self, manifest: VerifiedManifest, batches: AsyncIterator[LineBatch], admission: Admission) -> Tally:
        """Take the next version: first a snapshot, then its deltas in order."""
        ...

    async def show(self, as_of_ms: Millis, now_ms: Millis) -> None:
        """Make the last version that was loaded visible instead of what stands, all at once."""
        ...


class DigestDraft(Protocol):
    """The digests of one version, taken down while its lines are read."""

    @property
    def fits(self) -> bool:
        """Whether the digests can be kept."""
        ...

    def through(self, batches: AsyncIterator[LineBatch]) -> AsyncIterator[LineBatch]:
        """Pass batches on, with the subjects of nameless bad lines that this host can prove."""
        ...

    async def keep(self) -> bool:
        """Make the digests the current ones, once the rows are committed; tell whether that was done."""
        ...


class FeedGuard(Protocol):
    """What this host remembers of the feed, and its digests."""

    def own(self) -> AbstractAsyncContextManager[bool]:
        """Be the one writer of this host; ``False`` if another process is."""
        ...

    async def stand(self) -> ProvenStand | None:
        """Return what was proven last."""
        ...

    async def prove(self, proven: ProvenStand) -> None:
        """Record what stands and was signed; an older version changes nothing."""
        ...

    async def digests(self) -> DigestsOf | None:
        """Return version, manifest digest and number of the digests, ``None`` if there are none."""
        ...

    async def page(self, after: tuple[int, str], limit: int) -> tuple[DigestsOf, Sequence[RowDigest]] | None:
        """Return the next digests by part and key, with what they are of."""
        ...

    async def find(self, part: Part, keys: Sequence[str]) -> tuple[DigestsOf, Mapping[str, RowDigest]] | None:
        """Return the digests of some keys, with what they are of."""
        ...

    def draft(self, manifest: VerifiedManifest, base: ReplicaState | None) -> AbstractAsyncContextManager[DigestDraft]:
        """Begin the digests of a version on top of ``base``; undone at the end unless kept."""
        ...

    async def raise_doubt(self, finding: Finding, now_ms: Millis) -> bool:
        """Stop the answers of this host; tell whether they were not stopped already."""
        ...

    async def resolve_doubt(self) -> bool:
        """Let the answers go on; tell whether they were stopped."""
        ...

    async def doubted(self) -> bool:
        """Tell whether the answers of this host are stopped."""
        ...


class ReplicaPages(Protocol):
    """What PostgreSQL holds, page by page. The first value of each is the head in the same snapshot."""

    async def held(self, part: Part, keys: Sequence[str]) -> tuple[ReplicaState, Sequence[RowDigest]]:
        """Return the rows under some keys, digested."""
        ...

    async def keys(self, part: Part, after: str | None, limit: int) -> tuple[ReplicaState, Sequence[str]]:
        """Return the next keys, in an order of the store's own."""
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

    def replica_differs(self, kind: str, count: int) -> None:
        """Count contradictions between the database and what was signed. This is an alarm."""
        ...

    def replica_compared(self, now_ms: Millis) -> None:
        """Set when every row was last compared and found right."""
        ...

    def replica_doubted(self, *, doubted: bool) -> None:
        """Set whether the answers of this host are stopped."""
        ...


Jitter = Callable[[], float]
"""A number from 0 to 1; random in the loop, fixed in tests."""
