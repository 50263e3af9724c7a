"""Where a segment ends: a wrong guess would let a stranger's bytes be read from another place than the parser's."""

from __future__ import annotations

from types import SimpleNamespace

from hypothesis import assume, example, given
from hypothesis import strategies as st

from gateway.web.reading import ends_with_body

BYTES = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"a", b"GET "]), max_size=14).map(b"".join)
HEADS = st.sampled_from([b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"POST /b HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n"])


def body_of(size: int, *, eof: bool = True) -> SimpleNamespace:
    return SimpleNamespace(total_bytes=size, is_eof=lambda: eof)


@given(HEADS, BYTES, BYTES)
@example(b"GET / HTTP/1.1\r\n\r\n", b"", b"\r\n\r\n")
@example(b"GET / HTTP/1.1\r\n\r\n", b"\r\n\r\n", b"GET ")
@example(b"GET / HTTP/1.1\r\n\r\n", b"a", b"\r\n\r\na")
@example(b"GET / HTTP/1.1\r\n\r\n", b"a\r\n", b"\r\naaa")
def test_a_segment_with_more_than_its_request_never_seems_to_end_with_it(head, body, more):
    """Whatever follows, as long as it is not a whole request: of two, one knows without this."""
    assume(more)
    assume(b"\r\n\r\n" not in more.lstrip(b"\r\n"))

    assert not ends_with_body(head + body + more, body_of(len(body)))


@given(HEADS, st.binary(max_size=200).filter(lambda body: b"\r\n\r\n" not in body and not body.startswith(b"\r\n")))
def test_a_request_alone_does(head, body):
    assert ends_with_body(head + body, body_of(len(body)))
    assert not ends_with_body(head + body, body_of(len(body), eof=False))
