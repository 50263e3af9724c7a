"""The service under test, stopped after a level of work: from bare aiohttp up to the gateway as shipped.

    python -m bench.service L5 --core 0 --setup setup.json

Each level is built from the parts of the real worker; the ladder is therefore the cost breakdown of an answer.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import uvloop
from aiohttp import web

from bench import bare, machine, processes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What the harness tells a service: where the database, the keys and the log are, and its own public origin."""

    database: str
    issuer: str
    keys_dir: str
    log_origin: str
    dpop_nonce: str = "required"


LEVELS: Final = ("B0", "L0", "L1", "L1c", "L2", "L3", "L4", "L5")


@contextlib.asynccontextmanager
async def application(level: str, setup: Setup) -> AsyncIterator[web.Application]:
    """Open the application of a level with all it stands on."""
    if level == "B0":
        yield bare.bare_application()
        return
    msg = f"{level} is not built yet: {setup.issuer}"
    raise SystemExit(msg)


async def serve(level: str, setup: Setup) -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with application(level, setup) as app:
        runner = web.AppRunner(app, access_log=None, handler_cancellation=False)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        processes.announce(runner.addresses[0][1])
        await stop.wait()
        await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("level", choices=LEVELS)
    parser.add_argument("--core", type=int, required=True)
    parser.add_argument("--setup", type=Path, required=True)
    options = parser.parse_args()
    machine.pin(options.core)
    setup = msgspec.json.decode(options.setup.read_bytes(), type=Setup)
    uvloop.run(serve(options.level, setup))


if __name__ == "__main__":
    main()
