"""One proof, sent fifty times at once to two worker processes: exactly one is answered (I6). The same for a client assertion."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from gateway.base.canonical import parse_json_object
from gateway.identity.client import token_form
from tests.conftest import Database
from tests.fakes.gateway import PartnerClient, question
from tests.fakes.load import PATH
from tests.fakes.processes import Served, serve
from tests.faults.checkers import check_log

pytestmark = pytest.mark.slow

TIMES = 50


async def test_the_same_proof_fifty_times_at_once_over_two_processes_is_answered_once(
    database: Database, tmp_path: Path
) -> None:
    """Both workers see it; one commit anywhere takes it; whoever comes later is told that the proof is used."""
    async with serve(database, tmp_path) as served:
        partner = await served.partner()
        assert (await partner.verify("919900000000000192"))[0] == 200  # it knows the nonce from here on
        clients = crowd_of_one(served, partner)
        for _ in range(3):
            proof = partner.proof("POST", PATH)
            told = await asyncio.gather(*(client.send("POST", PATH, question(), proof=proof) for client in clients))

            assert Counter(status for status, _headers, _body in told) == {200: 1, 401: TIMES - 1}
            refusals = [parse_json_object(body) for status, _headers, body in told if status == 401]
            assert {refusal["code"] for refusal in refusals} == {"invalid_dpop_proof"}

        proof = partner.proof("POST", "/oauth2/token", nonce=partner.nonces["as"], access_token=None)
        form = token_form(assertion=partner.assertion())
        tokens = await asyncio.gather(*(client.post_token(form, proof) for client in clients))

        assert Counter(status == 200 for status, _headers, _body in tokens) == {True: 1, False: TIMES - 1}
        assert {status for status, _headers, _body in tokens} <= {200, 400, 401}
        assert await writers(database) == {"gw-test/worker-0", "gw-test/worker-1"}
    await check_log(database, tmp_path)


def crowd_of_one(served: Served, partner: PartnerClient) -> list[PartnerClient]:
    """Return many connections of one client: the same keys, the same token."""
    clients = []
    for _ in range(TIMES):
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1))
        served.sessions.append(session)
        clients.append(dataclasses.replace(partner, session=session))
    return clients


async def writers(database: Database) -> set[str]:
    """Return the worker processes that committed."""
    connection = await database.connect()
    rows = await connection.fetch("SELECT DISTINCT writer FROM audit.batch WHERE writer LIKE '%worker%'")
    await connection.close()
    return {row["writer"] for row in rows}
