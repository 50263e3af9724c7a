"""Claims that every kind of JWT has in common: instants and one-time identifiers.

For: reading them from parsed JSON without guessing: ``true``, strings and floats are not times, and no number is so
large that arithmetic on it costs something.
Source: RFC 7519 section 4.1; FAPI 2.0 Security Profile section 5.3.2.1, number 13 and note 3 (tolerance of clocks).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from gateway.base.canonical import Json
from gateway.base.clock import LAST_INSTANT

FUTURE_SKEW_S: Final = 30
"""How far ahead of ours a sender's clock may be. Over 60 must be refused, 10 must pass; 30 is known to be needed."""
MAX_INSTANT_S: Final = LAST_INSTANT // 1000
"""No instant of a claim lies behind."""
JTI: Final = re.compile(r"[A-Za-z0-9._~+/=-]{8,128}")


class ClaimError(ValueError):
    """A claim is missing, of the wrong type or out of its window; ``reason`` is a short machine word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason: Final = reason


def require_instant(claims: Mapping[str, Json], name: str) -> int:
    """Return a NumericDate in whole seconds that must be there."""
    value = claims.get(name)
    if type(value) is not int or not 0 < value <= MAX_INSTANT_S:  # bool is an int to Python and no time to us
        raise ClaimError(name)
    return value


def find_instant(claims: Mapping[str, Json], name: str) -> int | None:
    """Return a NumericDate in whole seconds, or None if the claim is absent. ``null`` is not absent."""
    return require_instant(claims, name) if name in claims else None


def require_text(claims: Mapping[str, Json], name: str) -> str:
    """Return a string claim that must be there and not empty."""
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise ClaimError(name)
    return value


def require_jti(claims: Mapping[str, Json]) -> str:
    """Return the ``jti``: 8 to 128 characters that survive every log and every store unchanged."""
    value = claims.get("jti")
    if not isinstance(value, str) or JTI.fullmatch(value) is None:
        raise ClaimError("jti")
    return value
