"""The targets, as data: what each figure must reach and what would be excellent. The table stands in the design documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.stats import Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One figure. ``more_is_better`` says on which side of ``must`` the good values are."""

    name: str
    says: str
    must: float
    stretch: float
    unit: str = ""
    more_is_better: bool = True

    def reached(self, value: float) -> str:
        """Return ``stretch``, ``must`` or ``missed``."""
        sign = 1 if self.more_is_better else -1
        if sign * value >= sign * self.stretch:
            return "stretch"
        return "must" if sign * value >= sign * self.must else "missed"


TARGETS: Final = (
    Target(name="T1", says="single verification, L5 with DPoP, per service core / LIM", must=0.45, stretch=0.65),
    Target(name="T2", says="token verification from cache, L1c / B0", must=0.80, stretch=0.90),
    Target(name="T4", says="L5 / reference A, same durability", must=8, stretch=12),
    Target(name="T8", says="durable appends/s / pgbench, one row a commit, 32 clients", must=5, stretch=15),
    Target(
        name="T10",
        says="commits per 1,000 verifications at 0.3 of saturation",
        must=250,
        stretch=100,
        more_is_better=False,
    ),
    Target(name="T12a", says="refusing a bad signature / B0V", must=0.95, stretch=1.0),
    Target(name="T12b", says="refusing an unknown key / B0", must=0.80, stretch=0.90),
    Target(name="T12c", says="refusing an expired token / B0", must=0.80, stretch=0.90),
    Target(name="T12d", says="refusing a malformed token / B0", must=0.80, stretch=0.90),
    Target(
        name="T12e",
        says="wrong guesses of one try at whether a client exists, by time; 0.5 is a coin",
        must=0.45,
        stretch=0.48,
    ),
    Target(
        name="T17a",
        says="memory of a worker after all requests / after the first 10,000",
        must=1.05,
        stretch=1.02,
        more_is_better=False,
    ),
    Target(
        name="T17b",
        says="memory of a worker after all requests",
        must=150,
        stretch=100,
        unit="MB",
        more_is_better=False,
    ),
    Target(
        name="T18a",
        says="inclusion proof from a log of 10,000,000 leaves",
        must=5,
        stretch=1,
        unit="ms",
        more_is_better=False,
    ),
    Target(
        name="T18b",
        says="full offline verification of 1,000,000 leaves",
        must=20,
        stretch=8,
        unit="s",
        more_is_better=False,
    ),
    Target(
        name="T23",
        says="time of a refused request, largest / smallest field allowed, in parts of linear growth",
        must=1.1,
        stretch=1.0,
        more_is_better=False,
    ),
)
BY_NAME: Final[Mapping[str, Target]] = {target.name: target for target in TARGETS}


def judge(values: Mapping[str, Spread], notes: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return every target with its value and verdict; a target that was not measured has the value None and a note why."""
    judged: dict[str, dict[str, Any]] = {}
    for target in TARGETS:
        measured = values.get(target.name)
        judged[target.name] = {
            "says": target.says,
            "value": None if measured is None else measured.median,
            "min": None if measured is None else measured.least,
            "max": None if measured is None else measured.greatest,
            "must": target.must,
            "stretch": target.stretch,
            "unit": target.unit,
            "reached": "not measured" if measured is None else target.reached(measured.median),
            "note": notes.get(target.name, ""),
        }
    return judged
