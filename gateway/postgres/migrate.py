"""Bringing a database to the schema of this code: forward only, one transaction, under locks and limits.

For: ``credit-gateway migrate``, the demo and the tests. Alembic orders the revisions and renders them as one SQL
script; this module runs the script through asyncpg. Not for: request handling; a serving process only compares ``head``
with ``current``.

A file that was once run may not change: its SHA-256 is recorded and compared at every later run.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from gateway.base.secret import Secret
from gateway.postgres.pool import Connection, Target, connect
from gateway.postgres.schema import HEAD, MigrateError, current

MIGRATIONS: Final = Path(__file__).parent / "migrations"
OWNER: Final = "gateway_owner"
PARTITIONS_AHEAD_DAYS: Final = 35
"""How far ahead the partitions of the log are made; the feed process repeats it every hour."""

_LIMITS: Final = {"lock_timeout": "4s", "statement_timeout": "5s", "timezone": "UTC", "search_path": "pg_catalog"}
"""A migration gives up before it stands in the way: whoever waits behind its lock waits at most this long."""
_GRANTS: Final = "DO $grants$"
"""How the second part of ``deploy/roles.sql`` begins."""
_CLOSE_DEADLINE_S: Final = 10.0
_MIGRATION_LOCK: Final = (7203, 2)
_EMPTY_TREE_ROOT: Final = hashlib.sha256(b"").digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """What a migration did: the revision before (None for an empty database) and after."""

    before: str | None
    after: str


def plan(current_revision: str | None) -> str:
    """Return the SQL that leads from a revision (None: an empty database) to this code's, for review or to run."""
    script = io.StringIO()
    try:
        command.upgrade(_config(script), f"{current_revision or 'base'}:head", sql=True)
    except CommandError as exc:
        msg = f"the database is at revision {current_revision}, which this version of the program does not know"
        raise MigrateError(msg) from exc
    return script.getvalue()


async def migrate(dsn: str, *, roles: bool = False) -> Migrated:
    """Bring a database to this code's schema; does nothing when it is there already.

    1. With ``roles``: create the roles of ``deploy/roles.sql`` (needs a superuser) and work as the owner among them.
    2. Take the migration lock, so that two at once do not both migrate; compare the checksums of what was run before.
    3. Run the missing revisions and record their checksums: one transaction, all or nothing.
    4. With ``roles``: grant each role its rights on what now exists.
    """
    connection = await connect(
        Target(dsn=Secret(dsn.encode()), application_name="credit-gateway migrate", settings=_LIMITS)
    )
    try:
        if roles:  # 1
            await apply_roles(connection, grants=False)
        async with connection.transaction():
            if roles:
                await connection.execute(f"SET LOCAL ROLE {OWNER}")
            done = await _upgrade(connection)  # 2, 3
        if roles:  # 4
            await apply_roles(connection)
    finally:
        await connection.close(timeout=_CLOSE_DEADLINE_S)
    return done


async def apply_roles(connection: Connection, *, grants: bool = True) -> None:
    """Run ``deploy/roles.sql``: idempotent. Without its grants before a migration: they name what only the newest schema has."""
    sql = await asyncio.to_thread(_roles_file().read_text, encoding="utf-8")
    await connection.execute(sql if grants else sql.partition(_GRANTS)[0])


async def ensure_log(connection: Connection, log_id: int, origin: str) -> None:
    """Open a log with its genesis batch and its coming partitions, or confirm that it is open under the same origin.

    Refuses with ``MigrateError`` a log that has another origin, and an origin that belongs to another log: the origin
    is part of every checkpoint ever signed.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1, $2)", *_MIGRATION_LOCK)
        rows = await connection.fetch(
            "SELECT log_id, origin FROM audit.log WHERE log_id = $1 OR origin = $2", log_id, origin
        )
        if not rows:
            await connection.execute(_OPEN_LOG, log_id, origin)
            await connection.execute(_GENESIS_HEAD, log_id, _EMPTY_TREE_ROOT)
            await connection.execute(_GENESIS_BATCH, log_id, _EMPTY_TREE_ROOT)
        elif [(row["log_id"], row["origin"]) for row in rows] != [(log_id, origin)]:
            msg = f"log {log_id} is open under another origin than {origin}: {rows[0]['log_id']} {rows[0]['origin']}"
            raise MigrateError(msg)
        await connection.execute(
            "SELECT audit.ensure_partitions((now() AT TIME ZONE 'UTC')::date, $1)", PARTITIONS_AHEAD_DAYS
        )


_OPEN_LOG: Final = """
INSERT INTO audit.log (log_id, origin, created_ms) VALUES ($1, $2, (extract(epoch FROM now()) * 1000)::bigint)
"""
_GENESIS_HEAD: Final = "INSERT INTO audit.head (log_id, size, root, frontier, ts) VALUES ($1, 0, $2, '', now())"
_GENESIS_BATCH: Final = """
INSERT INTO audit.batch (log_id, size, prev_size, root, ts, writer) VALUES ($1, 0, NULL, $2, now(), 'genesis')
"""


async def _upgrade(connection: Connection) -> Migrated:
    await connection.execute("SELECT pg_advisory_xact_lock($1, $2)", *_MIGRATION_LOCK)
    await connection.execute((MIGRATIONS / "ledger.sql").read_text(encoding="utf-8"))
    before = await current(connection)
    files = await asyncio.to_thread(_checksums)
    recorded = dict(await connection.fetch("SELECT file, sha256 FROM migration.applied"))
    for name, digest in recorded.items():
        if files.get(name) != digest:
            msg = f"the migration {name} was changed after it had been run on this database"
            raise MigrateError(msg)
    after = HEAD
    if before == after:
        return Migrated(before=before, after=after)
    script = await asyncio.to_thread(plan, before)
    # Several statements in one message run inside the open transaction; statement_timeout counts for each of them.
    await connection.execute(script)
    missing = [(name, digest) for name, digest in files.items() if name not in recorded]
    await connection.executemany("INSERT INTO migration.applied (file, sha256) VALUES ($1, $2)", missing)
    return Migrated(before=before, after=after)


def _config(output: io.StringIO) -> Config:
    config = Config(output_buffer=output)
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config


def _checksums() -> dict[str, bytes]:
    return {
        file.name: hashlib.sha256(file.read_bytes()).digest() for file in sorted((MIGRATIONS / "sql").glob("*.sql"))
    }


def _roles_file() -> Path:
    """Return ``deploy/roles.sql`` of the source tree, or its copy in an installed package."""
    packaged = Path(__file__).with_name("roles.sql")
    return packaged if packaged.exists() else Path(__file__).parents[2] / "deploy" / "roles.sql"
