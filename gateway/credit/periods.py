"""Periods of credit law: months counted from a day, in days of Asia/Shanghai.

Source: Civil Code of the PRC, articles 201 and 202: the first day does not count, so a period of months ends with the day of
the same number, or with the last day of a shorter month. An end day means the end of that day.
Not for: working days (no rule of this package counts in them).

Total: what lies beyond the calendar of ``datetime`` is its first or last day. Days of records are bounded where they are read
(``feed_values``), so that no answer ever shows such an end; but a stored day that nobody should have been able to bring in
must not make its subject unanswerable.
"""

from __future__ import annotations

import calendar
import datetime as dt
from functools import lru_cache
from typing import Final

_MONTHS: Final = 12


@lru_cache(maxsize=16_384)
def add_months(day: dt.date, months: int) -> dt.date:
    """Return the last day of a period of so many months that begins with a day; of a negative number, the first."""
    year, month = divmod(day.year * _MONTHS + day.month - 1 + months, _MONTHS)
    if year < dt.MINYEAR:
        return dt.date.min
    if year > dt.MAXYEAR:
        return dt.date.max
    return dt.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def day_after(day: dt.date) -> dt.date:
    """Return the next day."""
    return dt.date.fromordinal(min(day.toordinal() + 1, dt.date.max.toordinal()))
