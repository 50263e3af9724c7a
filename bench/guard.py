"""Who starts a run and puts away what it leaves: a parent that does nothing but wait, for the run's end or for a signal.

A run is a dozen servers and a database. However it ends, by itself, by Ctrl-C, SIGTERM, a closed terminal or a crash, its parent
ends what still runs and removes its folders. The run itself needs no care for that: it is a child in a session of its own, which no
key of the terminal reaches; what loses its parent falls to the guard (``PR_SET_CHILD_SUBREAPER``, prctl(2)), so nothing escapes
it; and signals to the guard are taken one by one where it waits (sigwait(3)), so none comes between two steps of its own.

Should the guard itself be killed, the run ends with it, and so does whatever the run has started (``with_parent``); only the folders
stay.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from bench import machine
from gateway.postgres.processes import with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ON_DISK: Final = Path("/var/tmp")
"""Kept over reboots by the file hierarchy standard, so never a file system in memory, where fsync would cost nothing."""
PREFIX: Final = "credit-gateway-bench-"
STOP_S: Final = 15.0
"""What processes get to end by themselves before they are killed."""
POLL_S: Final = 0.02
_PR_SET_CHILD_SUBREAPER: Final = 36
_prctl: Final = ctypes.CDLL(None).prctl
_POSTGRES: Final = "postgres"
_STOPS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def guarded(run: Callable[[Path], None]) -> int:
    """Do a run in a folder of its own and leave nothing of it; return its exit code, or 128 and the signal that ended it.

    1. From now on signals wait. 2. Folders. 3. The run, in a process of its own. 4. Wait. 5. End what is left.
    """
    stops = {number for number in _STOPS if signal.getsignal(number) is not signal.SIG_IGN}  # nohup means it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stops | {signal.SIGCHLD})  # 1
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with _folder(ON_DISK) as folder, _folder(Path(tempfile.gettempdir())) as temporary:  # 2
        temporary.chmod(0o711)  # the database's user passes through to its socket and programs
        start = with_parent(signal.SIGKILL)
        child = os.fork()  # 3
        if child == 0:
            os.setsid()
            start()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)
            _exit_after(run, folder)
        code = _wait(child, stops)  # 4
        _end_all()  # 5
    return code


@contextlib.contextmanager
def _folder(place: Path) -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _exit_after(run: Callable[[Path], None], folder: Path) -> NoReturn:
    """Run, and leave the process without unwinding what the guard has to unwind."""
    code = 1
    try:
        run(folder)
        code = 0
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
        if isinstance(exc.code, str):
            sys.stderr.write(exc.code + "\n")
    except BaseException:  # noqa: BLE001 - as the interpreter does at its end
        sys.excepthook(*sys.exc_info())
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _wait(child: int, stops: set[signal.Signals]) -> int:
    """Return the exit code of the run, or of the signal that asked for its end."""
    while True:
        number = signal.sigwait(stops | {signal.SIGCHLD})
        if number in stops:
            with contextlib.suppress(OSError):  # the terminal may be what has gone
                sys.stderr.write(f"\n{signal.Signals(number).name}: stopping everything\n")
            return 128 + number
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return 128 - code if code < 0 else code


def _end_all() -> None:
    """End every process that descends from this one: asked first, killed when the time is over. Ends when there is none."""
    deadline = time.monotonic() + STOP_S
    asked: set[int] = set()
    while True:
        try:
            _reap()
        except ChildProcessError:
            return  # as long as a descendant lives, one of them is our own child: what loses its parent becomes ours
        left = machine.family(os.getpid())[1:]
        late = time.monotonic() > deadline
        for pid in left if late else _to_ask(left, asked):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if late else _end_signal(pid))
        time.sleep(POLL_S)


def _to_ask(left: list[int], asked: set[int]) -> list[int]:
    """Return whom to ask now, each once. What belongs to a database is its own affair: only its head is asked."""
    fresh = [pid for pid in left if pid not in asked and not _serves_a_database(pid)]
    asked.update(fresh)
    return fresh


def _end_signal(pid: int) -> signal.Signals:
    """A database is asked to stop fast, which frees its shared memory; SIGTERM would wait for its clients."""
    return signal.SIGINT if _name(pid) == _POSTGRES else signal.SIGTERM


def _serves_a_database(pid: int) -> bool:
    with contextlib.suppress(OSError, ValueError):
        parent = int(
            Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[1]
        )
        return _name(pid) == _POSTGRES == _name(parent)
    return False


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _reap() -> list[tuple[int, int]]:
    """Take leave of every child that has ended; ``ChildProcessError`` if there is no child at all."""
    ended = []
    while (found := os.waitpid(-1, os.WNOHANG))[0]:
        ended.append(found)
    return ended
