"""The state of the municipal feed as operators see it: what is answered from, and what happened lately.

For: ``credit-gateway feed status`` and ``status``. Not for: answers (``replica_store``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.base.clock import Millis

if TYPE_CHECKING:
    from gateway.postgres.pool import Connection
    from gateway.postgres.queries import Queries

EVENTS_SHOWN: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEvent:
    """What happened to one version: ``applied``, ``refused`` with a reason, or the platform was ``unreachable``."""

    at_ms: Millis
    version: int | None
    result: str
    reason: str | None
    records: int | None
    quarantined: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedStatus:
    """``version`` and what belongs to it are None as long as no version was ever applied."""

    feed: str
    version: int | None
    as_of_ms: Millis | None
    applied_ms: Millis | None
    records: int
    quarantined: int
    events: tuple[FeedEvent, ...]


async def read_feed_status(connection: Connection, queries: Queries, feed: str) -> FeedStatus:
    """Return the state of a feed."""
    head = await connection.fetchrow(queries["feed_head_of"], feed)
    rows = await connection.fetch(queries["recent_feed_events"], feed, EVENTS_SHOWN)
    return FeedStatus(
        feed=feed,
        version=head["version"] if head else None,
        as_of_ms=Millis(head["as_of_ms"]) if head else None,
        applied_ms=Millis(head["applied_ms"]) if head else None,
        records=head["record_count"] if head else 0,
        quarantined=head["quarantined"] if head else 0,
        events=tuple(FeedEvent(**dict(row)) for row in rows),
    )
