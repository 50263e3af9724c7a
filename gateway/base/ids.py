"""Opaque identifiers with a type prefix: ``ver_01K…``.

For: identifiers we hand out. They sort by time and reveal nothing but the millisecond of their making.
Source: ULID specification, Crockford base32, 48 bits of time and 80 bits of randomness.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.base.clock import Millis
from gateway.base.entropy import random_bytes

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_ULID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def new_id(prefix: str, now: Millis) -> str:
    """Return a fresh identifier such as ``ver_01K9Z3…`` (prefix, underscore, 26 characters)."""
    number = (now << 80) | int.from_bytes(random_bytes(10), "big")
    parts = [_PAIRS[(number >> shift) & 1023] for shift in range(120, -10, -10)]
    return f"{prefix}_{''.join(parts)}"


def is_id(prefix: str, text: str) -> bool:
    """Tell whether a text has the form of one of our identifiers of this type."""
    head, _, tail = text.partition("_")
    return head == prefix and _ULID.fullmatch(tail) is not None
