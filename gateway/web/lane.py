"""Requests of strangers have lanes of their own, so that they never take a place that a partner needs.

For: routes that anyone may call and that wait for something (the public log, the token endpoint), and bodies that are waited for. A request
in a lane does not count against ``max_in_flight``; the lane has its own bound.
Not for: connections (``gateway.web.crowd``); routes that answer at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from gateway.base.errors import ErrorKind, GatewayError

if TYPE_CHECKING:
    from gateway.web.exchange import Exchange, Handler, Reply

RETRY_S: Final = 1


class Lane:
    """At most ``most`` requests of one kind at once; further ones are refused at once (``OVERLOADED``). Owner: one event loop."""

    __slots__ = ("_inside", "_most", "_reason")

    def __init__(self, most: int, *, reason: str) -> None:
        self._most: Final = most
        self._reason: Final = reason
        self._inside = 0

    def bound(self, handler: Handler) -> Handler:
        """Return a handler whose requests keep to this lane."""

        async def bounded(exchange: Exchange) -> Reply:
            with self.place(exchange):
                return await handler(exchange)

        return bounded

    @contextmanager
    def place(self, exchange: Exchange) -> Iterator[None]:
        """Hold a place for the length of a block.

        Raises:
            GatewayError: ``OVERLOADED`` where every place is taken.
        """
        if self._inside >= self._most:
            raise GatewayError(ErrorKind.OVERLOADED, reason=self._reason, retry_after_s=RETRY_S)
        self._inside += 1
        exchange.activity.apart += 1
        try:
            yield
        finally:
            self._inside -= 1
            exchange.activity.apart -= 1


class BodyRoom:
    """The requests whose bodies are being waited for: at most ``most`` of them.

    A place here costs its holder nothing, so a full room is not refused to a newcomer: the one that has waited longest of the owner
    that holds most is sent away. An honest sender's body comes within its round trip; whoever sends heads alone pushes out its own.
    Owner: one event loop.
    """

    __slots__ = ("_most", "_owners", "_waiting")

    def __init__(self, most: int) -> None:
        self._most: Final = most
        self._waiting = 0
        self._owners: Final[dict[str, dict[asyncio.Timeout, None]]] = {}

    @contextmanager
    def place(self, exchange: Exchange, owner: str, deadline: asyncio.Timeout) -> Iterator[None]:
        """Hold a place for the length of a block inside ``deadline``, which ends early if the place is taken away."""
        if self._waiting >= self._most:
            self._send_one_away()
        self._waiting += 1
        exchange.activity.apart += 1
        exchange.connection.awaits_body = True
        self._owners.setdefault(owner, {})[deadline] = None
        try:
            yield
        finally:
            exchange.connection.awaits_body = False
            exchange.activity.apart -= 1
            self._forget(owner, deadline)

    def _send_one_away(self) -> None:
        owner = max(self._owners, key=lambda one: len(self._owners[one]))
        deadline = next(iter(self._owners[owner]))
        self._forget(owner, deadline)
        if not deadline.expired():
            deadline.reschedule(asyncio.get_running_loop().time())

    def _forget(self, owner: str, deadline: asyncio.Timeout) -> None:
        own = self._owners.get(owner, {})
        if deadline in own:
            del own[deadline]
            self._waiting -= 1
            if not own:
                del self._owners[owner]
