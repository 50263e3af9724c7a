"""Requests leave no circles of references: what one needed is given back when it has been answered, without the collector.

A circle for each refusal would let a stranger fill the memory between two collections, and make those the dearest part of a refusal.
"""

from __future__ import annotations

import gc

import pytest

from tests.fakes.use_cases import GOOD_BODY, World, request_bytes, running

PATH = "/v1/verifications"
REQUESTS = 20


def spoilt(text):
    """Change one character where every bit counts."""
    at = len(text) - 20
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


def changed(credentials, name):
    return [(field, spoilt(value) if field == name else value) for field, value in credentials]


WIRES = {
    "answered": lambda world: (world.credentials(PATH), GOOD_BODY),
    "bad signature of the proof": lambda world: (changed(world.credentials(PATH), "DPoP"), GOOD_BODY),
    "bad signature of the token": lambda world: (changed(world.credentials(PATH), "Authorization"), GOOD_BODY),
    "no credentials": lambda _: ((), GOOD_BODY),
    "not JSON": lambda world: (world.credentials(PATH), b"{"),
    "wrong fields": lambda world: (world.credentials(PATH), b'{"subject":{"uscc":"1"}}'),
    "body too large": lambda world: (world.credentials(PATH), b"a" * 70_000),
}


@pytest.mark.parametrize("kind", WIRES)
async def test_nothing_is_left_to_collect(kind):
    world = World()

    def wire():
        credentials, body = WIRES[kind](world)
        return request_bytes("POST", PATH, [("Content-Type", "application/json"), *credentials], body)

    async with running(world) as gateway:
        client = await gateway.connect()
        wires = [wire() for _ in range(REQUESTS)]
        await client.send(wire())
        await client.receive()
        gc.collect()
        gc.disable()
        try:
            for one in wires:
                await client.send(one)
                await client.receive()
            left = gc.collect()
        finally:
            gc.enable()

        assert left < REQUESTS, f"{left} objects for {REQUESTS} requests"
