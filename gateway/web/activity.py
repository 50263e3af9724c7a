"""What a server has going on: connections, requests in flight, and whether it is draining.

For: the drain, which ends when nothing is going on any more. One object for a server, changed on its event loop only.
"""

from __future__ import annotations

import asyncio


class Activity:
    """Counts that the middleware and the connections keep, and an event for the moment they reach nothing."""

    __slots__ = ("_quiet", "connections", "draining", "in_flight")

    def __init__(self) -> None:
        self.connections = 0
        self.in_flight = 0
        self.draining = False
        self._quiet = asyncio.Event()

    def request_ended(self) -> None:
        """Count one request less in flight."""
        self.in_flight -= 1
        self._note_quiet()

    def connection_ended(self) -> None:
        """Count one connection less."""
        self.connections -= 1
        self._note_quiet()

    async def quiet(self) -> None:
        """Return when no connection is open and no request is being served; call it only while draining."""
        self._note_quiet()
        await self._quiet.wait()

    def _note_quiet(self) -> None:
        if self.draining and not self.connections and not self.in_flight:
            self._quiet.set()
