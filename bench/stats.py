"""The arithmetic of a run: medians of interleaved rounds, ratios, and whether the run may be believed.

Pure. A ratio is made inside one round, where both sides saw the same machine, and only then are rounds put together.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

DRIFT_LIMIT: Final = 0.07
"""Two windows of B0 in one round that differ by more: the machine was not the same machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The median of some rounds with the least and the greatest."""

    median: float
    least: float
    greatest: float

    def as_json(self) -> dict[str, float]:
        return {"median": self.median, "min": self.least, "max": self.greatest}


def spread(values: Sequence[float]) -> Spread:
    """Return median, least and greatest; ``ValueError`` for no values."""
    if not values:
        msg = "no round gave a value"
        raise ValueError(msg)
    return Spread(median=statistics.median(values), least=min(values), greatest=max(values))


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Return the ratio of each round; both sides must have every round."""
    return [one / other for one, other in zip(above, below, strict=True)]


def drift(first: float, second: float) -> float:
    """Return by how much two measurements of the same thing differ, relative to the smaller."""
    return abs(first - second) / min(first, second)


def floor_rate(bare_rate: float, verify_s: float) -> float:
    """Return LIM: the answers per second of a core that does B0's work and one signature verification each time."""
    return 1.0 / (1.0 / bare_rate + verify_s)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value that a share of the ordered values does not exceed; 0 for none."""
    if not ordered:
        return 0.0
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
