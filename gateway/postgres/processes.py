"""Ending the processes of an embedded PostgreSQL: with their parent, as the orphan of a killed run, or a whole family at once.

For: ``gateway.postgres.embedded`` and the benchmark, on Linux (``/proc``, ``prctl(2)``). Only processes that prove to be ours are
touched: an orphan is ended only if its working directory is our data directory.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

SOCKET_PREFIX: Final = "cg-pg-"
"""How our socket directories are called; no other directory is ever removed."""
_DEADLINE_S: Final = 30.0
_POLL_S: Final = 0.03
_SOCKET_LINE: Final = 4
"""Fifth line of ``postmaster.pid``: the directory of the socket."""

_PR_SET_PDEATHSIG: Final = 1
_prctl: Final = ctypes.CDLL(None).prctl  # looked up here, so that nothing is loaded between fork and exec


def with_parent(number: signal.Signals) -> Callable[[], None]:
    """Return what a new process does before it becomes its program (``preexec_fn``): ask for a signal at its parent's end.

    However the parent ends, SIGKILL included (``PR_SET_PDEATHSIG``, prctl(2)). The kernel means the thread that started the
    process, so that must be one that lives as long as the process should: the main one.
    """
    parent = os.getpid()

    def before_exec() -> None:
        _prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # it was gone before it could be asked for
            os._exit(1)

    return before_exec


def end_orphan(data: Path) -> None:
    """Stop the server that an earlier, killed run left on this data directory, and remove its socket directory."""
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        pid, sockets = int(lines[0]), Path(lines[_SOCKET_LINE])
        ours = Path(f"/proc/{pid}/cwd").samefile(data)
    except (OSError, ValueError, IndexError):
        return
    if ours:
        os.kill(pid, signal.SIGQUIT)
        deadline = time.monotonic() + _DEADLINE_S
        while alive(pid) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
    if sockets.name.startswith(SOCKET_PREFIX):
        shutil.rmtree(sockets, ignore_errors=True)


async def until_gone(pids: list[int]) -> None:
    """Wait until none of the processes runs any more, at most the deadline."""
    deadline = time.monotonic() + _DEADLINE_S
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:  # noqa: ASYNC110 - others' processes
        await asyncio.sleep(_POLL_S)


def children(pid: int) -> list[int]:
    """Return the direct children of a process."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False
