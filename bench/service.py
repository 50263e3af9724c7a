"""The service under test, stopped after a level of work: from bare aiohttp up to the gateway as shipped.

    python -m bench.service L5 --core 0 --setup setup.json

Each level is built from the parts of the real worker; the ladder is therefore the cost breakdown of an answer.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import uvloop
from aiohttp import web

from bench import bare, machine, processes

if TYPE_CHECKING:
    from collections.abc import Callable

LEVELS: Final = ("B0", "B0V", "L0", "L1", "L1c", "L2", "L3", "L4", "L5")


async def serve_bare(
    application: web.Application, listening: socket.socket, stopping: asyncio.Event, ready: Callable[[], None]
) -> None:
    """Serve B0 or B0V until told to stop."""
    runner = web.AppRunner(application, access_log=None, handler_cancellation=False)
    await runner.setup()
    site = web.SockSite(runner, listening, backlog=1024)
    await site.start()
    ready()
    await stopping.wait()
    await runner.cleanup()


async def serve(level: str, variables: dict[str, str], log: Path) -> None:
    """Serve until SIGTERM."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)

    def ready() -> None:
        processes.announce(listening.getsockname()[1])
        _log_to_a_file(log)

    bares = {"B0": bare.bare_application, "B0V": bare.verifying_application}
    if level in bares:
        await serve_bare(bares[level](), listening, stopping, ready)
        return
    from bench.ladder import serve_level  # noqa: PLC0415 - B0 must not carry the gateway's memory

    await serve_level(level, variables, listening, stopping, ready)


def _log_to_a_file(path: Path) -> None:
    # The harness reads one line from the pipe and no more; a full pipe would stop the service.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(handle, 1)
    os.close(handle)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("level", choices=LEVELS)
    parser.add_argument("--core", type=int, required=True)
    parser.add_argument("--setup", type=Path, required=True)
    options = parser.parse_args()
    machine.pin(options.core)
    variables = msgspec.json.decode(options.setup.read_bytes(), type=dict[str, str])
    uvloop.run(serve(options.level, variables, options.setup.with_name(f"{options.level}.jsonl")))


if __name__ == "__main__":
    main()
