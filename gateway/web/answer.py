"""From a reply to the bytes on the socket. HOT: once for every request.

For: status line, the header fields every answer has, and one single write. aiohttp's own response is not used because it cannot
leave out the ``Server`` field without another hook, and because building its header map costs more than all of this module
(measured: 11 of 26 microseconds of a bare request).
Source: RFC 9110, RFC 9112; RFC 6797 (HSTS); CSP level 3; Fetch (nosniff).
"""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp.web import BaseRequest

    from gateway.base.clock import Millis
    from gateway.web.exchange import Reply
    from gateway.web.outbox import Outbox

HSTS_MAX_AGE_S: Final = 31_536_000
_STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\nDate: " for status in HTTPStatus}
_NO_CONTENT: Final = frozenset({204, 304})
SHARED_BYTES: Final = 4096
"""A body from this size on leaves beside its head and is never copied: a document that many ask for exists once, however slowly they read.
Below, one buffer is cheaper than two."""


class AnswerWriter:
    """Renders replies. ``secure`` says that the public address is https, so that browsers shall never use http again."""

    def __init__(self, *, secure: bool, version: str) -> None:
        fields = [
            ("X-Content-Type-Options", "nosniff"),
            ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
            ("Referrer-Policy", "no-referrer"),
            ("Gateway-Version", version),
        ]
        if secure:
            fields.append(("Strict-Transport-Security", f"max-age={HSTS_MAX_AGE_S}; includeSubDomains"))
        self._fixed: Final = "".join(f"{name}: {value}\r\n" for name, value in fields)
        self._second = -1  # owned by the event loop's thread, as is _date: the Date of the present second
        self._date = ""

    def render(  # noqa: PLR0913 - the parts of an answer, each named
        self,
        reply: Reply,
        *,
        request_id: str,
        now: Millis,
        extra: Iterable[tuple[str, str]] = (),
        connection: str | None,
        head_only: bool = False,
    ) -> tuple[bytes, bytes]:
        """Return the complete answer in two parts, the second empty or the reply's own body, uncopied.

        ``ValueError`` for a header value that could split the answer.
        """
        second = now // 1000
        if second != self._second:
            self._second = second
            self._date = formatdate(second, usegmt=True) + "\r\n" + self._fixed
        head = (
            f"{_STATUS_LINES[reply.status]}{self._date}Request-Id: {request_id}\r\n"
            f"Cache-Control: {reply.cache_control}\r\n"
        )
        if connection is not None:
            head += f"Connection: {connection}\r\n"
        for name, value in (*reply.headers, *extra):
            # From space to tilde: no line ends, no control characters.
            if not (value.isascii() and value.isprintable()):
                msg = f"unsafe value for {name}"
                raise ValueError(msg)
            head += f"{name}: {value}\r\n"
        if reply.status in _NO_CONTENT:
            return f"{head}\r\n".encode("ascii"), b""
        head += f"Content-Type: {reply.content_type}\r\nContent-Length: {len(reply.body)}\r\n\r\n"
        if head_only:
            return head.encode("ascii"), b""
        if len(reply.body) >= SHARED_BYTES:
            return head.encode("ascii"), reply.body
        return head.encode("ascii") + reply.body, b""


class WireAnswer:
    """Bytes that are the whole answer, ``head`` and then ``body``, in the form that aiohttp's protocol takes from a handler.

    It has what the protocol asks of a response (``prepare``, ``write_eof``, ``keep_alive``, ``status``) and nothing else: the library's own
    response builds header maps and cookies that nobody would read.
    """

    __slots__ = ("_outbox", "_request", "body", "head", "keep_alive", "status")

    def __init__(self, status: int, wire: tuple[bytes, bytes], outbox: Outbox, *, keep_alive: bool) -> None:
        self.status: Final = status
        self.head, self.body = wire
        self.keep_alive: Final = keep_alive
        self._outbox: Final = outbox
        self._request: BaseRequest | None = None

    async def prepare(self, request: BaseRequest) -> None:
        """Note whom to answer; nothing leaves before ``write_eof``."""
        self._request = request

    async def write_eof(self) -> None:
        """Hand everything over at once; wait while the client reads too slowly. ``ConnectionError`` if the client is gone.

        Of a client that reads too slowly at most one answer is kept beside what its connection holds already.
        """
        request = self._request
        if request is None:
            return
        transport = request.transport
        if transport is None or transport.is_closing():
            msg = "the client is gone"
            raise ConnectionResetError(msg)
        if self.keep_alive and not transport.get_write_buffer_size():
            self._outbox.put(transport, self.head, self.body)
            return
        self._outbox.write_now(transport, self.head, self.body)
        if transport.get_write_buffer_size():
            await request.writer.drain()
