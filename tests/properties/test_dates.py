"""Days and instants: bounded where they arrive, and arithmetic that answers for every day the calendar has."""

from __future__ import annotations

import datetime as dt
import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.base.canonical import canonical_json
from gateway.base.clock import (
    FIRST_DAY,
    FIRST_INSTANT,
    LAST_DAY,
    LAST_INSTANT,
    Millis,
    end_of_day,
    from_datetime,
    parse_rfc3339,
    rfc3339,
    shanghai_date,
    start_of_day,
    to_datetime,
    utc_day,
)
from gateway.credit.feed import FeedLine, LineError, parse_line
from gateway.credit.feed_wire import EntryLine, PenaltyLine, RegistrationLine
from gateway.credit.periods import add_months, day_after
from gateway.credit.record import ListEntry, Penalty, Registration
from gateway.identity.claims import ClaimError, find_instant, require_instant
from tests.unit.credit.factories import (
    CODE,
    TODAY,
    answer_on,
    entry_line,
    make_entry,
    make_penalty,
    make_registration,
    penalty_line,
    registration_line,
)

ENDS = st.sampled_from([dt.date.min, dt.date.max, FIRST_DAY, LAST_DAY, dt.date(9998, 12, 31), dt.date(1, 1, 31)])
ANY_DAY = ENDS | st.dates()
ANY_INTEGER = st.integers(-(2**80), 2**80) | st.integers(-(2**40), 2**40)
ZONES = st.integers(-1439, 1439).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
LINES = {RegistrationLine: registration_line, PenaltyLine: penalty_line, EntryLine: entry_line}
STORED = {Registration: make_registration, Penalty: make_penalty, ListEntry: make_entry}
CF_DAYS = ("CF_JDRQ", "CF_QX", "CF_GSJZQ", "established")


def members_of_days(shape: type[msgspec.Struct]) -> list[str]:
    """The members of a shape that are days, by their type or, for the fields of the standard, by their name."""
    fields = msgspec.structs.fields(shape)
    return [field.name for field in fields if field.type in (dt.date, dt.date | None) or field.name in CF_DAYS]


DAY_MEMBERS = [(shape, name) for shape in LINES for name in members_of_days(shape)]
STORED_DAYS = [(shape, name) for shape in STORED for name in members_of_days(shape)]


def read(raw: bytes) -> FeedLine | LineError:
    """The line, or why it was refused."""
    try:
        return parse_line(raw)
    except LineError as exc:
        return exc


def test_there_are_as_many_days_as_one_can_count():
    """What the tests below go over: the days of a registration, a penalty and a list entry."""
    assert [sum(shape is one for one, _name in DAY_MEMBERS) for shape in LINES] == [1, 13, 10]


@pytest.mark.parametrize(("shape", "name"), DAY_MEMBERS)
@given(day=ANY_DAY)
@example(day=FIRST_DAY - dt.timedelta(days=1))
@example(day=LAST_DAY + dt.timedelta(days=1))
def test_no_day_out_of_bounds_comes_in_with_a_line(shape, name, day):
    """Whatever member it stands in, the line is refused for it, and its subject is named (so that it is answered ``partial``)."""
    outcome = read(LINES[shape](**{name: day.isoformat()}))

    if FIRST_DAY <= day <= LAST_DAY:
        assert isinstance(outcome, FeedLine) or not outcome.reason.startswith("bad_day")
        return
    assert isinstance(outcome, LineError)
    assert outcome.reason in {"bad_day", f"bad_day:{name}"}
    assert outcome.subject_key == CODE


@pytest.mark.parametrize(("shape", "name"), STORED_DAYS)
@given(day=ANY_DAY, others=st.lists(ANY_DAY, min_size=4, max_size=4))
def test_any_stored_day_gives_an_answer(shape, name, day, others):
    """A row with a day that no line could bring (written past us, or before the bounds) is answered about all the same."""
    record = STORED[shape](**{name: day})
    if isinstance(record, Registration):
        assert canonical_json(answer_on(TODAY, registration=record))
        return
    windows = ("observation_from", "observation_to", "shielded_from", "shielded_to")
    free = {window: other for window, other in zip(windows, others, strict=True) if window != name}
    for stored in (record, msgspec.structs.replace(record, **free)):
        assert canonical_json(answer_on(TODAY, stored))


@given(ANY_DAY, st.integers(-(10**9), 10**9) | st.integers(-1200, 1200))
def test_months_can_be_added_to_any_day(day, months):
    """The result is a day of the calendar; never on the wrong side of the day it began with."""
    end = add_months(day, months)

    assert end >= day if months >= 0 else end <= day


@given(st.dates(FIRST_DAY, LAST_DAY), st.integers(0, 1200), st.integers(0, 1200))
def test_longer_periods_end_later(day, months, more):
    """Within the bounds of a record no period reaches the end of the calendar, and their order is kept."""
    assert add_months(day, months) <= add_months(day, months + more) < dt.date.max


@given(ANY_DAY)
def test_the_day_after(day):
    assert day_after(day) == (day + dt.timedelta(days=1) if day < dt.date.max else dt.date.max)


@given(ANY_DAY)
def test_every_day_has_a_beginning_and_an_end(day):
    """Also the first and the last of the calendar, whose midnight lies outside it in another zone."""
    begin, end = start_of_day(day), end_of_day(day)

    assert (end - begin, shanghai_date(begin), shanghai_date(Millis(end - 1))) == (86_400_000, day, day)


@given(ANY_INTEGER, ZONES)
def test_every_instant_can_be_shown(number, zone):
    """In any zone and as text; beyond the calendar it is the calendar's end."""
    instant = Millis(number)

    assert to_datetime(instant, zone).tzinfo is zone
    assert len(rfc3339(instant)) == len("2026-11-22T08:00:00.000Z")
    assert dt.date.min <= shanghai_date(instant) <= dt.date.max
    assert dt.date.min <= utc_day(number) <= dt.date.max


@given(st.integers(FIRST_INSTANT, LAST_INSTANT), ZONES)
def test_an_instant_survives_every_spelling(number, zone):
    """To the millisecond: no floating point is involved."""
    instant = Millis(number)

    assert parse_rfc3339(rfc3339(instant)) == instant
    assert from_datetime(to_datetime(instant, zone)) == instant


@given(st.datetimes(timezones=ZONES) | st.sampled_from([dt.datetime.min, dt.datetime.max]), ZONES)
def test_a_time_is_bounded_where_it_is_read(moment, zone):
    """Any RFC 3339 time is an instant within our bounds, or refused."""
    text = moment.replace(tzinfo=zone).isoformat(timespec="milliseconds")
    try:
        instant = parse_rfc3339(text)
    except ValueError:
        instant = None

    assert instant is None or FIRST_INSTANT <= instant <= LAST_INSTANT


@pytest.mark.parametrize(
    "text",
    [
        "2026-W01-1T00:00:00Z",
        "20260101T000000Z",
        "2026-01-01T00:00:00",
        "2026-01-01 00:00:00Z",
        "2026-01-01T00:00:00+08:00:30",
        "2026-02-30T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "2200-01-01T00:00:00Z",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        "２０２６-01-01T00:00:00Z",
    ],
)
def test_what_is_no_time_of_ours_is_refused(text):
    with pytest.raises(ValueError, match=r"time|range"):
        parse_rfc3339(text)


@given(st.integers() | st.booleans() | st.floats() | st.text(max_size=12) | st.none())
@example(LAST_INSTANT // 1000)
@example(LAST_INSTANT // 1000 + 1)
@example(1 << 40)
def test_the_instants_of_claims_are_bounded(value):
    """Whatever passes has a day: partitions and one-time ids are named after it."""
    claims = json.loads(json.dumps({"exp": value}))
    try:
        instant = require_instant(claims, "exp")
    except ClaimError:
        return
    assert find_instant(claims, "exp") == instant
    assert 0 < instant <= LAST_INSTANT // 1000
    assert utc_day(instant) <= LAST_DAY
