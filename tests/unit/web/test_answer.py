"""The bytes of an answer."""

from __future__ import annotations

import pytest

from gateway.api.edge import accepted_hosts
from gateway.base.clock import Millis
from gateway.web.answer import SHARED_BYTES, AnswerWriter
from gateway.web.exchange import Reply

WRITER = AnswerWriter(secure=False, version="1")


def render(reply: Reply, **changes: object) -> bytes:
    values = {"request_id": "req_1", "now": Millis(0), "connection": None, **changes}
    return b"".join(WRITER.render(reply, **values))


def test_an_answer_is_head_and_body():
    assert render(Reply(status=200, body=b"{}", headers=(("A", "b"),)), connection="close", extra=[("C", "d")]) == (
        b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nX-Content-Type-Options: nosniff\r\n"
        b"Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\n"
        b"Gateway-Version: 1\r\nRequest-Id: req_1\r\nCache-Control: no-store\r\nConnection: close\r\nA: b\r\nC: d\r\n"
        b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )


def test_a_large_body_is_not_copied():
    body = bytes(SHARED_BYTES)

    _head, shared = WRITER.render(Reply(status=200, body=body), request_id="req_1", now=Millis(0), connection=None)

    assert shared is body


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x", "a\n", "\x00", "名", "\x7f"])
def test_a_value_that_could_split_the_answer_is_refused(value):
    with pytest.raises(ValueError, match="unsafe"):
        render(Reply(status=200, body=b""), extra=[("X", value)])


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_content_say_nothing_about_it(status):
    wire = render(Reply(status=status, body=b""))

    assert b"Content-" not in wire.replace(b"X-Content-Type", b"").replace(b"Content-Security", b"")


def test_the_answer_to_head_says_how_long_the_body_would_be():
    wire = render(Reply(status=200, body=b"12345"), head_only=True)

    assert wire.endswith(b"Content-Length: 5\r\n\r\n")


def test_the_date_moves_with_the_second():
    assert b"00:00:01 GMT" in render(Reply(status=200, body=b""), now=Millis(1999))
    assert b"00:00:02 GMT" in render(Reply(status=200, body=b""), now=Millis(2000))


@pytest.mark.parametrize(
    ("issuer", "hosts"),
    [
        ("https://gateway.example", {"gateway.example", "gateway.example:443"}),
        ("https://gateway.example:8443", {"gateway.example:8443"}),
        ("http://127.0.0.1:8000", {"127.0.0.1:8000"}),
        ("http://[::1]:8000", {"[::1]:8000"}),
        ("https://Gateway.Example/base", {"gateway.example", "gateway.example:443"}),
    ],
)
def test_the_hosts_of_an_issuer(issuer, hosts):
    assert accepted_hosts(issuer) == hosts
