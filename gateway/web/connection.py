"""One client connection: our refusals, our bounds, and our deadlines for a head and for a reader.

For: closing what costs us more than it may, with an answer where it can be had.
Not for: parsing (``gateway.web.reading``), accepting connections and the drain (``gateway.web.server``), who has to go when there are too
many (``gateway.web.crowd``).
Source: RFC 9112 sections 9.5 and 9.6 (closing without losing the answer).
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from gateway.base.errors import ErrorKind, GatewayError
from gateway.web.answer import WireAnswer
from gateway.web.crowd import whose
from gateway.web.reading import PiecewiseProtocol

if TYPE_CHECKING:
    from gateway.web.crowd import Crowd
    from gateway.web.limits import HttpLimits
    from gateway.web.middleware import Front
    from gateway.web.outbox import Outbox

WRITE_BUFFER_BYTES: Final = 16_384
"""More than this unsent, beside what the kernel holds, and the connection's next request waits for the reader. More than an answer of ours
to a partner, which therefore never waits."""
SLOW_READER: Final = "slow_reader"
CROWDED: Final = "crowded"
_TOO_MANY_FIELDS: Final = "Too many headers"


class Connection(PiecewiseProtocol):
    """One client connection. It is a ``gateway.web.crowd.Member`` and a ``gateway.web.exchange.Peer``."""

    __slots__ = (
        "_admitted",
        "_crowd",
        "_front",
        "_gone",
        "_partial",
        "_proven",
        "_receive_timer",
        "_write_timer",
        "address",
        "awaits_body",
    )

    def __init__(self, server: web.Server, front: Front, limits: HttpLimits, crowd: Crowd) -> None:
        super().__init__(server, limits)
        self._front: Final = front
        self._crowd: Final = crowd
        self._admitted = False
        self._proven = False
        self.address = ""
        self.awaits_body = False
        self._receive_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._partial = False  # a head has begun and not ended, and nothing else is going on
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
        tcp = cast("asyncio.Transport", transport)  # a TCP server makes no others
        self.address = whose(tcp.get_extra_info("peername"))
        if not self._crowd.admit(self, self.address):
            self._front.note_closed(CROWDED)
            tcp.abort()
            return
        self._admitted = True
        super().connection_made(transport)
        tcp.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
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

    def data_received(self, data: bytes) -> None:
        """Parse; while a head is incomplete the clock runs, however many bytes trickle in. HOT."""
        seen = self._request_count
        super().data_received(data)
        if self._request_count != seen:
            self._partial = False
            if self._receive_timer is not None:
                self._receive_timer.cancel()
                self._receive_timer = None
        elif data and self._current_request is None and not self._messages and not self._deaf:
            self._partial = True
            if self._receive_timer is None:
                self._receive_timer = self._loop.call_later(self._limits.receive_s, self._too_slow)

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
