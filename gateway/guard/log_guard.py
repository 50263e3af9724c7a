"""The guard of one log in a file: two slots that are written in turn, so that a torn write leaves the one before.

For: ``gateway.audit.guard.Guard``. Not for: what the guard means and who may move it (``gateway.audit.guardian``).

The file is text, so that a person at night can read it with ``cat``. A slot is 4,096 bytes::

    credit-gateway/v1/guard
    <origin of the log>
    <number of the write>
    <doubt, or ->
    <size> <root in base64>        one line a point, from old to new
    <SHA-256 of the lines above, hexadecimal>

Readers take no lock: a slot that is being written does not match its digest, and the other one is the state of a moment ago.
Writers take turns by flock(2), for a few system calls and never across a wait; who finds it taken has lost its compare-and-swap
and tries again later, so a holder that the machine does not let run stops nobody's event loop. A write reaches the page cache at
once, where every process sees it and where the end of a process cannot lose it; ``flush`` brings it to the disk, called some ten
times a second by the process's owner of the log, away from the event loop.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from gateway.audit.batch_mac import TreePoint
from gateway.audit.guard import Doubt, GuardState
from gateway.audit.merkle import EMPTY_ROOT
from gateway.base.codec import b64, parse_b64
from gateway.base.errors import ErrorKind, GatewayError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLOT_BYTES: Final = 4096
KEPT_POINTS: Final = 32
"""Trees kept beside the last one: what the processes of a host sign within some tens of milliseconds. 65 bytes each."""
_HEADER: Final = "credit-gateway/v1/guard"
_FIXED_LINES: Final = 4
_READ_TRIES: Final = 100
"""Both slots are torn only if two writes fell into one read."""
_DOUBT_TRIES: Final = 200
_DOUBT_PAUSE_S: Final = 0.005
"""A doubt may not be lost to a busy holder: whoever found it waits up to a second, in the event loop, for there is nothing better to do."""
_EMPTY: Final = TreePoint(0, EMPTY_ROOT)
_NO_DOUBT: Final = "-"


class _TornError(ValueError):
    """Neither slot is whole."""


class LogGuardFile:
    """``gateway.audit.guard.Guard`` in a file. Made for each process; one event loop's thread uses it, and ``flush`` any thread."""

    def __init__(self, file: Path, origin: str) -> None:
        self.file: Final = file
        self._origin: Final = origin
        self._fd: int | None = None
        self._identity = (0, 0)  # of the open file: device and inode
        self._written = False  # whether something may not be on the disk yet
        self._lost = False  # whether the disk refused something that was written
        self._highest = 0  # size of the largest tree that this process has seen here
        # The last content read or written, so that an unchanged file is not parsed again.
        self._raw: bytes | None = None
        self._number = 0
        self._state = GuardState((_EMPTY,), Doubt.GUARD_MISSING)

    def exists(self) -> bool:
        """Tell whether this host has a guard of the log, readable or not."""
        return self.file.exists()

    def create(self, point: TreePoint) -> None:
        """Begin to guard a log from a tree; ``FileExistsError`` if it is guarded already. On the disk when this returns."""
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = self.file.with_name(f".{self.file.name}.{os.getpid()}.new")
        slot = _render(self._origin, 1, GuardState((point,)))
        try:
            handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as stream:
                stream.write(slot + bytes(SLOT_BYTES))  # whole, or an error: never a torn guard
                stream.flush()
                os.fsync(stream.fileno())
            os.link(
                unfinished, self.file
            )  # unlike rename(2), refuses to replace a guard that somebody else has just made
        finally:
            unfinished.unlink(missing_ok=True)
        _sync_folder(self.file.parent)

    def read(self) -> GuardState:
        """Return the present state (see the port)."""
        try:
            fd = self._open()
            for _ in range(_READ_TRIES):
                with contextlib.suppress(_TornError):
                    return self._load(fd)
        except FileNotFoundError:
            return GuardState((_EMPTY,), Doubt.GUARD_MISSING)
        except (OSError, ValueError):
            pass
        return GuardState((_EMPTY,), Doubt.GUARD_UNUSABLE)

    def advance(self, seen: TreePoint, *points: TreePoint) -> bool:
        """Append points if nothing has changed (see the port)."""
        with self._writing() as fd:
            if fd is None:
                return False
            state = self._load(fd)
            if state.doubt is not None or state.last != seen:
                return False
            fresh = [point for point in points if point.size > seen.size]
            if fresh:
                self._store(fd, GuardState((*state.points, *fresh)[-KEPT_POINTS:]))
            return True

    def doubt(self, doubt: Doubt) -> bool:
        """Keep a doubt (see the port)."""
        return self._change_doubt(None, doubt)

    def resolve(self, seen: Doubt) -> bool:
        """Forget a doubt that an operator has resolved; tell whether it still was the one seen."""
        return self._change_doubt(seen, None)

    def _change_doubt(self, seen: Doubt | None, wanted: Doubt | None) -> bool:
        for _ in range(_DOUBT_TRIES):
            with self._writing() as fd:
                if fd is not None:
                    state = self._load(fd)
                    if state.doubt is not seen:
                        return False
                    self._store(fd, GuardState(state.points, wanted))
                    self.flush()
                    return True
            time.sleep(_DOUBT_PAUSE_S)
        raise GatewayError(ErrorKind.STORE_UNAVAILABLE, reason=Doubt.GUARD_UNUSABLE, retry_after_s=1)

    def flush(self) -> None:
        """Bring what was written to the disk, if anything was."""
        fd = self._fd
        if fd is None or not self._written:
            return
        self._written = False  # before the call: what is written meanwhile will be flushed the next time
        try:
            os.fdatasync(fd)
        except OSError:
            # What the disk did not take once is lost for good, whatever a second call says: from here on this process guards nothing.
            self._lost = True

    def close(self) -> None:
        """Flush and let go of the file."""
        self.flush()
        self._let_go()

    def _let_go(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[int | None]:
        """Hold the file for a change; None while another process does.

        ``STORE_UNAVAILABLE`` if it cannot be had at all: what is not guarded is not signed.
        """
        try:
            fd = self._open()
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
                return
            try:
                yield fd
            finally:
                fcntl.flock(fd, fcntl.LOCK_UN)
        except (OSError, ValueError) as exc:
            raise GatewayError(ErrorKind.STORE_UNAVAILABLE, reason=Doubt.GUARD_UNUSABLE, retry_after_s=1) from exc

    def _open(self) -> int:
        """Return the file's descriptor: that of the file that is there now, not of one that was removed or exchanged."""
        if self._lost:
            msg = "the disk has not taken a write"
            raise OSError(msg)
        if self._fd is not None:
            there = self.file.stat()
            if (there.st_dev, there.st_ino) == self._identity:
                return self._fd
            self._let_go()
        self._fd = os.open(self.file, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        opened = os.fstat(self._fd)
        self._identity = (opened.st_dev, opened.st_ino)
        return self._fd

    def _load(self, fd: int) -> GuardState:
        raw = os.pread(fd, 2 * SLOT_BYTES, 0)
        if raw != self._raw:
            slots = [_parse(raw[at : at + SLOT_BYTES], self._origin) for at in (0, SLOT_BYTES)]
            found = max((slot for slot in slots if slot is not None), key=lambda slot: slot[0], default=None)
            if found is None:
                raise _TornError
            number, state = found
            if state.last.size < self._highest:
                msg = "the guard was taken back"
                raise ValueError(msg)
            self._raw, self._number, self._state = raw, number, state
            self._highest = state.last.size
        return self._state

    def _store(self, fd: int, state: GuardState) -> None:
        number = self._number + 1
        slot = _render(self._origin, number, state)
        at = (number + 1) % 2 * SLOT_BYTES  # the first write of `create` was into slot 0
        os.pwrite(fd, slot, at)
        self._written = True
        self._raw = None if self._raw is None else self._raw[:at] + slot + self._raw[at + SLOT_BYTES :]
        self._number, self._state = number, state
        self._highest = state.last.size


def _render(origin: str, number: int, state: GuardState) -> bytes:
    lines = [_HEADER, origin, str(number), state.doubt or _NO_DOUBT]
    lines += [f"{point.size} {b64(point.root)}" for point in state.points]
    text = "".join(f"{line}\n" for line in lines).encode()
    slot = text + sha256(text).hexdigest().encode() + b"\n"
    return slot.ljust(SLOT_BYTES, b"\0")


def _parse(slot: bytes, origin: str) -> tuple[int, GuardState] | None:
    """Return a slot's number and state; None if it is not whole, ``ValueError`` if it is whole and another log's."""
    text, _, _ = slot.partition(b"\0")
    body, _, digest = text.removesuffix(b"\n").rpartition(b"\n")
    body += b"\n"
    if sha256(body).hexdigest().encode() != digest:
        return None
    lines = body.decode().split("\n")[:-1]
    header, named, number, doubt = lines[:_FIXED_LINES]
    if (header, named) != (_HEADER, origin):
        msg = "the guard of another log"
        raise ValueError(msg)
    points = [line.split(" ") for line in lines[_FIXED_LINES:]]
    state = GuardState(
        tuple(TreePoint(int(size), parse_b64(root)) for size, root in points),
        None if doubt == _NO_DOUBT else Doubt(doubt),
    )
    return int(number), state


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
