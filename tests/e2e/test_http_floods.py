"""Floods of strangers, over raw sockets: what they may take is their own, and a partner notices nothing.

Every test asserts that its flood was one: that somebody was sent away.
"""

from __future__ import annotations

import asyncio
import socket

import pytest

from gateway.web.limits import HttpLimits
from tests.fakes.use_cases import GOOD_BODY, Loopback, RawClient, World, request_bytes, running, until

FORM = ("Content-Type", "application/x-www-form-urlencoded")
JSON = ("Content-Type", "application/json")
STATUS = "/v1/status"
TOKEN_HEAD = request_bytes("POST", "/oauth2/token", [FORM, ("Content-Length", "100")])


def verification_head(world: World) -> bytes:
    headers = [*world.credentials("/v1/verifications"), JSON, ("Content-Length", str(len(GOOD_BODY)))]
    return request_bytes("POST", "/v1/verifications", headers)


async def crowd(gateway: Loopback, count: int, wire: bytes = b"") -> list[RawClient]:
    clients = [await gateway.connect() for _ in range(count)]
    for client in clients:
        client.writer.write(wire)
    return clients


def refusals(gateway: Loopback, route: str) -> list[int]:
    return [status for template, _, status in gateway.world.metrics.finished if template == route and status >= 400]


class TestBodiesThatDoNotCome:
    """A head without a body holds no place that anybody else needs."""

    async def test_strangers_with_heads_alone_cost_a_partner_nothing(self):
        async with running(World(max_in_flight=2, token_bodies=8)) as gateway:
            await crowd(gateway, 60, TOKEN_HEAD)
            await until(lambda: len(refusals(gateway, "/oauth2/token")) == 52)

            verified = await gateway.verify()
            partner = await gateway.connect()
            await partner.send(verification_head(gateway.world))
            await partner.send(GOOD_BODY)
            late = await partner.receive()

            assert (verified.status, late.status) == (200, 200)
            assert set(refusals(gateway, "/oauth2/token")) == {408}

    async def test_a_token_is_had_in_the_midst_of_it_in_two_segments(self):
        world = World(max_in_flight=2, token_bodies=8)
        async with running(world) as gateway:
            await crowd(gateway, 60, TOKEN_HEAD)
            await until(lambda: len(refusals(gateway, "/oauth2/token")) == 52)
            body = b"&".join(b"%b=%b" % (n.encode(), v.replace(":", "%3A").encode()) for n, v in world.form())
            headers = [FORM, ("DPoP", world.proof("/oauth2/token", None)), ("Content-Length", str(len(body)))]
            client = await gateway.connect()
            await client.send(request_bytes("POST", "/oauth2/token", headers))
            await until(lambda: len(refusals(gateway, "/oauth2/token")) == 53)  # it has pushed out another
            await client.send(body)

            assert (await client.receive()).status == 200

    async def test_a_partner_with_heads_alone_pushes_out_its_own(self):
        async with running(World(max_in_flight=2, bodies=4)) as gateway:
            other = await gateway.connect()
            world = gateway.world
            headers = [*world.credentials("/v1/verifications", partner_id="prt_01K9Z3N4P5Q6R7S8T9V0W1X2Y4"), JSON]
            await other.send(
                request_bytes("POST", "/v1/verifications", [*headers, ("Content-Length", str(len(GOOD_BODY)))])
            )
            await until(lambda: gateway.server.in_flight == 1)
            for _ in range(20):
                await (await gateway.connect()).send(verification_head(world))
            await until(lambda: len(refusals(gateway, "/v1/verifications")) == 17)
            await other.send(GOOD_BODY)

            assert (await other.receive()).status == 200
            assert len(world.ledger.written) == 17

    async def test_a_body_that_drips_ends_with_its_time(self):
        async with running(World(token_body_s=0.05)) as gateway:
            client = await gateway.connect()
            head = request_bytes("POST", "/oauth2/token", [FORM, ("Transfer-Encoding", "chunked")])
            await client.send(head + b"1\r\na\r\n")

            answer = await client.receive()

            assert (answer.status, answer.json["error"]) == (408, "invalid_request")

    async def test_a_token_request_has_the_bound_of_a_token_request(self):
        async with running() as gateway:
            assert (await gateway.token(b"a=" + b"b" * 20_000)).status == 400

    async def test_a_place_is_needed_once_the_body_is_here(self):
        async with running(World(max_in_flight=1)) as gateway:
            waiting = await gateway.connect()
            await waiting.send(verification_head(gateway.world))
            await until(lambda: gateway.server.in_flight == 1)
            gateway.world.verify.gate = asyncio.Event()
            first = asyncio.create_task(gateway.verify())
            await gateway.world.verify.entered.wait()
            await waiting.send(GOOD_BODY)

            refused = await waiting.receive()
            gateway.world.verify.gate.set()

            assert (refused.status, refused.json["code"], refused.header("Retry-After")) == (503, "overloaded", "1")
            assert (await first).status == 200


class TestTooManyConnections:
    """A flood of connections pushes out itself."""

    @pytest.mark.parametrize(
        "wire",
        [b"", b"GET /v1/st", TOKEN_HEAD, request_bytes("GET", STATUS), request_bytes("GET", "/nowhere")],
        ids=["silent", "half a head", "no body", "answered", "refused"],
    )
    async def test_a_partner_keeps_its_connection_and_gets_new_ones(self, wire):
        async with running(limits=HttpLimits(max_connections=20)) as gateway:
            partner = await gateway.connect()
            await partner.send(verification_head(gateway.world) + GOOD_BODY)
            assert (await partner.receive()).status == 200

            await crowd(gateway, 100, wire)
            await until(lambda: len(gateway.world.metrics.closed) == 81)
            await partner.send(verification_head(gateway.world) + GOOD_BODY)

            assert (await partner.receive()).status == 200
            assert (await gateway.verify()).status == 200
            assert set(gateway.world.metrics.closed) == {"crowded"}
            await until(lambda: gateway.server.connections <= 20)

    async def test_one_address_cannot_push_out_others(self):
        async with running(limits=HttpLimits(max_connections=50, max_connections_of_address=5)) as gateway:
            idle = await crowd(gateway, 5)
            flood = [await connect_from("127.0.0.2", gateway.port) for _ in range(40)]
            await until(lambda: len(gateway.world.metrics.closed) == 35)

            for client in idle:
                await client.send(request_bytes("GET", STATUS))

            assert [(await client.receive()).status for client in idle] == [200] * 5
            for client in flood:
                await client.close()

    async def test_where_all_are_partners_the_newcomer_is_closed(self):
        async with running(limits=HttpLimits(max_connections=2)) as gateway:
            partners = [await gateway.connect() for _ in range(2)]
            for partner in partners:
                await partner.send(verification_head(gateway.world) + GOOD_BODY)
                assert (await partner.receive()).status == 200

            newcomer = await gateway.connect()

            assert await newcomer.rest() == b""
            assert gateway.world.metrics.closed == ["crowded"]

    async def test_a_request_being_served_is_not_cut_off(self):
        async with running(limits=HttpLimits(max_connections=2)) as gateway:
            gateway.world.source.gate = asyncio.Event()
            asking = await gateway.connect()
            await asking.send(request_bytes("GET", STATUS))
            await until(lambda: gateway.server.in_flight == 1)

            await crowd(gateway, 10)
            await until(lambda: len(gateway.world.metrics.closed) == 9)
            gateway.world.source.gate.set()

            assert (await asking.receive()).status == 200


async def connect_from(address: str, port: int) -> RawClient:
    return RawClient(*await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0), family=socket.AF_INET))


class TestLanes:
    """Strangers who wait for the database wait in their own lane."""

    async def test_readers_of_public_routes_take_no_place_of_a_partner(self):
        async with running(World(max_in_flight=1, public_reads=3)) as gateway:
            gateway.world.source.gate = asyncio.Event()
            readers = await crowd(gateway, 3, request_bytes("GET", STATUS))
            await until(lambda: gateway.server.in_flight == 3)

            refused = await gateway.request("GET", "/v1/log/checkpoint")
            verified = await gateway.verify()
            gateway.world.source.gate.set()

            assert (refused.status, refused.json["code"], refused.header("Retry-After")) == (503, "overloaded", "1")
            assert verified.status == 200
            assert [(await reader.receive()).status for reader in readers] == [200] * 3
            assert (await gateway.request("GET", "/v1/log/checkpoint")).status == 200

    async def test_token_requests_have_theirs(self):
        async with running(World(token_requests=0)) as gateway:
            refused = await gateway.token(b"grant_type=client_credentials")

            assert (refused.status, refused.json["error"]) == (503, "temporarily_unavailable")
            assert refused.header("Retry-After") == "1"
            assert (await gateway.verify()).status == 200


class TestLogLines:
    """Strangers do not write a line for each of their tries."""

    async def test_the_first_of_a_kind_is_written_and_the_others_counted(self):
        async with running() as gateway:
            for _ in range(20):
                await gateway.request("POST", "/v1/verifications", [JSON], GOOD_BODY)
            await gateway.raw(b"nonsense\r\n\r\n")
            await gateway.raw(b"nonsense\r\n\r\n")
            written = [(event, fields["route"]) for event, fields in gateway.world.log.lines]
            await gateway.server.drain(grace_s=0.0, finish_s=1.0)

            assert written == [("request_served", "/v1/verifications"), ("request_served", "unparsed")]
            assert gateway.world.log.lines[2:] == [
                (
                    "requests_counted",
                    {"route": "/v1/verifications", "status": 401, "code": "unauthenticated", "count": 19},
                ),
                ("requests_counted", {"route": "unparsed", "status": 400, "code": "malformed_request", "count": 1}),
            ]

    async def test_a_partner_and_our_own_errors_are_written_each_time(self):
        async with running() as gateway:
            for _ in range(5):
                await gateway.verify()
                await gateway.verify(b"{")
            gateway.world.source.error = RuntimeError("a defect")
            for _ in range(3):
                await gateway.request("GET", STATUS)

            statuses = [fields["status"] for event, fields in gateway.world.log.lines if event == "request_served"]
            assert statuses == [200, 400] * 5 + [500] * 3
