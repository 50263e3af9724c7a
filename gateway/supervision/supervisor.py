"""``serve``: the parent of all processes of one host.

For: one socket a worker on the one port, restarts, readiness, orderly stop. Not for: serving anything but the admin port.

The parent binds a socket for each worker slot (``SO_REUSEPORT``, socket(7)) and keeps it for its whole life. A worker inherits
the socket of its slot; when it dies, connections wait in that socket's queue for its successor and none is reset.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.base.log import get_logger
from gateway.base.settings import EXIT_CONFIG, environment_variables
from gateway.supervision.admin_port import HostMetrics, forget_dead, start_admin_port
from gateway.supervision.children import Blueprint, Child
from gateway.supervision.notify import notify_systemd
from gateway.wiring.worker import DRAINING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.base.setting_values import Address
    from gateway.base.settings import Settings

FEED_SLOT: Final = "feed"
KILL_MARGIN_S: Final = 5.0
"""What a child gets beyond its own drain time before it is killed."""
_LINGER_S: Final = 0.5
_DRAIN_POLL_S: Final = 0.01
_log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run. ``config`` is handed on to the children, which read their settings themselves.

    ``until_eof`` is a descriptor whose end of file means: stop (whoever started us is gone).
    """

    settings: Settings
    workers: int
    config: Path | None
    until_eof: int | None = None


async def supervise(plan: Plan) -> int:
    """Run all processes of this host until SIGTERM or SIGINT; return the exit code.

    1. Bind every socket, so that a port in use is known before anything starts.
    2. Start the workers and the feed process; keep them alive.
    3. Serve the admin port; tell systemd once everything is ready.
    4. On a signal: tell all children at once, turn newcomers away, wait until the children have drained.
    """
    stopping = asyncio.Event()
    _take_signals(stopping)
    if plan.until_eof is not None:
        asyncio.get_running_loop().add_reader(plan.until_eof, stopping.set)
    with contextlib.ExitStack() as stack:
        metrics_directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="credit-gateway-metrics-"))
        sockets = _bind_slots(plan.settings.bind, plan.workers, stack)  # 1
        admin_socket = _bind_slots(plan.settings.admin_bind, 1, stack)[0]
        children = _children(plan, sockets, Path(metrics_directory))
        metrics = HostMetrics(Path(metrics_directory))

        def reasons() -> tuple[str, ...]:
            for child in children:
                metrics.restarted(child.blueprint.name, child.restarts)
            draining = ("stopping",) if stopping.is_set() else ()
            return draining + tuple(f"{c.blueprint.name}: {word}" for c in children for word in c.reasons)

        async with asyncio.TaskGroup() as group:
            kept = [group.create_task(child.keep_alive(stopping), name=child.blueprint.name) for child in children]  # 2
            admin = await start_admin_port(admin_socket, reasons, metrics)  # 3
            announcing = group.create_task(_announce(plan, sockets[0], reasons, stopping), name="announce")
            fatal = await _until_stopped(kept, stopping)
            stopping.set()
            announcing.cancel()
            await _stop(children, sockets, plan.settings.drain_s)  # 4
            await admin.drain(grace_s=0, finish_s=_LINGER_S)
    return fatal or 0


def _take_signals(stopping: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a closing terminal does not end a service


def _bind_slots(address: Address, count: int, stack: contextlib.ExitStack) -> list[socket.socket]:
    """Return bound sockets on one port. They are not listening yet: a worker that is ready listens for itself."""
    port, bound = address.port, []
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    for _ in range(count):
        sock = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((address.host, port))
        port = sock.getsockname()[1]
        bound.append(sock)
    return bound


def _children(plan: Plan, sockets: list[socket.socket], metrics_directory: Path) -> list[Child]:
    environment = environment_variables() | {"PROMETHEUS_MULTIPROC_DIR": str(metrics_directory)}
    config = () if plan.config is None else ("--config", str(plan.config.absolute()))

    def died(slot: str) -> Callable[[], None]:
        # What a dead process had in flight must not stay in the sum.
        return lambda: forget_dead(slot, metrics_directory)

    workers = [
        Blueprint(
            name=f"worker-{slot}",
            arguments=("serve-worker", "--slot", str(slot), "--fd", str(sock.fileno()), *config),
            environment=environment,
            descriptors=(sock.fileno(),),
            fatal_exit=EXIT_CONFIG,
            died=died(f"worker-{slot}"),
        )
        for slot, sock in enumerate(sockets)
    ]
    feed = Blueprint(
        name=FEED_SLOT,
        arguments=("feed-worker", *config),
        environment=environment,
        fatal_exit=EXIT_CONFIG,
        died=died(FEED_SLOT),
    )
    return [Child(blueprint) for blueprint in (*workers, feed)]


async def _announce(
    plan: Plan, sock: socket.socket, reasons: Callable[[], tuple[str, ...]], stopping: asyncio.Event
) -> None:
    """Say once that everything is ready: in the log and to systemd."""
    while reasons() and not stopping.is_set():  # noqa: ASYNC110 - readiness is the sum of what several children say
        await asyncio.sleep(_LINGER_S)
    host, port = sock.getsockname()[:2]
    _log.info("gateway_ready", workers=plan.workers, bind=f"{host}:{port}", admin_bind=str(plan.settings.admin_bind))
    notify_systemd("READY=1")


async def _until_stopped(kept: list[asyncio.Task[int | None]], stopping: asyncio.Event) -> int | None:
    """Wait for a signal, or for a child whose end no restart can mend; return that child's exit code."""
    asked = asyncio.create_task(stopping.wait(), name="stop signal")
    try:
        done, _ = await asyncio.wait([asked, *kept], return_when=asyncio.FIRST_COMPLETED)
    finally:
        asked.cancel()
    return next((task.result() for task in kept if task in done), None)


async def _stop(children: list[Child], sockets: list[socket.socket], drain_s: int) -> None:
    notify_systemd("STOPPING=1")
    for child in children:
        child.send(signal.SIGTERM)
    turning = [
        asyncio.create_task(_turn_away(child, sock), name=f"turn away {child.blueprint.name}")
        for child, sock in zip(children, sockets, strict=False)  # workers come first, the feed process has no socket
    ]
    await asyncio.gather(*(child.ended(drain_s + KILL_MARGIN_S) for child in children), *turning)


async def _turn_away(child: Child, sock: socket.socket) -> None:
    """Stop listening once a worker takes no more connections.

    Nobody will ever take what would queue up from then on: a client had better be refused at once than reset at the end.
    """
    while child.pid is not None and DRAINING not in child.reasons:  # noqa: ASYNC110 - what it says comes over its line
        await asyncio.sleep(_DRAIN_POLL_S)
    with contextlib.suppress(OSError):  # it never listened
        sock.shutdown(socket.SHUT_RDWR)
