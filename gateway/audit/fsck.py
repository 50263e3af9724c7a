"""The check of the whole log: all that is stored must follow from the leaves, and the leaves from hosts of this log.

For: ``audit fsck``. It finds what whoever owns the database can do to rows, and names each by a stable code with where.
Not for: repairing; a log is never repaired. Not for what the owner of the database can do without contradicting anything that is
stored: deleting an idempotency key, or going back to an earlier state as a whole; ``against`` and the hosts' guard are for that.

Memory is flat: pages, ranges, and ids spilled to files (``fsck_requests``).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.audit.acts import HolderRules
from gateway.audit.batch_mac import BatchMac
from gateway.audit.entry import Committed, LeafError, LeafKind, decode_leaf, open_key, opens
from gateway.audit.fsck_against import KeptCheckpoint, compare_kept
from gateway.audit.fsck_holders import HolderCheck, Holders
from gateway.audit.fsck_inherited import inherit, is_succeeded, predecessor_of
from gateway.audit.fsck_report import MAX_FAULTS, FaultCode, Faults, FsckReport, Stopped
from gateway.audit.fsck_requests import RequestCheck
from gateway.audit.fsck_rows import RowCheck
from gateway.audit.fsck_tree import TreeWalk
from gateway.audit.merkle import leaf_hash
from gateway.audit.paging import Rows
from gateway.audit.plaintext import open_plaintext, parse_plaintext
from gateway.audit.readers import Deviation, LogReader, StoredHead, StoredIdempotency
from gateway.base.canonical import JsonError, canonical_json
from gateway.base.clock import Millis, rfc3339
from gateway.base.sealing import CannotOpen, Sealer

IDEMPOTENCY_PAGE: Final = 1024
_DEVIATIONS: Final = {
    Deviation.CHANGED: FaultCode.SAFEGUARD_CHANGED,
    Deviation.MISSING: FaultCode.SAFEGUARD_MISSING,
    Deviation.UNKNOWN: FaultCode.SAFEGUARD_UNKNOWN,
    Deviation.TRIGGERS_OFF: FaultCode.TRIGGERS_OFF,
}

Progress = Callable[[int], None]
"""Is told after each page how many leaves were checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """What this host knows of its log, beside what the database says.

    ``shallow`` leaves the secrets of partners' calls closed. ``against`` are checkpoints that others kept. ``today`` (UTC) tells
    which days of one-time ids must still be there. ``holders`` say how partners and keys follow from their leaves.
    """

    origin: str
    batch_mac: BatchMac
    sealer: Sealer
    today: dt.date
    shallow: bool
    against: tuple[KeptCheckpoint, ...]
    holders: HolderRules


async def fsck(
    reader: LogReader, checks: Checks, *, max_faults: int = MAX_FAULTS, progress: Progress = lambda _leaves: None
) -> FsckReport:
    """Check the log, up to the head as it is now. Entries that arrive meanwhile are left for next time.

    1. What guards the tables: functions, triggers, constraints, as shipped; the log's name, and what it took from a predecessor.
    2. Walk the entries up to the head: the tree, and what stands beside each leaf.
    3. What is left over: tiles, batches and rows past the head; the head itself; checkpoints that others kept.
    4. Secrets that are missing, and keys that opened nothing.
    5. Partners and keys, then idempotency keys.
    6. One-time ids.
    """
    before = Holders(await reader.partners(), await reader.keys())
    run = _Run(reader, checks, await reader.head(), Faults(limit=max_faults))
    complete = False
    try:
        await run.compare_safeguards()  # 1
        await run.inherit()
        await run.tree.walk(run.rows.visit, progress)  # 2
        await run.compare_ends()  # 3
        run.rows.finish()  # 4
        if not await is_succeeded(
            reader, checks.origin, checks.sealer
        ):  # 5; else the successor's check compares the rows
            run.holders.compare(before, Holders(await reader.partners(), await reader.keys()))
        await run.compare_idempotency()
        await run.requests.compare(run.head.size)  # 6
        complete = True
    except Stopped:
        pass
    finally:
        run.requests.close()
    return run.report(complete=complete)


class _Run:
    """The parts of one pass."""

    def __init__(self, reader: LogReader, checks: Checks, head: StoredHead, faults: Faults) -> None:
        self._reader: Final = reader
        self._checks: Final = checks
        self._faults: Final = faults
        self.head: Final = head
        self.holders: Final = HolderCheck(faults, checks.holders)
        self.requests: Final = RequestCheck(reader=reader, faults=faults, today=checks.today)
        self.rows: Final = RowCheck(
            reader=reader,
            origin=checks.origin,
            faults=faults,
            sealer=checks.sealer,
            shallow=checks.shallow,
            witnesses=(self.requests, self.holders),
        )
        wanted = frozenset(kept.size for kept in checks.against if kept.size <= head.size)
        self.tree: Final = TreeWalk(reader=reader, head=head, faults=faults, mac=checks.batch_mac, wanted=wanted)

    async def compare_safeguards(self) -> None:
        for deviation, name in await self._reader.deviations():
            self._faults.add(_DEVIATIONS[deviation], name)

        if await self._reader.origin() != self._checks.origin:
            self._faults.add(FaultCode.LOG_ORIGIN, self._checks.origin)

    async def inherit(self) -> None:
        """Learn what a successor log took along from the log that its first leaf names."""
        predecessor = await predecessor_of(self._reader, self._checks.sealer)
        if predecessor is not None and predecessor != self._checks.origin:
            self.requests.predecessor = predecessor
            await inherit(self._reader, predecessor, self._checks.sealer, self.holders)

    async def compare_ends(self) -> None:
        await self.tree.compare_leftovers()
        for table, index in await self._reader.strays(self._faults.limit):
            code = FaultCode.ENTRY_STRAY if table == "entry" else FaultCode.SECRET_STRAY
            self._faults.add(code, index)
        self.tree.compare_head()
        compare_kept(self._checks.against, self.tree.roots_at, self.head.size, self._faults)

    async def compare_idempotency(self) -> None:
        rows = Rows(lambda last: self._reader.idempotency(last, IDEMPOTENCY_PAGE), IDEMPOTENCY_PAGE)
        while (row := await rows.peek()) is not None:
            rows.take()
            code = _idempotency_fault(row, None if self._checks.shallow else self._checks.sealer)
            if code is not None:
                self._faults.add(code, f"{row.partner_id} {row.operation} {row.key_hash.hex()}")

    def report(self, *, complete: bool) -> FsckReport:
        return FsckReport(
            leaves=self.tree.frontier.size,
            batches=self.tree.batches_seen,
            tiles=self.tree.tiles_seen,
            head_size=self.head.size,
            root=self.tree.frontier.root,
            faults=tuple(self._faults.found),
            complete=complete,
            secrets=self.rows.opened,
            unopened=self.rows.unopened,
            requests=self.requests.compared,
        )


def _idempotency_fault(row: StoredIdempotency, sealer: Sealer | None) -> FaultCode | None:
    """Tell what is wrong with a key, if anything.

    The verification that it names was answered to this partner, by this operation, at this time, and, as far as its secret opens,
    under this key and to this body. What cannot be read or opened is reported where it stands.
    """
    if row.leaf is None:
        return FaultCode.IDEMPOTENCY_LEAF
    try:
        fields = decode_leaf(row.leaf)
    except LeafError:
        return None
    found = (fields.kind, fields.id, fields.partner, fields.op, fields.ts)
    moment = rfc3339(Millis(row.created_ms))
    if found != (LeafKind.QUERY, row.verification_id, row.partner_id, row.operation, moment) or fields.idem_c is None:
        return FaultCode.IDEMPOTENCY_LEAF
    if sealer is None or row.salt is None or row.key_id is None or row.sealed is None:
        return None
    try:
        plaintext = open_plaintext(sealer, row.sealed, leaf_hash(row.leaf), row.salt, row.key_id)
        asked = canonical_json(parse_plaintext(plaintext).arguments)
    except (CannotOpen, JsonError):
        return None
    if not opens(fields.idem_c, open_key(row.salt, Committed.IDEM), row.key_hash):
        return FaultCode.IDEMPOTENCY_LEAF
    return None if hashlib.sha256(asked).digest() == row.body_hash else FaultCode.IDEMPOTENCY_BODY
