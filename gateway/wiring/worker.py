"""One gateway process: from settings to the handler of its port.

Built from the inside out, as the layers lie: stores, rules with their keys, use cases, edge. Closed in the opposite order.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.api.edge import Observers, accepted_hosts, partner_front
from gateway.api.needs import Needs
from gateway.api.strangers import make_stranger_bounds
from gateway.audit.committer import Committer
from gateway.audit.entry import BlindIndexer
from gateway.audit.guardian import LogGuardian
from gateway.base.clock import SystemClock
from gateway.base.errors import GatewayError
from gateway.base.host_keys import HostKeys, load_host_keys
from gateway.base.log import RequestLog, get_logger
from gateway.base.settings import NonceMode, Settings
from gateway.identity.metadata import render_jwks, render_metadata
from gateway.identity.nonce import NonceAudience, NonceIssuer
from gateway.identity.proof import ProofVerifier
from gateway.identity.signing_key import SigningKey
from gateway.identity.token import TokenIssuer, TokenVerifier
from gateway.identity.token_grant import GrantToken
from gateway.postgres.housekeeping import make_partitions
from gateway.postgres.log_reader import PostgresLogReader
from gateway.postgres.partner_store import PostgresPartnerDirectory
from gateway.postgres.pool import Pool
from gateway.postgres.preflight import check_database
from gateway.postgres.queries import Queries
from gateway.postgres.replica_store import PostgresReplica
from gateway.verification.alarm import Alarm
from gateway.verification.leaf_prover import StoredLeafProver
from gateway.verification.ledger import Ledger
from gateway.verification.log_face import LogFace
from gateway.verification.operator_ledger import OperatorLedger
from gateway.verification.read_back import ReadBack
from gateway.verification.registered_keys import RegisteredKeys
from gateway.verification.token_ledger import CommittedTokens
from gateway.verification.verify import Knowledge, Verify
from gateway.web.authenticate import Authenticator
from gateway.web.body import BodyLimits
from gateway.web.lane import BodyRoom
from gateway.web.limits import HttpLimits
from gateway.web.middleware import Front, FrontPolicy
from gateway.web.open_files import fitting_connections
from gateway.web.server import start_server
from gateway.wiring.feed_watch import FeedWatch
from gateway.wiring.log import CommitProbe, guarded_log, running_committer
from gateway.wiring.metrics import Metrics, name_process
from gateway.wiring.parts import (
    BLIND_INDEX_EPOCH,
    make_sealer,
    names,
    read_catalogue,
)
from gateway.wiring.pools import PUBLIC_ACQUIRE_S, Pools, open_pools

PARTNER_BODIES: Final = 1024
"""Authenticated requests that wait for their body, at most; each partner pushes out its own first."""
BODY_SHARE: Final = 0.8
"""Of a request's time, for its body: what is refused for a slow body must still have time to go on record."""
GC_THRESHOLDS: Final = (100_000, 20, 50)
"""Answers and refusals leave no circles (tested), so the collector finds nothing; but a burst of a hundred requests makes 20,000 objects
that live, and a lower threshold would have it look at them once a burst (measured: 10 of 240 microseconds an answer)."""
READINESS_S: Final = 1.0
"""Between two looks at whether requests may come."""
DRAINING: Final = "draining"
"""What the line says once no further connection is taken."""
DRAIN_GRACE_S: Final = 2.0
"""How long clients may still use the connections they hold open while we drain."""


class Lifeline(Protocol):
    """The process's line to whoever runs it."""

    @property
    def stopping(self) -> asyncio.Event:
        """Set when the process shall end."""
        ...

    def report(self, reasons: Sequence[str]) -> None:
        """Say why requests should not come here now; nothing means that they may."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A built gateway process, not yet listening."""

    front: Front
    needs: Needs
    pools: Pools
    metrics: Metrics
    committer: Committer
    guardian: LogGuardian
    log: LogFace
    probe: CommitProbe
    replica: PostgresReplica
    watch: FeedWatch
    log_reader: PostgresLogReader


@asynccontextmanager
async def open_worker(settings: Settings, *, process: str) -> AsyncIterator[Worker]:
    """Build a gateway process and keep it for the length of a block.

    Raises:
        SettingsError: a key file is missing, readable by others, or an example key.
        PreflightError: the database is not fit to serve from.
    """
    keys = load_host_keys(settings)
    metrics = Metrics(settings.feed_name)
    async with open_pools(settings, process=process) as pools:
        queries = Queries.load()
        await _check(pools.partners, queries, settings)
        reader = PostgresLogReader(pools.partners, queries, log_id=settings.log_id)
        async with (
            guarded_log(settings, keys, reader) as guardian,
            running_committer(settings, settings.database_dsn, guardian, metrics, process=process) as committer,
        ):
            replica = PostgresReplica(pools.partners, queries, feed=settings.feed_name)
            watch = FeedWatch(settings, replica)
            await watch.look()  # before the first request, not a second after it
            # For looking at it oneself: a flood of readers must not make a worker seem unfit.
            log = LogFace(reader, guardian)
            needs = _needs(settings, keys, _Stores(pools, queries, replica, reader, committer, guardian), metrics)
            policy = FrontPolicy(
                hosts=accepted_hosts(settings.issuer),
                deadline_s=settings.request_timeout_ms / 1000,
                max_in_flight=settings.commit_queue,
            )
            front = partner_front(needs, policy, Observers(log=RequestLog(), metrics=metrics))
            probe = CommitProbe(committer, OperatorLedger(committer, make_sealer(keys), names(settings), SystemClock()))
            try:
                yield Worker(
                    front=front,
                    needs=needs,
                    pools=pools,
                    metrics=metrics,
                    committer=committer,
                    guardian=guardian,
                    log=log,
                    probe=probe,
                    replica=replica,
                    watch=watch,
                    log_reader=reader,
                )
            finally:
                await probe.close()
                await replica.close()


async def run_worker(settings: Settings, sock: socket.socket, slot: int, line: Lifeline) -> None:
    """Serve on a bound socket until the line says stop, then drain: no request that reached us fails."""
    name_process(f"worker-{slot}")
    async with open_worker(settings, process=f"worker-{slot}") as worker:
        # What was built so far lives as long as the process: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        server = await start_server(worker.front, sock, _http_limits(settings))
        while not line.stopping.is_set():
            line.report(await readiness(worker))
            worker.metrics.flush()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(READINESS_S):
                    await line.stopping.wait()
        grace_s = min(DRAIN_GRACE_S, settings.drain_s / 2)
        draining = asyncio.create_task(server.drain(grace_s=grace_s, finish_s=settings.drain_s / 2), name="drain")
        while server.is_listening and not draining.done():  # noqa: ASYNC110 - a few turns of the loop
            await asyncio.sleep(0)  # the drain first takes the connections that wait for us
        line.report((DRAINING,))  # from here on the supervisor may turn newcomers away
        await draining
        worker.metrics.flush()


async def readiness(worker: Worker) -> tuple[str, ...]:
    """Return why requests should not come here now."""
    await worker.watch.look()  # whatever else is wrong: what it sees bounds the answers
    try:
        await worker.log.look()
    except GatewayError as exc:
        worker.metrics.log_stands(worker.guardian.state().doubt)
        return (exc.reason,)
    worker.metrics.log_stands(None)
    failing = worker.probe.reason()
    if failing is not None:
        return (failing,)
    try:
        return await worker.watch.reasons()
    except GatewayError as exc:
        return (exc.kind.value,)


def _http_limits(settings: Settings) -> HttpLimits:
    return HttpLimits(
        max_connections=fitting_connections(settings.max_connections),
        max_connections_of_address=None if settings.behind_proxy else settings.max_connections_of_address,
    )


@dataclass(frozen=True, slots=True)
class _Stores:
    pools: Pools
    queries: Queries
    replica: PostgresReplica
    reader: PostgresLogReader
    committer: Committer
    guardian: LogGuardian


def _needs(settings: Settings, keys: HostKeys, stores: _Stores, metrics: Metrics) -> Needs:
    """Build rules and use cases on the stores."""
    clock = SystemClock()
    issuer = settings.issuer
    signing = SigningKey(keys.token_signing)
    sealer = make_sealer(keys)
    host = names(settings)
    ledger = Ledger(stores.committer, sealer, BlindIndexer(keys.blind_index, BLIND_INDEX_EPOCH), host)
    alarm = Alarm(get_logger(), metrics)
    read_back = ReadBack(archive=stores.reader, sealer=sealer, ledger=ledger, proofs=stores.guardian, alarm=alarm)
    # What only the token endpoint reads goes over its own connections, so that strangers there cost partners none of theirs.
    directory = PostgresPartnerDirectory(stores.pools.tokens, stores.queries)
    registered = PostgresLogReader(stores.pools.tokens, stores.queries, log_id=settings.log_id)
    max_stale_ms = settings.max_stale_s * 1000
    body_limits = BodyLimits(
        max_bytes=settings.max_body_bytes,
        receive_s=BODY_SHARE * settings.request_timeout_ms / 1000,
        room=BodyRoom(PARTNER_BODIES),
    )
    public = stores.pools.public
    knowledge = Knowledge(replica=stores.replica, catalogue=read_catalogue(), max_stale_ms=max_stale_ms)
    return Needs(
        issuer=issuer,
        clock=clock,
        authenticate=Authenticator(
            TokenVerifier(issuer, issuer, [signing.public], clock),
            _proofs(settings, keys, NonceAudience.RESOURCES, clock),
        ),
        verify=Verify(knowledge, ledger, stores.reader, read_back, clock),
        read_back=read_back,
        ledger=ledger,
        log=LogFace(
            PostgresLogReader(public, stores.queries, log_id=settings.log_id, acquire_s=PUBLIC_ACQUIRE_S),
            stores.guardian,
        ),
        grant_token=GrantToken(
            issuer=issuer,
            audience=issuer,
            directory=directory,
            registrations=RegisteredKeys(
                directory=directory,
                archive=registered,
                prover=StoredLeafProver(registered, stores.guardian),
                sealer=sealer,
                alarm=alarm,
            ),
            ledger=CommittedTokens(stores.committer, sealer, host),
            proofs=_proofs(settings, keys, NonceAudience.TOKEN_ENDPOINT, clock),
            tokens=TokenIssuer(issuer, issuer, signing, clock),
            clock=clock,
        ),
        source=PostgresReplica(public, stores.queries, feed=settings.feed_name),
        metrics=metrics,
        jwks=render_jwks([signing.public]),
        metadata=render_metadata(issuer),
        body_limits=body_limits,
        strangers=make_stranger_bounds(body_limits),
        max_stale_ms=max_stale_ms,
    )


def _proofs(settings: Settings, keys: HostKeys, audience: NonceAudience, clock: SystemClock) -> ProofVerifier:
    nonces = NonceIssuer([keys.dpop_nonce], audience) if settings.dpop_nonce is NonceMode.REQUIRED else None
    return ProofVerifier(settings.issuer, nonces, clock)


async def _check(pool: Pool, queries: Queries, settings: Settings) -> None:
    """Refuse a database that is not fit, and make sure that the coming days have their partitions."""
    async with pool.acquire() as connection:
        await check_database(connection, production=settings.production)
        await make_partitions(connection, queries, SystemClock().now_ms())
