"""What must be true of a database before this process serves from it: checked once at start, all faults at once.

For: refusing to start on a server that may lose what it acknowledged, on another schema, with functions or triggers
other than as shipped, or on the demo's own server.
Not for: migrating (``gateway.postgres.migrate``) nor for watching the database later.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gateway.audit.readers import Deviation
from gateway.postgres.binaries import CLUSTER_NAME
from gateway.postgres.safeguards import find_deviations
from gateway.postgres.schema import HEAD, current

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.postgres.pool import Connection

MIN_SERVER_VERSION: Final = 150_000
_DURABLE: Final = ("fsync", "full_page_writes", "data_checksums")
_SYNCHRONOUS: Final = frozenset({"on", "remote_apply"})
"""``local`` and ``remote_write`` acknowledge what a failover can lose; ``off`` what a crash can."""

_DEVIATIONS: Final = {
    Deviation.CHANGED: "db_safeguard_changed",
    Deviation.MISSING: "db_safeguard_missing",
    Deviation.UNKNOWN: "db_safeguard_unknown",
    Deviation.TRIGGERS_OFF: "db_triggers_off",
}

_READ: Final = """
SELECT name, setting FROM pg_catalog.pg_settings
WHERE name IN
    ('fsync', 'full_page_writes', 'data_checksums', 'synchronous_commit', 'cluster_name', 'server_version_num')
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFault:
    """One reason not to serve from this database; ``code`` names a sentence in ``gateway.base.messages.cli``."""

    code: str
    params: Mapping[str, str | int] = field(default_factory=dict)


class PreflightError(Exception):
    """The database is not fit to serve from; ``faults`` says everything that is wrong."""

    def __init__(self, faults: tuple[DatabaseFault, ...]) -> None:
        super().__init__(", ".join(fault.code for fault in faults))
        self.faults: Final = faults


async def check_database(connection: Connection, *, production: bool) -> None:
    """Return if the connected database is fit; otherwise ``PreflightError`` with all that is wrong."""
    settings = dict(await connection.fetch(_READ))
    faults = [
        DatabaseFault(code="db_not_durable", params={"name": name}) for name in _DURABLE if settings[name] != "on"
    ]
    if settings["synchronous_commit"] not in _SYNCHRONOUS:
        faults.append(DatabaseFault(code="db_not_durable", params={"name": "synchronous_commit"}))
    if int(settings["server_version_num"]) < MIN_SERVER_VERSION:
        faults.append(DatabaseFault(code="db_too_old", params={"version": settings["server_version_num"]}))
    if await connection.fetchval("SELECT pg_catalog.pg_is_in_recovery()"):
        faults.append(DatabaseFault(code="db_standby"))
    if production and settings["cluster_name"] == CLUSTER_NAME:
        faults.append(DatabaseFault(code="db_embedded"))
    found, wanted = await current(connection), HEAD
    if found != wanted:
        faults.append(DatabaseFault(code="db_schema", params={"found": found or "-", "wanted": wanted}))
    else:  # of another schema nothing can be said
        faults += [
            DatabaseFault(code=_DEVIATIONS[deviation], params={"name": name})
            for deviation, name in await find_deviations(connection)
        ]
    if faults:
        raise PreflightError(tuple(faults))
