"""The two edges of one process, put together from their needs: what ``gateway.wiring`` calls.

Not for: sockets and life cycle (``gateway.web.server``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from gateway import __version__
from gateway.api.admin import AdminNeeds, AdminRoutes
from gateway.api.docs import DocsRoutes
from gateway.api.log import LogRoutes
from gateway.api.needs import Needs
from gateway.api.oauth import OAuthRoutes
from gateway.api.openapi import render_document
from gateway.api.partner import PartnerRoutes
from gateway.api.status import StatusRoutes
from gateway.base.clock import Clock
from gateway.web.answer import AnswerWriter
from gateway.web.exchange import Route
from gateway.web.middleware import AnyHost, Front, FrontPolicy, HttpMetrics
from gateway.web.problem import ProblemRenderer
from gateway.web.request_lines import RequestLog
from gateway.web.routes import RouteTable

ADMIN_DEADLINE_S: Final = 5.0
ADMIN_MAX_IN_FLIGHT: Final = 32
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class Observers:
    """Who is told about every request."""

    log: RequestLog
    metrics: HttpMetrics


def partner_routes(needs: Needs) -> tuple[Route, ...]:
    """Return all routes of the partner port."""
    return (
        *PartnerRoutes(needs).routes(),
        *OAuthRoutes(needs).routes(),
        *LogRoutes(needs.log, needs.strangers.public_reads).routes(),
        *StatusRoutes(needs, render_document(needs.issuer)).routes(),
        *DocsRoutes().routes(),
    )


def partner_front(needs: Needs, policy: FrontPolicy, observers: Observers) -> Front:
    """Return the request handler of the partner port."""
    return _front(needs.issuer, partner_routes(needs), policy, needs.clock, observers)


def admin_front(needs: AdminNeeds, issuer: str, clock: Clock, observers: Observers) -> Front:
    """Return the request handler of the admin port, which answers under any name."""
    policy = FrontPolicy(hosts=AnyHost.ANY, deadline_s=ADMIN_DEADLINE_S, max_in_flight=ADMIN_MAX_IN_FLIGHT)
    return _front(issuer, AdminRoutes(needs).routes(), policy, clock, observers)


def accepted_hosts(issuer: str) -> frozenset[str]:
    """Return the values of ``Host`` that mean an issuer: its authority, and with the default port both spellings of it."""
    parts = urlsplit(issuer)
    default = _DEFAULT_PORTS.get(parts.scheme)
    name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else str(parts.hostname)
    port = parts.port or default
    return frozenset({f"{name}:{port}", name}) if port == default else frozenset({f"{name}:{port}"})


def _front(issuer: str, routes: tuple[Route, ...], policy: FrontPolicy, clock: Clock, observers: Observers) -> Front:
    return Front(
        routes=RouteTable(routes),
        policy=policy,
        scheme=urlsplit(issuer).scheme,
        writer=AnswerWriter(secure=issuer.startswith("https://"), version=__version__),
        problems=ProblemRenderer(issuer),
        clock=clock,
        log=observers.log,
        metrics=observers.metrics,
    )
