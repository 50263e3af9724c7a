"""The ladder: the worker as it is wired, with handlers that stop after a level of work.

L0 the HTTP kit alone (middleware, routes, log line, metrics); L1 the token's signature each time; L1c the token from the cache;
L2 the proof of possession; L3 the question parsed, looked up and decided; L4 the leaf made durable; L5 the receipt with it:
the worker's own front, untouched. Each level does all that the one before does.
"""

from __future__ import annotations

import contextlib
import gc
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from bench import bare
from gateway import __version__
from gateway.api.edge import accepted_hosts
from gateway.api.partner import VERIFY
from gateway.api.wire import parse_question
from gateway.audit.entry import BlindIndexer
from gateway.audit.guardian import LogGuardian
from gateway.base.canonical import canonical_json
from gateway.base.clock import SystemClock
from gateway.base.host_keys import load_host_keys
from gateway.base.ids import new_id
from gateway.base.log import RequestLog, configure_logging, get_logger
from gateway.base.settings import Settings, load_settings
from gateway.credit.answer import Asked, decide_answer
from gateway.identity.authorization import parse_authorization
from gateway.identity.grants import Scope, require_scope
from gateway.identity.signing_key import SigningKey
from gateway.identity.token import TokenVerifier
from gateway.verification.alarm import Alarm
from gateway.verification.ledger import Ledger
from gateway.verification.read_back import ReadBack
from gateway.verification.verify import Knowledge, Verify
from gateway.web.answer import AnswerWriter
from gateway.web.body import read_body
from gateway.web.exchange import JSON_TYPE, Exchange, Reply, Route
from gateway.web.limits import HttpLimits
from gateway.web.middleware import Front, FrontPolicy
from gateway.web.problem import ProblemRenderer
from gateway.web.routes import RouteTable
from gateway.web.server import start_server
from gateway.wiring.log import guarded_log, running_committer
from gateway.wiring.metrics import Metrics, name_process
from gateway.wiring.parts import (
    BLIND_INDEX_EPOCH,
    make_sealer,
    names,
    read_catalogue,
)
from gateway.wiring.worker import GC_THRESHOLDS, Worker, open_worker, run_worker

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable, Mapping, Sequence

    from gateway.audit.ports import Batch
    from gateway.web.exchange import Handler

SLOT: Final = 0


class NoProofs(LogGuardian):
    """The committer's guardian of L4: the batch is durable, but nothing is signed and no proof is rendered."""

    async def prove(self, batch: Batch) -> Sequence[str]:
        """Return as many empty proofs as there are entries."""
        await self.vouch_for_batch(batch)
        return [""] * len(batch.entries)


class Levels:
    """The handlers of L0 to L3, around a worker."""

    def __init__(self, worker: Worker, settings: Settings, tokens: TokenVerifier) -> None:
        self._needs: Final = worker.needs
        self._tokens: Final = tokens
        self._clock: Final = SystemClock()
        self._knowledge: Final = Knowledge(
            replica=worker.replica, catalogue=read_catalogue(), max_stale_ms=settings.max_stale_s * 1000
        )

    async def echo(self, exchange: Exchange) -> Reply:
        """L0: read the body, answer what B0 answers."""
        await read_body(exchange, JSON_TYPE, self._needs.body_limits)
        return Reply(status=200, body=bare.ANSWER)

    async def signature(self, exchange: Exchange) -> Reply:
        """L1: verify the token's signature as if the token had never been seen."""
        token = parse_authorization(exchange.request.headers.getall("Authorization", []))
        self._tokens._read(token, self._clock.now_ms() // 1000)  # noqa: SLF001 - past the cache, on purpose
        return await self.echo(exchange)

    async def cached(self, exchange: Exchange) -> Reply:
        """L1c: know the token from the cache."""
        self._tokens.verify(parse_authorization(exchange.request.headers.getall("Authorization", [])))
        return await self.echo(exchange)

    async def possession(self, exchange: Exchange) -> Reply:
        """L2: token and proof of possession."""
        await self._needs.authenticate(exchange)
        return await self.echo(exchange)

    async def decided(self, exchange: Exchange) -> Reply:
        """L3: the answer as it would be logged, without a log."""
        sender = await self._needs.authenticate(exchange)
        raw = await read_body(exchange, JSON_TYPE, self._needs.body_limits)
        call = sender.call(exchange, VERIFY, raw)
        require_scope(call.scopes, Scope.VERIFICATIONS)
        question = parse_question(raw, None)
        if question.uscc is None:
            msg = "the load asks by code"
            raise ValueError(msg)
        answer = decide_answer(
            Asked(uscc=question.uscc, name=question.name),
            await self._knowledge.replica.look_up(question.uscc),
            self._knowledge.catalogue,
            verification_id=new_id("ver", call.received_ms),
            at=self._clock.now_ms(),
            max_stale_ms=self._knowledge.max_stale_ms,
        )
        return Reply(status=200, body=canonical_json(answer))


class Unproven:
    """L4: the answer once its leaf is durable, without the receipt."""

    def __init__(self, worker: Worker, verify: Verify) -> None:
        self._needs: Final = worker.needs
        self._verify: Final = verify

    async def __call__(self, exchange: Exchange) -> Reply:
        sender = await self._needs.authenticate(exchange)
        raw = await read_body(exchange, JSON_TYPE, self._needs.body_limits)
        call = sender.call(exchange, VERIFY, raw)
        require_scope(call.scopes, Scope.VERIFICATIONS)
        proven = await self._verify(call, parse_question(raw, None))
        return Reply(status=200, body=proven.answer_json)


async def serve_level(
    level: str,
    variables: Mapping[str, str],
    listening: socket.socket,
    stopping: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    """Serve a level on a bound socket until told to stop. L5 is the worker itself, run as the supervisor runs it."""
    settings = load_settings(variables)
    configure_logging(settings.log_level, settings.log_format)
    if level == "L5":
        await run_worker(settings, listening, SLOT, _Line(stopping, ready))
        return
    name_process(f"worker-{SLOT}")
    async with contextlib.AsyncExitStack() as stack:
        worker = await stack.enter_async_context(open_worker(settings, process=f"worker-{SLOT}"))
        front = _front(settings, await _handler(level, worker, settings, stack), _metrics(worker))
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        server = await start_server(front, listening, HttpLimits())
        ready()
        await stopping.wait()
        await server.drain(grace_s=0.0, finish_s=5.0)


class _Line:
    """The worker's line to a supervisor that only wants to know when it answers."""

    def __init__(self, stopping: asyncio.Event, ready: Callable[[], None]) -> None:
        self.stopping: Final = stopping
        self._ready = ready
        self._told = False

    def report(self, reasons: Sequence[str]) -> None:
        """Announce the worker the first time nothing speaks against sending it requests."""
        if not reasons and not self._told:
            self._told = True
            self._ready()


async def _handler(level: str, worker: Worker, settings: Settings, stack: contextlib.AsyncExitStack) -> Handler:
    key = SigningKey(load_host_keys(settings).token_signing)
    tokens = TokenVerifier(settings.issuer, settings.issuer, [key.public], SystemClock())
    levels = Levels(worker, settings, tokens)
    simple: dict[str, Handler] = {
        "L0": levels.echo,
        "L1": levels.signature,
        "L1c": levels.cached,
        "L2": levels.possession,
        "L3": levels.decided,
    }
    if level in simple:
        return simple[level]
    return Unproven(worker, await _verify_without_proofs(worker, settings, stack))


async def _verify_without_proofs(worker: Worker, settings: Settings, stack: contextlib.AsyncExitStack) -> Verify:
    """Build the use case of L4 like that of the worker, on a committer that proves nothing."""
    keys = load_host_keys(settings)
    guardian = await stack.enter_async_context(guarded_log(settings, keys, worker.log_reader, guardian=NoProofs))
    committer = await stack.enter_async_context(
        running_committer(settings, settings.database_dsn, guardian, _metrics(worker), process="bench-L4")
    )
    sealer = make_sealer(keys)
    ledger = Ledger(committer, sealer, BlindIndexer(keys.blind_index, BLIND_INDEX_EPOCH), names(settings))
    archive = worker.log_reader
    read_back = ReadBack(
        archive=archive,
        sealer=sealer,
        ledger=ledger,
        proofs=worker.guardian,
        alarm=Alarm(get_logger(), _metrics(worker)),
    )
    knowledge = Knowledge(replica=worker.replica, catalogue=read_catalogue(), max_stale_ms=settings.max_stale_s * 1000)
    return Verify(knowledge, ledger, archive, read_back, SystemClock())


def _front(settings: Settings, handler: Handler, metrics: Metrics) -> Front:
    return Front(
        routes=RouteTable([Route(method="POST", template="/v1/verifications", handler=handler)]),
        policy=FrontPolicy(
            hosts=accepted_hosts(settings.issuer),
            deadline_s=settings.request_timeout_ms / 1000,
            max_in_flight=settings.commit_queue,
        ),
        scheme=urlsplit(settings.issuer).scheme,
        writer=AnswerWriter(secure=True, version=__version__),
        problems=ProblemRenderer(settings.issuer),
        clock=SystemClock(),
        log=RequestLog(),
        metrics=metrics,
    )


def _metrics(worker: Worker) -> Metrics:
    """Return the one set of metrics that a process has."""
    metrics = worker.needs.metrics
    if not isinstance(metrics, Metrics):
        msg = "the worker counts with something else"
        raise TypeError(msg)
    return metrics
