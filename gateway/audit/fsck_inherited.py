"""What a successor log rests on: the partners and keys that its predecessors' leaves registered.

For: a check of a log whose first leaf is ``log.succeed``. Rows of partners and keys outlive a log, and so do their acts.
Not for: checking the predecessors; each is a log of its own to ``fsck``. An act counts only if its secret opens under its leaf, which
only a host can make; one that was taken away is found by the check of the log that it was taken from.
"""

from __future__ import annotations

from typing import Final

from gateway.audit.entry import LeafError, LeafFields, LeafKind, decode_leaf
from gateway.audit.fsck_holders import HolderCheck
from gateway.audit.merkle import leaf_hash
from gateway.audit.plaintext import Plaintext, matches, open_plaintext, parse_plaintext
from gateway.audit.readers import LogReader, StoredEntry
from gateway.base.canonical import JsonError
from gateway.base.sealing import CannotOpen, Sealer

SUCCEED: Final = "log.succeed"
MAX_LOGS: Final = 32
"""Logs are succeeded by number, a ceremony each; more than these are a ring."""
PAGE: Final = 1024


async def predecessor_of(reader: LogReader, sealer: Sealer) -> str | None:
    """Return the name of the log that this one succeeds, from its first leaf; None if it succeeds none or that cannot be read."""
    rows = await reader.entries(0, 1)
    fields = _fields(rows[0]) if rows else None
    if fields is None or (fields.kind, fields.op) != (LeafKind.CONFIG, SUCCEED):
        return None
    kept = await _opened(reader, rows[0], fields, sealer)
    said = None if kept is None or not isinstance(kept.arguments, dict) else kept.arguments.get("predecessor")
    return said if isinstance(said, str) else None


async def is_succeeded(reader: LogReader, origin: str, sealer: Sealer) -> bool:
    """Tell whether another log's first leaf, made by a host, names this log: rows of partners and keys have gone on with that one.

    That the row of the log says it is closed would not do: whoever owns the database could say so.
    """
    for name in await reader.logs():
        other = None if name == origin else await reader.of_log(name)
        if other is not None and await predecessor_of(other, sealer) == origin:
            return True
    return False


async def inherit(reader: LogReader, predecessor: str, sealer: Sealer, holders: HolderCheck) -> None:
    """Tell of every act on partners and keys in the logs before this one, oldest first."""
    before: list[LogReader] = []
    name: str | None = predecessor
    while name is not None and len(before) < MAX_LOGS:
        earlier = await reader.of_log(name)
        if earlier is None:
            break
        before.insert(0, earlier)
        name = await predecessor_of(earlier, sealer)
    for earlier in before:
        await _tell_acts(earlier, sealer, holders)


async def _tell_acts(reader: LogReader, sealer: Sealer, holders: HolderCheck) -> None:
    size = (await reader.head()).size
    for first in range(0, size, PAGE):
        for entry in await reader.entries(first, min(PAGE, size - first)):
            fields = _fields(entry)
            if fields is None or fields.kind not in {LeafKind.PARTNER, LeafKind.KEY}:
                continue
            kept = await _opened(reader, entry, fields, sealer)
            if kept is not None:
                holders.saw(entry.leaf_index, fields, kept.arguments)


def _fields(entry: StoredEntry) -> LeafFields | None:
    try:
        return decode_leaf(entry.leaf)
    except LeafError:
        return None


async def _opened(reader: LogReader, entry: StoredEntry, fields: LeafFields, sealer: Sealer) -> Plaintext | None:
    for secret in await reader.secrets(entry.leaf_index, 1):
        try:
            plaintext = open_plaintext(sealer, secret.sealed, leaf_hash(entry.leaf), secret.salt, secret.key_id)
            kept = parse_plaintext(plaintext)
        except (CannotOpen, JsonError):
            continue
        if matches(kept, fields, secret.salt):
            return kept
    return None
