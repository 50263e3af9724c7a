"""The tables a run prints and the file it writes."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench import machine
from bench.rounds import REFUSALS, ladder_rows
from bench.stats import spread
from bench.targets import TARGETS, judge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.rounds import Round
    from bench.stats import Spread

RESULTS: Final = Path(__file__).resolve().parent / "results"


def render_ladder(rounds: Sequence[Round]) -> str:
    """Return the table of levels: what each costs and what it adds to the level before."""
    floor = spread([one.floor for one in rounds])
    verify = spread([one.verify_us for one in rounds])
    lines = [
        f"One ES256 verification: {verify.median:.1f} µs. LIM = {floor.median:,.0f}/core-s ({1e6 / floor.median:.1f} µs).",
        f"{'level':>14} {'per core-second (min … max)':>32} {'wall/s':>9} {'µs':>8} {'adds':>8} {'of LIM':>7}",
    ]
    before = 0.0
    for name, per_core, wall, us in ladder_rows(rounds):
        # What a level adds is told against the one below it; L1 verifies each time and L1c does not, so both
        # stand on L0; B0V is no step of the ladder.
        adds = "" if name in {"A", *REFUSALS} else f"{us.median - before:+8.1f}"
        lines.append(
            f"{name:>14} {per_core.median:14,.0f} ({per_core.least:,.0f} … {per_core.greatest:,.0f})".ljust(47)
            + f" {wall.median:9,.0f} {us.median:8.1f} {adds:>8} {per_core.median / floor.median:7.2f}"
        )
        if name not in {"B0V", "L1"}:
            before = us.median
    return "\n".join(lines)


def render_targets(judged: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table of targets."""
    lines = [f"{'':5} {'value (min … max)':>30} {'must':>8} {'stretch':>8}  {'':12} what"]
    for name, row in judged.items():
        value = "—"
        if row["value"] is not None:
            value = f"{row['value']:.3g} ({row['min']:.3g} … {row['max']:.3g}) {row['unit']}".rstrip()
        sign = "≥" if next(target for target in TARGETS if target.name == name).more_is_better else "≤"
        verdict = {"stretch": "✔ stretch", "must": "✔ must", "missed": "✘ missed"}.get(row["reached"], "not measured")
        note = f"  [{row['note']}]" if row["note"] else ""
        lines.append(
            f"{name:5} {value:>30} {sign + format(row['must'], 'g'):>8} {sign + format(row['stretch'], 'g'):>8}  "
            f"{verdict:12} {row['says']}{note}"
        )
    return "\n".join(lines)


def write_results(
    values: Mapping[str, Spread],
    notes: Mapping[str, str],
    rounds: Sequence[Round],
    *,
    why_void: Sequence[str],
    settings: Mapping[str, object],
) -> tuple[Path, dict[str, Any]]:
    """Write everything that was measured; return the file and the judged targets."""
    judged = judge(values, notes)
    document = {
        "valid": not why_void,
        "why_not_valid": list(why_void),
        "targets": judged,
        "machine": machine.describe(),
        "settings": dict(settings),
        "ladder": {
            name: {"per_core_second": per_core.as_json(), "wall_per_second": wall.as_json(), "us": us.as_json()}
            for name, per_core, wall, us in (ladder_rows(rounds) if rounds else ())
        },
        "runs": [
            {
                "void": list(one.void),
                "verify_us": one.verify_us,
                "lim": one.floor,
                "windows": [window.as_json() for window in one.windows],
            }
            for one in rounds
        ],
    }
    RESULTS.mkdir(exist_ok=True)
    stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    path = RESULTS / f"{stamp}.json"
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return path, judged
