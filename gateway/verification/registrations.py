"""What the log says about partners and their keys, and where the rows of the database say something else.

For: one rule, pure, for everybody who has read both sides: the token endpoint when a key is first used
(``gateway.verification.registered_keys``) and re-derivation, which compares all partners and keys (``audit fsck``).
Not for: reading rows or leaves, opening sealed text, or showing that a leaf is in the tree; whoever calls has done that.

A row is a JSON object with the names of its columns (``partner_row``, ``key_row``); the leaf of an act commits to the same object, so
that comparing is comparing members. What a row must say is folded from the leaves in their order: ``partner.add`` or ``key.add`` says all
of it, ``key.revoke`` says how state and time of revocation changed. A key that was once taken out of use never comes back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.audit.acts import Act, Contradiction, HolderRules, SaidLeaf, Wrong
from gateway.audit.entry import LeafKind
from gateway.base.canonical import Json, canonical_json
from gateway.identity.partner import Partner, RegisteredKey

PARTNER_COLUMNS: Final = ("client_id", "name", "partner_id", "purposes", "scopes", "sector", "state")
"""Columns of ``identity.partner`` that decide anything. Lists are sorted."""
KEY_COLUMNS: Final = (
    "alg",
    "created_ms",
    "jwk",
    "kid",
    "not_before_ms",
    "partner_id",
    "purpose",
    "retire_at_ms",
    "revoked_ms",
    "state",
    "thumbprint",
)
"""Columns of ``identity.partner_key``: all of them. ``jwk`` is an object."""
_REVOKED_COLUMNS: Final = ("revoked_ms", "state")
"""What a revocation changes."""


def partner_row(partner: Partner) -> dict[str, Json]:
    """Return a partner as the leaf of its registration says it."""
    return {
        "client_id": partner.client_id,
        "name": partner.name,
        "partner_id": partner.partner_id,
        "purposes": [*sorted(partner.purposes)],
        "scopes": [*sorted(partner.scopes)],
        "sector": partner.sector,
        "state": partner.state.value,
    }


def key_row(key: RegisteredKey, partner_id: str) -> dict[str, Json]:
    """Return a key as the leaf of its registration says it."""
    return {
        "alg": key.key.alg.value,
        "created_ms": key.created_ms,
        "jwk": {**key.key.jwk},
        "kid": key.kid,
        "not_before_ms": key.not_before_ms,
        "partner_id": partner_id,
        "purpose": key.purpose.value,
        "retire_at_ms": key.retire_at_ms,
        "revoked_ms": key.revoked_ms,
        "state": key.state.value,
        "thumbprint": key.thumbprint,
    }


def partner_contradictions(row: Mapping[str, Json], leaves: Sequence[SaidLeaf]) -> list[Contradiction]:
    """Return in what a partner's row differs from the log; nothing if the log says exactly what the row says.

    ``leaves`` are in the order of the log; those about other partners, and about keys, are passed over.
    """
    about = [
        leaf for leaf in leaves if leaf.fields.kind is LeafKind.PARTNER and leaf.fields.partner == row["partner_id"]
    ]
    wrong = _wrong_acts(about, Act.PARTNER_ADD, ())
    if wrong:
        return wrong
    [added] = about
    if added.said is None:
        return [Contradiction(Wrong.NOT_OPENED, added.leaf_index)]
    if added.said.get("partner_id") != added.fields.partner:
        return [Contradiction(Wrong.LEAF_INCOHERENT, added.leaf_index)]
    return _differing(row, added.said, PARTNER_COLUMNS, added.leaf_index)


def key_contradictions(row: Mapping[str, Json], leaves: Sequence[SaidLeaf]) -> list[Contradiction]:
    """Return in what a key's row differs from the log; nothing if the log says exactly what the row says.

    ``leaves`` are in the order of the log; those about other keys, and about partners, are passed over.
    """
    about = [leaf for leaf in leaves if leaf.fields.kind is LeafKind.KEY and leaf.fields.cred == row["thumbprint"]]
    wrong = _wrong_acts(about, Act.KEY_ADD, (Act.KEY_REVOKE,))
    if wrong:
        return wrong
    expected: dict[str, Json] = {}
    for leaf in about:
        if leaf.said is None:
            return [Contradiction(Wrong.NOT_OPENED, leaf.leaf_index)]
        named = (leaf.said.get("partner_id"), leaf.said.get("thumbprint"))
        if named != (leaf.fields.partner, leaf.fields.cred):
            return [Contradiction(Wrong.LEAF_INCOHERENT, leaf.leaf_index)]
        if leaf.fields.op == Act.KEY_ADD:
            expected = dict(leaf.said)
        else:
            expected |= {column: leaf.said.get(column) for column in _REVOKED_COLUMNS}
    return _differing(row, expected, KEY_COLUMNS, about[-1].leaf_index)


def _wrong_acts(about: Sequence[SaidLeaf], first: Act, later: Sequence[Act]) -> list[Contradiction]:
    """Return what is wrong with the acts themselves: there must be one registration, then nothing but ``later``."""
    if not about or about[0].fields.op != first:
        return [Contradiction(Wrong.UNREGISTERED, about[0].leaf_index if about else None)]
    for leaf in about[1:]:
        if leaf.fields.op == first:
            return [Contradiction(Wrong.REGISTERED_TWICE, leaf.leaf_index)]
        if leaf.fields.op not in later:
            return [Contradiction(Wrong.UNKNOWN_ACT, leaf.leaf_index)]
    return []


def _differing(
    row: Mapping[str, Json], expected: Mapping[str, Json], columns: Sequence[str], leaf_index: int
) -> list[Contradiction]:
    # Compared as canonical bytes: in Python, True equals 1.
    return [
        Contradiction(column, leaf_index)
        for column in columns
        if column not in expected or canonical_json(row[column]) != canonical_json(expected[column])
    ]


RULES: Final = HolderRules(partner_contradictions, key_contradictions)
"""The rule as the check of the log takes it."""
