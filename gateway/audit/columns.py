"""The columns that stand beside a stored leaf, and what they must say: they are for finding it, and are never believed.

For: one rule, pure, for whoever has read a row of ``audit.entry``: reading back an answer, and re-derivation of the whole log.
Not for: whether the leaf itself is in the tree (``proofs``).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from gateway.audit.entry import LeafFields, LeafKind
from gateway.audit.merkle import leaf_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryColumns:
    """The columns of ``audit.entry`` that follow from the leaf. ``leaf_hash`` is 32 bytes, ``subject_index`` 16."""

    leaf_hash: bytes
    kind: str
    partner_id: str | None
    operation: str
    purpose: str | None
    decision: str
    subject_index: bytes | None
    verification_id: str | None


def derive_columns(leaf: bytes, said: LeafFields) -> EntryColumns:
    """Return the columns that follow from a leaf, given as bytes and as read by ``decode_leaf``.

    Only the leaf of the answer itself is found by its verification id; leaves of later readings name it too.
    """
    return EntryColumns(
        leaf_hash=leaf_hash(leaf),
        kind=said.kind.value,
        partner_id=said.partner,
        operation=said.op,
        purpose=said.purpose,
        decision=said.decision,
        subject_index=_subject_digest(said.sub_bi),
        verification_id=said.id if said.kind is LeafKind.QUERY else None,
    )


def differing_columns(stored: EntryColumns, derived: EntryColumns) -> list[str]:
    """Return the names of the columns in which a row differs from its leaf."""
    return [column.name for column in fields(derived) if getattr(stored, column.name) != getattr(derived, column.name)]


def _subject_digest(blind_index: str | None) -> bytes | None:
    if blind_index is None:
        return None
    try:
        return bytes.fromhex(blind_index.partition(".")[2])
    except ValueError:  # no host wrote such a leaf; a column that equals this does not exist
        return b""
