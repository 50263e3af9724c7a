"""One client connection: aiohttp's protocol, with our refusals, our bounds, and our deadlines for a head and for a reader.

For: bytes in, in pieces that the parser can fail on without losing what came before; and closing what costs us more than it may.
Not for: accepting connections and the drain (``gateway.web.server``), who has to go when there are too many (``gateway.web.crowd``).
Source: RFC 9112 sections 9.3.2 (pipelining), 9.5 and 9.6 (closing without losing the answer). ``docs/http.md`` says it for users.

aiohttp gives its parser whole segments and forgets the good requests of a segment with a bad one in it, and answers nobody who has closed
its sending half. What is private of aiohttp here: ``_messages``, ``_parser``, ``_waiter``, ``_ErrInfo`` and the two limits of its queue;
``tests/e2e/test_http_connection.py`` notices if they change their meaning.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from aiohttp import EMPTY_PAYLOAD, web
from aiohttp.http import HttpRequestParser, RawRequestMessage
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import _ErrInfo

from gateway.base.errors import ErrorKind, GatewayError
from gateway.web.answer import WireAnswer

if TYPE_CHECKING:
    from aiohttp.streams import StreamReader

    from gateway.web.crowd import Crowd
    from gateway.web.limits import HttpLimits
    from gateway.web.middleware import Front
    from gateway.web.outbox import Outbox

READ_BUFFER_BYTES: Final = 65_536
WRITE_BUFFER_BYTES: Final = 16_384
"""More than this unsent, beside what the kernel holds, and the connection's next request waits for the reader. More than an answer of ours
to a partner, which therefore never waits."""
MAX_QUEUED: Final = 8
"""Requests of one connection that are parsed and wait. A parsed request takes some 3 kB, so aiohttp's 32 let a stranger who does not read
hold 100 kB with 3."""
MAX_PIECES: Final = 64
"""Pieces that a segment is parsed in, more than requests may wait: a segment of nothing but line ends must not cost a call for each."""
MAX_HEAD_BYTES: Final = 32_768
"""A head of ours has some 2,000; the proxies on the way add their fields. Without it, 64 fields of 8 kB each could be held."""
SLOW_READER: Final = "slow_reader"
CROWDED: Final = "crowded"
_HEAD_END: Final = b"\r\n\r\n"
_TOO_MANY_FIELDS: Final = "Too many headers"


class Connection(web.RequestHandler):
    """One client connection. It is a ``gateway.web.crowd.Member`` and a ``gateway.web.exchange.Peer``."""

    __slots__ = (
        "_admitted",
        "_between",
        "_crowd",
        "_deaf",
        "_front",
        "_gone",
        "_half_closed",
        "_head_bytes",
        "_limits",
        "_open_body",
        "_partial",
        "_proven",
        "_receive_timer",
        "_rest",
        "_write_timer",
        "address",
        "awaits_body",
    )

    def __init__(self, server: web.Server, front: Front, limits: HttpLimits, crowd: Crowd) -> None:
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
        self._max_msg_queue_size = MAX_QUEUED
        self._msg_queue_resume_size = MAX_QUEUED // 2
        self._front: Final = front
        self._limits: Final = limits
        self._crowd: Final = crowd
        self._admitted = False
        self._proven = False
        self.address = ""
        self.awaits_body = False
        self._receive_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._partial = False  # a head has begun and not ended, and nothing else is going on
        self._between = True  # the parser certainly stands between two requests, and keeps nothing
        self._head_bytes = 0  # of that head
        self._open_body: StreamReader = EMPTY_PAYLOAD  # of the newest request
        self._rest = b""  # not parsed yet, because enough requests wait
        self._half_closed = False
        self._deaf = False
        self._gone: asyncio.Future[None] | None = None

    # Whether it may stay -------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether a complete request is being served. One whose answer nobody reads is not."""
        return (
            (self._current_request is not None or bool(self._messages))
            and not self.awaits_body
            and not self.writing_paused
        )

    @property
    def at_last_request(self) -> bool:
        """Whether the client has closed its sending half, and everything it sent before is served or being served."""
        return self._half_closed and not self._messages and not self._rest

    def prove(self) -> None:
        """Note that an authenticated request came on this connection. HOT."""
        if not self._proven:
            self._proven = True
            self._crowd.prove(self)

    def give_way(self) -> None:
        """Close at once: somebody else needs the place."""
        self._abort(CROWDED)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Find a place; start the clock for the first head."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a TCP server makes no others
        peer = transport.get_extra_info("peername")
        self.address = peer[0] if peer else ""
        if not self._crowd.admit(self, self.address):
            self._front.note_closed(CROWDED)
            transport.abort()
            return
        self._admitted = True
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._front.activity.connections += 1
        self._receive_timer = self._loop.call_later(self._limits.receive_s, self._too_slow)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop the clocks; handlers run on, for a client that left cannot cancel a commit."""
        for timer in (self._receive_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        self._receive_timer = self._write_timer = None
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)
        self._crowd.leave(self)
        if self._admitted:
            self._front.activity.connection_ended()
        super().connection_lost(exc)

    # Reading -------------------------------------------------------------------------------------------------------

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - the library's signature
        """Go on where reading was paused. HOT: the library asks twice a request, and would parse nothing each time."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def data_received(self, data: bytes) -> None:
        """Parse; while a head is incomplete the clock runs, however many bytes trickle in. HOT.

        A segment that begins a request and holds one head at most is parsed as it is. Any other is parsed head by head, so that one that
        is bad takes no other with it, and no more wait than may.
        """
        if self._deaf:
            return
        seen = self._request_count
        if self._between and not self._rest:
            self._parse_segment(data)
        else:
            self._parse_pieces(data)
        if self._request_count != seen:
            self._partial = False
            if self._receive_timer is not None:
                self._receive_timer.cancel()
                self._receive_timer = None
            if self._has_failed():
                self._fail_open_body("broken body")
        elif data and self._current_request is None and not self._messages:
            self._partial = True
            if self._receive_timer is None:
                self._receive_timer = self._loop.call_later(self._limits.receive_s, self._too_slow)

    def eof_received(self) -> bool:  # type: ignore[override] # asyncio asks for this; aiohttp has nothing to say
        """Answer what came before the end; keep the connection open for that long (True) or close it."""
        idle = self._request_count == 0 or (self._waiter is not None and not self._waiter.done())
        if self._deaf or (idle and not self._messages):
            return False
        self._fail_open_body("the body ended early")
        if self._messages or self._rest:
            self._half_closed = True
        else:
            self.close()  # after the request being served, says aiohttp
        return True

    def _parse_segment(self, data: bytes) -> None:
        """Parse a segment that begins between two requests. HOT: nearly every one holds one request, and nothing else."""
        end = data.find(_HEAD_END) + len(_HEAD_END)
        if len(data) > MAX_HEAD_BYTES or (end >= len(_HEAD_END) and data.find(_HEAD_END, end) >= 0):
            self._parse_pieces(data)
            return
        seen = self._request_count
        self._parse(data)
        if self._request_count == seen:
            self._head_bytes += len(data)
            self._between = not data
        elif not self._has_failed():
            self._between = self._open_body.is_eof() and self._open_body.total_bytes == len(data) - end
        elif len(_HEAD_END) <= end < len(data):  # something good may stand before what is bad
            self._start_over()
            self._parse_pieces(data)

    def _parse(self, piece: bytes) -> None:
        """Have a piece parsed, and note the body of the request that it holds, if it does."""
        seen = self._request_count
        super().data_received(piece)
        if self._request_count != seen and isinstance(self._messages[-1][0], RawRequestMessage):
            self._head_bytes = 0
            self._open_body = self._messages[-1][1]
        if self._upgraded:  # asked for a protocol that we do not speak; what follows may be in it
            self._half_closed = True

    def _parse_pieces(self, data: bytes) -> None:
        """Parse head by head; what comes when enough requests wait is kept, and reading has been paused by then."""
        data, self._rest = self._rest + data, b""
        at = 0
        for number in range(MAX_PIECES):
            end = data.find(_HEAD_END, at) + len(_HEAD_END)
            if end < len(_HEAD_END) or number == MAX_PIECES - 1:
                end = len(data)
            if not self._parse_piece(data[at:end]):
                return
            at = end
            if at < len(data) and (len(self._messages) >= MAX_QUEUED or self._reading_paused):
                self._rest = data[at:]
            if at == len(data) or self._rest:
                return

    def _parse_piece(self, piece: bytes) -> bool:
        """Parse the end of a body, or at most one head; tell whether one may go on."""
        body, before, seen = self._open_body, self._open_body.total_bytes, self._request_count
        in_head = body.is_eof()
        if in_head:
            self._head_bytes += len(piece)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse_head()
                return False
        self._parse(piece)
        if in_head:
            ended = self._request_count == seen + 1 and piece.endswith(_HEAD_END)
            self._between = ended and self._open_body.is_eof()
        else:
            self._between = body.is_eof() and body.total_bytes - before == len(piece)
        return not self._has_failed() and not self._half_closed

    def _start_over(self) -> None:
        """Take back the refusal of a segment that began between two requests.

        The parser that failed is of no further use; a new one stands where that one stood. Nothing of the segment was delivered.
        """
        self._messages.pop()
        self._request_count -= 1
        self._parser = HttpRequestParser(
            self,
            self._loop,
            READ_BUFFER_BYTES,
            max_line_size=self._limits.max_line_bytes,
            max_field_size=self._limits.max_field_bytes,
            max_headers=self._limits.max_fields,
            payload_exception=web.RequestPayloadError,
            auto_decompress=False,
            max_msg_queue_size=MAX_PIECES,
        )

    def _has_failed(self) -> bool:
        return bool(self._messages) and not isinstance(self._messages[-1][0], RawRequestMessage)

    def _refuse_head(self) -> None:
        """Refuse a head that is too long as the parser would: in its turn, after the answers to what came before."""
        refusal = GatewayError(ErrorKind.HEADERS_TOO_LARGE, reason="head_too_large")
        self._messages.append((_ErrInfo(status=400, exc=refusal, message=""), EMPTY_PAYLOAD))
        self._request_count += 1
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail_open_body(self, why: str) -> None:
        """Wake a handler that waits, or will wait, for a body that cannot be read on."""
        body = self._open_body
        if not body.is_eof():
            body.set_exception(web.RequestPayloadError(why))
            body.feed_eof()

    def _too_slow(self) -> None:
        self._receive_timer = None
        if self._current_request is not None or self._messages:
            return
        if self._partial and self.transport is not None:
            answer = self._front.refuse_unparsed(GatewayError(ErrorKind.REQUEST_TIMEOUT, reason="slow_head"))
            self.outbox.write_now(self.transport, answer.head, answer.body)
        self.force_close()

    # Writing -------------------------------------------------------------------------------------------------------

    @property
    def outbox(self) -> Outbox:
        """Where answers are put."""
        return self._front.outbox

    def pause_writing(self) -> None:
        """Start the clock of a reader that does not read."""
        super().pause_writing()
        self._write_timer = self._loop.call_later(self._limits.write_s, self._abort, SLOW_READER)

    def resume_writing(self) -> None:
        """Stop that clock."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

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

    def _abort(self, reason: str) -> None:
        """Close without waiting for what is unsent."""
        self._front.note_closed(reason)
        if self.transport is not None:
            self.transport.abort()

    def _parser_refusal(self, exc: BaseException | None) -> GatewayError:
        if isinstance(exc, GatewayError):
            return exc
        if isinstance(exc, LineTooLong):
            is_target = self._limits.max_line_bytes in exc.args
            return GatewayError(ErrorKind.URI_TOO_LONG if is_target else ErrorKind.HEADERS_TOO_LARGE)
        if _TOO_MANY_FIELDS in str(exc):
            return GatewayError(ErrorKind.HEADERS_TOO_LARGE, reason="too_many_fields")
        return GatewayError(ErrorKind.MALFORMED_REQUEST, reason="unparsed")


class _LingeringAnswer(WireAnswer):
    """An answer after which the client may still be sending."""

    def __init__(self, answer: WireAnswer, connection: Connection) -> None:
        super().__init__(answer.status, (answer.head, answer.body), connection.outbox, keep_alive=False)
        self._connection: Final = connection

    async def write_eof(self) -> None:
        await super().write_eof()
        await self._connection.linger()
