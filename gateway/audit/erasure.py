"""The mark of an erasure: a leaf that says whose secrets were removed, and so tells an erasure from a theft.

For: writing what such a leaf says, and reading it back. Not for: erasing anything; a row's absence proves nothing by itself.
The mark is an operator's act of the kind ``erasure``, operation ``audit.erase``; its sealed arguments are
``{"leaves":[[first,last],...]}``: ranges of leaf indexes, inclusive, ascending, apart from each other. A mark's own secret is never erased.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gateway.base.canonical import Json, canonical_json

ERASE: Final = "audit.erase"
MAX_RANGES: Final = 1024
"""Of one mark: some 40 kB sealed. A day or a month is one range."""

Range = tuple[int, int]


class ErasureError(ValueError):
    """The arguments are not those of a mark."""


def render_erasure(ranges: Iterable[Range]) -> bytes:
    """Return what a mark says, as canonical JSON; ``ErasureError`` for ranges that are not a mark's."""
    listed: list[Json] = [[first, last] for first, last in ranges]
    _check(listed)
    return canonical_json({"leaves": listed})


def parse_erasure(arguments: Json) -> tuple[Range, ...]:
    """Read the arguments of a mark."""
    match arguments:
        case {"leaves": list(listed), **rest} if not rest:
            return _check(listed)
        case _:
            raise ErasureError("erasure_form")


def _check(listed: list[Json]) -> tuple[Range, ...]:
    if not 1 <= len(listed) <= MAX_RANGES:
        raise ErasureError("erasure_count")
    ranges: list[Range] = []
    before = -1
    for item in listed:
        match item:
            case [int(first), int(last)] if before < first <= last:
                ranges.append((first, last))
                before = last
            case _:
                raise ErasureError("erasure_range")
    return tuple(ranges)
