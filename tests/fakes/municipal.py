"""A municipal platform that lies, hangs and breaks on demand, and what its tests need around it.

It serves what a real `Publisher` signed, byte by byte on a raw socket, so that it can also say what no HTTP library would.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.base.clock import Millis
from gateway.credit.feed_version import Counts, FeedFile, ReplicaState, VerifiedHead, VerifiedManifest, VersionKind
from gateway.municipal.client import FeedLimits, MunicipalFeed, open_feed_session
from gateway.municipal.envelope import parse_platform_keys
from gateway.sandbox.lines import ENTERPRISE, MARKET, Firm, Line, list_entry, make_uscc, registration
from gateway.sandbox.publisher import Publisher

FEED = "test-city"
TODAY = dt.date(2026, 11, 22)
NOW = Millis(1_795_305_600_000)
PATIENT = FeedLimits()
"""For what must succeed, however busy the machine is."""
QUICK = FeedLimits(document_s=0.15, connect_s=0.15, silence_s=5.0, file_s=0.15, slowest_bytes_per_s=1 << 30)

Lie = Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]


class SteadyClock:
    """A clock that moves when it is told to."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def now_ms(self) -> Millis:
        return Millis(self.now)

    def advance(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


class FakeMunicipal:
    """Serves a publisher's directory; `lies[path]` answers instead, given the honest body."""

    def __init__(self, publisher: Publisher, directory: Path) -> None:
        self.publisher = publisher
        self.directory = directory
        self.lies: dict[str, Lie] = {}
        self.asked: list[str] = []
        self.url = ""

    def honest(self, path: str) -> bytes | None:
        if path == "/head.json":
            return self.publisher.head() if self.publisher.version else None
        file = self.directory / path.lstrip("/")
        return file.read_bytes() if file.is_file() else None

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            request = await reader.readuntil(b"\r\n\r\n")
            path = request.split(b" ")[1].decode()
            self.asked.append(path)
            body = self.honest(path)
            lie = self.lies.get(path)
            if lie is not None:
                await lie(writer, body or b"")
            elif body is None:
                await respond(writer, b"", status=b"404 Not Found")
            else:
                await respond(writer, body)


@asynccontextmanager
async def serving(publisher: Publisher, directory: Path) -> AsyncIterator[FakeMunicipal]:
    """Run the fake on a free loopback port; whatever still hangs at the end is ended."""
    fake = FakeMunicipal(publisher, directory)
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        task = asyncio.create_task(fake.answer(reader, writer), name="fake-municipal")
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)
        await server.wait_closed()


@asynccontextmanager
async def client_of(
    fake: FakeMunicipal, *, keys: str | None = None, limits: FeedLimits = PATIENT
) -> AsyncIterator[MunicipalFeed]:
    """Open the real client against the fake."""
    async with open_feed_session(limits) as session:
        yield MunicipalFeed(
            session,
            base_url=fake.url,
            feed=FEED,
            keys=parse_platform_keys(keys or fake.publisher.keys_text),
            directory=fake.directory,
            limits=limits,
        )


# Lies --------------------------------------------------------------------------------------------------------------


async def respond(
    writer: asyncio.StreamWriter,
    body: bytes,
    *,
    status: bytes = b"200 OK",
    length: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Write a response whose Content-Length may be a lie."""
    lines = [
        b"HTTP/1.1 " + status,
        b"Content-Length: %d" % (len(body) if length is None else length),
        b"Connection: close",
    ]
    lines += [f"{name}: {value}".encode() for name, value in (headers or {}).items()]
    writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
    await writer.drain()


async def hang(_writer: asyncio.StreamWriter, _body: bytes) -> None:
    """Accept and say nothing."""
    await asyncio.Event().wait()


async def hang_after_headers(writer: asyncio.StreamWriter, body: bytes) -> None:
    await respond(writer, b"", length=len(body))
    await asyncio.Event().wait()


async def drip(writer: asyncio.StreamWriter, body: bytes) -> None:
    """Send a byte now and then: never silent for long, never done."""
    await respond(writer, b"", length=len(body))
    for byte in body:
        writer.write(bytes([byte]))
        await writer.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await asyncio.Event().wait()


async def server_error(writer: asyncio.StreamWriter, _body: bytes) -> None:
    await respond(writer, b"no", status=b"503 Service Unavailable")


async def html(writer: asyncio.StreamWriter, _body: bytes) -> None:
    await respond(writer, b"<!doctype html><title>Login</title>", headers={"Content-Type": "text/html"})


async def redirect(writer: asyncio.StreamWriter, _body: bytes) -> None:
    await respond(writer, b"", status=b"302 Found", headers={"Location": "http://127.0.0.1:1/head.json"})


async def cut_off(writer: asyncio.StreamWriter, body: bytes) -> None:
    """Announce the whole and send half."""
    await respond(writer, body[: len(body) // 2], length=len(body))


async def truncated(writer: asyncio.StreamWriter, body: bytes) -> None:
    """Send half without saying how much there is."""
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body[: len(body) // 2])
    await writer.drain()


async def endless(writer: asyncio.StreamWriter, body: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)
    while True:
        writer.write(b"\0" * 65_536)
        await writer.drain()


async def wrong_length(writer: asyncio.StreamWriter, body: bytes) -> None:
    await respond(writer, body + b"!")


async def flipped(writer: asyncio.StreamWriter, body: bytes) -> None:
    """Change one bit in the middle."""
    middle = len(body) // 2
    await respond(writer, body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :])


async def encoded(writer: asyncio.StreamWriter, body: bytes) -> None:
    await respond(writer, body, headers={"Content-Encoding": "gzip"})


def instead(other: bytes) -> Lie:
    """Serve other bytes."""

    async def lie(writer: asyncio.StreamWriter, _body: bytes) -> None:
        await respond(writer, other)

    return lie


# Made values -------------------------------------------------------------------------------------------------------


def make_firm(number: int) -> Firm:
    return Firm(uscc=make_uscc(ENTERPRISE, f"{number:08d}"), name=f"测试企业{number}号有限公司")


def make_registration(number: int) -> Line:
    return registration(make_firm(number), established=dt.date(2020, 1, 1))


def make_entry(number: int) -> Line:
    return list_entry(
        make_firm(number), "SX-SAMR", MARKET, document_no=f"沙市监严字〔2026〕{number}号",
        decided_on=TODAY - dt.timedelta(days=30), grounds="测试",
    )  # fmt: skip


def make_unreadable(number: int) -> Line:
    """An entry decided on a day that does not exist: quarantined, its firm partial."""
    return {**make_entry(number), "decided_on": "2026-02-30"}


def make_town(size: int, listed: int = 0) -> list[Line]:
    """Some firms, the first of them listed."""
    return [*map(make_registration, range(1, size + 1)), *map(make_entry, range(1, listed + 1))]


def make_manifest(**changes: object) -> VerifiedManifest:
    """A delta from version 3 to 4 with two puts."""
    manifest = VerifiedManifest(
        feed=FEED,
        kind=VersionKind.DELTA,
        version=4,
        predecessor=3,
        predecessor_digest=b"3" * 32,
        issued_ms=Millis(NOW - 5_000),
        counts=Counts(lines=2, puts=2, deletes=0, kinds={"registration": 1, "penalty": 1}),
        file=FeedFile(name="4.ndjson.gz", size_bytes=100, sha256=b"f" * 32, uncompressed_bytes=400),
        digest=b"4" * 32,
    )
    return dataclasses.replace(manifest, **changes)


def make_head(**changes: object) -> VerifiedHead:
    """A head that says version 4 on top of snapshot 1."""
    head = VerifiedHead(
        feed=FEED, version=4, digest=b"4" * 32, snapshot=1, snapshot_digest=b"1" * 32, issued_ms=Millis(NOW - 1_000)
    )
    return dataclasses.replace(head, **changes)


def make_state(**changes: object) -> ReplicaState:
    """A replica that stands on version 3."""
    state = ReplicaState(
        slot=0, version=3, digest=b"3" * 32, as_of_ms=Millis(NOW - 60_000), record_count=100, quarantined=0
    )
    return dataclasses.replace(state, **changes)
