"""One window: fresh requests, a load, and what it cost on each core, with the answers checked.

A window's figure counts only if nothing was refused, the sampled answers say what they must and the audit rows equal the
answers; otherwise its ``faults`` say why not.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bench import machine
from bench.corpus import Caller, Corpus, Prepared, Spoil, Target
from bench.load import Generator, Sample, Tally

if TYPE_CHECKING:
    from bench.database import CountRows
    from bench.processes import Server
    from bench.world import World

WARM_S: Final = 1.0
GENERATOR_LIMIT: Final = 0.90
"""Busier than this, the generator's core may be what is measured."""
INTRUDER_LIMIT: Final = 0.10
"""What anything but the service may take of the service's core; interrupts and the kernel's own threads take some."""
SPARE: Final = 1.7
"""Requests signed beyond the expected number, so that a faster window does not run dry."""
FOREVER_S: Final = 86_400.0
"""No end but that of the requests."""
REPEATED: Final = 4000
TRIAL: Final = 12_000
"""Enough for two seconds of any server that looks at proofs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What one window measured. Processor times are per answer of the measured part."""

    name: str
    rate: float
    rate_per_core: float
    service_us: float
    service_busy: float
    postgres_ms_per_1000: float
    other_core_busy: float
    stolen: float
    p50_ms: float
    p99_ms: float
    resident_mb: float
    answers: dict[int, int]
    total: int
    faults: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


Check = Callable[[Sample], str | None]
"""Says what is wrong with one sampled answer, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A server with how it is judged.

    ``repeat``: no proof is ever used up here, because none is looked at or all are refused, so the same requests serve again.
    ``callers``: whose requests; by default the partners', with fresh tokens. ``spoil`` makes good requests bad.
    """

    server: Server
    status: int = 200
    check: Check | None = None
    count_rows: CountRows | None = None
    spoil: Spoil | None = None
    repeat: bool = False
    callers: Callable[[], list[Caller]] | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long and how hard. ``rate``: None for a closed loop, answers per second for an open one."""

    window_s: float
    connections: int
    rate: float | None = None


class Bench:
    """Runs windows on one machine with one corpus.

    It remembers how fast each server was, so as to sign enough requests. ``when_open`` is called as each window opens.
    """

    def __init__(self, corpus: Corpus, cores: machine.Cores, world: World, issuer: str) -> None:
        self.corpus = corpus
        self.cores = cores
        self._world = world
        self._postgres_pid = world.postgres.pid
        self._issuer = issuer
        self._host = issuer.partition("://")[2]
        self._expected_rate: dict[str, float] = {}
        self.when_open: Callable[[], None] | None = None

    def measure(self, subject: Subject, plan: Plan) -> Window:
        """Sign, load, read the clocks, check; the rows are counted around all of it."""
        server = subject.server
        requests = self._requests(subject, plan)
        before = asyncio.run(subject.count_rows()) if subject.count_rows else 0
        meter = _Meter(server.pid, self._postgres_pid, self.cores)
        generator = Generator(server.address, plan.connections, on_open=self._opening(meter), on_close=meter.read)
        tally = _load(generator, requests, plan, repeat=subject.repeat)
        faults = _judge_answers(subject, tally)
        if subject.count_rows:
            rows = asyncio.run(subject.count_rows()) - before
            if rows != tally.answers.get(200, 0):
                faults.append(f"{rows} audit rows for {tally.answers.get(200, 0)} answers")
        window = meter.window(subject.name or server.name, tally, faults)
        self._expected_rate[server.name] = max(window.rate, self._expected_rate.get(server.name, 0.0))
        return window

    def send(self, subject: Subject, count: int, connections: int) -> int:
        """Send so many requests as fast as they are answered, unmeasured; return how many. All must be answered as they should."""
        generator = Generator(subject.server.address, connections, on_open=_nothing, on_close=_nothing)
        tally = generator.closed_loop(self._sign(subject, count), warm_s=0.0, window_s=FOREVER_S)
        if tally.answers != {subject.status: count}:
            msg = f"{subject.server.name}: {tally.answers} for {count} requests"
            raise SystemExit(msg)
        return count

    def _opening(self, meter: _Meter) -> Callable[[], None]:
        def opening() -> None:
            if self.when_open is not None:
                self.when_open()
            meter.read()

        return opening

    def _requests(self, subject: Subject, plan: Plan) -> list[Prepared]:
        """Sign what the window will take, with tokens and a nonce of this moment."""
        server = subject.server
        seconds = plan.window_s + WARM_S
        if subject.repeat:
            return self._sign(subject, REPEATED)
        if plan.rate is not None:
            return self._sign(subject, int(plan.rate * seconds * SPARE) + plan.connections)
        if server.name not in self._expected_rate:
            self._expected_rate[server.name] = self._try_out(subject, plan)
        return self._sign(subject, int(self._expected_rate[server.name] * seconds * SPARE) + 2 * plan.connections)

    def _sign(self, subject: Subject, count: int) -> list[Prepared]:
        target = Target(origin=self._issuer, host=self._host)
        self.corpus.use_callers(self._world.callers())
        nonce = learn_nonce(subject.server, self.corpus.prepare(target, 1)[0])
        if subject.callers is not None:
            self.corpus.use_callers(subject.callers())
        target = Target(origin=self._issuer, host=self._host, nonce=nonce)
        return self.corpus.prepare(target, count, spoil=subject.spoil)

    def _try_out(self, subject: Subject, plan: Plan) -> float:
        """Find out roughly how fast a server is with a short load; it also warms its caches."""
        requests = self._sign(subject, TRIAL)
        generator = Generator(subject.server.address, plan.connections, on_open=_nothing, on_close=_nothing)
        tally = generator.closed_loop(requests, warm_s=0.5, window_s=1.5)
        return max(tally.rate(), 500.0)


def _nothing() -> None:
    """A window opened or closed, and nobody reads the clocks."""


def learn_nonce(server: Server, probe: Prepared) -> str | None:
    """Return the nonce that a server asks for (RFC 9449 section 9), or None if it answers without one."""
    with socket.create_connection(server.address, timeout=10) as sock:
        sock.sendall(probe.wire.replace(b"\r\nHost:", b"\r\nConnection: close\r\nHost:", 1))
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
    head, _, _ = answer.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"dpop-nonce":
            return value.strip().decode("ascii")
    return None


def _load(generator: Generator, requests: Sequence[Prepared], plan: Plan, *, repeat: bool) -> Tally:
    if plan.rate is not None:
        return generator.open_loop(requests, rate=plan.rate, warm_s=WARM_S, window_s=plan.window_s)
    return generator.closed_loop(requests, warm_s=WARM_S, window_s=plan.window_s, repeat=repeat)


def _judge_answers(subject: Subject, tally: Tally) -> list[str]:
    faults = []
    others = {status: count for status, count in tally.answers.items() if status != subject.status}
    if others:
        faults.append(f"answers other than {subject.status}: {others}")
    if tally.ran_dry:
        faults.append("the requests ran out before the window closed")
    if subject.check is not None:
        said = [subject.check(sample) for sample in tally.samples if sample.status == subject.status]
        wrong = [reason for reason in said if reason is not None]
        if wrong:
            faults.append(f"{len(wrong)} of {len(said)} sampled answers are wrong: {wrong[0]}")
    return faults


class _Meter:
    """Reads the clocks when the window opens and when it closes."""

    def __init__(self, service_pid: int, postgres_pid: int, cores: machine.Cores) -> None:
        self._service_pid = service_pid
        self._postgres_pid = postgres_pid
        self._cores = cores
        self._readings: list[dict[str, Any]] = []

    def read(self) -> None:
        self._readings.append(
            {
                "at": time.perf_counter(),
                "service": machine.family_cpu_seconds(self._service_pid),
                "postgres": machine.family_cpu_seconds(self._postgres_pid),
                "own": machine.core_busy_seconds(self._cores.service),
                "other": machine.core_busy_seconds(self._cores.other),
                "stolen": machine.core_stolen_seconds(self._cores.service),
                "resident": machine.resident_mb(self._service_pid),
            }
        )

    def window(self, name: str, tally: Tally, faults: list[str]) -> Window:
        opened, closed = self._readings
        seconds = closed["at"] - opened["at"]
        service = machine.spent(opened["service"], closed["service"])
        postgres = machine.spent(opened["postgres"], closed["postgres"])
        busy = (closed["other"] - opened["other"]) / seconds
        if busy > GENERATOR_LIMIT:
            faults = [*faults, f"the generator's core was {busy:.0%} busy"]
        intruders = (closed["own"] - opened["own"] - service) / seconds
        if intruders > INTRUDER_LIMIT:
            faults = [*faults, f"something else took {intruders:.0%} of the service's core"]
        measured = max(tally.measured, 1)
        latencies = sorted(tally.latencies_s) or [0.0]
        return Window(
            name=name,
            rate=tally.measured / seconds,
            rate_per_core=tally.measured / service if service else 0.0,
            service_us=service / measured * 1e6,
            service_busy=service / seconds,
            postgres_ms_per_1000=postgres / measured * 1e6,
            other_core_busy=busy,
            stolen=(closed["stolen"] - opened["stolen"]) / seconds,
            p50_ms=statistics.median(latencies) * 1e3,
            p99_ms=latencies[int(len(latencies) * 0.99)] * 1e3,
            resident_mb=closed["resident"],
            answers=tally.answers,
            total=sum(tally.answers.values()),
            faults=faults,
        )
