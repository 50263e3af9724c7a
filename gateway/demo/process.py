"""Processes that the demo starts and stops: the simulated platform and the gateway, each with a log file of its own.

For: ``gateway.demo.run``. Each runs in a session of its own, so that Ctrl-C reaches the demo alone, which stops them in order;
and each ends by itself when the demo is gone, however that happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import aiohttp

from gateway.base.canonical import Json, JsonError, parse_json_object
from gateway.base.settings import environment_variables
from gateway.terminal.failures import CommandError
from gateway.terminal.terminal import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_POLL_S: Final = 0.1
_ASK_S: Final = 5.0
_OK: Final = 200


@dataclass(slots=True)
class DemoProcess:
    """A started process; ``name`` is what people are told it is."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    def check(self) -> None:
        """Raise if it has ended: nothing that the demo starts ends by itself."""
        code = self.process.poll()
        if code is not None:
            raise CommandError(Exit.UNHEALTHY, "demo_died", what=self.name, exit=code, log=str(self.log))

    async def stop(self, within_s: float) -> None:
        """End it by SIGTERM, or by force when the time is over."""
        self.process.terminate()
        try:
            await asyncio.to_thread(self.process.wait, within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            await asyncio.to_thread(self.process.wait)

    async def until_file(self, file: Path, within_s: float) -> dict[str, Json]:
        """Wait for the JSON object that the process writes when it is ready."""
        with _deadline(self, within_s):
            async with asyncio.timeout(within_s):
                while True:
                    self.check()
                    with contextlib.suppress(FileNotFoundError, JsonError):
                        return parse_json_object(await asyncio.to_thread(file.read_bytes))
                    await asyncio.sleep(_POLL_S)

    async def until_ok(self, url: str, within_s: float) -> None:
        """Wait until a URL answers 200."""
        timeout = aiohttp.ClientTimeout(total=_ASK_S)
        with _deadline(self, within_s):
            async with asyncio.timeout(within_s), aiohttp.ClientSession(timeout=timeout) as session:
                while True:
                    self.check()
                    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                        async with session.get(url) as answer:
                            if answer.status == _OK:
                                return
                    await asyncio.sleep(_POLL_S)


def start_process(name: str, arguments: Sequence[str], log: Path, *, inherit: Sequence[int] = ()) -> DemoProcess:
    """Start ``python -m`` with the arguments. Settings of the caller's environment are not handed on: the demo has its own."""
    environment = {key: value for key, value in environment_variables().items() if not key.startswith("GATEWAY_")}
    with log.open("ab") as stream:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
            [sys.executable, "-m", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env=environment,
            pass_fds=tuple(inherit),
            start_new_session=True,
        )
    return DemoProcess(name, log, process)


@contextlib.contextmanager
def _deadline(process: DemoProcess, within_s: float) -> Iterator[None]:
    try:
        yield
    except TimeoutError as exc:
        raise CommandError(
            Exit.UNHEALTHY, "demo_slow", what=process.name, seconds=int(within_s), log=str(process.log)
        ) from exc
