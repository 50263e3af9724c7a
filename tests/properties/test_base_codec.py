"""base64url: one text for each byte string, whatever a stranger sends."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.base.codec import b64url, parse_b64url

URL_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def canonical(text):
    """Decode with the library, which forgives nearly everything, and see whether the text comes back."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    return raw if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == text else None


@given(st.binary(max_size=200))
def test_what_we_write_we_read(raw):
    assert parse_b64url(b64url(raw)) == raw


@given(st.text(alphabet=URL_ALPHABET, max_size=60))
def test_a_text_is_read_exactly_if_it_is_the_one_of_its_bytes(text):
    expected = canonical(text)
    if expected is None:
        with pytest.raises(ValueError, match="canonical"):
            parse_b64url(text)
    else:
        assert parse_b64url(text) == expected


@given(st.text(max_size=20).filter(lambda text: not set(text) <= set(URL_ALPHABET)))
def test_foreign_characters_are_never_dropped(text):
    with pytest.raises(ValueError, match=r"base64url|ascii"):
        parse_b64url(text)


@pytest.mark.parametrize("last", URL_ALPHABET)
def test_surplus_bits_must_be_zero(last):
    """All last characters of both short groups (RFC 4648 section 3.5)."""
    for text in ("A" + last, "AA" + last):
        if canonical(text) is None:
            with pytest.raises(ValueError, match="canonical"):
                parse_b64url(text)
        else:
            assert parse_b64url(text) == canonical(text)
