"""What a server has going on: connections, requests in flight, and whether it is draining.

For: the drain, which ends when nothing is going on any more. One object for a server, changed on its event loop only.
"""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.base.errors import ErrorKind, GatewayError

OVERLOAD_RETRY_S: Final = 1


class Activity:
    """Counts that the middleware and the connections keep, and an event for the moment they reach nothing.

    ``apart`` are those of ``in_flight`` that another bound counts: requests whose body has not come, and strangers in their lanes.
    """

    __slots__ = ("_max_in_flight", "_quiet", "apart", "connections", "draining", "in_flight")

    def __init__(self, max_in_flight: int) -> None:
        self._max_in_flight: Final = max_in_flight
        self.connections = 0
        self.in_flight = 0
        self.apart = 0
        self.draining = False
        self._quiet = asyncio.Event()

    def check_room(self) -> None:
        """Return if the request being served, counted already, has a place; HOT.

        Raises:
            GatewayError: ``OVERLOADED`` where ``max_in_flight`` others have taken them all.
        """
        if self.in_flight - self.apart > self._max_in_flight:
            raise GatewayError(ErrorKind.OVERLOADED, reason="in_flight", retry_after_s=OVERLOAD_RETRY_S)

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
