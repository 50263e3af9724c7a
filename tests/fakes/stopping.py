"""Programs started as a person starts them, on a terminal of their own, and what is left of them when they have ended.

For: tests of how the demo and the benchmark stop. Whatever a program starts is known by a mark in its environment or by its working
directory, whoever its parent has become.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import shutil
import signal
import subprocess
import tempfile
import termios
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120.0
CTRL_C = b"\x03"
_LISTEN_S = 0.05
_MARK = "CREDIT_GATEWAY_TEST_MARK"


@dataclass
class Started:
    """A program on a terminal, or on a pipe. ``folders`` names where it works, now and before."""

    process: subprocess.Popen[bytes]
    mark: str
    folders: Callable[[], Iterable[Path]]
    temporary: Path
    said: bytearray = field(default_factory=bytearray)
    terminal: int | None = None
    listening: threading.Thread = field(init=False)
    _closed: threading.Event = field(default_factory=threading.Event)

    def type(self, keys: bytes) -> None:
        """Type on its terminal: Ctrl-C reaches every process of the foreground group at once."""
        assert self.terminal is not None
        os.write(self.terminal, keys)

    def hang_up(self) -> None:
        """Close its terminal: SIGHUP to those it controls, and EIO for whoever writes."""
        assert self.terminal is not None
        self._closed.set()
        self.listening.join(PATIENCE_S)  # a read under way would keep it open
        os.close(self.terminal)
        self.terminal = None

    def until_said(self, words: bytes) -> None:
        """Wait until it has said something."""
        until(lambda: words in self.said or self.process.poll() is not None, f"{words!r}")
        assert words in self.said, self.said.decode(errors="replace")

    def ended(self) -> int:
        """Wait for its end; return its exit code, negative for a signal."""
        return self.process.wait(PATIENCE_S)

    def running(self) -> dict[int, str]:
        """Return every process that it started, by whatever way, and that runs."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and self._is_ours(entry):
                found[int(entry.name)] = _command(entry)
        return found

    def left_over(self) -> list[str]:
        """Return the processes and temporary files that are still there."""
        return [*self.running().values(), *(str(path) for path in self.temporary.iterdir())]

    def listen(self, descriptor: int) -> None:
        """Collect what it says until nobody can say anything any more."""
        with contextlib.suppress(OSError):
            while not self._closed.is_set():
                if select.select([descriptor], [], [], _LISTEN_S)[0]:
                    heard = os.read(descriptor, 4096)
                    if not heard:
                        return
                    self.said += heard

    def _is_ours(self, entry: Path) -> bool:
        with contextlib.suppress(OSError):
            if (entry / "stat").read_text().rpartition(")")[2].split()[0] in {"Z", "X"}:
                return False
            if self.mark.encode() in (entry / "environ").read_bytes():
                return True
            if str(self.temporary).encode() in (entry / "cmdline").read_bytes():
                return True
            where = (entry / "cwd").readlink()
            return any(where.is_relative_to(folder) for folder in (self.temporary, *self.folders()))
        return False


@contextlib.contextmanager
def started(arguments: Sequence[str], folders: Callable[[], Iterable[Path]], *, terminal: bool) -> Iterator[Started]:
    """Start a program on a terminal that controls it, or on a pipe; nothing of it outlives the block."""
    mark = uuid.uuid4().hex
    temporary = Path(tempfile.mkdtemp(prefix="cg-stop-", dir="/tmp"))
    temporary.chmod(0o711)  # the database's user passes through to its socket
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "MAKE"))}
    environment |= {_MARK: mark, "TMPDIR": str(temporary), "TERM": "xterm", "PYTHONDONTWRITEBYTECODE": "1"}
    ours, theirs = pty.openpty() if terminal else os.pipe()
    process = subprocess.Popen(
        arguments, cwd=ROOT, env=environment, stdin=theirs if terminal else subprocess.DEVNULL, stdout=theirs, stderr=theirs,
        start_new_session=True, preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if terminal else None,  # noqa: PLW1509 - one system call
    )  # fmt: skip
    os.close(theirs)
    program = Started(process, mark, folders, temporary, terminal=ours if terminal else None)
    program.listening = threading.Thread(target=program.listen, args=(ours,), daemon=True)
    program.listening.start()
    try:
        yield program
    finally:
        for pid in program.running():  # only if the test has failed
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        program.listening.join(PATIENCE_S)
        if not terminal or program.terminal is not None:  # else it is closed, and the number may be another's by now
            os.close(ours)
        shutil.rmtree(temporary, ignore_errors=True)


def until(seen: Callable[[], object], what: str) -> None:
    """Look again and again until something is so: other processes do it."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if seen():
            return
        time.sleep(0.02)
    pytest.fail(f"not seen in time: {what}")


def _command(entry: Path) -> str:
    with contextlib.suppress(OSError):
        return (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return entry.name
