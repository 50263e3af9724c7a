"""aiohttp's protocol, reading in pieces that its parser can fail on without losing what came before.

For: bytes in. aiohttp gives its parser whole segments, and forgets the good requests of a segment with a bad one in it; it bounds the
fields of a head but not the head, and answers nobody who has closed its sending half. Each is mended here.
Not for: clocks, refusals and the place of a connection among others (``gateway.web.connection``).
Source: RFC 9112 sections 9.3.2 (pipelining) and 9.6 (half-closed connections). ``docs/http.md`` says it for users.

What is private of aiohttp here: ``_messages``, ``_message_tail``, ``_parser``, ``_upgraded``, ``_waiter``, ``_ErrInfo`` and the two limits
of its queue;
``tests/e2e/test_http_connection.py`` notices if they change their meaning.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import EMPTY_PAYLOAD, web
from aiohttp.http import HttpRequestParser, RawRequestMessage
from aiohttp.web_protocol import _ErrInfo

from gateway.base.errors import ErrorKind, GatewayError

if TYPE_CHECKING:
    from aiohttp.streams import StreamReader

    from gateway.web.limits import HttpLimits

READ_BUFFER_BYTES: Final = 65_536
MAX_QUEUED: Final = 8
"""Requests of one connection that are parsed and wait. A parsed request takes some 3 kB, so aiohttp's 32 let a stranger who does not read
hold 100 kB with 3."""
MAX_PIECES: Final = 64
"""Pieces that a segment is parsed in, more than requests may wait: a segment of nothing but line ends must not cost a call for each."""
MAX_HEAD_BYTES: Final = 32_768
"""A head of ours has some 2,000; the proxies on the way add their fields. Without it, 64 fields of 8 kB each could be held."""
_HEAD_END: Final = b"\r\n\r\n"
_TORN_BYTES: Final = len(_HEAD_END) - 1
"""How much of the end of a head may have come in the segment before."""


def ends_with_body(segment: bytes, body: StreamReader) -> bool:
    """Tell whether a segment that began a request, and no other, ends exactly where the request's complete, unchunked body does. HOT.

    Then its head ends where as many bytes follow as the body has. An end of a head stands there by chance only if bytes follow the body
    that no request is made of yet: the head's real end is then before it, at most the body's length and those of two such ends away, or
    it is one of several line ends behind the body. Where in doubt, it does not.
    """
    if not body.is_eof():
        return False
    size = body.total_bytes
    end = len(segment) - size
    nearest = max(0, end - size - 2 * len(_HEAD_END))
    return (
        segment.find(_HEAD_END, nearest) == end - len(_HEAD_END) > 0
        and segment[end - len(_HEAD_END) - 1] not in b"\r\n"
    )


def _drop_trace(message: RawRequestMessage | _ErrInfo) -> None:
    """Part what the parser refused from the frames it was refused in: one of them holds the refusal, and they would be a circle."""
    if isinstance(message, _ErrInfo) and message.exc is not None:
        message.exc.__traceback__ = None


class PiecewiseProtocol(web.RequestHandler):
    """Reads requests; ``gateway.web.connection.Connection`` is the whole."""

    __slots__ = ("_between", "_deaf", "_half_closed", "_head_bytes", "_limits", "_open_body", "_rest", "_tail")

    def __init__(self, server: web.Server, limits: HttpLimits) -> None:
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
        self._limits: Final = limits
        self._between = True  # the parser certainly stands between two requests, and keeps nothing
        self._head_bytes = 0  # of the head that has begun and not ended
        self._tail = b""  # the last bytes of that head: its end may be torn between two segments
        self._open_body: StreamReader = EMPTY_PAYLOAD  # of the newest request
        self._rest = b""  # not parsed yet, because enough requests wait
        self._half_closed = False
        self._deaf = False

    @property
    def at_last_request(self) -> bool:
        """Whether the client has closed its sending half, and everything it sent before is served or being served."""
        return self._half_closed and not self._messages and not self._rest

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - the library's signature
        """Go on where reading was paused. HOT: the library asks twice a request, and would parse nothing each time."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def data_received(self, data: bytes) -> None:
        """Parse. HOT.

        A segment that begins a request and holds no other is parsed as it is. Any other is parsed head by head, so that one that is bad
        takes no other with it, and no more wait than may. What a segment holds is seen by parsing it: looking for the end of its head
        would cost as much (measured: 2 of 6 microseconds).
        """
        if self._deaf:
            return
        if not self._between or self._rest or len(data) > MAX_HEAD_BYTES:
            self._parse_pieces(data)
        else:
            seen = self._request_count
            super().data_received(data)
            new = self._request_count - seen
            if new == 1 and type(message := self._messages[-1][0]) is RawRequestMessage:
                self._note_request()
                self._between = not message.chunked and ends_with_body(data, self._open_body)
            elif new:
                self._take_back(new)
                self._parse_pieces(data)
            else:
                self._head_bytes += len(data)
                self._tail = (self._tail + data)[-_TORN_BYTES:]
                self._between = not data
        if self._has_failed():
            _drop_trace(self._messages[-1][0])
            self._fail_open_body("broken body")

    def connection_lost(self, exc: BaseException | None) -> None:
        """Let go of the newest body: it knows this connection, and the two would wait for the collector together."""
        super().connection_lost(exc)
        self._open_body = EMPTY_PAYLOAD

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

    def _parse(self, piece: bytes) -> None:
        """Have a piece parsed, and note the body of the request that it holds, if it does."""
        seen = self._request_count
        super().data_received(piece)
        if self._request_count != seen and isinstance(self._messages[-1][0], RawRequestMessage):
            self._note_request()

    def _note_request(self) -> None:
        self._head_bytes = 0
        self._tail = b""
        self._open_body = self._messages[-1][1]
        if self._upgraded:  # asked for a protocol that we do not speak; what follows may be in it
            self._half_closed = True

    def _parse_pieces(self, data: bytes) -> None:
        """Parse head by head; what comes when enough requests wait is kept, and reading has been paused by then."""
        data, self._rest = self._rest + data, b""
        at = 0
        for number in range(MAX_PIECES):
            end = self._find_head_end(data, at)
            if end < 0 or number == MAX_PIECES - 1:
                end = len(data)
            if not self._parse_piece(data[at:end]):
                return
            at = end
            if at < len(data) and (len(self._messages) >= MAX_QUEUED or self._reading_paused):
                self._rest = data[at:]
            if at == len(data) or self._rest:
                return

    def _find_head_end(self, data: bytes, at: int) -> int:
        """Return where the next end of a head ends, which may have begun in the segment before; -1 if there is none."""
        tail = self._tail
        if tail:
            torn = (tail + data[at : at + _TORN_BYTES]).find(_HEAD_END)
            if torn >= 0:
                return at + torn + len(_HEAD_END) - len(tail)
        found = data.find(_HEAD_END, at)
        return found if found < 0 else found + len(_HEAD_END)

    def _parse_piece(self, piece: bytes) -> bool:
        """Parse the end of a body, or at most one head; tell whether one may go on."""
        body, before, seen = self._open_body, self._open_body.total_bytes, self._request_count
        in_head = body.is_eof()
        whole = self._tail + piece
        if in_head:
            self._head_bytes += len(piece)
            self._tail = whole[-_TORN_BYTES:]
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse_head()
                return False
        self._parse(piece)
        if in_head:
            ended = self._request_count == seen + 1 and whole.endswith(_HEAD_END)
            self._between = ended and self._open_body.is_eof()
        else:
            self._between = body.is_eof() and body.total_bytes - before == len(piece)
        return not self._has_failed() and not self._half_closed

    def _take_back(self, new: int) -> None:
        """Take back what a segment that began between two requests has given; nobody has seen it yet.

        A parser that has failed is of no further use, and one that has gone further than may wait cannot go back: a new one stands where
        that one stood.
        """
        for _ in range(new):
            _drop_trace(self._messages.pop()[0])
        self._request_count -= new
        self._upgraded = False
        self._message_tail = b""
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
