"""A client that leaves, at every phase of a request (F33): nothing leaks, no answer is without its leaf, others notice nothing."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.audit.receipt import verify_receipt
from gateway.base.canonical import canonical_json
from tests.conftest import Database
from tests.fakes import gateway as kit
from tests.fakes.gateway import Gateway, PartnerClient, question, running_gateway
from tests.fakes.load import PATH
from tests.fakes.processes import until
from tests.faults.checkers import check_log

pytestmark = pytest.mark.slow

TIMES = 12
BASELINE_S = 15.0
PHASES = ("before_a_byte", "mid_headers", "after_headers", "mid_body", "after_body", "mid_response")


@pytest.fixture
async def gateway(database: Database, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running_gateway(database, tmp_path) as running:
        yield running
    await check_log(database, tmp_path)


def request_of(partner: PartnerClient, body: bytes) -> bytes:
    """Return a complete request as bytes, with a proof of its own."""
    host = partner.base.removeprefix("http://")
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: {host}\r\nAuthorization: DPoP {partner.token}\r\n"
        f"DPoP: {partner.proof('POST', PATH)}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def leave(partner: PartnerClient, phase: str, *, reset: bool) -> None:
    """Send as much of a request as the phase says, then go: politely, or with a reset."""
    host, port = partner.base.removeprefix("http://").split(":")
    loop = asyncio.get_running_loop()
    body = question()
    whole = request_of(partner, body)
    sent = {
        "before_a_byte": 0,
        "mid_headers": 40,
        "after_headers": len(whole) - len(body),
        "mid_body": len(whole) - len(body) // 2,
    }.get(phase, len(whole))
    with socket.socket() as sock:
        sock.settimeout(0)
        await loop.sock_connect(sock, (host, int(port)))
        await loop.sock_sendall(sock, whole[:sent])
        if phase == "mid_response":
            assert (await loop.sock_recv(sock, 9)) == b"HTTP/1.1 "
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])
async def test_clients_that_leave_cost_nothing_that_stays(gateway: Gateway, reset: bool) -> None:  # noqa: FBT001 - a parameter
    """Twelve clients leave at each phase: connections, requests in flight and tasks return to what they were."""
    partner = await gateway.partner()
    for _ in range(2):
        assert (await partner.verify(kit.CLEAR))[0] == 200
    activity = gateway.worker.front.activity
    connections, tasks = activity.connections, len(asyncio.all_tasks())

    for phase in PHASES:
        await asyncio.gather(*(leave(partner, phase, reset=reset) for _ in range(TIMES)))
        # The others notice nothing.
        status, _headers, answer = await partner.verify(kit.SERIOUS)
        assert (status, answer["outcome"]) == (200, "restricted")
        verify_receipt(canonical_json(answer), gateway.policy)

    await until(lambda: activity.connections <= connections, "connections at the baseline", BASELINE_S)
    await until(lambda: activity.in_flight == 0, "no request in flight", BASELINE_S)
    await until(lambda: len(asyncio.all_tasks()) <= tasks, "tasks at the baseline", BASELINE_S)


async def test_a_client_that_left_after_its_body_may_have_a_leaf_and_its_proof_is_used(
    gateway: Gateway, database: Database
) -> None:
    """A row may exist without an answer, never the reverse: what was received whole is committed, and once."""
    partner = await gateway.partner()
    assert (await partner.verify(kit.CLEAR))[0] == 200
    connection = await database.connect()
    before = await connection.fetchval("SELECT count(*) FROM audit.entry WHERE kind = 'query'")

    await asyncio.gather(*(leave(partner, "mid_response", reset=True) for _ in range(TIMES)))
    await until(lambda: gateway.worker.front.activity.in_flight == 0, "no request in flight", BASELINE_S)

    after = await connection.fetchval("SELECT count(*) FROM audit.entry WHERE kind = 'query'")
    await connection.close()
    assert after - before == TIMES
