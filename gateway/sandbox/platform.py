"""The simulated municipal platform: a process of its own that publishes a signed feed of a synthetic city.

For: the demo and the end-to-end tests: the gateway sees HTTP, signatures and files as it would a city's. Not for: production; it
refuses to start there, and binds to loopback only.

``python -m gateway.sandbox.platform --directory D --environment demo --ready-file F --size 20000``

Beside the files that ``gateway.municipal.manifest`` describes it has a control face, for demos and tests:
``POST /control/delta`` and ``POST /control/snapshot`` with ``{"lines": [object or text, …]}`` publish the next version (a text goes out as
it stands, readable or not); an empty list of a snapshot stands for the whole city again. ``GET /control/state`` says what stands.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from aiohttp import web

from gateway.base.canonical import Json, JsonError, canonical_json, parse_json_object
from gateway.base.clock import SystemClock, shanghai_date
from gateway.credit.feed_version import VersionKind
from gateway.municipal.envelope import MAX_ENVELOPE_BYTES
from gateway.sandbox.city import DEFAULT_SIZE, MAX_SIZE, City
from gateway.sandbox.publisher import Publisher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway.sandbox.lines import Line

FEED: Final = "sandbox-city"
HOST: Final = "127.0.0.1"
MAX_CONTROL_BYTES: Final = 16 * 1024**2
REFUSED_ENVIRONMENT: Final = "production"
_EXIT_REFUSED: Final = 78
_PARENT_POLL_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformNeeds:
    """What the platform's handlers work with. ``publishing`` keeps two versions from being made at once."""

    publisher: Publisher
    directory: Path
    city: Callable[[], Iterable[Line]]
    publishing: asyncio.Lock


NEEDS: Final = web.AppKey("needs", PlatformNeeds)


def make_platform(needs: PlatformNeeds) -> web.Application:
    """Return the application: the feed's files and the control face."""
    app = web.Application(client_max_size=MAX_CONTROL_BYTES)
    app[NEEDS] = needs
    app.add_routes(
        [
            web.get("/head.json", _get_head),
            web.get(r"/manifests/{version:\d{1,16}}.json", _get_manifest),
            web.get(r"/files/{name:[a-z0-9][a-z0-9._-]{0,127}}", _get_file),
            web.get("/control/state", _get_state),
            web.post("/control/delta", _post_delta),
            web.post("/control/snapshot", _post_snapshot),
        ]
    )
    return app


async def _get_head(request: web.Request) -> web.Response:
    try:
        return web.Response(body=request.app[NEEDS].publisher.head(), content_type="application/json")
    except LookupError as exc:
        raise web.HTTPServiceUnavailable from exc


async def _get_manifest(request: web.Request) -> web.StreamResponse:
    path = request.app[NEEDS].directory / "manifests" / f"{int(request.match_info['version'])}.json"
    if not path.is_file():
        raise web.HTTPNotFound
    return web.FileResponse(path, chunk_size=MAX_ENVELOPE_BYTES)


async def _get_file(request: web.Request) -> web.StreamResponse:
    path = request.app[NEEDS].directory / "files" / request.match_info["name"]
    if not path.is_file():
        raise web.HTTPNotFound
    # A type of its own, so that no one on the way takes the gzip for a content encoding.
    return web.FileResponse(path, headers={"Content-Type": "application/octet-stream"})


async def _get_state(request: web.Request) -> web.Response:
    return _json({"feed": FEED, "version": request.app[NEEDS].publisher.version})


async def _post_delta(request: web.Request) -> web.Response:
    return await _publish(request, VersionKind.DELTA, await _read_lines(request))


async def _post_snapshot(request: web.Request) -> web.Response:
    lines = await _read_lines(request)
    return await _publish(request, VersionKind.SNAPSHOT, lines or request.app[NEEDS].city())


async def _publish(request: web.Request, kind: VersionKind, lines: Iterable[Line | bytes]) -> web.Response:
    needs = request.app[NEEDS]
    async with needs.publishing:
        manifest = await asyncio.to_thread(needs.publisher.publish, kind, lines)
    return _json({"version": manifest.version, "kind": kind.value, "lines": manifest.counts.lines})


async def _read_lines(request: web.Request) -> list[Line | bytes]:
    # A page in a browser cannot send this type to another origin without asking first.
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType
    try:
        lines = parse_json_object(await request.read()).get("lines", [])
    except JsonError as exc:
        raise web.HTTPBadRequest(text=str(exc)) from exc
    if not isinstance(lines, list) or not all(isinstance(line, dict | str) for line in lines):
        raise web.HTTPBadRequest(text="lines must be a list of objects or texts")
    # Checked above: objects are lines as a publisher wrote them, right or wrong.
    return [line.encode() if isinstance(line, str) else cast("Line", line) for line in lines]


def _json(members: Json) -> web.Response:
    return web.Response(body=canonical_json(members), content_type="application/json")


async def run_platform(options: argparse.Namespace) -> None:
    """Publish the city unless the directory holds one, serve, say where, and stay until told to stop."""
    clock = SystemClock()
    publisher = Publisher(options.directory, feed=FEED, clock=clock)
    city = City(size=options.size, seed=options.seed, today=shanghai_date(clock.now_ms()))
    if publisher.version == 0:
        await asyncio.to_thread(publisher.publish, VersionKind.SNAPSHOT, city.lines())
    needs = PlatformNeeds(publisher=publisher, directory=options.directory, city=city.lines, publishing=asyncio.Lock())
    runner = web.AppRunner(make_platform(needs), access_log=None, handler_cancellation=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, options.port)
        await site.start()
        port = runner.addresses[0][1]
        if options.ready_file is not None:
            await asyncio.to_thread(_say_ready, options.ready_file, port, publisher)
        await _until_told(options.parent)
    finally:
        await runner.cleanup()


def _say_ready(ready_file: Path, port: int, publisher: Publisher) -> None:
    ready = {"url": f"http://{HOST}:{port}", "feed": FEED, "pid": os.getpid(), "keys": publisher.keys_text}
    unfinished = ready_file.with_suffix(".tmp")
    unfinished.write_bytes(canonical_json(ready))
    unfinished.replace(ready_file)


async def _until_told(parent: int | None) -> None:
    """Wait for SIGTERM or SIGINT, or until the process that started us is gone: a simulator is never left over."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    while not told.is_set() and parent in (None, os.getppid()):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PARENT_POLL_S):
                await told.wait()


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m gateway.sandbox.platform", description="simulated municipal platform"
    )
    parser.add_argument("--directory", type=Path, required=True, help="where the feed lies; kept between runs")
    parser.add_argument("--environment", choices=["demo", REFUSED_ENVIRONMENT], required=True)
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--ready-file", type=Path, help="written as JSON once everything answers")
    parser.add_argument("--size", type=int, default=DEFAULT_SIZE, help="merchants beside the sandbox merchants")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parent", type=int, help="end when this is no longer the parent process")
    options = parser.parse_args(arguments)
    if not 0 <= options.size <= MAX_SIZE:
        parser.error(f"--size is 0 to {MAX_SIZE}")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the simulator; 78 (EX_CONFIG) in production."""
    options = _options(sys.argv[1:] if arguments is None else arguments)
    if options.environment == REFUSED_ENVIRONMENT:
        sys.stderr.write("the simulated municipal platform does not run in production\n")
        return _EXIT_REFUSED
    asyncio.run(run_platform(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
