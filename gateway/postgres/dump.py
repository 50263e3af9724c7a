"""``python -m gateway.postgres.dump``: the schema after all migrations, as ``schemas/db/schema.sql`` keeps it.

With the argument ``safeguards``: the digests of its functions, triggers and constraints, as kept in ``safeguards.json``.

For: reading the whole schema in one place, and a test that it is what the migrations make. Not for: restoring a database.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from gateway.base.secret import Secret
from gateway.postgres.embedded import SUPERUSER, EmbeddedPostgres
from gateway.postgres.migrate import migrate
from gateway.postgres.pool import Target, connect
from gateway.postgres.safeguards import read_safeguards, render_safeguards

_DATABASE: Final = "schema"
_NOISE: Final = re.compile(r"^(?:--.*|SET .*|SELECT pg_catalog\.set_config.*|\\(?:un)?restrict .*)\n", re.MULTILINE)
_BLANK_LINES: Final = re.compile(r"\n{3,}")
_DEADLINE_S: Final = 60


async def dump_schema(server: EmbeddedPostgres) -> str:
    """Return what the migrations make of an empty database of this server: no owners, no rights, no settings."""
    await server.drop_database(_DATABASE)
    await server.create_database(_DATABASE)
    try:
        await migrate(server.dsn(_DATABASE))
        dumped = await asyncio.to_thread(_run_pg_dump, server)
    finally:
        await server.drop_database(_DATABASE)
    major = await asyncio.to_thread(server.major)
    body = _BLANK_LINES.sub("\n\n", _NOISE.sub("", dumped.stdout)).strip()
    return f"-- Made by python -m gateway.postgres.dump with PostgreSQL {major}.\n\n{body}\n"


def _run_pg_dump(server: EmbeddedPostgres) -> subprocess.CompletedProcess[str]:
    access = {
        "PGHOST": str(server.socket_directory),
        "PGUSER": SUPERUSER,
        "PGDATABASE": _DATABASE,
        "PGPASSWORD": urlsplit(server.dsn()).password or "",
    }
    return subprocess.run(  # noqa: S603 - a program of the server, fixed arguments; the password is not among them
        [server.program("pg_dump"), "--schema-only", "--no-owner", "--no-privileges"],
        env=access,
        capture_output=True,
        text=True,
        check=True,
        timeout=_DEADLINE_S,
    )


async def dump_safeguards(server: EmbeddedPostgres) -> str:
    """Return the digests of what guards the tables that the migrations make, as ``safeguards.json`` keeps them."""
    await server.drop_database(_DATABASE)
    await server.create_database(_DATABASE)
    try:
        await migrate(server.dsn(_DATABASE))
        connection = await connect(Target(dsn=Secret(server.dsn(_DATABASE).encode()), application_name="dump"))
        try:
            return render_safeguards(await read_safeguards(connection)).decode()
        finally:
            await connection.close()
    finally:
        await server.drop_database(_DATABASE)


async def _main(what: Sequence[str]) -> None:
    dump = dump_safeguards if list(what) == ["safeguards"] else dump_schema
    with tempfile.TemporaryDirectory() as home:
        async with EmbeddedPostgres(Path(home)) as server:
            sys.stdout.write(await dump(server))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
