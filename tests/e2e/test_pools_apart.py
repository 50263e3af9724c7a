"""The public log and the token endpoint have database connections of their own: exhausted, they cost partners nothing."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.base.errors import ErrorKind, GatewayError
from gateway.postgres.pool import Pool
from gateway.wiring.pools import STRANGERS_CONNECTIONS
from tests.conftest import Database
from tests.fakes import gateway as kit
from tests.fakes.gateway import PartnerClient, running_gateway
from tests.fakes.use_cases import World, running


async def hold_all(stack: AsyncExitStack, pool: Pool) -> None:
    """Take every connection of a small pool, as a flood does."""
    for _ in range(STRANGERS_CONNECTIONS):
        await stack.enter_async_context(pool.acquire())


async def public_reads(partner: PartnerClient) -> list[tuple[int, str, bool]]:
    """Read what the public may read."""
    paths = ("/v1/log/checkpoint", "/v1/log/proofs/inclusion?index=0", "/v1/status")
    answers = await asyncio.gather(*(partner.raw("GET", path) for path in paths))
    return [(answer.status, answer.json.get("code", ""), "Retry-After" in answer.headers) for answer in answers]


@pytest.mark.slow  # each refusal waits for its deadline first
async def test_readers_of_the_public_log_cost_partners_nothing(database: Database, tmp_path: Path) -> None:
    """Whoever reads is told to come back; verifications, readings and tokens go on."""
    async with running_gateway(database, tmp_path) as gateway:
        partner = await gateway.partner()
        async with AsyncExitStack() as stack:
            await hold_all(stack, gateway.worker.pools.public)

            refused = await public_reads(partner)
            status, _headers, answer = await partner.verify(kit.CLEAR)
            read = await partner.send("GET", f"/v1/verifications/{answer['id']}")
            token = await partner.sign_in()

        assert refused == [(503, "overloaded", True)] * 3
        assert (status, read[0], bool(token)) == (200, 200, True)


@pytest.mark.slow
async def test_an_exhausted_token_endpoint_costs_partners_nothing(database: Database, tmp_path: Path) -> None:
    """Who wants a token is told to come back; whoever has one goes on."""
    async with running_gateway(database, tmp_path) as gateway:
        partner = await gateway.partner()
        await partner.verify(kit.CLEAR)
        async with AsyncExitStack() as stack:
            await hold_all(stack, gateway.worker.pools.tokens)

            proof = partner.proof("POST", "/oauth2/token", nonce=partner.nonces["as"], access_token=None)
            form = kit.token_form(assertion=partner.assertion())
            status, headers, body = await partner.post_token(form, proof)
            verified, _headers, _answer = await partner.verify(kit.CLEAR)

        assert (status, body["error"], "Retry-After" in headers) == (503, "temporarily_unavailable", True)
        assert verified == 200


async def test_readers_who_find_the_pool_taken_are_counted_and_not_logged_one_by_one() -> None:
    """That others hold the connections is no fault of ours: a line for the first, and a count of the rest."""
    world = World()
    world.source.error = GatewayError(ErrorKind.OVERLOADED, reason="database_busy", retry_after_s=1)
    async with running(world) as gateway:
        refused = [(await gateway.request("GET", "/v1/status")).status for _ in range(20)]

    served, counted = [fields for _event, fields in world.log.lines]
    assert refused == [503] * 20
    assert (served["code"], served["reason"], counted["count"]) == ("overloaded", "database_busy", 19)
