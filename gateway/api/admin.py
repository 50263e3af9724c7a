"""The admin routes of one process: is it alive, may it be sent requests, what does it count.

For: probes and Prometheus, on a port of its own that strangers cannot reach. Not for: operating the gateway (that is the command line).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from gateway.web.exchange import Exchange, Reply, Route

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""The Prometheus text exposition format."""


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """The body of ``/readyz``. ``reasons`` are machine words; none means ready."""

    ready: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminNeeds:
    """``reasons`` returns why this process should not be sent requests now; ``metrics`` the exposition text."""

    reasons: Callable[[], Awaitable[tuple[str, ...]]]
    metrics: Callable[[], bytes]


_ENCODER: Final = msgspec.json.Encoder()


class AdminRoutes:
    """The handlers, around the needs they share."""

    def __init__(self, needs: AdminNeeds) -> None:
        self._needs: Final = needs

    def routes(self) -> tuple[Route, ...]:
        """Return the routes."""
        return (
            Route(method="GET", template="/livez", handler=self.livez),
            Route(method="GET", template="/readyz", handler=self.readyz),
            Route(method="GET", template="/metrics", handler=self.metrics),
        )

    async def livez(self, _exchange: Exchange) -> Reply:
        """Say that the event loop turns."""
        return Reply(status=200, body=b'{"alive":true}')

    async def readyz(self, _exchange: Exchange) -> Reply:
        """Say whether requests should come here: 200, or 503 with the reasons."""
        reasons = await self._needs.reasons()
        body = _ENCODER.encode(Readiness(ready=not reasons, reasons=reasons))
        return Reply(status=503 if reasons else 200, body=body)

    async def metrics(self, _exchange: Exchange) -> Reply:
        """Serve the metrics."""
        return Reply(status=200, body=self._needs.metrics(), content_type=METRICS_TYPE)
