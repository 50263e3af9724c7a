"""T12e: how well one try at the token endpoint tells a client that exists from one that does not.

    python -m bench.tell_apart [--tries 3000]

Both are tried in turn, in an order drawn by lot, at the use case itself with its real database: no network whose noise would hide a
difference. What is printed is the share of errors of the best rule "slower (or faster) than so much means that it exists", found with
hindsight: 0.5 is a coin. A try names a client and signs with a key of its own, for each algorithm; the client exists and the key is
named as one of its keys, exists and names no key, or exists and names a key that it has not.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import secrets
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvloop

from bench import machine
from bench.database import connected
from bench.guard import guarded
from bench.stats import Spread, spread
from bench.targets import BY_NAME
from bench.world import ISSUER, PURPOSES, SCOPE, World, open_world
from gateway.base.canonical import Json, canonical_json
from gateway.base.clock import SystemClock
from gateway.base.ids import new_id
from gateway.base.settings import load_settings
from gateway.identity.client import make_proof, token_form
from gateway.identity.jwk import Algorithm
from gateway.identity.key_policy import parse_submitted_key
from gateway.identity.metadata import TOKEN_PATH
from gateway.identity.oauth import OAuthError
from gateway.identity.partner import Partner, PartnerState
from gateway.identity.signing_key import SigningKey
from gateway.identity.token_grant import TokenRequest
from gateway.postgres import partner_store
from gateway.postgres.partner_store import KeyAddition
from gateway.postgres.queries import Queries
from gateway.wiring import open_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.api.needs import GrantsTokens

TRIES: Final = 3000
WARM_UP: Final = 300
ROUNDS: Final = 3
KIDS: Final = {"its key": "k1", "no key": None, "another key": "k9"}
LIFETIME_S: Final = 240


@dataclass(frozen=True, slots=True)
class Pair:
    """Two tries that differ in one thing: whether the client exists."""

    name: str
    known: TokenRequest
    unknown: TokenRequest


@dataclass(slots=True)
class Times:
    """Seconds of each try."""

    known: list[float] = field(default_factory=list)
    unknown: list[float] = field(default_factory=list)


def error_rate(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the share of wrong guesses of the best threshold between two samples, whichever side means which.

    It is (1 - D) / 2, where D is the greatest distance of the two distribution functions (Kolmogorov and Smirnov).
    """
    marked = sorted([(value, 1 / len(one)) for value in one] + [(value, -1 / len(other)) for value in other])
    height, greatest = 0.0, 0.0
    for at, (value, step) in enumerate(marked):
        height += step
        if (
            at + 1 == len(marked) or marked[at + 1][0] != value
        ):  # a threshold lies between values, not within equal ones
            greatest = max(greatest, abs(height))
    return (1 - greatest) / 2


async def tell_apart(world: World, tries: int) -> dict[str, float]:
    """Return the error rate of each pair, smallest first."""
    settings = load_settings(json.loads(world.setup_file().read_text(encoding="utf-8")))
    async with open_worker(settings, process="bench-tell-apart") as worker:
        grant = worker.needs.grant_token
        found = {}
        for alg in Algorithm:
            for kid_name in KIDS:
                pair = _pair(grant, alg, kid_name)
                times = await _measure(grant, pair, tries)
                found[pair.name] = error_rate(times.known, times.unknown)
    return dict(sorted(found.items(), key=lambda row: row[1]))


async def _measure(grant: GrantsTokens, pair: Pair, tries: int) -> Times:
    order = [True, False] * (tries + WARM_UP)
    random.SystemRandom().shuffle(order)
    times = Times()
    gc.collect()
    gc.disable()
    try:
        for number, is_known in enumerate(order):
            request = pair.known if is_known else pair.unknown
            started = time.perf_counter()
            try:
                await grant(request)
            except OAuthError as refusal:
                seconds = time.perf_counter() - started
                if refusal.error != "invalid_client":
                    raise
            else:
                msg = "a token for a stranger"
                raise SystemExit(msg)
            if number >= 2 * WARM_UP:
                (times.known if is_known else times.unknown).append(seconds)
    finally:
        gc.enable()
    return times


def _pair(grant: GrantsTokens, alg: Algorithm, kid_name: str) -> Pair:
    stranger, holder = SigningKey.generate(alg), SigningKey.generate()
    now = SystemClock().now_ms()
    proof = make_proof(
        holder,
        method="POST",
        url=ISSUER + TOKEN_PATH,
        now=now,
        jti=secrets.token_urlsafe(16),
        nonce=grant.fresh_nonce(),
    )

    def request(client_id: str) -> TokenRequest:
        header: dict[str, Json] = {"typ": "JWT"}
        kid = KIDS[kid_name]
        if kid is not None:
            header["kid"] = kid
        said: dict[str, Json] = {"iss": client_id, "sub": client_id, "aud": ISSUER, "jti": secrets.token_urlsafe(16)}
        times: dict[str, Json] = {"iat": now // 1000, "exp": now // 1000 + LIFETIME_S}
        return TokenRequest(
            request_id="req_bench",
            request_hash=bytes(32),
            path=TOKEN_PATH,
            has_query=False,
            parameters=token_form(assertion=stranger.sign_jwt(header, said | times)),
            authorization=(),
            dpop=(proof,),
        )

    return Pair(f"{alg.value}, {kid_name}", request(_client_id(alg)), request(_client_id(alg, "none")))


def _client_id(alg: Algorithm, prefix: str = "tell") -> str:
    return f"{prefix}-{alg.value.lower()}"


async def _register(world: World) -> None:
    """Bring one client on for each algorithm, with one live key."""
    queries, now = Queries.load("identity"), SystemClock().now_ms()
    async with connected(world.database) as connection:
        for alg in Algorithm:
            partner = Partner(
                partner_id=new_id("prt", now),
                client_id=_client_id(alg),
                name="Bench",
                sector="network_freight",
                scopes=frozenset({SCOPE}),
                purposes=frozenset(PURPOSES),
                state=PartnerState.ACTIVE,
            )
            await partner_store.add_partner(connection, queries, partner, now)
            jwk = {**SigningKey.generate(alg).public.jwk, "kid": KIDS["its key"]}
            submitted = parse_submitted_key(canonical_json(jwk))
            addition = KeyAddition(client_id=partner.client_id, submitted=submitted, not_before_ms=now, now=now)
            await partner_store.add_key(connection, queries, addition)


def measure(world: World, cores: machine.Cores, say: Callable[[str], None], tries: int = TRIES) -> Spread:
    """Register the clients, measure all pairs some times on the service's core, say what was found."""
    machine.pin(cores.service)
    try:
        rounds = uvloop.run(_rounds(world, tries))
    finally:
        machine.pin(cores.other)
    for name in rounds[0]:
        rates = spread([one[name] for one in rounds])
        say(f"  {name:24} {rates.median:.3f} of guesses are wrong ({rates.least:.3f} … {rates.greatest:.3f})")
    return spread([min(one.values()) for one in rounds])


async def _rounds(world: World, tries: int) -> list[dict[str, float]]:
    await _register(world)
    return [await tell_apart(world, tries) for _ in range(ROUNDS)]


async def _alone(folder: Path, tries: int) -> Spread:
    cores = machine.choose_cores()
    async with open_world(folder, cores, merchants=1) as world:
        return await asyncio.to_thread(measure, world, cores, print, tries)


def _say(tries: int, folder: Path) -> None:
    target, found = BY_NAME["T12e"], asyncio.run(_alone(folder, tries))
    print(f"T12e {found.median:.3f} ≥ {target.must}: {target.reached(found.median)}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.tell_apart", description="Known clients beside unknown ones."
    )
    parser.add_argument("--tries", type=int, default=TRIES, help=f"of each kind and pair (default {TRIES})")
    options = parser.parse_args(arguments)
    return guarded(partial(_say, options.tries))


if __name__ == "__main__":
    sys.exit(main())
