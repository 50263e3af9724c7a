"""The rounds of a run: which windows, in which order, and what is made of them.

One round: B0, B0V, the ladder, the peer, L5 again, the refusals, B0. What both ends of a round measure (B0, L5) is averaged, so that a
machine that slows down evenly favours nobody; if the two B0 differ too much, or a window has a fault, the round is void and another
one is run in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from bench import bare, machine
from bench.ground import REFERENCE, Ground
from bench.spoil import bad_signature, malformed_token
from bench.stats import DRIFT_LIMIT, Spread, drift, floor_rate, ratios, spread

if TYPE_CHECKING:
    from bench.window import Plan, Subject, Window

LADDER: Final = ("L0", "L1", "L1c", "L2", "L3", "L4", "L5")
LEVELS: Final = ("B0", "B0V", *LADDER, REFERENCE)
REFUSALS: Final = ("bad signature", "unknown key", "expired", "malformed")
UNAUTHENTICATED: Final = 401
EXPIRED_S: Final = -10


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round measured: service-core rates by name, LIM, and why it does not count (empty if it does)."""

    windows: tuple[Window, ...]
    verify_us: float
    void: tuple[str, ...]

    def rate(self, name: str) -> float:
        """Return answers per service-core-second, averaged over the windows of that name."""
        rates = [window.rate_per_core for window in self.windows if window.name == name]
        return sum(rates) / len(rates)

    @property
    def floor(self) -> float:
        """LIM: what nobody can beat who stands on B0 and verifies one signature."""
        return floor_rate(self.rate("B0"), self.verify_us / 1e6)


Say = Callable[[str], None]


def run_round(ground: Ground, plan: Plan, say: Say) -> Round:
    """Run one round and judge it."""
    windows: list[Window] = []
    refused = refusals(ground)
    order: list[Subject] = [ground.subjects[level] for level in (*LEVELS, "L5")]
    for subject in (*order, *refused, ground.subjects["B0"]):
        window = ground.bench.measure(subject, plan)
        windows.append(window)
        say(describe(window))
    verify_us = _verify_us(ground.bench.cores)
    bares = [window.rate_per_core for window in windows if window.name == "B0"]
    void = [f"{window.name}: {fault}" for window in windows for fault in window.faults]
    if drift(bares[0], bares[-1]) > DRIFT_LIMIT:
        void.append(f"B0 drifted by {drift(bares[0], bares[-1]):.1%}")
    return Round(windows=tuple(windows), verify_us=verify_us, void=tuple(void))


def refusals(ground: Ground) -> list[Subject]:
    """Return the shipped service under requests that it must refuse, in the order of ``REFUSALS``."""
    shipped = replace(ground.subjects["L5"], status=UNAUTHENTICATED, check=None, repeat=True)
    world = ground.world
    return [
        replace(shipped, name="bad signature", spoil=bad_signature),
        replace(shipped, name="unknown key", callers=world.strangers),
        replace(shipped, name="expired", callers=lambda: world.callers(EXPIRED_S)),
        replace(shipped, name="malformed", spoil=malformed_token),
    ]


def targets_of(rounds: Sequence[Round]) -> dict[str, Spread]:
    """Return the figures that rounds give: T1, T2, T4, T12."""
    floors = [one.floor for one in rounds]

    def rates(name: str) -> list[float]:
        return [one.rate(name) for one in rounds]

    bare_rates = rates("B0")
    return {
        "T1": spread(ratios(rates("L5"), floors)),
        "T2": spread(ratios(rates("L1c"), bare_rates)),
        "T4": spread(ratios(rates("L5"), rates(REFERENCE))),
        "T12a": spread(ratios(rates("bad signature"), rates("B0V"))),
        "T12b": spread(ratios(rates("unknown key"), bare_rates)),
        "T12c": spread(ratios(rates("expired"), bare_rates)),
        "T12d": spread(ratios(rates("malformed"), bare_rates)),
    }


def describe(window: Window) -> str:
    """Return one line about a window."""
    faults = "" if not window.faults else f"  ! {'; '.join(window.faults)}"
    return (
        f"  {window.name:14} {window.rate:9,.0f}/s {window.rate_per_core:9,.0f}/core-s {window.service_us:8.1f} µs "
        f"pg {window.postgres_ms_per_1000:6.1f} ms/1000  p50 {window.p50_ms:6.1f}  p99 {window.p99_ms:6.1f} ms  "
        f"busy {window.service_busy:4.0%}/{window.other_core_busy:4.0%}  {window.resident_mb:5.0f} MB{faults}"
    )


def ladder_rows(rounds: Sequence[Round]) -> Iterable[tuple[str, Spread, Spread, Spread]]:
    """Return for each level its rate per core-second, wall rate and µs per answer over the rounds."""
    for name in (*LEVELS, *REFUSALS):
        found = [window for one in rounds for window in one.windows if window.name == name]
        yield (
            name,
            spread([window.rate_per_core for window in found]),
            spread([window.rate for window in found]),
            spread([window.service_us for window in found]),
        )


def _verify_us(cores: machine.Cores) -> float:
    """Time one ES256 verification on the service's core, which is idle now."""
    machine.pin(cores.service)
    try:
        return bare.verify_seconds() * 1e6
    finally:
        machine.pin(cores.other)
