"""Time, as integer milliseconds in UTC, from a clock that is given.

For: every reading of time in the gateway. Rules never read a clock themselves: they take an instant as a parameter.
Not for: measuring durations of our own work (``time.perf_counter`` at the place that measures).

Credit law counts in days of Asia/Shanghai (UTC+8, no daylight saving since 1991): see ``shanghai_date``.

Every instant and day that arrives from outside is bounded where it is parsed (``FIRST_INSTANT`` to ``LAST_INSTANT``, ``FIRST_DAY``
to ``LAST_DAY``). Arithmetic is total all the same: what it reaches beyond the calendar of ``datetime`` is the calendar's end.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from functools import lru_cache
from typing import Final, NewType, Protocol

Millis = NewType("Millis", int)
"""Milliseconds since 1970-01-01T00:00:00Z."""

SHANGHAI: Final = dt.timezone(dt.timedelta(hours=8), "Asia/Shanghai")
DAY_MS: Final = 86_400_000

FIRST_DAY: Final = dt.date(1949, 1, 1)
"""No day of a record lies before: no authority decided before."""
LAST_DAY: Final = dt.date(2199, 12, 31)
"""No day of a record lies behind: nobody plans beyond. Far from both ends of the calendar, so that periods can be added."""
FIRST_INSTANT: Final = Millis(0)
LAST_INSTANT: Final = Millis(7_258_118_400_000 - 1)
"""The last millisecond of ``LAST_DAY`` in UTC."""

_SHANGHAI_MS: Final = 8 * 3_600_000
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_EPOCH_ORDINAL: Final = _EPOCH.toordinal()
_MILLISECOND: Final = dt.timedelta(milliseconds=1)
# One day within what ``datetime`` can say, so that every offset of a zone stays within.
_LOWEST: Final = (2 - _EPOCH_ORDINAL) * DAY_MS
_HIGHEST: Final = (dt.date.max.toordinal() - _EPOCH_ORDINAL) * DAY_MS - 1
_RFC_3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)


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
    """Turn an aware datetime into milliseconds, rounded down; a naive one is refused with ``ValueError``."""
    if moment.tzinfo is None:
        msg = "a naive datetime has no instant"
        raise ValueError(msg)
    return Millis((moment - _EPOCH) // _MILLISECOND)


def to_datetime(instant: Millis, zone: dt.timezone = dt.UTC) -> dt.datetime:
    """Return the aware datetime of an instant in the given zone; beyond the calendar, the calendar's end. Total."""
    within = min(max(instant, _LOWEST), _HIGHEST)
    return (_EPOCH + within * _MILLISECOND).astimezone(zone)


def rfc3339(instant: Millis) -> str:
    """Return the instant as RFC 3339 in UTC with milliseconds, e.g. ``2026-11-22T08:00:00.000Z``."""
    second, millis = divmod(instant, 1000)
    return f"{_second(second)}.{millis:03d}Z"


@lru_cache(maxsize=16)
def _second(epoch_s: int) -> str:
    # Every leaf and every log line is stamped: within one second only the milliseconds differ.
    return to_datetime(Millis(epoch_s * 1000)).isoformat(timespec="seconds").removesuffix("+00:00")


def parse_rfc3339(text: str) -> Millis:
    """Read an RFC 3339 time with offset, rounded down to milliseconds.

    ``ValueError`` for anything else: a missing offset, other forms of ISO 8601, an instant outside ``FIRST_INSTANT`` to
    ``LAST_INSTANT``.
    """
    if len(text) > 40 or _RFC_3339.fullmatch(text) is None:  # noqa: PLR2004 - longest sensible form
        msg = "not an RFC 3339 time"
        raise ValueError(msg)
    instant = from_datetime(dt.datetime.fromisoformat(text.upper()))
    if not FIRST_INSTANT <= instant <= LAST_INSTANT:
        msg = "no time of ours"
        raise ValueError(msg)
    return instant


def shanghai_date(instant: Millis) -> dt.date:
    """Return the calendar day of an instant in Asia/Shanghai."""
    return _day((instant + _SHANGHAI_MS) // DAY_MS)


def end_of_day(day: dt.date) -> Millis:
    """Return the first instant after a day of Asia/Shanghai: an end date means the end of that day."""
    return Millis(start_of_day(day) + DAY_MS)


def start_of_day(day: dt.date) -> Millis:
    """Return the first instant of a day of Asia/Shanghai."""
    return Millis((day.toordinal() - _EPOCH_ORDINAL) * DAY_MS - _SHANGHAI_MS)


def utc_day(epoch_s: int) -> dt.date:
    """Return the UTC calendar day of a Unix time in seconds; beyond the calendar, its first or last day. Total."""
    return _day(epoch_s * 1000 // DAY_MS)


@lru_cache(maxsize=64)
def _day(number: int) -> dt.date:
    """Return the day so many days after 1970-01-01."""
    return dt.date.fromordinal(min(max(number + _EPOCH_ORDINAL, 1), dt.date.max.toordinal()))
