"""The benchmark: ``python -m bench`` (``make bench``).

    python -m bench                    a valid result: 5 rounds of 8-second windows and the long parts; about 30 minutes
    python -m bench --quick            a look: one round of short windows; says that it is not a valid result
    python -m bench --only rounds      leave the long parts out (rounds, strangers, appends, sharing, memory, trees)

Steps:
1. Start PostgreSQL, the levels, the peer.
2. Rounds until enough are not void (T1, T2, T4, T12).
3. What strangers can learn by time, and make us spend (T12e, T23). 4. Appends beside pgbench (T8). 5. Sharing of commits (T10).
6. Memory (T17). 7. Long logs (T18).
8. Print the tables, write ``bench/results/*.json``.

Ended by a signal, or in any other way, it leaves no process and no folder (``bench.guard``).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench import growth, machine, report, tell_apart
from bench.appends import committer_rate, one_row_a_commit_rate
from bench.ground import Ground, open_ground
from bench.guard import guarded
from bench.long_runs import commits_per_1000, memory_mb
from bench.rounds import LEVELS, Round, run_round, targets_of
from bench.stats import Spread, spread
from bench.trees import proof_cost, rederive_seconds
from bench.window import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

PARTS: Final = ("rounds", "strangers", "appends", "sharing", "memory", "trees")
VALID_ROUNDS: Final = 5
VALID_WINDOW_S: Final = 8.0
MERCHANTS: Final = 20_000
APPEND_ROUNDS: Final = 3


@dataclass(slots=True)
class Run:
    """A run in progress: what it was asked for and what it has found."""

    rounds_wanted: int
    window_s: float
    connections: int
    memory_requests: int
    long_leaves: int
    whole_leaves: int
    parts: tuple[str, ...]
    rounds: list[Round] = field(default_factory=list)
    void_rounds: int = 0
    values: dict[str, Spread] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        return Plan(window_s=self.window_s, connections=self.connections)

    @property
    def levels(self) -> tuple[str, ...]:
        """The servers that the parts need."""
        if "rounds" in self.parts:
            return LEVELS
        return ("L5",) if {"sharing", "memory"} & set(self.parts) else ()

    def why_void(self) -> list[str]:
        """Return why this run is not a valid result."""
        reasons = []
        if len(self.rounds) < VALID_ROUNDS:
            reasons.append(f"{len(self.rounds)} rounds that count, {VALID_ROUNDS} are needed")
        if self.window_s < VALID_WINDOW_S:
            reasons.append(f"windows of {self.window_s:g} s, {VALID_WINDOW_S:g} are needed")
        if set(self.parts) != set(PARTS):
            reasons.append(f"only {', '.join(self.parts)}")
        return reasons


def say(text: str) -> None:
    print(text, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    run = _asked(arguments)
    return guarded(partial(_measure, run))


def _measure(run: Run, folder: Path) -> None:
    about = machine.describe()
    say(
        f"{about['cpu']}, {about['cores']} cores, Python {about['python']}, load average {about['load_average']} at start"
    )
    with open_ground(run.levels, folder, merchants=MERCHANTS) as ground:
        _rounds(run, ground)
        _long_parts(run, ground)
    _finish(run)


def _rounds(run: Run, ground: Ground) -> None:
    """Run rounds until enough count, at most twice as many as wanted; void rounds count only where nothing else is left."""
    if "rounds" not in run.parts:
        return
    void: list[Round] = []
    while len(run.rounds) < run.rounds_wanted and len(run.rounds) + len(void) < 2 * run.rounds_wanted:
        say(f"\nRound {len(run.rounds) + 1} of {run.rounds_wanted}")
        done = run_round(ground, run.plan, say)
        if done.void:
            void.append(done)
            say(f"  void: {'; '.join(done.void)}")
        else:
            run.rounds.append(done)
    run.void_rounds = len(void)
    shown = run.rounds or void
    run.values |= targets_of(shown)
    say("\n" + report.render_ladder(shown))
    if not run.rounds:
        run.notes |= dict.fromkeys(targets_of(shown), "every round was void")


def _long_parts(run: Run, ground: Ground) -> None:
    cores = ground.bench.cores
    if "strangers" in run.parts:
        say("\nTrying clients that exist beside clients that do not; refusals of growing fields")
        run.values |= {
            "T12e": tell_apart.measure(ground.world, cores, say),
            "T23": growth.measure(ground.world, cores, say),
        }
    if "appends" in run.parts:
        say("\nDurable appends, beside pgbench with one row a commit")
        _appends(run, ground)
    if "sharing" in run.parts:
        say("\nSharing of commits at part load")
        saturation = max(
            (window.rate for one in run.rounds for window in one.windows if window.name == "L5"), default=0.0
        )
        saturation = saturation or ground.bench.measure(ground.subjects["L5"], run.plan).rate
        found = [commits_per_1000(ground, saturation, run.plan, say) for _ in range(APPEND_ROUNDS)]
        run.values["T10"] = spread([commits for commits, _ in found])
        run.notes["T10"] = "; ".join(dict.fromkeys(fault for _, faults in found for fault in faults))
    if "memory" in run.parts:
        say(f"\nMemory over {run.memory_requests:,} requests")
        first, last = memory_mb(ground, run.memory_requests, run.connections, say)
        run.values |= {"T17a": spread([last / first]), "T17b": spread([last])}
        if run.memory_requests < 1_000_000:
            run.notes["T17a"] = run.notes["T17b"] = f"after {run.memory_requests:,} requests only"
    if "trees" in run.parts:
        say(f"\nProofs from a log of {run.long_leaves:,} leaves; re-derivation of {run.whole_leaves:,}")
        cost = asyncio.run(proof_cost(ground.world, cores, run.long_leaves))
        say(f"  inclusion proof: p50 {cost.median_ms.median:.2f} ms, p99 {cost.p99_ms:.2f} ms")
        seconds = asyncio.run(rederive_seconds(ground.world, cores, run.whole_leaves))
        say(f"  full verification: {seconds:.1f} s, {run.whole_leaves / seconds:,.0f} leaves/s")
        run.values |= {"T18a": cost.median_ms, "T18b": spread([seconds])}
        if run.whole_leaves < 1_000_000:
            run.notes["T18a"] = f"{run.long_leaves:,} leaves only"
            run.notes["T18b"] = f"{run.whole_leaves:,} leaves only"


def _appends(run: Run, ground: Ground) -> None:
    cores, world = ground.bench.cores, ground.world
    ratios = []
    for _ in range(APPEND_ROUNDS):
        peer = one_row_a_commit_rate(world, cores, run.window_s, in_order=True)
        ours = committer_rate(world, world.setup_file(), cores, run.window_s)
        loose = one_row_a_commit_rate(world, cores, run.window_s, in_order=False)
        ratios.append(ours / peer)
        say(
            f"  committer {ours:,.0f}/s; pgbench as a log (gapless index) {peer:,.0f}/s, as a table (sequence) {loose:,.0f}/s"
        )
    run.values["T8"] = spread(ratios)


def _finish(run: Run) -> None:
    settings = {
        "rounds": len(run.rounds),
        "void_rounds": run.void_rounds,
        "window_s": run.window_s,
        "connections": run.connections,
        "memory_requests": run.memory_requests,
        "long_leaves": run.long_leaves,
        "whole_leaves": run.whole_leaves,
        "parts": run.parts,
    }
    why_void = run.why_void()
    path, judged = report.write_results(run.values, run.notes, run.rounds, why_void=why_void, settings=settings)
    say("\n" + report.render_targets(judged))
    say(f"\nwritten: {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
    if why_void:
        say(f"NOT A VALID RESULT: {'; '.join(why_void)}.")


def _asked(arguments: Sequence[str] | None) -> Run:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the gateway against its targets.")
    parser.add_argument("--rounds", type=int, default=VALID_ROUNDS, help="rounds that must count (default 5)")
    parser.add_argument("--window", type=float, default=VALID_WINDOW_S, help="seconds of a window (default 8)")
    parser.add_argument("--connections", type=int, default=128, help="keep-alive connections (default 128)")
    parser.add_argument(
        "--memory-requests", type=int, default=1_000_000, help="requests of the memory run (default 1,000,000)"
    )
    parser.add_argument("--only", choices=PARTS, action="append", help="this part only; may be repeated")
    parser.add_argument(
        "--quick", action="store_true", help="one round of short windows and small logs; never a valid result"
    )
    options = parser.parse_args(arguments)
    quick = options.quick
    return Run(
        rounds_wanted=1 if quick else options.rounds,
        window_s=min(options.window, 2.0) if quick else options.window,
        connections=options.connections,
        memory_requests=min(options.memory_requests, 60_000) if quick else options.memory_requests,
        long_leaves=1_000_000 if quick else 10_000_000,
        whole_leaves=100_000 if quick else 1_000_000,
        parts=tuple(options.only or PARTS),
    )


if __name__ == "__main__":
    sys.exit(main())
