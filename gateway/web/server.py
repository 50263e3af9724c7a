"""An aiohttp server on a given listening socket: limits, refusals of the HTTP parser, deadlines for slow senders, and the drain.

For: everything between the socket and the middleware (``gateway.web.middleware``). aiohttp's low-level server is used without its
application and router: see ``gateway.web.routes`` and ``gateway.web.answer``.
Not for: making the socket (the supervisor does, so that a restarted worker finds the same accept queue).
Source: RFC 9112 (sections 9.5, 9.6: closing a connection without losing the answer).
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp import web
from aiohttp.http import HttpRequestParser, RawRequestMessage
from aiohttp.http_exceptions import LineTooLong
from aiohttp.http_parser import HttpRequestParserPy

from gateway.base.errors import ErrorKind, GatewayError
from gateway.web.answer import WireAnswer

if TYPE_CHECKING:
    import socket

    from gateway.web.middleware import Front
    from gateway.web.outbox import Outbox

OLDEST_AIOHTTP: Final = (3, 14, 4)
"""Earlier parsers had request-smuggling faults."""
READ_BUFFER_BYTES: Final = 65_536
BACKLOG: Final = 1024
_TOO_MANY_FIELDS: Final = "Too many headers"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """What one connection may cost us.

    ``max_line_bytes`` and ``max_field_bytes`` must differ: the parser's error tells only the limit that was exceeded.
    ``receive_s`` is the time for a complete head, and again for a complete body. ``keepalive_s`` is the idle time after an answer; let it
    be longer than that of the proxy in front. ``linger_s`` is how long we read on after a refusal, so that it can be received.
    """

    max_line_bytes: int = 4094
    max_field_bytes: int = 8190
    max_fields: int = 64
    receive_s: float = 10.0
    keepalive_s: float = 75.0
    linger_s: float = 2.0

    def __post_init__(self) -> None:
        if self.max_line_bytes == self.max_field_bytes:
            msg = "the limits of line and field must differ"
            raise ValueError(msg)


class UnfitParser(RuntimeError):  # noqa: N818 - a statement about what is installed
    """The installed aiohttp must not face strangers."""


class Connection(web.RequestHandler):
    """One client connection: aiohttp's protocol, with our refusals and our deadline for a head."""

    __slots__ = ("_deaf", "_front", "_gone", "_limits", "_partial", "_receive_timer")

    def __init__(self, server: GatewayServer, front: Front, limits: HttpLimits) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=limits.keepalive_s,
            max_line_size=limits.max_line_bytes,
            max_field_size=limits.max_field_bytes,
            max_headers=limits.max_fields,
            lingering_time=limits.linger_s,
            read_bufsize=READ_BUFFER_BYTES,
            auto_decompress=False,  # content codings are undone after authentication, bounded: gateway.web.body
            access_log=None,  # type: ignore[arg-type] # aiohttp's documented way to switch it off
        )
        self._front: Final = front
        self._limits: Final = limits
        self._receive_timer: asyncio.TimerHandle | None = None
        self._partial = False
        self._deaf = False
        self._gone: asyncio.Future[None] | None = None

    @property
    def outbox(self) -> Outbox:
        """Where answers are put."""
        return self._front.outbox

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock for the first head."""
        super().connection_made(transport)
        self._front.activity.connections += 1
        self._receive_timer = self._loop.call_later(self._limits.receive_s, self._too_slow)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop the clock; handlers run on, for a client that left cannot cancel a commit."""
        if self._receive_timer is not None:
            self._receive_timer.cancel()
            self._receive_timer = None
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)
        self._front.activity.connection_ended()
        super().connection_lost(exc)

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - the library's signature
        """Go on where reading was paused. HOT: the library asks twice a request, and would parse nothing each time."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def data_received(self, data: bytes) -> None:
        """Parse; while a head is incomplete the clock runs, however many bytes trickle in."""
        if self._deaf:
            return
        seen = self._request_count
        super().data_received(data)
        if self._request_count != seen:
            self._partial = False
            if self._receive_timer is not None:
                self._receive_timer.cancel()
                self._receive_timer = None
            self._fail_broken_body()
        elif self._current_request is None and not self._messages:
            self._partial = True
            if self._receive_timer is None:
                self._receive_timer = self._loop.call_later(self._limits.receive_s, self._too_slow)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> Any:  # noqa: ANN401 - not a StreamResponse, but all that the protocol asks of one (see WireAnswer)
        """Refuse what the parser refuses, uniformly and without echoing it; aiohttp's own answer is plain text with the input in it."""
        del request, message
        refusal = GatewayError(ErrorKind.INTERNAL) if status >= 500 else self._parser_refusal(exc)  # noqa: PLR2004 - aiohttp says 500 for its own defects
        return _LingeringAnswer(self._front.refuse_unparsed(refusal), self)

    def log_exception(self, *args: object, **kw: object) -> None:
        """Say nothing: the middleware has logged every defect; what reaches here is a client that broke its own connection."""

    async def linger(self) -> None:
        """Having answered, read and forget until the client closes, at most ``linger_s``.

        Closing at once while bytes are still arriving would reset the connection, and the client would lose the answer.
        """
        self._deaf = True
        if self.transport is None:
            return
        self._gone = self._loop.create_future()
        with contextlib.suppress(OSError, RuntimeError):
            self.transport.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.linger_s):
                await self._gone

    def _too_slow(self) -> None:
        self._receive_timer = None
        if self._current_request is not None or self._messages:
            return
        if self._partial and self.transport is not None:
            answer = self._front.refuse_unparsed(GatewayError(ErrorKind.REQUEST_TIMEOUT, reason="slow_head"))
            self.outbox.write_now(self.transport, answer.wire)
        self.force_close()

    def _fail_broken_body(self) -> None:
        """Wake a handler that waits for a body of which the parser has just found that it cannot be read on."""
        request = self._current_request
        if request is None or not self._messages or isinstance(self._messages[-1][0], RawRequestMessage):
            return
        if not request.content.is_eof():
            request.content.set_exception(web.RequestPayloadError("broken body"))
            request.content.feed_eof()

    def _parser_refusal(self, exc: BaseException | None) -> GatewayError:
        if isinstance(exc, LineTooLong):
            is_target = self._limits.max_line_bytes in exc.args
            return GatewayError(ErrorKind.URI_TOO_LONG if is_target else ErrorKind.HEADERS_TOO_LARGE)
        if _TOO_MANY_FIELDS in str(exc):
            return GatewayError(ErrorKind.HEADERS_TOO_LARGE, reason="too_many_fields")
        return GatewayError(ErrorKind.MALFORMED_REQUEST, reason="unparsed")


class _LingeringAnswer(WireAnswer):
    """An answer after which the client may still be sending."""

    def __init__(self, answer: WireAnswer, connection: Connection) -> None:
        super().__init__(answer.status, answer.wire, connection.outbox, keep_alive=False)
        self._connection: Final = connection

    async def write_eof(self) -> None:
        await super().write_eof()
        await self._connection.linger()


class GatewayServer(web.Server):
    """Makes a ``Connection`` for each client."""

    def __init__(self, front: Front, limits: HttpLimits) -> None:
        # The client cannot cancel a commit: handlers have a deadline of their own instead.
        super().__init__(cast("Any", front), handler_cancellation=False)  # it answers with a WireAnswer, see there
        self._front: Final = front
        self._limits: Final = limits

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a new connection."""
        return Connection(self, self._front, self._limits)


class RunningServer:
    """A server that accepts connections until it is drained."""

    def __init__(self, server: GatewayServer, listener: asyncio.Server, front: Front) -> None:
        self._server: Final = server
        self._listener: Final = listener
        self._activity: Final = front.activity

    @property
    def is_listening(self) -> bool:
        """Whether new connections are accepted."""
        return self._listener.is_serving()

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return self._activity.connections

    @property
    def in_flight(self) -> int:
        """The number of requests being served."""
        return self._activity.in_flight

    async def drain(self, *, grace_s: float, finish_s: float) -> None:
        """Stop without failing a request.

        1. From now on every answer says ``Connection: close``.
        2. Take what the kernel has already accepted for us, then stop listening.
        3. For ``grace_s``, let clients send one more request on connections they keep open; end at once when all have left.
        4. Close what is idle; give what is being served ``finish_s`` to end, then close that too.

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


async def start_server(front: Front, sock: socket.socket, limits: HttpLimits) -> RunningServer:
    """Serve on a bound socket, which the server closes when drained.

    Raises:
        UnfitParser: aiohttp is too old or runs its pure-Python parser.
    """
    check_parser(version("aiohttp"))
    server = GatewayServer(front, limits)
    listener = await asyncio.get_running_loop().create_server(server, sock=sock, backlog=BACKLOG)
    return RunningServer(server, listener, front)


def check_parser(installed: str) -> None:
    """Return if the HTTP parser of an aiohttp version is fit to face strangers; raise ``UnfitParser`` otherwise."""
    numbers = tuple(int(part) for part in installed.split(".")[:3] if part.isdigit())
    if numbers < OLDEST_AIOHTTP:
        msg = f"aiohttp {installed} is older than {'.'.join(map(str, OLDEST_AIOHTTP))}"
        raise UnfitParser(msg)
    if HttpRequestParser is HttpRequestParserPy:
        msg = "aiohttp runs its pure-Python parser: install a build with the C extension"
        raise UnfitParser(msg)
