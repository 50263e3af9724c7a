"""Connections that end leave no circles of references, however they end: what one held is given back without the collector.

The collector seldom looks at what is old (``gateway.wiring.worker``): a circle for each connection would let a stranger fill the memory of
a worker with heads whose bodies never come.
"""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import CoroutineType, FrameType, TracebackType

import pytest

from gateway.web.limits import HttpLimits
from tests.fakes.use_cases import GOOD_BODY, Loopback, RawClient, World, request_bytes, running, until

PATH = "/v1/verifications"
CONNECTIONS = 8
HELD = 3  # connections that the process holds where some must go
JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
OF_ERRORS = (BaseException, TracebackType, FrameType, CoroutineType)

Kind = Callable[[Loopback, RawClient], Awaitable[str]]


def head(path: str, *fields: tuple[str, str]) -> bytes:
    """Return the head of a request whose body has 500 bytes, and the first three of those."""
    return request_bytes("POST", path, [*fields, ("Content-Length", "500")]) + b"abc"


async def status(client: RawClient) -> str:
    """Read the one answer and the end."""
    answer = await client.receive()
    await client.rest()
    return str(answer.status)


async def never_comes(_gateway: Loopback, client: RawClient) -> str:
    await client.send(head("/oauth2/token", FORM))
    return await status(client)


async def partners_never_comes(gateway: Loopback, client: RawClient) -> str:
    await client.send(head(PATH, JSON, *gateway.world.credentials(PATH)))
    return await status(client)


async def nobody_knows(_gateway: Loopback, client: RawClient) -> str:
    await client.send(head(PATH, JSON))
    return await status(client)


async def breaks(gateway: Loopback, client: RawClient) -> str:
    fields = [JSON, *gateway.world.credentials(PATH), ("Transfer-Encoding", "chunked")]
    await client.send(request_bytes("POST", PATH, fields))
    await until(lambda: gateway.server.in_flight == 1)
    await client.send(b"no length\r\n")
    return await status(client)


async def ends_early(gateway: Loopback, client: RawClient) -> str:
    await client.send(head(PATH, JSON, *gateway.world.credentials(PATH)))
    client.writer.write_eof()
    return await status(client)


async def is_too_large(gateway: Loopback, client: RawClient) -> str:
    fields = [JSON, *gateway.world.credentials(PATH), ("Content-Length", "70000")]
    await client.send(request_bytes("POST", PATH, fields))
    return await status(client)


async def is_answered(gateway: Loopback, client: RawClient) -> str:
    await client.send(request_bytes("POST", PATH, [JSON, *gateway.world.credentials(PATH)], GOOD_BODY))
    answer = await client.receive()
    await client.close()
    return str(answer.status)


async def is_reset(gateway: Loopback, client: RawClient) -> str:
    await client.send(head("/oauth2/token", FORM))
    await until(lambda: gateway.server.in_flight == 1)
    client.reset()
    return "reset"


async def is_reset_while_served(gateway: Loopback, client: RawClient) -> str:
    gate = gateway.world.verify.gate = asyncio.Event()
    gateway.world.verify.entered.clear()
    await client.send(request_bytes("POST", PATH, [JSON, *gateway.world.credentials(PATH)], GOOD_BODY))
    await gateway.world.verify.entered.wait()
    client.reset()
    await until(lambda: gateway.server.connections == 0)
    gate.set()
    return "reset"


async def is_no_request(_gateway: Loopback, client: RawClient) -> str:
    await client.send(b"neither\r\n\r\n")
    client.writer.write_eof()
    return await status(client)


async def has_no_end(_gateway: Loopback, client: RawClient) -> str:
    await client.send(b"GET / HTTP/1.1\r\n")
    return await status(client)


KINDS: dict[str, tuple[Kind, str]] = {
    "a body that never comes at the token endpoint": (never_comes, "408"),
    "a partner's body that never comes": (partners_never_comes, "408"),
    "a stranger's body that never comes": (nobody_knows, "401"),
    "a body that breaks": (breaks, "400"),
    "a body that ends early": (ends_early, "400"),
    "a body that is too large": (is_too_large, "413"),
    "answered, and the client leaves": (is_answered, "200"),
    "reset while its body is waited for": (is_reset, "reset"),
    "reset while it is served": (is_reset_while_served, "reset"),
    "no request": (is_no_request, "400"),
    "a head that does not end": (has_no_end, "408"),
}


async def all_gone(gateway: Loopback) -> None:
    """Return when nothing is going on any more, and what was going on has let go."""
    await until(lambda: gateway.server.connections == 0 and gateway.server.in_flight == 0)
    for _ in range(5):  # turns for tasks to end after their last await
        await asyncio.sleep(0)


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Assert that a block leaves nothing of ours, of the library, or of an error for the collector.

    What asyncio's own transports leave is not counted: they are circles by themselves, and workers run on another loop.
    """
    gc.collect()
    gc.disable()
    try:
        yield
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = Counter(type(one).__qualname__ for one in gc.garbage if _counts(one))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
        gc.collect()
    assert not left


def _counts(one: object) -> bool:
    return isinstance(one, OF_ERRORS) or type(one).__module__.partition(".")[0] in {"gateway", "aiohttp"}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_connection_that_ends_leaves_nothing(kind: str) -> None:
    end, expected = KINDS[kind]
    world = World(token_body_s=0.01, receive_s=0.01)
    async with running(world, HttpLimits(linger_s=0.01, receive_s=0.1)) as gateway:
        await end(gateway, await gateway.connect())
        await all_gone(gateway)
        async with nothing_left():
            ends = [await end(gateway, await gateway.connect()) for _ in range(CONNECTIONS)]
            await all_gone(gateway)

    assert ends == [expected] * CONNECTIONS


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n", head("/oauth2/token", FORM)])
async def test_a_connection_that_gives_way_leaves_nothing(sent: bytes) -> None:
    world = World()
    async with running(world, HttpLimits(max_connections=HELD)) as gateway, nothing_left():
        clients = []
        for _ in range(HELD + CONNECTIONS):
            clients.append(await gateway.connect())
            await clients[-1].send(sent)
            await until(lambda: gateway.server.connections == min(len(clients), HELD))
            for _ in range(5):
                await asyncio.sleep(0)
        for client in clients:
            client.reset()
        await all_gone(gateway)

    assert world.metrics.closed == ["crowded"] * CONNECTIONS


async def test_a_slow_reader_leaves_nothing() -> None:
    """Who asks and does not read is closed with what it was to be sent."""
    world = World()
    limits = HttpLimits(write_s=0.01)
    async with running(world, limits) as gateway, nothing_left():
        for number in range(1, HELD + 1):
            client = await gateway.connect()
            client.writer.transport.pause_reading()
            asked = request_bytes("GET", "/v1/log/tile/0/000") * 8
            while len(world.metrics.closed) < number:
                client.writer.write(asked)
                await asyncio.sleep(0)
            client.reset()
            await all_gone(gateway)

    assert world.metrics.closed == ["slow_reader"] * HELD
