"""What guards the tables, compared with what was shipped: functions, triggers, constraints, and rules or row security there are none of.

For: the start of a process and ``audit fsck``. Whoever owns the database can replace a function body or switch a trigger off without
touching a row; ``safeguards.json`` says what the migrations make, by digest.
Not for: the shape of tables (``schemas/db/schema.sql``). Not a defence against an owner who replaces the server: then look at the rows
(``fsck``) from another one.

``python -m gateway.postgres.dump safeguards`` writes the file again after a migration.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.audit.readers import Deviation
from gateway.base.canonical import canonical_json, parse_json_object
from gateway.base.crypto import sha256
from gateway.postgres.queries import Queries

if TYPE_CHECKING:
    from gateway.postgres.pool import Connection

SHIPPED: Final = Path(__file__).with_name("safeguards.json")


async def read_safeguards(connection: Connection) -> dict[str, str]:
    """Return the digest (SHA-256 in hex) of everything that guards the tables, by name."""
    rows = await connection.fetch(Queries.load("safeguards")["safeguards"])
    return {row["name"]: sha256(row["content"].encode()).hex() for row in rows}


async def find_deviations(connection: Connection) -> list[tuple[Deviation, str]]:
    """Return how what guards the tables of the connected database differs from what was shipped, by name."""
    found = compare_safeguards(await read_safeguards(connection), shipped_safeguards())
    rows = await connection.fetch(Queries.load("safeguards")["triggers_off"])
    return found + [(Deviation.TRIGGERS_OFF, row["name"]) for row in rows]


def compare_safeguards(found: Mapping[str, str], shipped: Mapping[str, str]) -> list[tuple[Deviation, str]]:
    """Return what is changed, missing or unknown, by name."""
    deviations: list[tuple[Deviation, str]] = []
    for name in sorted({*found, *shipped}):
        if name not in found:
            deviations.append((Deviation.MISSING, name))
        elif name not in shipped:
            deviations.append((Deviation.UNKNOWN, name))
        elif found[name] != shipped[name]:
            deviations.append((Deviation.CHANGED, name))
    return deviations


def shipped_safeguards() -> dict[str, str]:
    """Read the digests that came with the program."""
    return {name: str(digest) for name, digest in parse_json_object(SHIPPED.read_bytes()).items()}


def render_safeguards(safeguards: Mapping[str, str]) -> bytes:
    """Return the file of shipped digests: canonical JSON, one member a line."""
    return canonical_json(safeguards).replace(b'","', b'",\n"') + b"\n"
