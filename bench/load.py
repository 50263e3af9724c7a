"""The load generator: many keep-alive connections, prebuilt bytes out, status and length in, one answer in 1,000 kept.

Plain sockets and epoll, because the generator must stay well under one core while it drives bare aiohttp at its limit. A closed
loop sends the next request of a connection as soon as its answer is complete (throughput). An open loop sends at instants
fixed beforehand and counts latency from those instants, so that a stall is not hidden (latency, sharing of commits).

Not for: answers without Content-Length, and pipelining: no peer needs them.
"""

from __future__ import annotations

import gc
import random
import re
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bench.corpus import Prepared

SAMPLE_EVERY: Final = 997
"""One answer in 1,000 and a little more: a prime, so that samples do not fall on the same merchants again and again."""
STALL_S: Final = 15.0
_CLOSED: Final = "the server closed a connection"
_LENGTH: Final = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: *(\d+)\r\n")


class LoadFailed(Exception):  # noqa: N818 - a statement about what happened
    """The server closed a connection, stalled or sent something that is not an answer."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer kept for the content check."""

    asked: Prepared
    status: int
    body: bytes


@dataclass(slots=True)
class Tally:
    """What came back. ``answers`` counts from the first request to the last, warm-up and drain included."""

    answers: dict[int, int] = field(default_factory=dict)
    latencies_s: list[float] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    measured: int = 0
    seconds: float = 0.0
    ran_dry: bool = False

    def rate(self) -> float:
        """Return the answers per second of the measured window."""
        return self.measured / self.seconds if self.seconds else 0.0


@dataclass(slots=True)
class _Line:
    """One connection. ``due`` is the instant its latency counts from."""

    sock: socket.socket
    asked: Prepared | None = None
    due: float = 0.0
    part: bytes = b""
    needed: int = 0


Reader = Callable[[], None]


class Generator:
    """Drives one server from one thread. ``edges`` are called when the measured window opens and when it closes."""

    def __init__(self, address: tuple[str, int], connections: int, *, on_open: Reader, on_close: Reader) -> None:
        self._address = address
        self._connections = connections
        self._on_open = on_open
        self._on_close = on_close
        self._tally = Tally()
        self._lines: dict[int, _Line] = {}

    def closed_loop(
        self, requests: Sequence[Prepared], *, warm_s: float, window_s: float, repeat: bool = False
    ) -> Tally:
        """Keep every connection busy for the time given, or until the requests run out; ``repeat`` starts them over."""
        return self._run(_Endless(requests) if repeat else iter(requests), None, warm_s, window_s)

    def open_loop(self, requests: Sequence[Prepared], *, rate: float, warm_s: float, window_s: float) -> Tally:
        """Send at ``rate`` with random gaps (exponential, fixed seed), each on an idle connection."""
        gaps = random.Random(7)
        schedule: deque[float] = deque()
        moment = 0.0
        while moment < warm_s + window_s:
            moment += gaps.expovariate(rate)
            schedule.append(moment)
        return self._run(iter(requests), schedule, warm_s, window_s)

    def _run(
        self, requests: Iterator[Prepared], schedule: deque[float] | None, warm_s: float, window_s: float
    ) -> Tally:
        poll = select.epoll()
        for _ in range(self._connections):
            sock = socket.create_connection(self._address, timeout=STALL_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._lines[sock.fileno()] = _Line(sock)
            poll.register(sock, select.EPOLLIN)
        gc.collect()
        gc.disable()
        try:
            if schedule is None:
                self._drive_closed(poll, requests, warm_s, window_s)
            else:
                self._drive_open(poll, requests, schedule, warm_s)
        finally:
            gc.enable()
            for line in self._lines.values():
                line.sock.close()
            poll.close()
        return self._tally

    def _drive_closed(self, poll: select.epoll, requests: Iterator[Prepared], warm_s: float, window_s: float) -> None:
        """1. Start every connection. 2. Open the window after warm-up, close it at its end. 3. Answer, next request; then drain."""
        tally, lines, clock = self._tally, self._lines, time.perf_counter
        span = _Span(tally, clock() + warm_s, window_s, self._on_open, self._on_close)
        # 1
        in_flight = sum(self._send(line, requests, clock()) for line in lines.values())
        while in_flight:
            events = poll.poll(STALL_S)
            if not events:
                msg = "no answer"
                raise LoadFailed(msg)
            # 2
            now = span.advance(clock())
            # 3
            for number, _ in events:
                line = lines[number]
                if not self._receive(line):
                    continue
                if span.measuring:
                    tally.measured += 1
                    tally.latencies_s.append(now - line.due)
                if span.over or not self._send(line, requests, now):
                    in_flight -= 1
        span.advance(clock())  # the last answers may have come in one turn with the end of the requests

    def _drive_open(
        self, poll: select.epoll, requests: Iterator[Prepared], schedule: deque[float], warm_s: float
    ) -> None:
        """Send each request at its instant if a connection is idle, as soon as one is otherwise."""
        tally, lines, clock = self._tally, self._lines, time.perf_counter
        idle = deque(lines.values())
        started = clock()
        opens, opened, in_flight = started + warm_s, 0.0, 0
        while (schedule and not tally.ran_dry) or in_flight:
            now = clock()
            if not opened and now >= opens:
                self._on_open()
                opened = clock()
            while schedule and idle and started + schedule[0] <= now and not tally.ran_dry:
                line = idle.popleft()
                in_flight += self._send(line, requests, started + schedule.popleft())
            wait = started + schedule[0] - clock() if schedule and idle else STALL_S
            for number, _ in poll.poll(max(wait, 0.0)):
                line = lines[number]
                if self._receive(line):
                    in_flight -= 1
                    idle.append(line)
                    if opened:
                        tally.measured += 1
                        tally.latencies_s.append(clock() - line.due)
            if not schedule and not tally.seconds:
                tally.seconds = clock() - opened
                self._on_close()

    def _send(self, line: _Line, requests: Iterator[Prepared], due: float) -> bool:
        asked = next(requests, None)
        if asked is None:
            self._tally.ran_dry = True
            return False
        line.asked, line.due = asked, due
        # A request is a few kilobytes and the connection is empty: the kernel takes it whole.
        try:
            taken = line.sock.send(asked.wire)
        except (ConnectionResetError, BrokenPipeError):
            raise LoadFailed(_CLOSED) from None
        if taken != len(asked.wire):
            msg = "a request was taken in part"
            raise LoadFailed(msg)
        return True

    def _receive(self, line: _Line) -> bool:
        """Read what there is; tell whether the answer is complete, and count it."""
        try:
            piece = line.sock.recv(65536)
        except ConnectionResetError:  # closed with a request unread: the same thing, seen earlier
            piece = b""
        if not piece:
            raise LoadFailed(_CLOSED)
        answer = line.part + piece if line.part else piece
        if not line.needed:
            head_end = answer.find(b"\r\n\r\n")
            if head_end < 0:
                line.part = answer
                return False
            length = _LENGTH.search(answer, 0, head_end + 2)
            if length is None:
                msg = "an answer without Content-Length"
                raise LoadFailed(msg)
            line.needed = head_end + 4 + int(length[1])
        if len(answer) < line.needed:
            line.part = answer
            return False
        self._count(line, answer)
        line.part, line.needed = b"", 0
        return True

    def _count(self, line: _Line, answer: bytes) -> None:
        tally = self._tally
        status = int(answer[9:12])
        seen = tally.answers.get(status, 0)
        tally.answers[status] = seen + 1
        if seen % SAMPLE_EVERY == 0 and line.asked is not None:
            tally.samples.append(Sample(line.asked, status, answer.partition(b"\r\n\r\n")[2]))


class _Span:
    """The measured window of a closed loop: warm-up, open, over. A window also ends when the requests have run out."""

    def __init__(self, tally: Tally, opens: float, window_s: float, on_open: Reader, on_close: Reader) -> None:
        self._tally = tally
        self._opens = opens
        self._window_s = window_s
        self._on_open = on_open
        self._on_close = on_close
        self._opened = 0.0
        self.measuring = False
        self.over = False

    def advance(self, now: float) -> float:
        """Go on to where the window is now; return the present instant, which is later if the clocks had to be read."""
        if self.over or now < self._opens:
            return now
        if not self._opened:
            self._on_open()
            self._opened = now = time.perf_counter()
            self.measuring = True
        if now >= self._opened + self._window_s or self._tally.ran_dry:
            self.measuring, self.over = False, True
            self._tally.seconds = now - self._opened
            self._on_close()
        return now


class _Endless:
    """The same requests over and over, for servers that do not look at them."""

    def __init__(self, requests: Sequence[Prepared]) -> None:
        self._requests = requests
        self._position = -1

    def __iter__(self) -> Iterator[Prepared]:
        return self

    def __next__(self) -> Prepared:
        self._position += 1
        return self._requests[self._position % len(self._requests)]
