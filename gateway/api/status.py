"""What anyone may ask about the service itself: how fresh its source is, its description, and where to begin.

Not for: probes (``gateway.api.admin``) nor figures about partners.
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.api.documents import serve_document
from gateway.api.needs import Needs
from gateway.base.clock import rfc3339
from gateway.web.exchange import Exchange, Reply, Route
from gateway.web.problem import DOCS_PATH

MAX_AGE_S: Final = 300
CACHE: Final = f"public, max-age={MAX_AGE_S}"


class SourceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The municipal feed that answers rest on. Without a feed, ``version`` and ``as_of`` are null and ``stale`` is true."""

    version: int | None
    as_of: str | None
    age_s: int | None
    stale: bool


class ServiceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The body of ``GET /v1/status``."""

    time: str
    source: SourceStatus


class Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """The body of ``GET /``: where to begin."""

    service: str
    openapi: str
    metadata: str
    errors: str


_ENCODER: Final = msgspec.json.Encoder()


class StatusRoutes:
    """The handlers, around the needs they share and the OpenAPI document."""

    def __init__(self, needs: Needs, openapi: bytes) -> None:
        self._needs: Final = needs
        self._openapi: Final = openapi

    def routes(self) -> tuple[Route, ...]:
        """Return the routes."""
        return (
            Route(method="GET", template="/", handler=self.pointer),
            Route(method="GET", template="/v1/status", handler=self._needs.strangers.public_reads.bound(self.status)),
            Route(
                method="GET", template="/v1/openapi.json", handler=serve_document(self._openapi, max_age_s=MAX_AGE_S)
            ),
        )

    async def pointer(self, _exchange: Exchange) -> Reply:
        """Say where to begin."""
        issuer = self._needs.issuer
        pointer = Pointer(
            service="信用信息查询网关 / credit gateway",
            openapi=f"{issuer}/v1/openapi.json",
            metadata=f"{issuer}/.well-known/oauth-authorization-server",
            errors=f"{issuer}{DOCS_PATH.rstrip('/')}",
        )
        return Reply(status=200, body=_ENCODER.encode(pointer), cache_control=CACHE)

    async def status(self, _exchange: Exchange) -> Reply:
        """Say how fresh the source is; past ``max_stale``, or in doubt, every answer is ``unavailable``."""
        now = self._needs.clock.now_ms()
        state = await self._needs.source.source_state()
        if state is None:
            source = SourceStatus(version=None, as_of=None, age_s=None, stale=True)
        else:
            age_ms = max(now - state.as_of_ms, 0)
            stale = state.doubted or age_ms > self._needs.max_stale_ms
            source = SourceStatus(
                version=state.version, as_of=rfc3339(state.as_of_ms), age_s=age_ms // 1000, stale=stale
            )
        return Reply(status=200, body=_ENCODER.encode(ServiceStatus(time=rfc3339(now), source=source)))
