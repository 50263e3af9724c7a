"""The strict form reader: what it takes survives unchanged, and what two readers could disagree about is refused."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.base.errors import GatewayError
from gateway.web.form import MAX_FIELDS, parse_form

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)


@given(st.lists(st.tuples(TEXT, TEXT).filter(lambda pair: pair != ("", "")), max_size=MAX_FIELDS - 1))
def test_what_a_browser_encodes_is_read_back(fields):
    assert parse_form(urlencode(fields).encode()) == fields


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_and_never_crash(raw):
    try:
        fields = parse_form(raw)
    except GatewayError:
        return

    assert all("\x00" not in name + value for name, value in fields)


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        (b"", []),
        (b"a=1&&b=2&", [("a", "1"), ("b", "2")]),
        (b"a", [("a", "")]),
        (b"a=b=c", [("a", "b=c")]),
        (b"a+b=%2B", [("a b", "+")]),
        (b"a=1&a=2", [("a", "1"), ("a", "2")]),
    ],
)
def test_forms(raw, fields):
    assert parse_form(raw) == fields


@pytest.mark.parametrize(
    "raw", [b"a=%", b"a=%4", b"a=%GG", b"%u0041=1", b"a=\n", b"a=%c3%28", b"a=%ed%a0%80", b"a=%00", b"a=\x7f"]
)
def test_encodings_outside_the_format_are_refused(raw):
    with pytest.raises(GatewayError):
        parse_form(raw)
