"""What a worker sees of the feed's guard: within which bounds it may believe the database's word on its source.

For: the readiness loop, once a second, and once before the first request. Not for: writing the guard (the feed process does).
"""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.base.clock import Millis
from gateway.base.settings import Settings
from gateway.credit.facts import SourceBounds
from gateway.guard.replica.files import GuardFiles, GuardUnreadable
from gateway.postgres.replica_store import PostgresReplica

DOUBTED: Final = "feed_doubted"
"""A marker of doubt stands: ``feed verify`` names the rows, ``feed pull --reload`` mends."""
ROLLED_BACK: Final = "feed_rolled_back"
"""The database shows an older version of the feed than this host has seen in it."""
UNREADABLE: Final = "feed_guard_unreadable"
"""The guard's files are there and cannot be read."""


class FeedWatch:
    """Looks at the guard's files and hands the replica its bounds."""

    def __init__(self, settings: Settings, replica: PostgresReplica) -> None:
        self._files: Final = GuardFiles.of(settings.guard_dir, settings.feed_name)
        self._replica: Final = replica
        self._reason: str | None = None

    async def look(self) -> None:
        """Look once. What cannot be read is a doubt, not the absence of one."""
        bounds, self._reason = await asyncio.to_thread(read_bounds, self._files)
        self._replica.trust(bounds)

    async def reasons(self) -> tuple[str, ...]:
        """Return why requests should not come here now, by the last look; raises what the replica raises."""
        state = await self._replica.source_state()
        if self._reason is not None:
            return (self._reason,)
        if state is None:
            return ("no_feed_applied",)
        return (ROLLED_BACK,) if state.doubted else ()


def read_bounds(files: GuardFiles) -> tuple[SourceBounds, str | None]:
    """Return what the files allow, and why it is nothing if it is. Without files nothing is proven yet, and nothing contradicted."""
    try:
        doubt, stand = files.doubt(), files.stand()
    except GuardUnreadable:
        return SourceBounds(doubted=True), UNREADABLE
    reason = None if doubt is None else DOUBTED
    if stand is None or stand.version == 0:
        return SourceBounds(doubted=doubt is not None), reason
    bounds = SourceBounds(doubted=doubt is not None, min_version=stand.version, max_as_of_ms=Millis(stand.as_of_ms))
    return bounds, reason
