"""The servers under test as processes of their own, each on its core, each gone when the run ends, however it ends.

A server is ``python -m MODULE ... --core N`` that prints one line of JSON with its port once it answers.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from gateway.postgres.processes import with_parent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT: Final = Path(__file__).resolve().parent.parent
STOP_S: Final = 20.0


class ServerFailed(Exception):  # noqa: N818 - a statement about what happened
    """A server ended before it said that it answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server: its name in the tables, its process and its port on loopback."""

    name: str
    pid: int
    port: int

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextlib.contextmanager
def running(name: str, arguments: Sequence[str], *, log: Path) -> Iterator[Server]:
    """Start ``python -m arguments…``, wait for its line, stop it at the end. Its messages go to ``log``.

    Metrics go to files in a folder of its own, as the supervisor has it for several workers.
    """
    metrics = log.with_suffix(".metrics")
    metrics.mkdir(exist_ok=True)
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(metrics)}
    with log.open("ab") as messages:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=messages,
            start_new_session=True,
            preexec_fn=with_parent(signal.SIGKILL),  # noqa: PLW1509 - two system calls, nothing that a thread could hold
        )
        try:
            yield Server(name=name, pid=process.pid, port=_announced_port(name, process.stdout, log))
        finally:
            _stop(process)


def _announced_port(name: str, output: IO[bytes] | None, log: Path) -> int:
    line = output.readline() if output is not None else b""
    if not line:
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
        raise ServerFailed("\n".join([f"{name} did not start:", *tail]))
    return int(json.loads(line)["port"])


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def announce(port: int) -> None:
    """Called by a server: say that it answers, and where."""
    print(json.dumps({"port": port}), flush=True)
