"""Identifiers of organisations and persons: reading, checking, suggesting.

For: refusing a mistyped code with the position of the fault, before anything is looked up under it; comparing names.
Not for: saying that a subject exists (that is the registration's word), and never for correcting a code silently.
Sources: GB 32100-2015 (unified social credit code), GB 11714 (organisation code), ISO 7064 MOD 11,10 (15-digit
registration number), GB 11643 (citizen identity number). Positions are counted from 1, as people count.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NewType

Uscc = NewType("Uscc", str)
"""A unified social credit code whose form and check character are right."""

ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
USCC_LENGTH: Final = 18
MAX_TYPED: Final = 64
"""Longer input is refused unread: Unicode normalisation can make text eighteen times longer."""
MAX_SUGGESTIONS: Final = 3

_VALUES: Final = {character: value for value, character in enumerate(ALPHABET)}
_WEIGHTS: Final = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
# Two characters at a time halve the work of the check, which runs for each of a million feed lines: value of a pair = a + 3b.
_PAIRS: Final = {a + b: _VALUES[a] + 3 * _VALUES[b] for a in ALPHABET for b in ALPHABET}
_DIVISION: Final = slice(2, 8)
_ORGANISATION: Final = slice(8, 17)
_ORGANISATION_WEIGHTS: Final = (3, 7, 9, 10, 5, 8, 4, 2)

# First in each group what was typed, then what was meant. I, O, Z, S and V are outside the alphabet, so always slips.
_CONFUSED: Final = {
    group[0]: group[1:]
    for group in "I1 O0 Z2 S5 VUY 0DQ D0 Q0 1L7 L1 71T T7 8B B8 6G G6C CG UW WU XY YX MN NM PR RP EF FE".split()  # noqa: SIM905 - a list of literals takes a line each
}

_CITIZEN_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CITIZEN_CHECKS: Final = "10X98765432"
_CITIZEN: Final = re.compile(r"[1-9][0-9]{16}[0-9X]", re.ASCII)
_RESIDENCE_PERMIT: Final = re.compile(r"8[123]0000")
_REGISTRATION: Final = re.compile(r"[0-9]{15}", re.ASCII)
_INVISIBLE: Final = re.compile("[\\s\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")
_BRACKETS: Final = str.maketrans("[]{}〔〕【】〈〉《》「」『』", "()()()()()()()()")


class IdentifierError(ValueError):
    """A text is not the identifier it should be.

    ``code``: ``bad_length``, ``bad_character`` or ``bad_check_character``. ``position``: of the faulty character, from 1, where
    one can be named. ``expected``: the check character that would fit. ``suggestions``: codes that one confusion explains;
    to be shown to a person, never to be used in place of what was sent.
    """

    def __init__(
        self,
        code: str,
        *,
        position: int | None = None,
        expected: str | None = None,
        suggestions: tuple[str, ...] = (),
    ) -> None:
        super().__init__(code)
        self.code: Final = code
        self.position: Final = position
        self.expected: Final = expected
        self.suggestions: Final = suggestions


@dataclass(frozen=True, slots=True, kw_only=True)
class UsccTables:
    """What the catalogue knows about the parts of a code.

    ``categories``: registering department to its known categories. ``withdrawn_divisions``: administrative divisions that
    no longer exist; a code keeps the division of its first registration, so such a code is still right.
    """

    categories: dict[str, frozenset[str]]
    withdrawn_divisions: frozenset[str]


def is_uscc(text: str) -> bool:
    """Tell whether a text, taken as it stands, is a code with the right form and check character."""
    if len(text) != USCC_LENGTH:
        return False
    pairs = _PAIRS
    try:
        # The weights are 3**i mod 31, so a pair at 2k weighs 9**k: Horner's rule from the back.
        total = _VALUES[text[16]]
        total = total * 9 + pairs[text[14:16]]
        total = total * 9 + pairs[text[12:14]]
        total = total * 9 + pairs[text[10:12]]
        total = total * 9 + pairs[text[8:10]]
        total = total * 9 + pairs[text[6:8]]
        total = total * 9 + pairs[text[4:6]]
        total = total * 9 + pairs[text[2:4]]
        total = total * 9 + pairs[text[0:2]]
        return (total + _VALUES[text[17]]) % 31 == 0 and text[_DIVISION].isdecimal()
    except KeyError:
        return False


def normalise_code(text: str) -> str:
    """Return a typed code trimmed, in NFKC and upper case; over-long input is ``bad_length``."""
    if len(text) > MAX_TYPED:
        raise IdentifierError("bad_length")
    return unicodedata.normalize("NFKC", text).strip().upper()


def parse_uscc(text: str) -> Uscc:
    """Read a unified social credit code as a person typed it.

    Trims, applies NFKC and upper case; corrects nothing else. Raises ``IdentifierError`` with position and suggestions.
    """
    if is_uscc(text):
        return Uscc(text)
    code = normalise_code(text)
    if is_uscc(code):
        return Uscc(code)
    if len(code) != USCC_LENGTH:
        raise IdentifierError("bad_length")
    for position, character in enumerate(code, start=1):
        if character not in _VALUES or (_DIVISION.start < position <= _DIVISION.stop and not character.isdecimal()):
            raise IdentifierError("bad_character", position=position, suggestions=_suggest(code))
    expected = check_character(code[:17])
    raise IdentifierError("bad_check_character", position=USCC_LENGTH, expected=expected, suggestions=_suggest(code))


def check_character(first17: str) -> str:
    """Return the check character that belongs to the first 17 characters (GB 32100-2015 section 5)."""
    total = sum(_VALUES[character] * weight for character, weight in zip(first17, _WEIGHTS, strict=True))
    return ALPHABET[(31 - total % 31) % 31]


def uscc_warnings(uscc: Uscc, tables: UsccTables) -> tuple[str, ...]:
    """Return what is odd, yet no reason to refuse, about a code.

    ``organisation_code_check``, ``unknown_category`` (department and category pair not in the catalogue),
    ``withdrawn_division``.
    """
    warnings = []
    if not is_organisation_code(uscc[_ORGANISATION]):
        warnings.append("organisation_code_check")
    if uscc[1] not in tables.categories.get(uscc[0], ()):
        warnings.append("unknown_category")
    if uscc[_DIVISION] in tables.withdrawn_divisions:
        warnings.append("withdrawn_division")
    return tuple(warnings)


def organisation_part(uscc: Uscc) -> str:
    """Return the nine characters of the organisation code inside a unified code."""
    return uscc[_ORGANISATION]


def is_organisation_code(text: str) -> bool:
    """Tell whether nine characters (or eight, hyphen, one) are an organisation code of GB 11714."""
    compact = text.replace("-", "", 1) if text[8:9] == "-" else text
    if len(compact) != 9 or not (compact.isascii() and compact.isalnum() and compact == compact.upper()):  # noqa: PLR2004 - GB 11714
        return False
    total = sum(int(character, 36) * weight for character, weight in zip(compact, _ORGANISATION_WEIGHTS, strict=False))
    return compact[8] == "123456789X0"[10 - total % 11] if total % 11 else compact[8] == "0"


def is_registration_number(text: str) -> bool:
    """Tell whether a text has the form of an old 15-digit registration number; its check digit is only a warning."""
    return _REGISTRATION.fullmatch(text) is not None


def registration_number_checks(text: str) -> bool:
    """Tell whether the check digit of a 15-digit registration number is right (ISO 7064 MOD 11,10)."""
    product = 10
    for digit in text[:14]:
        product = ((product + int(digit)) % 10 or 10) * 2 % 11
    return is_registration_number(text) and (product + int(text[14])) % 10 == 1


def is_citizen_id(text: str) -> bool:
    """Tell whether a text is a citizen identity number or a residence permit of GB 11643, with a date that exists."""
    if _CITIZEN.fullmatch(text) is None or (text[0] == "8" and _RESIDENCE_PERMIT.match(text) is None):
        return False
    try:
        dt.date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(text, _CITIZEN_WEIGHTS, strict=False))
    return text[17] == _CITIZEN_CHECKS[total % 11]


@lru_cache(maxsize=4096)
def name_key(name: str) -> str:
    """Return a name as it is compared: NFKC, lower case, no space or invisible character, one kind of bracket.

    Two spellings of one name give one key; the key is never shown. It is a prefix key too: a longer name begins with it.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    # Once more, since what stood apart by a space may compose when the space is gone.
    return unicodedata.normalize("NFKC", _INVISIBLE.sub("", folded)).translate(_BRACKETS)


def mask_name(name: str) -> str:
    """Return a personal name with all but its first character hidden, the length of a Chinese name kept."""
    trimmed = name.strip()
    return trimmed[:1] + "*" * min(max(len(trimmed) - 1, 1), 3) if trimmed else "*"


def _suggest(code: str) -> tuple[str, ...]:
    """Return the codes that one confusion or one exchange of neighbours turns into right ones.

    A suggestion must pass the organisation-code check as well: one check alone lets one wrong guess in thirty-one pass.
    """
    found = dict.fromkeys(
        guess for guess in _guesses(code) if is_uscc(guess) and is_organisation_code(guess[_ORGANISATION])
    )
    found.pop(code, None)
    return tuple(found)[:MAX_SUGGESTIONS]


def _guesses(code: str) -> Iterator[str]:
    # A letter outside the alphabet is a slip wherever it stands, so "O typed for 0 throughout" counts as one confusion.
    foreign = code.translate(str.maketrans("IOZSV", "1025U"))
    if foreign != code:
        yield foreign
    for index, character in enumerate(code):
        for other in _CONFUSED.get(character, ""):
            yield code[:index] + other + code[index + 1 :]
    for index in range(USCC_LENGTH - 1):
        yield code[:index] + code[index + 1] + code[index] + code[index + 2 :]
