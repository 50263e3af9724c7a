"""Where the time of an answer goes: the worker under load, sampled, in µs per request.

    python -m bench.profile L5            functions, lines and packages by their own time and by what they call
    python -m bench.profile L5 --native   with the frames of C extensions (slower, finer)
    python -m bench.profile --refusal expired     the worker under requests that it must refuse

The sampler reads the running process. Stopping it for each sample (``--native`` must) makes every system call look dear, because
a process stops where it enters the kernel; believe the shares of C code there, not those of system calls.

The load is the one of ``python -m bench``. The figures of a window without the sampler give the µs per request; the sampler
(py-spy) gives the shares. Its raw stacks stay in ``bench/results/profile-LEVEL.raw`` for other tools (flame graphs).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench import machine
from bench.ground import open_ground
from bench.guard import guarded
from bench.processes import ROOT
from bench.rounds import REFUSALS, refusals
from bench.window import Plan, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RESULTS: Final = Path(__file__).resolve().parent / "results"
SAMPLES_PER_S: Final = 400
_FRAME: Final = re.compile(r"(?P<function>.+) \((?P<file>[^()]*?)(?::(?P<line>\d+))?\)$")
_LIBRARY: Final = re.compile(r".*/(?:site-packages|dist-packages|python3\.\d+)/")


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a sampled stack. ``file`` as short as the sampler gives it, ``line`` 0 where unknown."""

    function: str
    file: str
    line: int

    @property
    def place(self) -> str:
        return f"{self.function}  {self.short}"

    @property
    def short(self) -> str:
        """Return the file below its library's folder or below the repository."""
        return _LIBRARY.sub("", self.file).removeprefix(f"{ROOT}/")

    @property
    def package(self) -> str:
        """Return whose code it is: our area (``gateway.identity``), a distribution, or ``native``."""
        parts = self.short.removesuffix(".py").split("/")
        return ".".join(parts[:2] if parts[0] in {"gateway", "bench"} else parts[:1]) or "native"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Samples by function, line and package; ``total`` of all samples."""

    total: int
    own: Counter[str]
    with_callees: Counter[str]
    lines: Counter[str]
    packages: Counter[str]


def parse_frame(text: str) -> Frame:
    """Read ``function (file:line)``; what has another form is a native frame."""
    match = _FRAME.match(text)
    if match is None:
        return Frame(text, "", 0)
    return Frame(match["function"], match["file"], int(match["line"] or 0))


def parse_stacks(raw: Iterable[str]) -> Shares:
    """Add up lines of the form ``frame;frame;frame count``, outermost frame first."""
    own: Counter[str] = Counter()
    callees: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    packages: Counter[str] = Counter()
    total = 0
    for line in raw:
        stack, _, count_text = line.rstrip("\n").rpartition(" ")
        if not stack:
            continue
        count = int(count_text)
        frames = [parse_frame(part) for part in stack.split(";")]
        total += count
        own[frames[-1].place] += count
        lines[f"{frames[-1].place}:{frames[-1].line}"] += count
        packages[frames[-1].package] += count
        for place in {frame.place for frame in frames}:
            callees[place] += count
    return Shares(total=total, own=own, with_callees=callees, lines=lines, packages=packages)


def render_table(title: str, counts: Counter[str], total: int, us: float, rows: int) -> str:
    """Return the heaviest entries as share of all samples and as µs per request."""
    text = [title, f"{'share':>7} {'µs/req':>8}"]
    for place, count in counts.most_common(rows):
        share = count / total
        text.append(f"{share:7.1%} {share * us:8.1f}  {place}")
    return "\n".join(text)


def record(pid: int, seconds: float, raw: Path, *, native: bool, core: int) -> subprocess.Popen[bytes]:
    """Start the sampler on a process."""
    command = [
        sys.executable.rpartition("/")[0] + "/py-spy", "record", "--pid", str(pid), "--format", "raw", "--output", str(raw),
        "--rate", str(SAMPLES_PER_S), "--duration", str(int(seconds)), "--full-filenames",
    ]  # fmt: skip
    command.append("--native" if native else "--nonblocking")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    machine.pin(core, process.pid)
    return process


def show(window: Window, shares: Shares, rows: int) -> None:
    print(
        f"\n{window.name}: {window.rate:,.0f} answers/s, {window.rate_per_core:,.0f} per service-core-second, "
        f"{window.service_us:.1f} µs of the service's core and {window.postgres_ms_per_1000:.1f} µs of PostgreSQL per answer; "
        f"service {window.service_busy:.0%} busy, other core {window.other_core_busy:.0%} busy, p50 {window.p50_ms:.1f} ms; "
        f"{shares.total:,} samples; faults: {window.faults or 'none'}\n"
    )
    us = window.service_us
    print(render_table("By package, own time", shares.packages, shares.total, us, 20), "\n")
    print(render_table("By function, own time", shares.own, shares.total, us, rows), "\n")
    print(render_table("By line, own time", shares.lines, shares.total, us, rows), "\n")
    ours = Counter({place: count for place, count in shares.with_callees.items() if "  gateway/" in place})
    print(render_table("Functions of the gateway, with what they call", ours, shares.total, us, rows), "\n")
    print(render_table("All functions, with what they call", shares.with_callees, shares.total, us, rows))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Profile the worker under load.")
    parser.add_argument("level", nargs="?", default="L5", help="B0, B0V, L0, L1, L1c, L2, L3, L4, L5 or A")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rows", type=int, default=30)
    parser.add_argument("--native", action="store_true")
    parser.add_argument("--refusal", choices=REFUSALS, help="requests that L5 must refuse, instead of good ones")
    return guarded(partial(_profile, parser.parse_args(arguments)))


def _profile(options: argparse.Namespace, folder: Path) -> None:
    RESULTS.mkdir(exist_ok=True)
    raw = RESULTS / f"profile-{options.level}.raw"
    with open_ground([options.level], folder, merchants=20_000) as ground:
        subject = ground.subjects[options.level]
        if options.refusal is not None:
            subject = next(one for one in refusals(ground) if one.name == options.refusal)
        plain = ground.bench.measure(subject, Plan(window_s=4, connections=options.connections))
        sampler: list[subprocess.Popen[bytes]] = []

        def start() -> None:
            core = ground.bench.cores.other
            sampler.append(record(subject.server.pid, options.seconds, raw, native=options.native, core=core))

        ground.bench.when_open = start
        ground.bench.measure(subject, Plan(window_s=options.seconds + 2, connections=options.connections))
        _, errors = sampler[0].communicate()
        if not raw.exists():
            raise SystemExit(errors.decode("utf-8", errors="replace"))
    show(plain, parse_stacks(raw.read_text(encoding="utf-8").splitlines()), options.rows)


if __name__ == "__main__":
    sys.exit(main())
