"""The server around every request: limits, errors, headers, deadlines, and the drain."""

from __future__ import annotations

import asyncio
import re

import pytest

from gateway.base.errors import ErrorKind
from gateway.web.limits import HttpLimits
from gateway.web.server import UnfitParser, check_parser
from tests.fakes.use_cases import GOOD_BODY, HOST, World, request_bytes, running, until

STATUS = "/v1/status"


async def test_every_answer_carries_the_security_header_fields_and_no_server_field():
    async with running() as gateway:
        answer = await gateway.request("GET", STATUS)

        assert answer.header("X-Content-Type-Options") == "nosniff"
        assert answer.header("Content-Security-Policy") == "default-src 'none'; frame-ancestors 'none'"
        assert answer.header("Referrer-Policy") == "no-referrer"
        assert answer.header("Strict-Transport-Security") == "max-age=31536000; includeSubDomains"
        assert answer.header("Cache-Control") == "no-store"
        assert answer.header("Date") == "Sun, 22 Nov 2026 08:00:00 GMT"
        assert answer.header("Gateway-Version") == "0.1.0"
        assert re.fullmatch("req_[0-9A-Z]{26}", answer.header("Request-Id") or "")
        assert answer.header("Server") is None


async def test_an_issuer_on_plain_http_promises_no_https():
    async with running(World(issuer="http://127.0.0.1:8000")) as gateway:
        answer = await gateway.raw(b"GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n")

        assert (answer.status, answer.header("Strict-Transport-Security")) == (200, None)


@pytest.mark.parametrize(
    ("wire", "status", "code"),
    [
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "uri_too_long"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nDPoP: " + b"a" * 9000 + b"\r\n\r\n", 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 70 + b"\r\n", 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a" * 2_000_000, 431, "headers_too_large"),
    ],
)
async def test_c37_oversized_heads_are_refused_in_the_uniform_form(wire, status, code):
    """The answer arrives although the client is still sending when it is refused."""
    async with running() as gateway:
        client = await gateway.connect()
        sending = asyncio.create_task(_send_ignoring_reset(client, wire))

        answer = await client.receive()
        await sending

        assert (answer.status, answer.json["code"]) == (status, code)
        assert answer.header("Connection") == "close"


async def _send_ignoring_reset(client, wire):
    try:
        await client.send(wire)
    except ConnectionError:
        return


async def test_an_unknown_path_is_a_problem_document():
    async with running() as gateway:
        answer = await gateway.request("GET", "/nowhere?x=1", [("Accept-Language", "en")])

        assert answer.json == {
            "type": "https://gateway.example/docs/errors/not_found",
            "title": "Not found",
            "status": 404,
            "code": "not_found",
            "detail": "There is no such resource, or it is not yours.",
            "instance": "/nowhere",
            "request_id": answer.header("Request-Id"),
            "retryable": False,
            "docs": "/docs/errors/not_found",
        }
        assert (answer.header("Content-Language"), answer.header("Vary")) == ("en", "Accept-Language")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/verifications", "POST"),
        ("DELETE", "/v1/status", "GET, HEAD"),
        ("POST", "/v1/log/tile/0/000", "GET, HEAD"),
        ("TRACE", "/v1/status", "GET, HEAD"),
        ("OPTIONS", "/oauth2/token", "POST"),
        ("PROPFIND", "/", "GET, HEAD"),
    ],
)
async def test_another_method_is_refused_with_the_list_of_those_allowed(method, path, allow):
    async with running() as gateway:
        answer = await gateway.request(method, path)

        assert (answer.status, answer.header("Allow")) == (405, allow)


async def test_head_is_get_without_the_body():
    async with running() as gateway:
        client = await gateway.connect()
        await client.send(request_bytes("GET", STATUS))
        got = await client.receive()
        await client.send(request_bytes("HEAD", STATUS))
        headed = await client.receive(head_only=True)
        await client.send(request_bytes("GET", STATUS))

        assert (headed.status, headed.header("Content-Length")) == (200, got.header("Content-Length"))
        assert (await client.receive()).body == got.body


async def test_a_connection_is_kept_for_the_next_request_and_closed_when_asked():
    async with running() as gateway:
        client = await gateway.connect()
        for _ in range(3):
            await client.send(request_bytes("GET", STATUS))
            assert (await client.receive()).header("Connection") is None
        await client.send(request_bytes("GET", STATUS, [("Connection", "close")]))

        assert (await client.receive()).header("Connection") == "close"
        assert await client.rest() == b""


async def test_answers_of_one_connection_keep_their_order_when_the_last_one_closes_it():
    """The first leaves at the end of its turn, the last at once."""
    async with running() as gateway:
        client = await gateway.connect()
        kept, last = request_bytes("GET", STATUS), request_bytes("GET", "/nowhere", [("Connection", "close")])

        await client.send(kept + kept + last)

        assert [(await client.receive()).status for _ in range(3)] == [200, 200, 404]
        assert await client.rest() == b""


async def test_a_client_that_asks_without_waiting_gets_every_answer():
    async with running() as gateway:
        client = await gateway.connect()
        asked = 4000

        sending = asyncio.create_task(client.send(request_bytes("GET", STATUS) * asked))
        answers = [await client.receive() for _ in range(asked)]
        await sending

        assert {answer.status for answer in answers} == {200}
        assert len({answer.header("Request-Id") for answer in answers}) == asked


async def test_http_1_0_with_keep_alive_is_understood():
    async with running() as gateway:
        client = await gateway.connect()
        wire = f"GET {STATUS} HTTP/1.0\r\nHost: {HOST}\r\nConnection: keep-alive\r\n\r\n".encode()
        for _ in range(2):
            await client.send(wire)
            assert (await client.receive()).header("Connection") == "keep-alive"


async def test_a_body_in_chunks_is_read_like_any_other():
    async with running() as gateway:
        client = await gateway.connect()
        headers = [
            *gateway.world.credentials("/v1/verifications"),
            ("Content-Type", "application/json"),
            ("Transfer-Encoding", "chunked"),
        ]
        await client.send(request_bytes("POST", "/v1/verifications", headers))
        half = len(GOOD_BODY) // 2
        for part in (GOOD_BODY[:half], GOOD_BODY[half:], b""):
            await client.send(b"%x\r\n%b\r\n" % (len(part), part))

        assert (await client.receive()).status == 200


async def test_a_body_whose_framing_breaks_is_refused_at_once():
    """Aiohttp alone would leave the handler waiting for the rest until its deadline."""
    async with running() as gateway:
        client = await gateway.connect()
        headers = [
            *gateway.world.credentials("/v1/verifications"),
            ("Content-Type", "application/json"),
            ("Transfer-Encoding", "chunked"),
        ]
        await client.send(request_bytes("POST", "/v1/verifications", headers) + b"5\r\nhello\r\n")
        await until(lambda: gateway.server.in_flight > 0)
        await client.send(b"zz\r\n")

        answer = await client.receive()

        assert (answer.status, answer.json["code"]) == (400, "malformed_request")
        assert answer.header("Connection") == "close"


async def test_a_client_that_expects_to_be_asked_is_asked_for_its_body():
    async with running() as gateway:
        client = await gateway.connect()
        headers = [
            *gateway.world.credentials("/v1/verifications"),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(GOOD_BODY))),
            ("Expect", "100-continue"),
        ]
        await client.send(request_bytes("POST", "/v1/verifications", headers))
        async with asyncio.timeout(5):
            assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(GOOD_BODY)

        assert (await client.receive()).status == 200


async def test_a_client_that_expects_to_be_asked_is_refused_without_its_body():
    async with running() as gateway:
        headers = [("Content-Type", "application/json"), ("Content-Length", "100"), ("Expect", "100-continue")]
        answer = await gateway.raw(request_bytes("POST", "/v1/verifications", headers))

        assert (answer.status, answer.header("Connection")) == (401, "close")


async def test_an_unknown_exception_gives_one_constant_sentence_and_an_error_line():
    async with running(World()) as gateway:
        gateway.world.verify.error = RuntimeError("secret of 张三 919900000000000192")
        answer = await gateway.verify()
        gateway.world.verify.error = None

        assert (answer.status, answer.json["code"]) == (500, "internal_error")
        assert answer.json["detail"] == "网关内部错误，已记录。"
        assert "secret" not in answer.body.decode()
        [fields] = [fields for event, fields in gateway.world.log.lines if event == "request_crashed"]
        assert fields["request_id"] == answer.header("Request-Id")
        [(_call, refusal, status, purpose)] = gateway.world.ledger.written
        assert (refusal.kind, status, purpose) == (ErrorKind.INTERNAL, 500, "onboarding")
        assert (await gateway.verify()).status == 200


async def test_a_handler_over_its_deadline_is_answered_503():
    async with running(World(deadline_s=0.05)) as gateway:
        gateway.world.verify.gate = asyncio.Event()

        answer = await gateway.verify()

        assert (answer.status, answer.json["code"], answer.header("Retry-After")) == (503, "overloaded", "1")
        assert answer.json["retryable"] is True


async def test_more_requests_than_may_be_in_flight_are_refused_at_once():
    async with running(World(max_in_flight=1)) as gateway:
        gateway.world.verify.gate = asyncio.Event()
        first = asyncio.create_task(gateway.verify())
        await gateway.world.verify.entered.wait()

        refused = await gateway.request("GET", STATUS)
        gateway.world.verify.gate.set()

        assert (refused.status, refused.json["code"], refused.header("Retry-After")) == (503, "overloaded", "1")
        assert (await first).status == 200


async def test_a_client_that_leaves_does_not_cancel_the_use_case():
    async with running() as gateway:
        world = gateway.world
        world.verify.gate = asyncio.Event()
        client = await gateway.connect()
        headers = [*world.credentials("/v1/verifications"), ("Content-Type", "application/json")]
        await client.send(request_bytes("POST", "/v1/verifications", headers, GOOD_BODY))
        await world.verify.entered.wait()
        client.reset()
        await until(lambda: gateway.server.connections == 0)
        world.verify.gate.set()
        await until(lambda: gateway.server.in_flight == 0)

        assert len(world.verify.finished) == 1


async def test_one_line_for_each_request_with_nothing_of_the_subject_in_it():
    async with running() as gateway:
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        answer = await gateway.verify(headers=[("traceparent", trace)])
        await gateway.request("GET", "/v1/nowhere/919900000000000192", [("traceparent", "junk")])

        [(event, fields), (_, missed)] = gateway.world.log.lines
        assert event == "request_served"
        assert isinstance(fields.pop("ms"), float)
        assert fields == {
            "route": "/v1/verifications",
            "method": "POST",
            "status": 200,
            "request_id": answer.header("Request-Id"),
            "partner_id": "prt_01K9Z3N4P5Q6R7S8T9V0W1X2Y3",
            "outcome": "clear",
            "trace_id": "0af7651916cd43dd8448eb211c80319c",
        }
        assert (missed["route"], missed["code"], missed["reason"]) == ("unmatched", "not_found", "no_such_path")
        assert "919900000000000192" not in str(gateway.world.log.lines)


async def test_requests_are_counted_by_template_and_outcome():
    async with running() as gateway:
        await gateway.verify()
        await gateway.request("GET", "/v1/verifications/x")
        await gateway.raw(b"nonsense\r\n\r\n")
        metrics = gateway.world.metrics

        assert metrics.finished == [
            ("/v1/verifications", "POST", 200),
            ("/v1/verifications/{id}", "GET", 401),
            ("unparsed", "UNKNOWN", 400),
        ]
        assert metrics.answers == [("onboarding", "clear")]
        assert metrics.refusals == ["unauthenticated", "malformed_request"]
        assert metrics.in_flight == 0


class TestDrain:
    """A server that is told to stop fails no request."""

    async def test_what_is_in_flight_is_completed_and_says_close(self):
        async with running() as gateway:
            gateway.world.verify.gate = asyncio.Event()
            asking = asyncio.create_task(gateway.verify())
            await gateway.world.verify.entered.wait()
            draining = asyncio.create_task(gateway.server.drain(grace_s=10, finish_s=10))
            await until(lambda: not gateway.server.is_listening)
            gateway.world.verify.gate.set()

            answer = await asking

            assert (answer.status, answer.header("Connection")) == (200, "close")
            await draining

    async def test_a_kept_connection_is_served_once_more_and_told_to_close(self):
        async with running() as gateway:
            client = await gateway.connect()
            await client.send(request_bytes("GET", STATUS))
            await client.receive()
            draining = asyncio.create_task(gateway.server.drain(grace_s=10, finish_s=10))
            await until(lambda: not gateway.server.is_listening)

            await client.send(request_bytes("GET", STATUS))
            answer = await client.receive()

            assert (answer.status, answer.header("Connection")) == (200, "close")
            assert await client.rest() == b""
            await draining

    async def test_it_ends_at_once_when_nothing_is_connected(self):
        async with running() as gateway, asyncio.timeout(5):
            await gateway.server.drain(grace_s=60, finish_s=60)

    async def test_idle_connections_are_closed_after_the_grace(self):
        async with running() as gateway:
            client = await gateway.connect()
            await client.send(request_bytes("GET", STATUS))
            await client.receive()

            await gateway.server.drain(grace_s=0.01, finish_s=1)

            assert await client.rest() == b""

    async def test_a_connection_waiting_in_the_accept_queue_is_served(self):
        """Connected before the drain began, though the server has not yet seen it."""
        async with running() as gateway:
            connecting = [asyncio.create_task(gateway.request("GET", STATUS)) for _ in range(20)]
            await asyncio.gather(*(gateway.connect() for _ in range(5)))
            draining = asyncio.create_task(gateway.server.drain(grace_s=0.2, finish_s=5))

            assert [answer.status for answer in await asyncio.gather(*connecting)] == [200] * 20
            await draining


@pytest.mark.parametrize("installed", ["3.14.4", "3.14.5", "3.15.0", "4.0.0"])
def test_a_parser_without_known_faults_passes(installed):
    check_parser(installed)


@pytest.mark.parametrize("installed", ["3.14.3", "3.9.0", "2.3.10"])
def test_a_parser_with_known_faults_is_refused(installed):
    with pytest.raises(UnfitParser):
        check_parser(installed)


async def test_limits_of_line_and_field_must_differ():
    with pytest.raises(ValueError, match="differ"):
        HttpLimits(max_line_bytes=8190, max_field_bytes=8190)
