"""Ending in order when a signal asks for it, or the terminal is gone: what is still said then is lost, and nothing fails over it.

For: commands that have something to put in order before they end. Not for: noticing that a pipe's reader has had enough, which ends
every other command (``gateway.cli.main``).

A closed terminal sends SIGHUP to those it controls, and fails every write with EIO (setsid(2), tty_ioctl(4)); a pipe without a
reader fails with EPIPE. An error on the way out would cut the way out short.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import signal
import stat
import sys
from io import TextIOBase
from typing import IO, TYPE_CHECKING, Final, TextIO, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.terminal.terminal import Terminal

_GONE: Final = frozenset({errno.EIO, errno.EPIPE})


class _Outliving(TextIOBase):
    """A text stream that swallows what nobody can read any more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream: Final = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]  # read-only, as that of every real stream
        """The encoding of what lies below."""
        return self._stream.encoding

    def isatty(self) -> bool:
        """Tell whether a person reads."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the descriptor of what lies below."""
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write, and flush: who waits for a line must not wait for the next ones."""
        with self._unless_gone():
            self._stream.write(text)
            self._stream.flush()
        return len(text)

    def flush(self) -> None:
        """Flush."""
        with self._unless_gone():
            self._stream.flush()

    @contextlib.contextmanager
    def _unless_gone(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            if exc.errno not in _GONE:
                raise
            # The interpreter flushes what is left once more when it ends, and would complain.
            void = os.open(os.devnull, os.O_WRONLY)
            os.dup2(void, self._stream.fileno())
            os.close(void)


def outlive(terminal: Terminal) -> None:
    """Let a terminal swallow, from now on, what nobody can read."""
    for console in (terminal.out, terminal.err):
        # What a console writes to is a text stream; what it uses of one is there.
        console.file = cast("IO[str]", _Outliving(cast("TextIO", console.file)))


def hung_up() -> bool:
    """Tell whether standard output is a terminal that is gone. A pipe whose reader left is no reason to stop."""
    try:
        descriptor = sys.stdout.fileno()
        if not stat.S_ISCHR(os.fstat(descriptor).st_mode):  # a terminal that is gone does not even say that it is one
            return False
        watched = select.poll()
        watched.register(descriptor, 0)
        return any(event & select.POLLHUP for _, event in watched.poll(0))
    except (OSError, ValueError):
        return False


def stop_on_signals(stopping: asyncio.Event) -> None:
    """Stop on any of three signals, except where whoever started us wants one ignored (``nohup``, or a shell's ``&``).

    These are the process's own handlers, not the loop's, which end with it: the last Ctrl-C of many may come after that.
    """
    loop = asyncio.get_running_loop()

    def stop(_number: int, _frame: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: so have we
            loop.call_soon_threadsafe(stopping.set)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
