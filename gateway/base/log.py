"""Logging: JSON lines, fields from an allow-list, and no way for a secret or a name to get in by accident.

For: every process of the gateway, configured once at start: on stdout for one that serves, on stderr for a command, whose stdout is its
result. Not for: the audit log, which is in the database.
Event names are constants in the past tense (``receipt_issued``); facts are fields. A field that is not in ``FIELDS`` is
dropped and its name listed under ``dropped``: a new field is added here, with its reason, in the commit that logs it.
An exception is written as its type and the places it went through, never its text: it may repeat what a stranger sent.
"""

from __future__ import annotations

import asyncio
import atexit
import sys
import traceback
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

import msgspec
import structlog

from gateway.base.clock import SystemClock, rfc3339
from gateway.base.printable import printable_json
from gateway.base.settings import LogFormat, LogLevel

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

FIELDS: Final[dict[str, str]] = {
    "request_id": "joins the line to the partner's problem report and to the leaf",
    "method": "which route was asked",
    "route": "the route's template, never the path: paths carry identifiers",
    "status": "what was answered",
    "code": "stable code of the problem document",
    "reason": "machine word of a refusal",
    "kind": "kind of error or leaf",
    "ms": "duration in milliseconds",
    "trace_id": "joins the line to the caller's own trace, if it sent a valid one",
    "partner_id": "whose request, by our own opaque identifier",
    "client_id": "which client, as registered",
    "verification_id": "our own identifier of an answer",
    "outcome": "clear, restricted ...: without the subject it names no one",
    "replayed": "whether a stored answer was given again",
    "feed": "which feed",
    "version": "feed version, program version or schema revision",
    "records": "how many records",
    "quarantined": "how many lines were set aside",
    "unattributed": "how many of them name no subject",
    "detail": "what exactly of the feed was refused, in words and numbers of ours",
    "as_of_ms": "how old the data is",
    "leaf_index": "place in the audit log",
    "record": "what kind of stored record contradicts the log",
    "column": "in which column, by its name",
    "thumbprint": "which registered key, by its public thumbprint",
    "size": "size of the audit log or of a batch",
    "signed_size": "size of the largest tree this host has signed",
    "batch": "how many entries were committed together",
    "slot": "which worker",
    "pid": "which process",
    "exit_code": "how a process ended",
    "signal": "by which signal",
    "wait_s": "back-off before the next attempt",
    "attempt": "number of the attempt",
    "workers": "how many workers",
    "bind": "where we listen",
    "admin_bind": "where the admin port listens",
    "url": "our own configured addresses, never one a stranger sent",
    "fault": "code of a wrong setting",
    "setting": "name of a setting, never its value",
    "sqlstate": "PostgreSQL's code of a failure",
    "queue": "length of a queue",
    "days": "how many days of one-time ids were forgotten",
    "keys": "how many idempotency keys were forgotten",
    "count": "how many lines of a kind were not written, because one like them had been",
    "error": "type of an exception",
    "places": "where an exception went through: module, line",
    "dropped": "names of fields that are not in this list",
}
_OWN: Final = frozenset({"event", "level", "at", *FIELDS})
_MAX_PLACES: Final = 12
FLUSH_AFTER_S: Final = 0.05
"""How late a line may be. What a killed process loses is a twentieth of a second of the request log, never of the audit log."""
MAX_LATE_LINES: Final = 512
_CLOCK: Final = SystemClock()
_ENCODER: Final = msgspec.json.Encoder(order=None)


def configure_logging(level: LogLevel, form: LogFormat) -> None:
    """Set up logging for this process; call once, before the first event."""
    global _requests  # noqa: PLW0603 - logging is configured once, for the whole process, as the library does it
    console = form is LogFormat.CONSOLE
    stream = _LateFlush(sys.stdout.buffer)
    _requests = stream if not console and level in {LogLevel.DEBUG, LogLevel.INFO} else None
    level_and_time: list[Processor] = [structlog.processors.add_log_level, _stamp, _exception_places, _allow]
    structlog.configure(
        # For JSON one processor does the work of all: a line is written for every request.
        processors=[*level_and_time, structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())]
        if console
        else [_render],
        wrapper_class=structlog.make_filtering_bound_logger(level.value),
        logger_factory=structlog.PrintLoggerFactory()
        if console
        else structlog.BytesLoggerFactory(
            cast("BinaryIO", stream)  # the library calls write and flush, and nothing else
        ),
        cache_logger_on_first_use=True,
    )


def configure_command_logging() -> None:
    """Set up logging for a command: warnings and errors alone, on whatever stderr is when they are written."""
    structlog.configure(
        processors=[_render_printable],
        wrapper_class=structlog.make_filtering_bound_logger(LogLevel.WARNING.value),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


class _LateFlush:
    """A stream that is flushed a moment later, so that many lines cost one system call; at once where no event loop runs."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream: Final = stream
        self._lines: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None  # owned by the event loop's thread
        atexit.register(self._flush_now)

    def write(self, line: bytes) -> int:
        self._lines.append(line)
        return len(line)

    def flush(self) -> None:
        if self._timer is not None and len(self._lines) < MAX_LATE_LINES:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._flush_now()
            return
        if len(self._lines) >= MAX_LATE_LINES:
            self._flush_now()
            return
        self._timer = loop.call_later(FLUSH_AFTER_S, self._flush_now)

    def _flush_now(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        lines, self._lines = self._lines, []
        if self._stream.closed:  # at exit, whoever gave us the stream may have closed it first
            return
        self._stream.write(b"".join(lines))
        self._stream.flush()


class RequestLog:
    """The logger of the one line a request leaves. HOT.

    The same line, allow-list and stream as ``get_logger`` gives, without the library's way through bound loggers and processors,
    which costs more than the encoding. Errors and the console format go the library's way.
    """

    def __init__(self) -> None:
        self._logger: Final = get_logger()

    def info(self, event: str, **fields: object) -> None:
        """Write a line of level ``info``."""
        if _requests is None:
            self._logger.info(event, **fields)
            return
        fields["event"] = event
        _requests.write(_render(None, "info", fields) + b"\n")
        _requests.flush()

    def error(self, event: str, **fields: object) -> None:
        """Write a line of level ``error``."""
        self._logger.error(event, **fields)


_requests: _LateFlush | None = None
"""Where request lines go; ``None`` until JSON logging of level ``info`` or below is configured."""


def get_logger() -> Any:  # noqa: ANN401 - structlog's own lazy proxy type carries no methods
    """Return a logger; cheap, may be called at import."""
    return structlog.get_logger()


def _stamp(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    event["at"] = rfc3339(_CLOCK.now_ms())
    return event


def _exception_places(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    given = event.pop("exc_info", None)
    error = sys.exception() if given is True else given
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        frames = traceback.extract_tb(error.__traceback__)[-_MAX_PLACES:]
        event["places"] = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames]
    return event


def _allow(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    unknown = event.keys() - _OWN
    if unknown:
        for name in unknown:
            del event[name]
        event["dropped"] = sorted(unknown)
    return event


def _render_printable(logger: WrappedLogger, name: str, event: EventDict) -> str:
    return printable_json(_render(logger, name, event).decode())


def _render(logger: WrappedLogger, name: str, event: EventDict) -> bytes:
    """Do what the other processors do, in one call, and encode. HOT: once a request."""
    if "exc_info" in event:
        event = _exception_places(logger, name, event)
    if not _OWN.issuperset(event):
        event = _allow(logger, name, event)
    event["level"] = "error" if name == "exception" else name
    event["at"] = rfc3339(_CLOCK.now_ms())
    return _ENCODER.encode(event)
