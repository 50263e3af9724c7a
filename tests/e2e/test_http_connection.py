"""What one connection may do, over raw sockets: bad requests behind good ones, half-closed connections, readers that do not read.

The server reads through private parts of its library (``gateway.web.reading``); if a release changes them, these tests fail.
"""

from __future__ import annotations

import asyncio
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.web.limits import HttpLimits
from gateway.web.reading import MAX_HEAD_BYTES
from tests.fakes.use_cases import GOOD_BODY, HOST, RawClient, World, request_bytes, running, until

STATUS = "/v1/status"
GET = request_bytes("GET", STATUS)
BAD = b"G\x00T / HTTP/1.1\r\n\r\n"
ENDLESS_BAD = b"\x00\x01"


def verification(world: World, *, chunked: bool = False) -> bytes:
    headers = [*world.credentials("/v1/verifications"), ("Content-Type", "application/json")]
    if not chunked:
        return request_bytes("POST", "/v1/verifications", headers, GOOD_BODY)
    head = request_bytes("POST", "/v1/verifications", [*headers, ("Transfer-Encoding", "chunked")])
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD_BODY), GOOD_BODY)


async def statuses(client: RawClient, count: int) -> list[int]:
    return [(await client.receive()).status for _ in range(count)]


@pytest.mark.parametrize(
    "bad", [BAD, ENDLESS_BAD, b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"]
)
@pytest.mark.parametrize("good", [1, 2, 7, 8, 9, 40])
async def test_a_bad_request_takes_no_good_one_before_it_with_it(bad, good):
    async with running() as gateway:
        client = await gateway.connect()
        await client.send(GET * good + bad)

        assert await statuses(client, good + 1) == [200] * good + [400]
        assert await client.rest() == b""


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("bad", [BAD, ENDLESS_BAD])
async def test_a_bad_request_takes_no_body_before_it_with_it(bad, chunked):
    async with running() as gateway:
        client = await gateway.connect()
        await client.send(verification(gateway.world, chunked=chunked) + bad)

        assert await statuses(client, 2) == [200, 400]
        assert len(gateway.world.verify.finished) == 1


async def test_a_body_whose_framing_breaks_behind_good_requests_is_refused_at_once():
    async with running() as gateway:
        client = await gateway.connect()
        headers = [*gateway.world.credentials("/v1/verifications"), ("Content-Type", "application/json")]
        broken = request_bytes("POST", "/v1/verifications", [*headers, ("Transfer-Encoding", "chunked")]) + b"zz\r\n"
        await client.send(GET + broken)

        assert await statuses(client, 2) == [200, 400]
        assert await client.rest() == b""


@pytest.mark.parametrize("torn", [1, 2, 3])
async def test_a_head_whose_end_is_torn_takes_no_good_request_with_it(torn: int):
    """The last bytes of the good head come with the bad one behind it, after a first segment that was not the whole head either."""
    async with running() as gateway:
        client = await gateway.connect()
        for piece in (GET[:1], GET[1:-torn], GET[-torn:] + BAD):
            client.writer.write(piece)
            await asyncio.sleep(0)

        assert await statuses(client, 2) == [200, 400]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_is_answered_does_not_depend_on_how_it_was_cut(data):
    """Neither on which requests share a segment, nor on where one is torn."""
    kinds = data.draw(st.lists(st.sampled_from(["get", "post", "chunked", "bad"]), min_size=1, max_size=12))
    world = World()
    parts = {"get": lambda: GET, "post": lambda: verification(world), "bad": lambda: BAD}
    wire = b"".join(parts.get(kind, lambda: verification(world, chunked=True))() for kind in kinds)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(wire) - 1), max_size=6)))
    good = kinds.index("bad") if "bad" in kinds else len(kinds)

    async def answered() -> list[int]:
        async with running(world) as gateway:
            client = await gateway.connect()
            for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
                client.writer.write(wire[start:end])
                await asyncio.sleep(0)
            return await statuses(client, good + ("bad" in kinds))

    assert asyncio.run(answered()) == [200] * good + [400] * ("bad" in kinds)


async def test_a_head_is_bounded_as_a_whole():
    """Within the bounds of each field and of their number."""
    async with running() as gateway:
        fields = [(f"X-{number}", "a" * 1000) for number in range(MAX_HEAD_BYTES // 1000 + 1)]
        client = await gateway.connect()
        await client.send(GET + request_bytes("GET", STATUS, fields))

        assert await statuses(client, 2) == [200, 431]


async def test_a_request_for_another_protocol_is_answered_and_the_connection_closed():
    async with running() as gateway:
        client = await gateway.connect()
        await client.send(request_bytes("GET", STATUS, [("Connection", "upgrade"), ("Upgrade", "websocket")]) + GET)

        answer = await client.receive()

        assert (answer.status, answer.header("Connection")) == (200, "close")
        assert await client.rest() == b""


class TestHalfClosed:
    """A client may say that it sends no more, and still be answered (RFC 9112 section 9.6)."""

    @pytest.mark.parametrize("asked", [1, 3, 30])
    async def test_what_was_asked_before_is_answered(self, asked):
        async with running() as gateway:
            client = await gateway.connect()
            client.writer.write(GET * asked)
            client.writer.write_eof()

            assert await statuses(client, asked) == [200] * asked
            assert await client.rest() == b""

    async def test_a_request_being_served_is_answered(self):
        async with running() as gateway:
            gateway.world.verify.gate = asyncio.Event()
            client = await gateway.connect()
            await client.send(verification(gateway.world))
            await gateway.world.verify.entered.wait()
            client.writer.write_eof()
            other = await gateway.request("GET", STATUS)  # by now the end has been seen
            gateway.world.verify.gate.set()

            assert (other.status, await statuses(client, 1)) == (200, [200])
            assert await client.rest() == b""

    async def test_a_body_that_will_never_come_is_refused_at_once(self):
        async with running() as gateway:
            client = await gateway.connect()
            client.writer.write(verification(gateway.world)[:-1])
            client.writer.write_eof()

            answer = await client.receive()

            assert (answer.status, answer.json["code"]) == (400, "malformed_request")
            assert await client.rest() == b""

    async def test_one_that_asks_nothing_is_closed(self):
        async with running() as gateway:
            client = await gateway.connect()
            client.writer.write_eof()

            assert await client.rest() == b""
            await until(lambda: gateway.server.connections == 0)


class TestHttp10:
    """What a client of 1.0 must not be given."""

    async def test_transfer_encoding_closes_the_connection(self):
        """Whoever passed the message on may see its end elsewhere (RFC 9112 section 6.1)."""
        async with running() as gateway:
            client = await gateway.connect()
            head = (
                f"GET {STATUS} HTTP/1.0\r\nHost: {HOST}\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            await client.send(head.encode() + b"0\r\n\r\n" + GET)

            answer = await client.receive()

            assert (answer.status, answer.header("Connection")) == (200, "close")
            assert await client.rest() == b""

    async def test_no_interim_answer(self):
        """It would take it for the final one (RFC 9110 section 10.1.1)."""
        async with running() as gateway:
            wire = verification(gateway.world).replace(b"HTTP/1.1\r\n", b"HTTP/1.0\r\nExpect: 100-continue\r\n")
            client = await gateway.connect()
            await client.send(wire[: -len(GOOD_BODY)])
            await until(lambda: gateway.server.in_flight == 1)
            await client.send(GOOD_BODY)

            assert await statuses(client, 1) == [200]


class TestReadersThatDoNotRead:
    """A reader that takes nothing is given up, whatever it asked for and however much the kernel holds for it."""

    @pytest.mark.parametrize("target", ["/v1/openapi.json", "/docs/errors", STATUS])
    async def test_it_is_closed_after_the_time_for_writing(self, target):
        async with running(limits=HttpLimits(write_s=0.1)) as gateway:
            stalled = await not_reading(gateway.port)
            stalled.writer.write(request_bytes("GET", target) * 20_000)

            await until(lambda: gateway.world.metrics.closed == ["slow_reader"])
            await until(lambda: gateway.server.connections == 0)

            stalled.writer.transport.abort()
            assert (await gateway.request("GET", target)).status == 200

    async def test_one_that_reads_late_gets_everything(self):
        async with running() as gateway:
            client = await gateway.connect()
            asked = 100
            sending = asyncio.create_task(client.send(request_bytes("GET", "/v1/openapi.json") * asked))
            await until(lambda: any(c.writing_paused for c in gateway.server.open_connections()))

            assert await statuses(client, asked) == [200] * asked
            await sending
            assert gateway.world.metrics.closed == []


async def not_reading(port: int) -> RawClient:
    """Connect with little room in the kernel, and read nothing."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(0)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=1024)
    writer.transport.pause_reading()
    return RawClient(reader, writer)
