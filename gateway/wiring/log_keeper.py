"""An operator's side of the log, built for the time of one command: ``credit-gateway log …``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from gateway.audit.guard import Doubt
from gateway.audit.guardian import LogGuardian
from gateway.base.clock import SystemClock
from gateway.base.host_keys import load_host_keys
from gateway.base.settings import Settings
from gateway.postgres.pool import Target, connect
from gateway.postgres.successor import open_successor
from gateway.verification.log_keeping import Because, LogHost, LogKeeping
from gateway.verification.operator_ledger import OperatorLedger
from gateway.wiring.log import guard_file, make_batch_mac, make_checkpoint_signer, running_committer
from gateway.wiring.metrics import Metrics
from gateway.wiring.operator import PROCESS, open_operator
from gateway.wiring.parts import make_sealer, names


@asynccontextmanager
async def open_log_keeping(settings: Settings) -> AsyncIterator[LogKeeping]:
    """Build an operator's acts on this host's log for the length of a block."""
    keys = load_host_keys(settings)
    guard = guard_file(settings)

    @asynccontextmanager
    async def acting(guardian: LogGuardian) -> AsyncIterator[OperatorLedger]:
        dsn = settings.operator_database_dsn
        async with running_committer(
            settings, dsn, guardian, Metrics(settings.feed_name), process=PROCESS
        ) as committer:
            yield OperatorLedger(committer, make_sealer(keys), names(settings), SystemClock())

    try:
        async with open_operator(settings) as operator:
            host = LogHost(
                host=settings.host_name,
                signer=make_checkpoint_signer(settings, keys),
                mac=make_batch_mac(settings, keys),
                guard=guard,
                reader=operator.reader,
            )
            yield LogKeeping(host, acting)
    finally:
        guard.close()


async def succeed(settings: Settings, *, log_id: int, origin: str, because: Because) -> int:
    """Close this host's log and open its successor; return the index of the successor's first leaf.

    1. Read what this host has signed of the old log; it goes into the first leaf.
    2. Make the rows of the new log and close the old one (with the rights of ``database_dsn``).  Died here: say the command again.
    3. Commit the first leaf, as this host, guarded from the empty tree on.                       Died here: likewise.
    4. Let no process of this host sign the old log any more.                                     Died here: the rows say so too.
    """
    # 1
    old = guard_file(settings)
    guarded = old.read()
    last = None if guarded.doubt in {Doubt.GUARD_MISSING, Doubt.GUARD_UNUSABLE} else guarded.last
    # 2
    connection = await connect(Target(dsn=settings.database_dsn, application_name="credit-gateway log"))
    try:
        await open_successor(connection, old_log=settings.log_id, new_log=log_id, origin=origin)
    finally:
        await connection.close()
    # 3
    async with open_log_keeping(replace(settings, log_id=log_id, log_origin=origin)) as successor:
        leaf = await successor.begin_successor(settings.log_origin, last, because)
    # 4
    if last is not None:
        old.doubt(Doubt.CLOSED)
    old.close()
    return leaf
