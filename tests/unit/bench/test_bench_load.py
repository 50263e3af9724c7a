"""The load generator, against a server of one thread on loopback."""

import contextlib
import re
import socket
import threading

import pytest

from bench.corpus import Prepared
from bench.load import SAMPLE_EVERY, Generator, LoadFailed

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"a":"bcd"}'
REFUSED = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n"


@contextlib.contextmanager
def server_of(answer):
    """Accept connections on loopback and give each to ``answer`` in a thread of its own."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


@contextlib.contextmanager
def server_that_answers(*pieces, keep=True):
    """Serve connections one after the other, each request with the same pieces, sent one at a time."""

    def answer(connection):
        with connection, contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while connection.recv(65536):
                for piece in pieces:
                    connection.sendall(piece)
                if not keep:
                    return

    with server_of(answer) as address:
        yield address


def server_that_resets():
    """Wait for each request to have arrived, and close without having read it."""

    def close_unread(connection):
        with connection:
            connection.recv(1, socket.MSG_PEEK)

    return server_of(close_unread)


def requests(count):
    return [Prepared(wire=b"GET / HTTP/1.1\r\n\r\n", code=str(number)) for number in range(count)]


def run(address, count, connections=2):
    read = []
    generator = Generator(
        address, connections, on_open=lambda: read.append("open"), on_close=lambda: read.append("close")
    )
    return generator.closed_loop(requests(count), warm_s=0.0, window_s=60.0), read


def test_every_request_is_sent_once_and_every_answer_counted():
    with server_that_answers(OK) as address:
        tally, read = run(address, 40)

    assert tally.answers == {200: 40}
    assert tally.ran_dry
    assert read == ["open", "close"]


def test_answers_in_pieces_are_put_together():
    with server_that_answers(OK[:10], OK[10:30], OK[30:]) as address:
        tally, _ = run(address, 10)

    assert tally.answers == {200: 10}
    assert tally.samples[0].body == b'{"a":"bcd"}'


def test_statuses_are_counted_apart():
    with server_that_answers(REFUSED) as address:
        tally, _ = run(address, 5)

    assert tally.answers == {401: 5}


def test_the_first_answer_and_then_one_in_so_many_is_kept():
    with server_that_answers(OK) as address:
        tally, _ = run(address, SAMPLE_EVERY + 1)

    assert len(tally.samples) == 2


def test_a_closed_connection_fails_the_run():
    with server_that_answers(OK, keep=False) as address, pytest.raises(LoadFailed, match=re.escape("closed")):
        run(address, 10)


def test_a_reset_connection_fails_the_run_alike():
    """A server that closes with a request unread sends a reset, not an end of stream."""
    with server_that_resets() as address, pytest.raises(LoadFailed, match="closed"):
        run(address, 10)


def test_an_answer_without_length_fails_the_run():
    with server_that_answers(b"HTTP/1.1 200 OK\r\n\r\n") as address, pytest.raises(LoadFailed, match="Content-Length"):
        run(address, 10)


def test_an_open_loop_sends_what_its_schedule_says():
    """The schedule has a fixed seed, so the number of sends does not depend on the machine."""
    with server_that_answers(OK) as address:
        generator = Generator(address, 2, on_open=lambda: None, on_close=lambda: None)
        tally = generator.open_loop(requests(500), rate=200.0, warm_s=0.0, window_s=0.1)

    assert tally.answers == {200: tally.measured}
    assert 10 < tally.measured < 40
