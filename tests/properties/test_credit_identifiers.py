"""Check digit algebra of the identifiers, for all codes."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.credit.identifiers import (
    ALPHABET,
    IdentifierError,
    check_character,
    is_uscc,
    name_key,
    parse_uscc,
    registration_number_checks,
)

firsts = st.from_regex(r"[0-9A-HJ-NP-RTUWXY]{2}[0-9]{6}[0-9A-HJ-NP-RTUWXY]{9}", fullmatch=True)
codes = firsts.map(lambda first: first + check_character(first))


@given(codes)
def test_a_code_made_right_is_read(code):
    assert parse_uscc(f" {code.lower()} ") == code


@given(codes, st.integers(0, 17), st.sampled_from(ALPHABET))
def test_any_single_substitution_is_detected(code, index, character):
    """31 is prime and no weight is a multiple of it, so one changed character always changes the check."""
    assume(code[index] != character)

    changed = code[:index] + character + code[index + 1 :]

    assert not is_uscc(changed)


@given(codes, st.integers(0, 16))
def test_any_exchange_of_neighbours_is_detected(code, index):
    """Two neighbouring weights never agree modulo 31."""
    assume(code[index] != code[index + 1])

    changed = code[:index] + code[index + 1] + code[index] + code[index + 2 :]

    assert not is_uscc(changed)


@given(codes)
def test_the_pairwise_check_agrees_with_the_standards_formula(code):
    weights = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
    total = sum(ALPHABET.index(character) * weight for character, weight in zip(code, weights, strict=False))

    assert code[17] == ALPHABET[(31 - total % 31) % 31]


def refused(text: str) -> IdentifierError | None:
    """Why a text is no code, or ``None``."""
    try:
        parse_uscc(text)
    except IdentifierError as exc:
        return exc
    return None


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused_with_a_known_reason(text):
    refusal = refused(text)

    if refusal is None:
        assert is_uscc(parse_uscc(text))
    else:
        assert refusal.code in {"bad_length", "bad_character", "bad_check_character"}
        assert all(is_uscc(suggestion) for suggestion in refusal.suggestions)


@given(codes, st.integers(0, 17), st.characters())
def test_a_suggestion_is_never_what_was_sent(code, index, character):
    typed = code[:index] + character + code[index + 1 :]

    refusal = refused(typed)

    assert refusal is None or (typed not in refusal.suggestions and len(refusal.suggestions) <= 3)


@given(st.text(alphabet="0123456789", min_size=14, max_size=14), st.integers(0, 14), st.integers(1, 9))
def test_registration_numbers_detect_a_changed_digit(first, index, step):
    """ISO 7064 MOD 11,10 has exactly one check digit for each number and finds every single substitution."""
    (number,) = [first + digit for digit in "0123456789" if registration_number_checks(first + digit)]

    changed = number[:index] + str((int(number[index]) + step) % 10) + number[index + 1 :]

    assert not registration_number_checks(changed)


@given(st.text(max_size=60) | st.text(alphabet="aKķİß \u0327\u0301(（〔\u200b\u00a0¸Å", max_size=12))
def test_a_name_key_is_its_own_key(name):
    once = name_key(name)

    assert name_key(once) == once


@pytest.mark.parametrize("character", "IOSVZ")
def test_the_alphabet_lacks_the_letters_that_look_like_digits(character):
    assert character not in ALPHABET
