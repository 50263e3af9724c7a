"""The admin port of a host: liveness, readiness of all its processes, and their metrics together.

For: probes and Prometheus. It belongs to the supervisor, so it answers also while workers restart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Gauge, generate_latest, multiprocess

from gateway import __version__
from gateway.api.admin import AdminNeeds, AdminRoutes
from gateway.base.clock import SystemClock
from gateway.base.log import get_logger
from gateway.web.answer import AnswerWriter
from gateway.web.limits import HttpLimits
from gateway.web.middleware import AnyHost, Front, FrontPolicy
from gateway.web.problem import ProblemRenderer
from gateway.web.routes import RouteTable
from gateway.web.server import RunningServer, start_server

if TYPE_CHECKING:
    import socket
    from pathlib import Path

_COLLECTOR: Final[Callable[..., object]] = multiprocess.MultiProcessCollector  # the library carries no types
_MARK_DEAD: Final[Callable[..., None]] = multiprocess.mark_process_dead
_DEADLINE_S: Final = 5.0
_MAX_IN_FLIGHT: Final = 16


class _Uncounted:
    """Probes are neither counted nor logged; a defect in answering one is."""

    def request_started(self) -> None:
        """Do nothing."""

    def request_finished(self, route: str, method: str, status: int, seconds: float) -> None:
        """Do nothing."""

    def refused(self, code: str) -> None:
        """Do nothing."""

    def connection_closed(self, reason: str) -> None:
        """Do nothing."""

    def info(self, event: str, **fields: object) -> None:
        """Do nothing."""

    def error(self, event: str, **fields: object) -> None:
        """Write one line that someone must see."""
        get_logger().error(event, **fields)


class HostMetrics:
    """The metrics of all processes of this host: read from the files the workers write, one set a slot."""

    def __init__(self, directory: Path) -> None:
        self._directory: Final = directory
        self._own: Final = CollectorRegistry()
        Gauge("gateway_build_info", "The program that runs", ["version"], registry=self._own).labels(__version__).set(1)
        self._restarts: Final = Gauge(
            "gateway_child_restarts", "Restarts of a child process since start", ["child"], registry=self._own
        )

    def restarted(self, child: str, restarts: int) -> None:
        """Note how often a child was restarted."""
        self._restarts.labels(child).set(restarts)

    def render(self) -> bytes:
        """Return the exposition text."""
        merged = CollectorRegistry()
        _COLLECTOR(merged, path=str(self._directory))
        return bytes(generate_latest(merged)) + bytes(generate_latest(self._own))


def forget_dead(slot: str, directory: Path) -> None:
    """Drop what a dead process had in flight; its counters stay, and its successor goes on with them."""
    _MARK_DEAD(slot, str(directory))


async def start_admin_port(
    listener: socket.socket, reasons: Callable[[], tuple[str, ...]], metrics: HostMetrics
) -> RunningServer:
    """Serve the admin routes on a bound socket."""

    async def now() -> tuple[str, ...]:
        await asyncio.sleep(0)
        return reasons()

    uncounted = _Uncounted()
    front = Front(
        routes=RouteTable(AdminRoutes(AdminNeeds(reasons=now, metrics=metrics.render)).routes()),
        policy=FrontPolicy(hosts=AnyHost.ANY, deadline_s=_DEADLINE_S, max_in_flight=_MAX_IN_FLIGHT),
        scheme="http",
        writer=AnswerWriter(secure=False, version=__version__),
        problems=ProblemRenderer("about:blank#"),
        clock=SystemClock(),
        log=uncounted,
        metrics=uncounted,
    )
    return await start_server(front, listener, HttpLimits())
