"""The one reader of JSON from outside, and the one writer of canonical JSON.

For: bytes of a stranger to values, with nothing guessed; values to the bytes that we hash or sign.
Not for: checking what the members mean (that is each parser's own work).
Source: RFC 8259; RFC 8785 (JCS) for the canonical form, restricted to strings, integers, booleans and null so that
no number needs the ECMAScript rules; RFC 7493 (I-JSON) for what is refused: duplicate members, NaN, lone surrogates.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn, TypeAlias

import msgspec

Json: TypeAlias = bool | int | str | list["Json"] | dict[str, "Json"] | None

MAX_DEPTH: Final = 16
"""No message of ours nests deeper than 5."""
MAX_INT_DIGITS: Final = 19
"""More digits than a 64-bit integer has are refused before ``int`` spends quadratic time on them."""

_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
# A JSON string may hold a surrogate only as an escape, so text without this escape needs no second look.
_SURROGATE_ESCAPE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


class JsonError(ValueError):
    """The bytes are not strict JSON; ``args[0]`` is a short machine word: what was wrong."""


def parse_json(raw: bytes, *, max_depth: int = MAX_DEPTH) -> Json:
    """Read strict JSON from UTF-8 bytes whose length the caller has already bounded.

    Refuses, with ``JsonError``: a byte-order mark, bytes that are not UTF-8, duplicate members, NaN and infinities, floats,
    integers of more than 19 digits, lone surrogates, and nesting deeper than ``max_depth``.
    """
    if _nests_deeper(raw, max_depth):
        reason = "too_deep"
        raise JsonError(reason)
    try:
        text = raw.decode("utf-8")
        if text.startswith("\ufeff"):
            reason = "byte_order_mark"
            raise JsonError(reason)
        value: Json = _DECODER.decode(text)
        if b"\\u" in raw and _SURROGATE_ESCAPE.search(raw):
            _ENCODER.encode(value)  # refuses a lone surrogate; a proper pair passes
    except JsonError:
        raise
    except (ValueError, RecursionError, UnicodeError) as exc:
        reason = "not_json"
        raise JsonError(reason) from exc
    return value


def parse_json_object(raw: bytes, *, max_depth: int = MAX_DEPTH) -> dict[str, Json]:
    """Read strict JSON that must be an object; otherwise ``JsonError``."""
    value = parse_json(raw, max_depth=max_depth)
    if not isinstance(value, dict):
        reason = "not_an_object"
        raise JsonError(reason)
    return value


def canonical_json(value: Any) -> bytes:  # noqa: ANN401 - any msgspec-encodable tree of str, int, bool, None
    """Return the RFC 8785 form of a tree without floats whose member names are ASCII.

    Member names are sorted by code point, which for ASCII equals the UTF-16 order that JCS asks for; msgspec escapes only
    what JSON obliges it to. A test compares it with an independent implementation.
    """
    return _ENCODER.encode(value)


def _nests_deeper(raw: bytes, max_depth: int) -> bool:
    """Tell whether brackets nest deeper than allowed, without recursion; brackets inside strings do not count."""
    if raw.count(b"{") + raw.count(b"[") <= max_depth:
        return False
    depth = 0
    for bracket in _STRING.sub(b"", raw):
        if bracket in b"[{":
            depth += 1
            if depth > max_depth:
                return True
        elif bracket in b"]}":
            depth -= 1
    return False


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        reason = "duplicate_member"
        raise JsonError(reason)
    return members


def _small_int(digits: str) -> int:
    if len(digits.lstrip("-")) > MAX_INT_DIGITS:
        reason = "integer_too_long"
        raise JsonError(reason)
    return int(digits)


def _refuse_number(_text: str) -> NoReturn:
    reason = "not_an_integer"
    raise JsonError(reason)


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_small_int, parse_float=_refuse_number, parse_constant=_refuse_number
)
