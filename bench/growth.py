"""T23: whether refusing a request costs more than the field in it is long.

    python -m bench.growth

Every field that a stranger can let grow (``growing``) is filled with what parsers find hard, to an eighth of what is allowed and to the
whole, and sent over a socket to a gateway in this process whose answers are refusals and whose log takes no leaf, so that nothing
hides the reading. A quotient of 1 means eight times the time for eight times the text; most fields stay far below, since a request
has its price before it is read. The least of several times is taken: noise only adds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvloop

from bench import machine
from bench.corpus import public_jwk
from bench.growing import FIELDS, FILLERS, Sender, filled
from bench.guard import guarded
from bench.stats import Spread, spread
from bench.targets import BY_NAME
from bench.world import ISSUER, TOKEN_LIFETIME_S, World, mint, open_world
from gateway.api.edge import Observers, accepted_hosts, partner_front
from gateway.base.clock import SystemClock
from gateway.base.log import RequestLog, configure_logging
from gateway.base.secret import Secret
from gateway.base.settings import LogFormat, LogLevel, load_settings
from gateway.identity.client import make_proof
from gateway.identity.signing_key import SigningKey
from gateway.web.limits import HttpLimits
from gateway.web.middleware import FrontPolicy
from gateway.web.server import start_server
from gateway.wiring import open_worker
from gateway.wiring.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from gateway.base.errors import GatewayError
    from gateway.verification.call import Call
    from gateway.wiring.worker import Worker

PARTS: Final = 8
"""The small field is this part of the whole."""
TRIES: Final = 7
LOOKS: Final = 5
"""What looks like more than linear is looked at again, so many times at the most: a machine's hiccup does not come five times."""


class NoLog:
    """Records nothing: the commit of a refusal costs the same whatever was sent, and would hide what reading it costs."""

    async def refused(self, call: Call, refusal: GatewayError, *, status: int, purpose: str | None = None) -> None:
        """Keep nothing."""


async def growth(world: World) -> dict[str, float]:
    """Return for each field the worst quotient of its fillings, largest first."""
    variables = json.loads(world.setup_file().read_text(encoding="utf-8"))
    settings = load_settings({**variables, "GATEWAY_DPOP_NONCE": "off"})
    configure_logging(LogLevel.ERROR, LogFormat.JSON)
    async with open_worker(settings, process="bench-growth") as worker, _serving(worker) as address:
        found = {}
        for name, field in FIELDS.items():
            quotients = []
            for filler in FILLERS:
                sender = _sender(world)
                small, whole = (
                    field.build(sender, filled(filler, size)) for size in (field.largest // PARTS, field.largest)
                )
                quotients.append(await _quotient(address, small, whole))
            found[name] = max(quotients)
    return dict(sorted(found.items(), key=lambda row: -row[1]))


async def _quotient(address: tuple[str, int], small: bytes, whole: bytes) -> float:
    """Return the time of the whole by that of the small one, in parts of what linear growth would give."""
    times: tuple[list[float], list[float]] = ([], [])
    quotient = 0.0
    for _ in range(LOOKS):
        for _ in range(TRIES):
            for kept, wire in zip(times, (small, whole), strict=True):
                kept.append(await _seconds(address, wire))
        quotient = min(times[1]) / min(times[0]) / PARTS
        if quotient <= 1:
            break
    return quotient


async def _seconds(address: tuple[str, int], wire: bytes) -> float:
    reader, writer = await asyncio.open_connection(*address)
    try:
        started = time.perf_counter()
        writer.write(wire)
        await reader.readuntil(b"\r\n\r\n")
        return time.perf_counter() - started
    finally:
        writer.close()


@contextlib.asynccontextmanager
async def _serving(worker: Worker) -> AsyncIterator[tuple[str, int]]:
    """Serve the edge of a worker, without a log, on a free port of the loopback interface."""
    needs = replace(worker.needs, ledger=NoLog())
    metrics = needs.metrics
    if not isinstance(metrics, Metrics):
        msg = "the worker counts with something else"
        raise TypeError(msg)
    policy = FrontPolicy(hosts=accepted_hosts(ISSUER), deadline_s=30.0, max_in_flight=64)
    listening = socket.create_server(("127.0.0.1", 0))
    server = await start_server(
        partner_front(needs, policy, Observers(log=RequestLog(), metrics=metrics)), listening, HttpLimits()
    )
    try:
        yield listening.getsockname()[:2]
    finally:
        await server.drain(grace_s=0.0, finish_s=5.0)


def _sender(world: World) -> Sender:
    partner = world.partners[0]
    key = SigningKey.from_pem(Secret(partner.proof_key_pem))
    token = mint(world.token_key, partner, TOKEN_LIFETIME_S)
    now = SystemClock().now_ms()

    def credentials(path: str) -> list[tuple[str, str]]:
        jti = secrets.token_urlsafe(16)
        proof = make_proof(key, method="POST", url=ISSUER + path, now=now, jti=jti, access_token=token)
        return [("Authorization", f"DPoP {token}"), ("DPoP", proof)]

    return Sender(
        issuer=ISSUER,
        client_id=partner.client_id,
        kid="k1",
        jwk=public_jwk(partner.proof_key.public_key()),
        now_s=now // 1000,
        credentials=credentials,
    )


def measure(world: World, cores: machine.Cores, say: Callable[[str], None]) -> Spread:
    """Measure every field on the service's core; say the five that grow most."""
    machine.pin(cores.service)
    try:
        found = uvloop.run(growth(world))
    finally:
        machine.pin(cores.other)
    for name, quotient in list(found.items())[:5]:
        say(f"  {name:38} {quotient:.2f} of linear")
    return spread([max(found.values())])


async def _alone(folder: Path) -> Spread:
    cores = machine.choose_cores()
    async with open_world(folder, cores, merchants=1) as world:
        return await asyncio.to_thread(measure, world, cores, print)


def _say(folder: Path) -> None:
    target, found = BY_NAME["T23"], asyncio.run(_alone(folder))
    print(f"T23 {found.median:.2f} ≤ {target.must}: {target.reached(found.median)}")


def main() -> int:
    return guarded(_say)


if __name__ == "__main__":
    sys.exit(main())
