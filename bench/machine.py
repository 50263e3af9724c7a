"""What the machine says about itself: cores, processor time of processes and of cores, memory of a process.

Everything is read from ``/proc`` (Linux, proc(5)); nothing here starts or stops anything.
"""

from __future__ import annotations

import contextlib
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """Which core serves and which one loads and stores. One machine, two cores, so that both are always the same two."""

    service: int
    other: int


def choose_cores() -> Cores:
    """Return the first two cores this process may use."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        msg = "the benchmark needs two cores: one for the service, one for PostgreSQL and the load"
        raise SystemExit(msg)
    return Cores(service=usable[0], other=usable[1])


def pin(core: int, pid: int = 0) -> None:
    """Keep a process, with the threads it has now, on one core; one that has just ended is left alone."""
    for thread in _listed(f"/proc/{pid}/task") if pid else [0]:
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(thread, {core})


def cpu_seconds(pid: int) -> float:
    """Return user plus system time of a process, all its threads included, in seconds (resolution: one clock tick)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def fine_cpu_seconds(pid: int) -> float:
    """Return the time on a processor of all threads of a process in seconds, counted in nanoseconds by the scheduler."""
    total = 0
    for thread in _listed(f"/proc/{pid}/task"):
        try:
            total += int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text(encoding="ascii").split()[0])
        except FileNotFoundError:
            continue
    return total / 1e9


def family(pid: int) -> list[int]:
    """Return a process and all its descendants, found by their parents' ids."""
    children: dict[int, list[int]] = {}
    for other in _listed("/proc"):
        try:
            stat = Path(f"/proc/{other}/stat").read_text(encoding="ascii", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(other)
    found = [pid]
    for member in found:
        found.extend(children.get(member, ()))
    return found


def family_cpu_seconds(pid: int) -> dict[int, float]:
    """Return processor time by process id for a process and its descendants."""
    times: dict[int, float] = {}
    for member in family(pid):
        try:
            times[member] = fine_cpu_seconds(member)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return times


def spent(before: dict[int, float], after: dict[int, float]) -> float:
    """Return what a family used between two readings; a process that ended in between counts as nothing."""
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items())


def core_busy_seconds(core: int) -> float:
    """Return the seconds a core was not idle since boot."""
    prefix = f"cpu{core} "
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        if line.startswith(prefix):
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, line.split()[1:9])
            return (user + nice + system + irq + softirq + steal) / TICKS_PER_S
    msg = f"core {core} is not in /proc/stat"
    raise LookupError(msg)


def core_stolen_seconds(core: int) -> float:
    """Return the seconds the hypervisor gave this core to somebody else since boot."""
    prefix = f"cpu{core} "
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        if line.startswith(prefix):
            return int(line.split()[8]) / TICKS_PER_S
    msg = f"core {core} is not in /proc/stat"
    raise LookupError(msg)


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MB (10^6 bytes)."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES / 1e6


def describe() -> dict[str, str | int]:
    """Return what a reader of the figures must know about the machine."""
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    models = [line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": f"{os.getloadavg()[0]:.2f}",
    }


def _listed(folder: str) -> Iterable[int]:
    try:
        return [int(name) for name in os.listdir(folder) if name.isdigit()]  # noqa: PTH208 - names, not paths
    except FileNotFoundError:
        return []
