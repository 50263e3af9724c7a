"""An aiohttp server on a given listening socket: what the kernel may hold for a client, and the drain.

For: starting to serve, and stopping without failing a request. aiohttp's low-level server is used without its application and router: see
``gateway.web.routes`` and ``gateway.web.answer``.
Not for: one connection (``gateway.web.connection``); making the socket (the supervisor does, so that a restarted worker finds the same
accept queue).
Source: tcp(7) for ``TCP_USER_TIMEOUT``, socket(7) for the buffers.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp import web
from aiohttp.http import HttpRequestParser
from aiohttp.http_parser import HttpRequestParserPy

from gateway.web.connection import Connection
from gateway.web.crowd import Crowd, CrowdLimits

if TYPE_CHECKING:
    from gateway.web.limits import HttpLimits
    from gateway.web.middleware import Front

OLDEST_AIOHTTP: Final = (3, 14, 4)
"""Earlier parsers had request-smuggling faults."""
KERNEL_BUFFER_BYTES: Final = 65_536
"""What the kernel may hold of a connection in each direction (it takes twice that, for its own needs). Left to itself it would let a reader
who does not read have 4 MB, and a sender as much at once in our memory. Our largest body and our largest document fit."""
BACKLOG: Final = 1024


class UnfitParser(RuntimeError):  # noqa: N818 - a statement about what is installed
    """The installed aiohttp must not face strangers."""


class GatewayServer(web.Server):
    """Makes a ``Connection`` for each client."""

    def __init__(self, front: Front, limits: HttpLimits) -> None:
        # The client cannot cancel a commit: handlers have a deadline of their own instead.
        super().__init__(cast("Any", front), handler_cancellation=False)  # it answers with a WireAnswer, see there
        self._front: Final = front
        self._limits: Final = limits
        self._crowd: Final = Crowd(
            CrowdLimits(most=limits.max_connections, most_of_address=limits.max_connections_of_address)
        )

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a new connection."""
        return Connection(self, self._front, self._limits, self._crowd)


class RunningServer:
    """A server that accepts connections until it is drained."""

    def __init__(self, server: GatewayServer, listener: asyncio.Server, front: Front) -> None:
        self._server: Final = server
        self._listener: Final = listener
        self._front: Final = front
        self._activity: Final = front.activity

    @property
    def is_listening(self) -> bool:
        """Whether new connections are accepted."""
        return self._listener.is_serving()

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return self._activity.connections

    def open_connections(self) -> list[web.RequestHandler]:
        """Return the open connections."""
        return self._server.connections

    @property
    def in_flight(self) -> int:
        """The number of requests being served."""
        return self._activity.in_flight

    async def drain(self, *, grace_s: float, finish_s: float) -> None:
        """Stop without failing a request.

        1. From now on every answer says ``Connection: close``.
        2. Take what the kernel has already accepted for us, then stop listening.
        3. For ``grace_s``, let clients send one more request on connections they keep open; end at once when all have left.
        4. Close what is idle; give what is being served ``finish_s`` to end, then close that too. Write what was only counted.

        A second call returns when the server is closed as well.
        """
        # 1
        self._activity.draining = True
        # 2
        for _ in range(3):  # one turn for the selector to report, one to accept, one to make the protocol
            await asyncio.sleep(0)
        self._listener.close()
        # 3
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._activity.quiet()
        # 4
        self._server.pre_shutdown()
        await self._server.shutdown(finish_s)
        self._front.lines.write_counts()


async def start_server(front: Front, sock: socket.socket, limits: HttpLimits) -> RunningServer:
    """Serve on a bound socket, which the server closes when drained.

    Raises:
        UnfitParser: aiohttp is too old or runs its pure-Python parser.
    """
    check_parser(version("aiohttp"))
    _bound_kernel(sock, limits)
    server = GatewayServer(front, limits)
    listener = await asyncio.get_running_loop().create_server(server, sock=sock, backlog=BACKLOG)
    return RunningServer(server, listener, front)


def _bound_kernel(sock: socket.socket, limits: HttpLimits) -> None:
    """Bound what the kernel does for each connection that this socket will accept; they inherit it.

    A reader that does not read is our concern while bytes of an answer wait in this process (``Connection.pause_writing``). Those that
    wait in the kernel are its own: past the same time it gives the connection up.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER_BYTES)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1, int(limits.write_s * 1000)))


def check_parser(installed: str) -> None:
    """Return if the HTTP parser of an aiohttp version is fit to face strangers; raise ``UnfitParser`` otherwise."""
    numbers = tuple(int(part) for part in installed.split(".")[:3] if part.isdigit())
    if numbers < OLDEST_AIOHTTP:
        msg = f"aiohttp {installed} is older than {'.'.join(map(str, OLDEST_AIOHTTP))}"
        raise UnfitParser(msg)
    if HttpRequestParser is HttpRequestParserPy:
        msg = "aiohttp runs its pure-Python parser: install a build with the C extension"
        raise UnfitParser(msg)
