"""Random bytes for identifiers, salts and nonces, fetched from the kernel in larger pieces.

For: the few dozen random bytes that every answer needs; one system call serves some forty answers.
Not for: long-lived keys, which are made with ``secrets`` where they are made.
A forked child must not repeat its parent's bytes, so a fork empties the pool; no byte is given twice.
"""

from __future__ import annotations

import os
from typing import Final

_PIECE: Final = 4096


class _Pool:
    __slots__ = ("_at", "_bytes")

    def __init__(self) -> None:
        self._bytes = b""
        self._at = 0

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._bytes):
            self._bytes, self._at, end = os.urandom(max(_PIECE, count)), 0, count
        taken = self._bytes[self._at : end]
        self._at = end
        return taken

    def empty(self) -> None:
        self._bytes, self._at = b"", 0


_POOL: Final = _Pool()  # owned by the event loop's thread
os.register_at_fork(after_in_child=_POOL.empty)


def random_bytes(count: int) -> bytes:
    """Return fresh random bytes of the kernel's generator. Call it from one thread only."""
    return _POOL.take(count)
