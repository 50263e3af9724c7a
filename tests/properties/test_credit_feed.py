"""The feed line for any bytes: a value or a ``LineError``, and the fast way equal to the strict one."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.base.canonical import JsonError, parse_json_object
from gateway.credit.feed import FeedLine, LineError, _parse_members, parse_line
from gateway.credit.identifiers import is_uscc
from gateway.credit.record import Registration, decode_record, decode_registration, encode_value
from tests.unit.credit.factories import entry_line, penalty_line, registration_line

LINES = (penalty_line(), entry_line(), registration_line(), penalty_line(BZ="a\nb", CF_NR_FK=3))
names = st.sampled_from(
    sorted({name for line in LINES for name in json.loads(line)} | {"person", "tier", "CF_ZT", "x"})
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(["", "罚款", "2026-05-20"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def read(raw: bytes) -> FeedLine | LineError:
    """The line, or why it was refused; nothing else may come out."""
    try:
        return parse_line(raw)
    except LineError as exc:
        return exc


def strictly(raw: bytes) -> object:
    """What the strict parser makes of some bytes."""
    try:
        return parse_json_object(raw)
    except JsonError as exc:
        return str(exc)


def fast(raw: bytes) -> object:
    """What the feed's own way of reading makes of them."""
    try:
        return _parse_members(raw)
    except JsonError as exc:
        return str(exc)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_a_line_error(raw):
    assert isinstance(read(raw), LineError)


@given(st.sampled_from(LINES), st.integers(0, 2000), st.binary(max_size=6), st.integers(0, 6))
def test_a_damaged_line_gives_a_line_or_a_line_error(line, position, inserted, removed):
    at = position % len(line)

    outcome = read(line[:at] + inserted + line[at + removed :])

    assert isinstance(outcome, FeedLine | LineError)
    assert outcome.subject_key is None or outcome.subject_key.startswith("R:") or is_uscc(outcome.subject_key)


@given(st.sampled_from(LINES), st.dictionaries(names, values, max_size=4))
def test_a_line_with_foreign_values_gives_a_line_or_a_line_error(line, changes):
    raw = json.dumps(json.loads(line) | changes, ensure_ascii=False).encode("utf-8", "surrogatepass")

    outcome = read(raw)

    assert isinstance(outcome, FeedLine | LineError)
    if isinstance(outcome, FeedLine) and outcome.value is not None:
        body = encode_value(outcome.value)
        again = decode_registration(body) if isinstance(outcome.value, Registration) else decode_record(body)
        assert again == outcome.value


@given(st.lists(st.tuples(names, st.text(max_size=10) | values), max_size=6), st.sampled_from(["", " ", "\t", "\n"]))
def test_the_fast_way_and_the_strict_way_agree(members, space):
    """Duplicate members, spacing and any values: the two ways give one result and one reason."""
    pairs = (f"{json.dumps(name)}{space}:{json.dumps(value, ensure_ascii=False)}" for name, value in members)
    raw = f"{{{space}{f',{space}'.join(pairs)}}}{space}".encode("utf-8", "surrogatepass")

    assert fast(raw) == strictly(raw)


@given(st.binary(max_size=80))
def test_the_two_ways_agree_on_any_bytes(raw):
    assert fast(raw) == strictly(raw)


@given(st.sampled_from(LINES), st.integers(0, 2000), st.binary(max_size=4))
def test_the_two_ways_agree_on_damaged_lines(line, position, inserted):
    at = position % len(line)
    raw = line[:at] + inserted + line[at:]

    assert fast(raw) == strictly(raw)
