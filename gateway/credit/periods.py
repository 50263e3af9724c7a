"""Periods of credit law: months counted from a day, in days of Asia/Shanghai.

Source: Civil Code of the PRC, articles 201 and 202: the first day does not count, so a period of months ends with the day of
the same number, or with the last day of a shorter month. An end day means the end of that day.
Not for: working days (no rule of this package counts in them).
"""

from __future__ import annotations

import calendar
import datetime as dt
from functools import lru_cache

from gateway.base.clock import DAY_MS, Millis

_OFFSET_MS = 8 * 3_600_000
_EPOCH_ORDINAL = dt.date(1970, 1, 1).toordinal()


@lru_cache(maxsize=16_384)
def add_months(day: dt.date, months: int) -> dt.date:
    """Return the last day of a period of so many months that begins with a day."""
    count = day.year * 12 + day.month - 1 + months
    year, month = divmod(count, 12)
    return dt.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def shanghai_day(at: Millis) -> dt.date:
    """Return the day of an instant in Asia/Shanghai (as ``base.clock.shanghai_date``, without building a datetime)."""
    return _day((at + _OFFSET_MS) // DAY_MS)


@lru_cache(maxsize=64)
def _day(number: int) -> dt.date:
    return dt.date.fromordinal(_EPOCH_ORDINAL + number)
