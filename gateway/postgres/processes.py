"""Ending the processes of an embedded PostgreSQL: the orphan of a killed run, and a whole server family at once.

For: ``gateway.postgres.embedded`` on Linux (``/proc``). Only processes that prove to be ours are touched: an orphan is
ended only if its working directory is our data directory.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Final

SOCKET_PREFIX: Final = "cg-pg-"
"""How our socket directories are called; no other directory is ever removed."""
_DEADLINE_S: Final = 30.0
_POLL_S: Final = 0.03
_SOCKET_LINE: Final = 4
"""Fifth line of ``postmaster.pid``: the directory of the socket."""


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
