"""The one log line of a request, and fewer for strangers. HOT.

For: what is logged of a request, every field listed here on purpose; and for keeping strangers from filling the log: a line for each of
their tries would cost us more than it costs them, and would bury the lines that matter. The first line of a kind (route, status, code)
is written at once; further ones are counted, and the count is written after ``SUMMARY_S``, in which a kind takes two lines at most,
whatever is sent. Metrics count every request.
Never sampled: what an authenticated caller asked, whatever it was answered, and errors of ours. A stranger turned away because others
take all the room (``OVERLOADED``) is none: a flood must not write a line for each of its tries because it succeeds.
Not for: how a line is encoded (``gateway.base.log``). Source: W3C Trace Context level 1 (``traceparent``).
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from gateway.base.errors import ErrorKind

if TYPE_CHECKING:
    from gateway.base.errors import GatewayError
    from gateway.web.exchange import Exchange

SUMMARY_S: Final = 10.0
"""Between the first line of a kind and the count of those that followed."""
_FIRST_OF_OURS: Final = 500
_TRACEPARENT: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)

_Kind: TypeAlias = tuple[str, int, str | None]
"""Route, status, code: from closed sets of ours, so there are only so many."""


class RequestLog(Protocol):
    """A structlog logger, or a list in a test."""

    def info(self, event: str, **fields: object) -> object:
        """Write one line."""
        ...

    def error(self, event: str, **fields: object) -> object:
        """Write one line that someone must see now."""
        ...


class RequestLines:
    """Writes the lines of one server's requests. Owner: one event loop."""

    def __init__(self, log: RequestLog, *, summary_s: float = SUMMARY_S) -> None:
        self._log: Final = log
        self._summary_s: Final = summary_s
        self._unwritten: Final[dict[_Kind, int]] = {}  # emptied by write_counts; not empty only while _timer runs
        self._timer: asyncio.TimerHandle | None = None

    def crashed(self, exchange: Exchange, error: Exception) -> None:
        """Write that a request met a defect of ours."""
        self._log.error("request_crashed", request_id=exchange.request_id, route=exchange.template, exc_info=error)

    def served(self, exchange: Exchange, status: int, seconds: float) -> None:
        """Write, or count, that a request was answered."""
        if not exchange.authenticated and self._is_known((exchange.template, status, exchange.code)):
            return
        request = exchange.request
        optional: dict[str, object] = {}
        if exchange.reason is not None:
            optional["code"] = exchange.code
            optional["reason"] = exchange.reason
        traceparent = request.headers.get("traceparent")
        if traceparent is not None:
            match = _TRACEPARENT.fullmatch(traceparent)
            if match is not None:
                optional["trace_id"] = match[1]
        self._log.info(
            "request_served",
            route=exchange.template,
            method=request.method,
            status=status,
            ms=round(seconds * 1000, 3),
            request_id=exchange.request_id,
            partner_id=exchange.partner_id,
            outcome=exchange.outcome,
            **optional,
        )

    def unparsed(self, refusal: GatewayError, status: int, request_id: str) -> None:
        """Write, or count, that bytes which never became a request were refused."""
        if self._is_known(("unparsed", status, refusal.kind.value)):
            return
        self._log.info(
            "request_served",
            route="unparsed",
            status=status,
            request_id=request_id,
            code=refusal.kind.value,
            reason=refusal.reason,
        )

    def closed(self, reason: str) -> None:
        """Write, or count, that a connection was closed for what it cost; ``reason`` is a word of ours."""
        if not self._is_known(("connection", 0, reason)):
            self._log.info("connection_closed", reason=reason)

    def write_counts(self) -> None:
        """Write what was counted; called after an interval, and when the server ends."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        counted = [(kind, count) for kind, count in self._unwritten.items() if count]
        self._unwritten.clear()
        for (route, status, code), count in counted:
            self._log.info("requests_counted", route=route, status=status, code=code, count=count)

    def _is_known(self, kind: _Kind) -> bool:
        """Tell whether a line like this was written in this interval, and count this one if so."""
        _route, status, code = kind
        if status >= _FIRST_OF_OURS and code != ErrorKind.OVERLOADED:
            return False
        seen = self._unwritten.get(kind)
        if seen is not None:
            self._unwritten[kind] = seen + 1
            return True
        self._unwritten[kind] = 0
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._summary_s, self.write_counts)
        return False
