"""Which schema a database has and which one this code needs: what a serving process knows of migrations.

For: start-up checks, without the weight of the migration tool. Not for: changing anything (``gateway.postgres.migrate``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gateway.postgres.pool import Connection

HEAD: Final = "0005"
"""The revision this code needs; a test compares it with the newest one that Alembic finds."""


class MigrateError(Exception):
    """The schema cannot be brought to this code's; ``args[0]`` says why in one sentence."""


async def current(connection: Connection) -> str | None:
    """Return the revision of the connected database, or None if it was never migrated."""
    if await connection.fetchval("SELECT to_regclass('migration.alembic_version') IS NULL"):
        return None
    revision: str | None = await connection.fetchval("SELECT version_num FROM migration.alembic_version")
    return revision
