"""Opaque identifiers with a type prefix: ``ver_01K…``.

For: identifiers we hand out. They sort by time and reveal nothing but the millisecond of their making.
Source: ULID specification, Crockford base32, 48 bits of time and 80 bits of randomness.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from gateway.base.clock import Millis
from gateway.base.entropy import random_bytes

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_FROM_BYTE: Final = bytes(ord(_ALPHABET[byte & 31]) for byte in range(256))
"""256 is a multiple of 32, so the low five bits of a random byte choose each character equally often."""
_TIME_SHIFTS: Final = range(45, -1, -5)
_ULID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def new_id(prefix: str, now: Millis) -> str:
    """Return a fresh identifier such as ``ver_01K9Z3…`` (prefix, underscore, 26 characters)."""
    return f"{prefix}_{_time_part(now)}{random_bytes(16).translate(_FROM_BYTE).decode('ascii')}"


@lru_cache(maxsize=16)
def _time_part(now: Millis) -> str:
    # One request makes several identifiers in the same millisecond.
    return "".join(_ALPHABET[(now >> shift) & 31] for shift in _TIME_SHIFTS)


def is_id(prefix: str, text: str) -> bool:
    """Tell whether a text has the form of one of our identifiers of this type."""
    head, _, tail = text.partition("_")
    return head == prefix and _ULID.fullmatch(tail) is not None
