"""Time, as integer milliseconds in UTC, from a clock that is given.

For: every reading of time in the gateway. Rules never read a clock themselves: they take an instant as a parameter.
Not for: measuring durations of our own work (``time.perf_counter`` at the place that measures).

Credit law counts in days of Asia/Shanghai (UTC+8, no daylight saving since 1991): see ``shanghai_date``.
"""

from __future__ import annotations

import datetime as dt
import time
from functools import lru_cache
from typing import Final, NewType, Protocol

Millis = NewType("Millis", int)
"""Milliseconds since 1970-01-01T00:00:00Z."""

SHANGHAI: Final = dt.timezone(dt.timedelta(hours=8), "Asia/Shanghai")
DAY_MS: Final = 86_400_000


class Clock(Protocol):
    """Something that knows the time now."""

    def now_ms(self) -> Millis:
        """Return the present instant."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now_ms(self) -> Millis:
        """Return the machine's present instant."""
        return Millis(time.time_ns() // 1_000_000)  # noqa: TID251 - the one reader of the system clock


def from_datetime(moment: dt.datetime) -> Millis:
    """Turn an aware datetime into milliseconds; a naive one is refused with ``ValueError``."""
    if moment.tzinfo is None:
        msg = "a naive datetime has no instant"
        raise ValueError(msg)
    return Millis(int(moment.timestamp() * 1000))


def to_datetime(instant: Millis, zone: dt.timezone = dt.UTC) -> dt.datetime:
    """Return the aware datetime of an instant in the given zone."""
    return dt.datetime.fromtimestamp(instant / 1000, zone)


def rfc3339(instant: Millis) -> str:
    """Return the instant as RFC 3339 in UTC with milliseconds, e.g. ``2026-11-22T08:00:00.000Z``."""
    second, millis = divmod(instant, 1000)
    return f"{_second(second)}.{millis:03d}Z"


@lru_cache(maxsize=16)
def _second(epoch_s: int) -> str:
    # Every leaf and every log line is stamped: within one second only the milliseconds differ.
    return f"{to_datetime(Millis(epoch_s * 1000)):%Y-%m-%dT%H:%M:%S}"


def parse_rfc3339(text: str) -> Millis:
    """Read an RFC 3339 time with offset; anything else, a missing offset included, is a ``ValueError``."""
    if not text.isascii() or len(text) > 40 or "T" not in text:  # noqa: PLR2004 - longest sensible form
        msg = "not an RFC 3339 time"
        raise ValueError(msg)
    return from_datetime(dt.datetime.fromisoformat(text))


def shanghai_date(instant: Millis) -> dt.date:
    """Return the calendar day of an instant in Asia/Shanghai."""
    return to_datetime(instant, SHANGHAI).date()


def end_of_day(day: dt.date) -> Millis:
    """Return the first instant after a day of Asia/Shanghai: an end date means the end of that day."""
    return from_datetime(dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), SHANGHAI))


def start_of_day(day: dt.date) -> Millis:
    """Return the first instant of a day of Asia/Shanghai."""
    return from_datetime(dt.datetime.combine(day, dt.time(), SHANGHAI))


def utc_day(epoch_s: int) -> dt.date:
    """Return the UTC calendar day of a Unix time in seconds."""
    return _day(epoch_s * 1000 // DAY_MS)


@lru_cache(maxsize=16)
def _day(number: int) -> dt.date:
    return to_datetime(Millis(number * DAY_MS)).date()
