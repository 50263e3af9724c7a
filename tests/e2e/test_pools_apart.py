"""The public log and the token endpoint have database connections of their own: exhausted, they cost partners nothing."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.postgres.pool import Pool
from gateway.wiring.pools import STRANGERS_CONNECTIONS
from tests.conftest import Database
from tests.fakes import gateway as kit
from tests.fakes.gateway import PartnerClient, running_gateway

pytestmark = pytest.mark.slow  # each refusal waits for its deadline first


async def hold_all(stack: AsyncExitStack, pool: Pool) -> None:
    """Take every connection of a small pool, as a flood does."""
    for _ in range(STRANGERS_CONNECTIONS):
        await stack.enter_async_context(pool.acquire())


async def public_reads(partner: PartnerClient) -> list[tuple[int, str, bool]]:
    """Read what the public may read."""
    paths = ("/v1/log/checkpoint", "/v1/log/proofs/inclusion?index=0", "/v1/status")
    answers = await asyncio.gather(*(partner.raw("GET", path) for path in paths))
    return [(answer.status, answer.json.get("code", ""), "Retry-After" in answer.headers) for answer in answers]


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

        assert refused == [(503, "store_unavailable", True)] * 3
        assert (status, read[0], bool(token)) == (200, 200, True)


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
