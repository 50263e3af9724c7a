"""The columns stored beside a leaf, as they follow from it: for search and joins, never for belief.

For: telling a column that was changed. Not for: deciding by a column; what a leaf says is read from its bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.audit.entry import LeafFields, LeafKind


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryColumns:
    """The columns of one entry; ``subject_index`` is the 16-byte digest of its blind index."""

    kind: str
    operation: str
    decision: str
    partner_id: str | None = None
    purpose: str | None = None
    subject_index: bytes | None = None
    verification_id: str | None = None


def columns_of(fields: LeafFields) -> EntryColumns:
    """Return the columns that a leaf's entry has. Only a query is found by its verification: a reading names another's."""
    return EntryColumns(
        kind=fields.kind.value,
        operation=fields.op,
        decision=fields.decision,
        partner_id=fields.partner,
        purpose=fields.purpose,
        subject_index=_subject_digest(fields.sub_bi),
        verification_id=fields.id if fields.kind is LeafKind.QUERY else None,
    )


def _subject_digest(blind_index: str | None) -> bytes | None:
    """Return the digest of ``<epoch>.<hex>``; empty bytes, which no column holds, for a leaf that spells it otherwise."""
    if blind_index is None:
        return None
    try:
        return bytes.fromhex(blind_index.partition(".")[2])
    except ValueError:
        return b""
