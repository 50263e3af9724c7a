"""What stands beside each leaf: its columns and its secret, compared with the leaf.

For: pages of entries on their way into the tree. Not for: the tree (``fsck_tree``), one-time ids (``fsck_requests``), partners and
keys (``fsck_holders``), which are told here what each leaf said.

A missing secret is a fault unless a mark names its leaf (``erasure``); a mark stands behind what it erased, so missing ranges are
kept until the end. A secret that does not open was changed, unless no secret under its key opens: then this host has another key.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway.audit.columns import EntryColumns, columns_of
from gateway.audit.entry import LeafError, LeafFields, LeafKind, decode_leaf
from gateway.audit.erasure import ErasureError, Range, parse_erasure
from gateway.audit.fsck_report import FaultCode, Faults, Stopped
from gateway.audit.merkle import leaf_hash
from gateway.audit.plaintext import Plaintext, matches, open_plaintext, parse_plaintext
from gateway.audit.readers import EntrySecret, LogReader, StoredEntry
from gateway.base.canonical import Json, JsonError
from gateway.base.clock import parse_rfc3339, to_datetime
from gateway.base.sealing import CannotOpen, Sealer

MAX_MISSING_RANGES: Final = 100_000
"""Missing secrets that lie apart: some ten megabytes. More cannot be one erasure a subject, and end the pass."""

ACTS: Final = frozenset({LeafKind.PARTNER, LeafKind.KEY, LeafKind.ERASURE})
"""Kinds that other checks rest on: opened in a shallow pass too."""
MAX_APART: Final = dt.timedelta(hours=1)
"""Between a host's clock, in the leaf, and the database's, at its commit: a queue lasts seconds and clocks that differ by more than some
minutes refuse every proof, so an hour is no delay; and it is as short as what an auditor would argue about."""
_COLUMN_FAULTS: Final = {
    "kind": FaultCode.ENTRY_KIND,
    "partner_id": FaultCode.ENTRY_PARTNER,
    "operation": FaultCode.ENTRY_OPERATION,
    "purpose": FaultCode.ENTRY_PURPOSE,
    "decision": FaultCode.ENTRY_DECISION,
    "subject_index": FaultCode.ENTRY_SUBJECT,
    "verification_id": FaultCode.ENTRY_VERIFICATION,
}


class Witness(Protocol):
    """Whoever wants to know what each leaf says, in the order of the log."""

    def saw(self, index: int, fields: LeafFields, arguments: Json) -> None:
        """Take note of a leaf; ``arguments`` is None where they were not kept or could not be opened."""
        ...

    def missed(self) -> None:
        """Take note that a leaf cannot be read, which is reported elsewhere."""
        ...


@dataclass(slots=True, kw_only=True)
class RowCheck:
    """Compares pages of entries. ``sealer`` is None for a shallow pass, which opens nothing but the acts of operators' marks."""

    reader: LogReader
    origin: str
    faults: Faults
    sealer: Sealer
    shallow: bool
    witnesses: Sequence[Witness]
    opened: int = 0
    unopened: int = 0
    missing: list[Range] = field(default_factory=list)
    erased: list[Range] = field(default_factory=list)
    # By number of the key: whether any secret opened, and those that did not while none had.
    keys_proven: set[int] = field(default_factory=set)
    doubtful: dict[int, list[int]] = field(default_factory=dict)
    doubtful_count: dict[int, int] = field(default_factory=dict)
    # Secrets that bear another time than their entry: one of the two was moved.
    misplaced: list[int] = field(default_factory=list)
    # Entries whose time is far from what their leaf says.
    apart: list[int] = field(default_factory=list)
    # Indexes with a secret.
    present: list[Range] = field(default_factory=list)

    async def visit(self, page: Sequence[StoredEntry]) -> None:
        """Compare one page, as ``fsck_tree`` gives it."""
        if not page:
            return
        first = page[0].leaf_index
        secrets = self._by_index(await self.reader.secrets(first, len(page)))
        for entry in page:
            fields = self._fields(entry)
            if fields is None:
                for witness in self.witnesses:
                    witness.missed()
                continue
            self._compare_columns(entry, fields)
            if _is_apart(entry, fields) and len(self.apart) < self.faults.limit:
                self.apart.append(entry.leaf_index)
            kept = self._plaintext(entry, fields, secrets.get(entry.leaf_index))
            self._note_mark(entry.leaf_index, fields, kept)
            for witness in self.witnesses:
                witness.saw(entry.leaf_index, fields, None if kept is None else kept.arguments)

    def _by_index(self, rows: Sequence[EntrySecret]) -> dict[int, EntrySecret]:
        found: dict[int, EntrySecret] = {}
        for row in rows:
            if row.leaf_index in found:
                self.faults.add(FaultCode.SECRET_STRAY, row.leaf_index)
            found.setdefault(row.leaf_index, row)
        return found

    def _fields(self, entry: StoredEntry) -> LeafFields | None:
        """Read a leaf; None if it was changed, which the tree reports, or is none of this log, which is reported here."""
        if leaf_hash(entry.leaf) != entry.leaf_hash:
            return None
        try:
            fields = decode_leaf(entry.leaf)
        except LeafError:
            self.faults.add(FaultCode.LEAF_FORM, entry.leaf_index)
            return None
        if fields.log != self.origin:
            self.faults.add(FaultCode.LEAF_LOG, entry.leaf_index)
        return fields

    def _compare_columns(self, entry: StoredEntry, fields: LeafFields) -> None:
        derived = columns_of(fields)
        if entry.columns == derived:
            return
        for name, code in _COLUMN_FAULTS.items():
            if _column(entry.columns, name) != _column(derived, name):
                self.faults.add(code, entry.leaf_index)

    def _plaintext(self, entry: StoredEntry, fields: LeafFields, secret: EntrySecret | None) -> Plaintext | None:
        """Open the secret of a leaf and compare it with what the leaf commits to; return what was kept, if anything."""
        index = entry.leaf_index
        if secret is None:
            self._extend(self.missing, index)
            return None
        self._extend(self.present, index)
        if secret.logged_at != entry.logged_at and len(self.misplaced) < self.faults.limit:
            self.misplaced.append(index)
        if self.shallow and fields.kind not in ACTS:
            self.unopened += 1
            return None
        try:
            plaintext = open_plaintext(self.sealer, secret.sealed, entry.leaf_hash, secret.salt, secret.key_id)
        except CannotOpen:
            self._doubt(secret)
            return None
        self.keys_proven.add(secret.key_id)
        self.opened += 1
        return self._committed(index, plaintext, fields, secret) if plaintext else None

    def _committed(self, index: int, plaintext: bytes, fields: LeafFields, secret: EntrySecret) -> Plaintext | None:
        try:
            kept = parse_plaintext(plaintext)
        except JsonError:
            kept = None
        if kept is None or not matches(kept, fields, secret.salt):
            self.faults.add(FaultCode.SECRET_COMMITMENT, index)
            return None
        return kept

    def _doubt(self, secret: EntrySecret) -> None:
        key_id = secret.key_id
        if not self.sealer.knows(key_id) and 0 < key_id < self.sealer.current:
            self.unopened += 1  # a key of ours that was destroyed: all it sealed is erased
        elif key_id in self.keys_proven or not self.sealer.knows(key_id):
            self.faults.add(FaultCode.SECRET_CHANGED, secret.leaf_index)
        else:
            indexes = self.doubtful.setdefault(key_id, [])
            if len(indexes) < self.faults.limit:
                indexes.append(secret.leaf_index)
            self.doubtful_count[key_id] = self.doubtful_count.get(key_id, 0) + 1

    def _note_mark(self, index: int, fields: LeafFields, kept: Plaintext | None) -> None:
        if fields.kind is not LeafKind.ERASURE:
            return
        try:
            ranges = parse_erasure(None if kept is None else kept.arguments)
        except ErasureError:
            ranges = ()
        if not ranges or ranges[-1][1] >= index:  # a mark erases what stands before it
            self.faults.add(FaultCode.ERASURE_UNREADABLE, index)
            return
        self.erased += ranges

    def _extend(self, ranges: list[Range], index: int) -> None:
        if ranges and ranges[-1][1] == index - 1:
            ranges[-1] = (ranges[-1][0], index)
            return
        ranges.append((index, index))
        if len(ranges) > MAX_MISSING_RANGES:
            self.faults.add(FaultCode.SECRET_MISSING, f"{ranges[0][0]}...{index}")
            raise Stopped

    def _judge_times(self) -> None:
        """Report times that contradict each other, once an entry."""
        moved = {(fault.code, fault.where) for fault in self.faults.found}
        for index in self.misplaced:
            if not moved & {(FaultCode.ENTRY_TIME, str(index)), (FaultCode.BATCH_TIME, str(index + 1))}:
                self.faults.add(FaultCode.SECRET_CHANGED, index)
        for index in self.apart:
            if (FaultCode.ENTRY_TIME, str(index)) not in moved:
                self.faults.add(FaultCode.ENTRY_TIME, index)

    def finish(self) -> None:
        """Judge what could be judged only when the whole log had been read: missing secrets, and keys that opened nothing."""
        self._judge_times()
        erased = _union(self.erased)
        for first, last in _without(self.missing, erased):
            self.faults.add(FaultCode.SECRET_MISSING, first if first == last else f"{first}-{last}")
        for first, last in _common(self.present, erased):
            self.faults.add(FaultCode.SECRET_NOT_ERASED, first if first == last else f"{first}-{last}")
        for key_id, indexes in self.doubtful.items():
            if key_id not in self.keys_proven:
                self.unopened += self.doubtful_count[key_id]
                self.faults.add(FaultCode.SEALING_KEY, key_id)
                continue
            for index in indexes:
                self.faults.add(FaultCode.SECRET_CHANGED, index)


def _is_apart(entry: StoredEntry, fields: LeafFields) -> bool:
    try:
        said = to_datetime(parse_rfc3339(fields.ts))
    except ValueError:
        return True
    return abs(entry.logged_at - said) > MAX_APART


def _column(columns: EntryColumns, name: str) -> object:
    return getattr(columns, name)


def _union(ranges: Sequence[Range]) -> list[Range]:
    """Return the same indexes in ascending ranges that lie apart."""
    merged: list[Range] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def _common(left: Sequence[Range], right: Sequence[Range]) -> list[Range]:
    """Return the indexes of both, each ascending and apart."""
    found: list[Range] = []
    at = other = 0
    while at < len(left) and other < len(right):
        first, last = max(left[at][0], right[other][0]), min(left[at][1], right[other][1])
        if first <= last:
            found.append((first, last))
        if left[at][1] < right[other][1]:
            at += 1
        else:
            other += 1
    return found


def _without(left: Sequence[Range], right: Sequence[Range]) -> list[Range]:
    """Return the indexes of the first that the second does not have."""
    found: list[Range] = []
    common = iter(_common(left, right))
    cut = next(common, None)
    for first, last in left:
        start = first
        while cut is not None and cut[0] <= last:
            if start < cut[0]:
                found.append((start, cut[0] - 1))
            start = cut[1] + 1
            cut = next(common, None)
        if start <= last:
            found.append((start, last))
    return found
