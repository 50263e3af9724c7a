"""Opening the successor of a log: its rows, and what must outlive the change of log.

For: the ceremony ``credit-gateway log succeed``, run with the rights of the schema's owner. Not for: what the first leaf says, or who may
decide (``gateway.verification.log_keeping``).
"""

from __future__ import annotations

from typing import Final

from gateway.base.errors import ErrorKind, GatewayError
from gateway.postgres.migrate import ensure_log
from gateway.postgres.pool import Connection
from gateway.postgres.queries import Queries

REPLAY_DAYS: Final = 2
"""One-time ids of these last days are taken along: a proof used in the old log must not be good once more in the new one."""


async def open_successor(connection: Connection, *, old_log: int, new_log: int, origin: str) -> None:
    """Open a log as another's successor and close the other one; may be repeated until the new log has its first leaf.

    Idempotency keys are not taken along: the answers they name are leaves of the old log.

    Raises:
        GatewayError: ``CONFLICT`` while a worker is connected (``gateway_running``), or when the new log has leaves (``successor_open``).
        MigrateError: the number or the origin belongs to another log.
    """
    queries = Queries.load("successor")
    if await connection.fetchval(queries["serving_workers"]):
        raise GatewayError(ErrorKind.CONFLICT, reason="gateway_running")
    await ensure_log(connection, new_log, origin)
    if await connection.fetchval(queries["head_size"], new_log):
        raise GatewayError(ErrorKind.CONFLICT, reason="successor_open")
    async with connection.transaction():
        await connection.execute(queries["take_one_time_ids"], old_log, new_log, REPLAY_DAYS)
        await connection.execute(queries["close_log"], old_log)
