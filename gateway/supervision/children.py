"""One supervised child process: started, listened to, restarted with back-off, stopped.

For: ``gateway.supervision.supervisor``. Not for: what the child does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final

from gateway.base.log import get_logger
from gateway.supervision.heartbeat import read_beats

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FIRST_BACKOFF_S: Final = 0.2
MAX_BACKOFF_S: Final = 30.0
STABLE_S: Final = 30.0
"""A child that lived this long starts again at once when it dies."""
SILENCE_S: Final = 20.0
"""A child that says nothing for this long hangs and is killed; it beats once a second."""

_log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """How a child is started: its name, its arguments after ``python -m gateway``, what it inherits.

    ``fatal_exit`` is an exit code that a restart cannot mend: wrong settings.
    """

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    descriptors: tuple[int, ...] = ()
    fatal_exit: int = 78
    died: Callable[[], None] = lambda: None


@dataclass(slots=True)
class Child:
    """The present life of a blueprint. ``reasons`` is what it last said; silence and death are reasons of ours."""

    blueprint: Blueprint
    reasons: tuple[str, ...] = ("starting",)
    restarts: int = 0
    _process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def keep_alive(self, stopping: asyncio.Event) -> int | None:
        """Run it until told to stop; return an exit code that no restart can mend, or None when stopped."""
        failures = 0
        while not stopping.is_set():
            started = monotonic()
            code = await self._live(stopping)
            if stopping.is_set():
                return None
            self.blueprint.died()
            if code == self.blueprint.fatal_exit:
                return code
            failures = 1 if monotonic() - started > STABLE_S else failures + 1
            wait_s = decide_backoff(failures)
            self.reasons, self.restarts = ("restarting",), self.restarts + 1
            _log.error("child_died", kind=self.blueprint.name, exit_code=code, wait_s=wait_s, attempt=failures)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await stopping.wait()
        return None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal if it runs."""
        if self.pid is not None and self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def ended(self, within_s: float) -> None:
        """Wait for its end; kill it when the time is over."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        try:
            async with asyncio.timeout(within_s):
                await process.wait()
        except TimeoutError:
            _log.error("child_killed", kind=self.blueprint.name, pid=process.pid)
            self.send(signal.SIGKILL)
            await process.wait()

    async def _live(self, stopping: asyncio.Event) -> int:
        """Start it, listen to it until it ends, and return its exit code."""
        reading, writing = os.pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gateway", *self.blueprint.arguments, "--heartbeat-fd", str(writing),
                pass_fds=(*self.blueprint.descriptors, writing), env=dict(self.blueprint.environment),
                stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        _log.info("child_started", kind=self.blueprint.name, pid=self._process.pid)
        if stopping.is_set():  # asked to stop while it was being born: nobody else will tell it
            self.send(signal.SIGTERM)
        listening = asyncio.create_task(self._listen(reading), name=f"beats of {self.blueprint.name}")
        try:
            return await self._process.wait()
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening

    async def _listen(self, reading: int) -> None:
        beats = read_beats(reading)
        try:
            while True:
                async with asyncio.timeout(SILENCE_S):
                    self.reasons = await anext(beats)
        except TimeoutError:
            self.reasons = ("silent",)
            _log.error("child_hung", kind=self.blueprint.name, pid=self.pid)
            self.send(signal.SIGKILL)
        except StopAsyncIteration:
            self.reasons = ("gone",)
        finally:
            await beats.aclose()


def decide_backoff(failures: int) -> float:
    """Return how long to wait before the next start after so many failures in a row: doubling, capped."""
    return float(min(MAX_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(failures - 1, 16)))
