"""Opening the successor of a log: its rows, and what must outlive the change of log.

For: the ceremony ``credit-gateway log succeed``, run with the rights of the schema's owner. Not for: what the first leaf says, or who may
decide (``gateway.verification.log_keeping``).
"""

from __future__ import annotations

from typing import Final

from gateway.base.errors import ErrorKind, GatewayError
from gateway.postgres.migrate import ensure_log
from gateway.postgres.pool import Connection

REPLAY_DAYS: Final = 2
"""One-time ids of these last days are taken along: a proof used in the old log must not be good once more in the new one."""

_SERVING: Final = """
SELECT count(*) FROM pg_catalog.pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'credit-gateway worker%'
"""
_TAKE_ONE_TIME_IDS: Final = """
INSERT INTO audit.request (log_id, req_day, req_id)
SELECT $2, req_day, req_id FROM audit.request
WHERE log_id = $1 AND req_day >= (now() AT TIME ZONE 'UTC')::date - $3::integer
ON CONFLICT DO NOTHING
"""
_CLOSE: Final = """
UPDATE audit.log SET frozen_ms = (extract(epoch FROM now()) * 1000)::bigint WHERE log_id = $1 AND frozen_ms IS NULL
"""


async def open_successor(connection: Connection, *, old_log: int, new_log: int, origin: str) -> None:
    """Open a log as another's successor and close the other one; may be repeated until the new log has its first leaf.

    Idempotency keys are not taken along: the answers they name are leaves of the old log.

    Raises:
        GatewayError: ``CONFLICT`` while a worker is connected (``gateway_running``), or when the new log has leaves (``successor_open``).
        MigrateError: the number or the origin belongs to another log.
    """
    if await connection.fetchval(_SERVING):
        raise GatewayError(ErrorKind.CONFLICT, reason="gateway_running")
    await ensure_log(connection, new_log, origin)
    if await connection.fetchval("SELECT size FROM audit.head WHERE log_id = $1", new_log):
        raise GatewayError(ErrorKind.CONFLICT, reason="successor_open")
    async with connection.transaction():
        await connection.execute(_TAKE_ONE_TIME_IDS, old_log, new_log, REPLAY_DAYS)
        await connection.execute(_CLOSE, old_log)
