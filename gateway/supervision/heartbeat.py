"""The line between the supervisor and one child: the child says once a second that it lives and whether it is ready.

For: ``gateway.supervision.supervisor`` at one end, ``serve-worker`` and ``feed-worker`` at the other. JSON lines over a pipe: a pipe
ends by itself when either side dies, so neither can outlive the other unnoticed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

BEAT_S: Final = 1.0
MAX_LINE_BYTES: Final = 4096
_STARTING: Final = ("starting",)


class Beat(msgspec.Struct, frozen=True):
    """One line. ``reasons`` are machine words why the child should not be sent requests; none means ready."""

    reasons: tuple[str, ...]


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Beat)


@dataclass(slots=True)
class Lifeline:
    """The child's end.

    ``stopping`` is set when the supervisor asks the child to end (SIGTERM) or is gone; the child then drains and returns.
    """

    stopping: asyncio.Event
    _fd: int
    _reasons: tuple[str, ...] = _STARTING

    def report(self, reasons: Sequence[str]) -> None:
        """Say why requests should not come here now; an empty sequence says: ready. Cheap, call it on every change."""
        before, self._reasons = self._reasons, tuple(reasons)
        if before != self._reasons:
            self._beat()

    def _beat(self) -> None:
        try:
            os.write(self._fd, _ENCODER.encode(Beat(self._reasons)) + b"\n")
        except BlockingIOError:
            pass  # the supervisor is slow; it will read the next one
        except OSError:
            self.stopping.set()  # nobody is there to restart us: do not serve unwatched

    async def _beat_on(self) -> None:
        while True:
            self._beat()
            await asyncio.sleep(BEAT_S)


@contextlib.asynccontextmanager
async def lifeline(fd: int) -> AsyncIterator[Lifeline]:
    """Keep beating on an inherited descriptor while entered, and turn SIGTERM into ``stopping``.

    SIGINT is ignored: Ctrl-C reaches the whole process group, and the supervisor stops its children in order. SIGHUP is
    ignored: a terminal that closes does not end a service.
    """
    os.set_blocking(fd, False)
    loop = asyncio.get_running_loop()
    line = Lifeline(asyncio.Event(), fd)
    loop.add_signal_handler(signal.SIGTERM, line.stopping.set)
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    beating = asyncio.create_task(line._beat_on(), name="heartbeat")  # noqa: SLF001 - the same module
    try:
        yield line
    finally:
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating


async def read_beats(fd: int) -> AsyncGenerator[tuple[str, ...], None]:
    """Yield the reasons of each beat until the child closes its end; takes over the descriptor."""
    reader = asyncio.StreamReader(limit=MAX_LINE_BYTES)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", buffering=0)
    )
    try:
        while line := await reader.readline():
            with contextlib.suppress(msgspec.DecodeError):
                yield _DECODER.decode(line).reasons
    finally:
        transport.close()
