"""Table G of the security design: what an HTTP stack does with bad input, row by row, over a raw socket.

After every case the next valid request must work, no use case was reached, and nothing answered 500.
"""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest

from gateway.web.limits import HttpLimits
from tests.fakes.use_cases import GOOD_BODY, HOST, Loopback, RawAnswer, World, request_bytes, running

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
async def gateway() -> AsyncIterator[Loopback]:
    async with running(World()) as loopback:
        yield loopback
        answered = [status for _route, _method, status in loopback.world.metrics.finished]
        assert [status for status in answered if status >= 500] == []
        assert not any(event == "request_crashed" for event, _ in loopback.world.log.lines)
        assert loopback.world.verify.asked == []
        assert (await loopback.verify()).status == 200


def assert_problem(answer: RawAnswer, status: int, code: str) -> None:
    """Every refusal outside the token endpoint has one form."""
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.header("Content-Type") == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.header("Request-Id") == answer.json["request_id"]
    assert answer.header("Server") is None


def assert_oauth_error(answer: RawAnswer, status: int) -> None:
    """A token request's faults are 400 (RFC 6749 section 5.2), whatever an ordinary resource would say."""
    assert (answer.status, answer.json["error"]) == (status, "invalid_request")
    assert answer.header("Content-Type") == "application/json"
    assert answer.header("Cache-Control") == "no-store"


async def test_g01_form_with_an_unknown_charset(gateway: Loopback) -> None:
    assert_oauth_error(await gateway.token(b"grant_type=client_credentials", f"{FORM}; charset=foo"), 400)


@pytest.mark.parametrize("body", [b"grant_type=\xff", b"\xff\xfe=1", "scope=权限".encode()])
async def test_g02_form_with_raw_bytes(gateway: Loopback, body: bytes) -> None:
    assert_oauth_error(await gateway.token(body), 400)


@pytest.mark.parametrize(
    "body", [b"scope=%ff", b"scope=%zz", b"scope=%00", b"scope=%", b"sc%0", b"scope=a b", b"a=\x00"]
)
async def test_g03_form_with_bad_percent_encoding(gateway: Loopback, body: bytes) -> None:
    assert_oauth_error(await gateway.token(body), 400)


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/form-data; boundary=x", "application/json", "text/plain", ""]
)
async def test_g04_multipart_without_boundary(gateway: Loopback, kind: str) -> None:
    assert_oauth_error(await gateway.token(b"grant_type=client_credentials", kind), 400)


@pytest.mark.parametrize(
    "body", [b"\xff\xfe{\x00}\x00", b'{"purpose":"\xff"}', b"\xef\xbb\xbf{}", "{}".encode("utf-16")]
)
async def test_g05_json_that_is_not_utf8(gateway: Loopback, body: bytes) -> None:
    assert_problem(await gateway.verify(body), 400, "malformed_json")


@pytest.mark.parametrize(
    "kind",
    [
        "application/json; charset=foo",
        "application/json; charset=utf-16",
        "application/json; x=y",
        "text/json",
        "application/jsonp",
    ],
)
async def test_g06_json_with_an_unknown_charset(gateway: Loopback, kind: str) -> None:
    assert_problem(await gateway.verify(GOOD_BODY, [("Content-Type", kind)]), 415, "unsupported_media_type")


@pytest.mark.parametrize("body", [b"[" * 50_000, b'{"a":' * 10_000, b"[" * 17 + b"]" * 17])
async def test_g07_json_nested_deeply(gateway: Loopback, body: bytes) -> None:
    assert_problem(await gateway.verify(body), 400, "malformed_json")


async def test_g08_json_with_a_huge_integer(gateway: Loopback) -> None:
    assert_problem(await gateway.verify(b'{"purpose":' + b"9" * 5000 + b"}"), 400, "malformed_json")


@pytest.mark.parametrize(
    "body",
    [
        b'{"purpose":"risk","purpose":"risk"}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":"\\ud800"}',
        b'{"a":1.5}',
        b"",
        b"{",
    ],
)
async def test_g09_json_that_lenient_readers_take(gateway: Loopback, body: bytes) -> None:
    assert_problem(await gateway.verify(body), 400, "malformed_json")


@pytest.mark.parametrize("body", [b"junk", gzip.compress(GOOD_BODY)[:-9], gzip.compress(GOOD_BODY) + b"x", b""])
async def test_g10_gzip_with_junk(gateway: Loopback, body: bytes) -> None:
    assert_problem(await gateway.verify(body, [("Content-Encoding", "gzip")]), 400, "malformed_request")


async def test_g11_gzip_bomb(gateway: Loopback) -> None:
    """200 MB would need 194 kB of gzip; here 30 MB in 30 kB, of which only 64 kB are ever inflated."""
    bomb = gzip.compress(bytes(30_000_000))

    assert_problem(await gateway.verify(bomb, [("Content-Encoding", "gzip")]), 413, "body_too_large")


@pytest.mark.parametrize("host", ["a:99999", f"{HOST}:99999", f"{HOST}:", ":443", "[::1", ""])
async def test_g12_host_with_an_impossible_port(gateway: Loopback, host: str) -> None:
    answer = await gateway.raw(f"GET /v1/status HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert_problem(answer, 400, "malformed_request")


@pytest.mark.parametrize("host", ["a b@c/d?e", f"user@{HOST}", f"{HOST}/x", f"{HOST}, evil.example", "\xe9vil"])
async def test_g13_host_that_is_no_host(gateway: Loopback, host: str) -> None:
    answer = await gateway.raw(f"GET /v1/status HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1"))
    assert_problem(answer, 400, "malformed_request")


@pytest.mark.parametrize("host", ["evil.example", f"{HOST}.evil.example", f"{HOST}:8080", "127.0.0.1", "[::1]:443"])
async def test_g13_host_of_somebody_else(gateway: Loopback, host: str) -> None:
    answer = await gateway.raw(f"GET /v1/status HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert_problem(answer, 421, "misdirected_request")


@pytest.mark.parametrize("host", [HOST, f"{HOST}:443", HOST.upper()])
async def test_g13_host_of_ours_in_every_spelling(gateway: Loopback, host: str) -> None:
    answer = await gateway.raw(f"GET /v1/status HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert answer.status == 200


@pytest.mark.parametrize(
    "target",
    [
        "http://a:99999/",
        "http://[::1/",
        "evil:80",
        "*",
        "http:///x",
        "http://?x",
        f"https://user@{HOST}/v1/status",
        f"https://{HOST}:/v1/status",
        f"https:/{HOST}/v1/status",
        f"https:{HOST}/v1/status",
        f"://{HOST}/v1/status",
        f"//{HOST}@",
        "x" * 40 + f"://{HOST}/v1/status",
    ],
)
async def test_g14_a_target_in_no_form_that_we_serve(gateway: Loopback, target: str) -> None:
    answer = await gateway.raw(f"GET {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    assert (answer.status, answer.json["code"]) in {(400, "malformed_request"), (404, "not_found")}
    assert (answer.status == 404) == target.startswith("/")


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.example/v1/status",
        f"http://{HOST}/v1/status",
        f"https://{HOST}:8443/v1/status",
        f"https://{HOST}.evil.example/v1/status",
        "https://127.0.0.1/v1/status",
        "ftp://x/y",
    ],
)
async def test_g14_an_absolute_target_of_somebody_else(gateway: Loopback, target: str) -> None:
    """Another scheme or host than ours is another resource, even when ``Host`` says ours (RFC 9112 section 3.2.2, RFC 9110 7.4)."""
    answer = await gateway.raw(f"GET {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    assert_problem(answer, 421, "misdirected_request")


@pytest.mark.parametrize("host", [HOST, "evil.example"])
@pytest.mark.parametrize("origin", [f"https://{HOST}", f"HTTPS://{HOST.upper()}", f"https://{HOST}:443"])
@pytest.mark.parametrize(
    ("rest", "status"),
    [("/v1/status", 200), ("/v1/status?x=/a", 200), ("", 200), ("?x", 200), ("/nowhere", 404), ("//v1/status", 404)],
)
async def test_g14_an_absolute_target_of_ours(
    gateway: Loopback, origin: str, rest: str, status: int, host: str
) -> None:
    """A server must take it and ignore ``Host`` (RFC 9112 section 3.2.2)."""
    answer = await gateway.raw(f"GET {origin}{rest} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert answer.status == status


@pytest.mark.parametrize("host", ["a b", "a:99999", f"{HOST}, {HOST}", ""])
async def test_g14_an_absolute_target_with_a_host_that_is_none(gateway: Loopback, host: str) -> None:
    answer = await gateway.raw(f"GET https://{HOST}/v1/status HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert_problem(answer, 400, "malformed_request")


async def test_g14_c22_a_proof_is_for_the_address_that_an_absolute_target_names(gateway: Loopback) -> None:
    """What authenticates there is what authenticates at the path, and the query is found too."""
    path = "/v1/verifications/x"

    answers = [
        await gateway.request("GET", f"https://{HOST}{target}", gateway.world.credentials(path, method="GET"))
        for target in (path, f"{path}?y", "/v1/status2", f"{path}?access_token=z", f"{path}/receipt")
    ]

    assert [(answer.status, answer.json["code"]) for answer in answers] == [
        (404, "not_found"),
        (404, "not_found"),
        (404, "not_found"),
        (400, "invalid_request"),
        (401, "invalid_dpop_proof"),
    ]


async def test_g14_a_token_from_an_absolute_target(gateway: Loopback) -> None:
    headers = [("DPoP", gateway.world.proof("/oauth2/token", None)), ("Content-Type", FORM)]
    body = urlencode(gateway.world.form()).encode()

    granted = await gateway.request("POST", f"https://{HOST}/oauth2/token", headers, body)
    queried = await gateway.request("POST", f"https://{HOST}/oauth2/token?", headers, body)

    assert (granted.status, queried.status) == (200, 400)


@pytest.mark.parametrize("method", ["CONNECT", "OPTIONS"])
async def test_g14_targets_of_other_methods(gateway: Loopback, method: str) -> None:
    target = "evil.example:443" if method == "CONNECT" else "*"
    answer = await gateway.raw(f"{method} {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    assert_problem(answer, 400, "malformed_request")


@pytest.mark.parametrize(
    "field", [b"User-Agent: \xff", "X-Name: 名".encode(), b"Idempotency-Key: \xc3\xa9", b"DPoP: \x80"]
)
async def test_g15_header_bytes_beyond_ascii(gateway: Loopback, field: bytes) -> None:
    answer = await gateway.raw(b"GET /v1/status HTTP/1.1\r\nHost: " + HOST.encode() + b"\r\n" + field + b"\r\n\r\n")
    assert_problem(answer, 400, "malformed_request")


@pytest.mark.parametrize(
    ("wire", "scheme"),
    [
        (f"POST /v1/verifications HTTP/1.1\r\nHost: {HOST}\r\nX-Name: \xe9\r\nContent-Length: 0\r\n\r\n", "DPoP"),
        ("GET /v1/verifications/x HTTP/1.1\r\nHost: a b\r\n\r\n", "DPoP"),
        ("GET /v1/verifications/x/receipt HTTP/1.1\r\nHost: a:99999\r\n\r\n", "DPoP"),
        (f"GET https://{HOST}/v1/verifications/x HTTP/1.1\r\nHost: a b\r\n\r\n", "DPoP"),
        ("GET /v1/status HTTP/1.1\r\nHost: a b\r\n\r\n", None),
        (f"GET /v1/log/proofs/inclusion?index=x HTTP/1.1\r\nHost: {HOST}\r\n\r\n", None),
        ("GET /nowhere HTTP/1.1\r\nHost: a b\r\n\r\n", None),
    ],
)
async def test_a_400_of_a_protected_resource_has_a_challenge(gateway: Loopback, wire: str, scheme: str | None) -> None:
    """Also where no handler was reached; what is open to everybody asks for no token."""
    answer = await gateway.raw(wire.encode("latin-1"))

    assert answer.status == 400
    expected = None if scheme is None else f'{scheme} error="invalid_request", algs="ES256 PS256 EdDSA"'
    assert answer.header("WWW-Authenticate") == expected


@pytest.mark.parametrize("member", ["business_ref", "name", "uscc"])
@pytest.mark.parametrize("character", ["\\u0000", "\\u001b", "\\n", "\\u0085"])
async def test_g16_nul_and_controls_in_strings(gateway: Loopback, member: str, character: str) -> None:
    good = GOOD_BODY.decode().replace('"uscc":', '"name":"x","uscc":')
    old = {"business_ref": '"C-1', "name": '"x', "uscc": '"919900000000000192'}[member]

    answer = await gateway.verify(good.replace(old, old + character).encode())

    assert (answer.status, answer.json["code"]) == (422, "validation_failed")


@pytest.mark.parametrize(
    "wire",
    [
        b"POST /oauth2/token HTTP/1.1\r\nHost: H\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /oauth2/token HTTP/1.1\r\nHost: H\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /oauth2/token HTTP/1.1\r\nHost: H\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"POST /oauth2/token HTTP/1.1\r\nHost: H\r\nContent-Length: +3\r\n\r\nabc",
        b"POST /oauth2/token HTTP/1.1\r\nHost: H\r\nContent-Length: 3, 3\r\n\r\nabc",
        b"POST /oauth2/token HTTP/1.1\r\nHost: H\r\nContent-Length: 99999999999999999999999\r\n\r\nabc",
        b"POST /oauth2/token HTTP/1.1\r\nHost: H\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\nHost: H\r\nX-A: b\r\n c\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\nHost: H\r\nX-A: b\x00c\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\nHost: H\r\nX A: b\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\nHost : H\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\n\r\n",
        b"GET /v1/status HTTP/1.0\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\nHost: H\r\nHost: H\r\n\r\n",
        b"get /v1/status HTTP/1.1\r\nHost: H\r\n\r\n",
        b"FOO<script> /v1/status HTTP/1.1\r\nHost: H\r\n\r\n",
        b"GET /v1/status HTTP/9.9\r\nHost: H\r\n\r\n",
        b"GET /v1/ status HTTP/1.1\r\nHost: H\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03secret-echo",
        b"\r\n\r\n\r\nsecret-echo\r\n\r\n",
        b"GET /v1/status\r\n\r\n",
    ],
)
async def test_g17_what_the_parser_refuses(gateway: Loopback, wire: bytes) -> None:
    """One form of refusal, no byte of the input in it, and the connection is closed."""
    client = await gateway.connect()
    await client.send(wire.replace(b"H\r\n", HOST.encode() + b"\r\n"))

    answer = await client.receive()

    assert_problem(answer, 400, "malformed_request")
    for word in (b"script", b"secret-echo", b"X-A", b"FOO", b"get "):
        assert word not in answer.body
    assert answer.header("Connection") == "close"
    assert await client.rest() == b""


async def test_g18_body_of_two_megabytes(gateway: Loopback) -> None:
    assert_problem(await gateway.verify(b" " * 2_000_000), 413, "body_too_large")


async def test_g18_body_of_two_megabytes_in_chunks(gateway: Loopback) -> None:
    client = await gateway.connect()
    headers = [
        *gateway.world.credentials("/v1/verifications"),
        ("Content-Type", "application/json"),
        ("Transfer-Encoding", "chunked"),
    ]
    await client.send(
        request_bytes("POST", "/v1/verifications", headers)
        + b"10000\r\n"
        + b" " * 65_536
        + b"\r\n10000\r\n"
        + b" " * 65_536
    )

    assert_problem(await client.receive(), 413, "body_too_large")


async def test_g18_form_of_sixty_thousand_fields(gateway: Loopback) -> None:
    assert_oauth_error(await gateway.token(b"a=1&" * 60_000), 400)


async def test_g18_small_form_with_too_many_fields(gateway: Loopback) -> None:
    assert_oauth_error(await gateway.token(b"a=1&" * 60), 400)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/%2e%2e/v1/status",
        "/v1%2Fstatus",
        "/v1/status%00",
        "/v1/status%ff",
        "/v1/../v1/status",
        "/v1//status",
        "/V1/status",
        "/v1/status/",
        "//v1/status",
    ],
)
async def test_g19_paths_in_other_spellings(gateway: Loopback, path: str) -> None:
    assert_problem(await gateway.request("GET", path), 404, "not_found")


@pytest.mark.parametrize("path", [b"/v1/status\xff", b"/v1/\xe4\xb8\xad", b"/v1/status?\xff"])
async def test_g19_paths_with_raw_bytes(gateway: Loopback, path: bytes) -> None:
    answer = await gateway.raw(b"GET " + path + b" HTTP/1.1\r\nHost: " + HOST.encode() + b"\r\n\r\n")
    assert_problem(answer, 400, "malformed_request")


@pytest.mark.parametrize("coding", ["br", "deflate", "zstd", "gzip, gzip", "x", ""])
async def test_g20_unknown_content_encoding(gateway: Loopback, coding: str) -> None:
    assert_problem(await gateway.verify(GOOD_BODY, [("Content-Encoding", coding)]), 415, "unsupported_media_type")


SLOW = HttpLimits(receive_s=0.05, keepalive_s=0.05, linger_s=0.2)


@pytest.mark.parametrize(
    "beginning", [b"G", b"GET /v1/status HTTP/1.1\r\n", b"GET /v1/status HTTP/1.1\r\nHost: x\r\nX-Slow:"]
)
async def test_g21_slow_headers_end_with_408(beginning: bytes) -> None:
    """Trickling bytes do not move the deadline: it counts from the first byte of a head."""
    async with running(World(), HttpLimits(receive_s=0.05)) as gateway:
        client = await gateway.connect()
        await client.send(beginning)

        assert_problem(await client.receive(), 408, "request_timeout")
        assert await client.rest() == b""
        assert (await gateway.verify()).status == 200


async def test_g21_slow_headers_after_an_answer_end_with_408() -> None:
    async with running(World(), HttpLimits(receive_s=0.05)) as gateway:
        client = await gateway.connect()
        await client.send(request_bytes("GET", "/v1/status"))
        assert (await client.receive()).status == 200
        await client.send(b"GET /v1/st")

        assert_problem(await client.receive(), 408, "request_timeout")
        assert await client.rest() == b""


@pytest.mark.parametrize(
    "world", [World(receive_s=0.05), World(deadline_s=0.05)], ids=["its own deadline", "the whole deadline"]
)
async def test_g21_slow_body_ends_with_408(world: World) -> None:
    async with running(world, SLOW) as gateway:
        client = await gateway.connect()
        headers = [
            *gateway.world.credentials("/v1/verifications"),
            ("Content-Type", "application/json"),
            ("Content-Length", "100"),
        ]
        await client.send(request_bytes("POST", "/v1/verifications", headers) + b"{")

        assert_problem(await client.receive(), 408, "request_timeout")
        assert await client.rest() == b""


async def test_g21_a_hundred_idle_connections_are_closed() -> None:
    async with running(World(), SLOW) as gateway:
        clients = [await gateway.connect() for _ in range(100)]

        assert [await client.rest() for client in clients] == [b""] * 100


async def test_g21_an_idle_connection_is_closed_after_its_answer() -> None:
    async with running(World(), SLOW) as gateway:
        client = await gateway.connect()
        await client.send(request_bytes("GET", "/v1/status"))
        assert (await client.receive()).status == 200

        assert await client.rest() == b""


async def test_g21_pipelined_requests_are_answered_in_order(gateway: Loopback) -> None:
    client = await gateway.connect()
    await client.send(b"".join(request_bytes("GET", path) for path in ["/v1/status", "/nowhere", "/v1/status"] * 20))

    assert [(await client.receive()).status for _ in range(60)] == [200, 404, 200] * 20
