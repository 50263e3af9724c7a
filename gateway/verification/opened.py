"""Opening what is stored beside a leaf, and comparing it with what the leaf commits to.

For: answers read again, and the acts of operators that partners and keys stand on. Pure but for the cipher.
Not for: whether the leaf is in the tree, or whose it is.

Sealed text opens only beside its own leaf and its own salt (``gateway.audit.plaintext``), and question and answer are believed only where
the leaf's commitments open to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.audit.entry import Committed, LeafFields, open_key, opens
from gateway.audit.merkle import leaf_hash
from gateway.audit.plaintext import open_plaintext
from gateway.base.canonical import JsonError, canonical_json, parse_json_object
from gateway.base.sealing import CannotOpen, KeyDestroyed, Sealer
from gateway.verification.ports import StoredSecret

_MEMBERS: Final = {"ans", "args"}


@dataclass(frozen=True, slots=True)
class Opened:
    """What a leaf commits to, as canonical JSON; ``ans`` is ``null`` for an act that answers nothing."""

    ans: bytes
    args: bytes


class Erased(Exception):  # noqa: N818 - a statement about what happened
    """There is nothing here to open any more."""


class NotCommitted(Exception):  # noqa: N818 - a statement about what happened
    """What is stored beside the leaf is not what the leaf commits to; ``column`` is where it shows."""

    def __init__(self, column: str) -> None:
        super().__init__(column)
        self.column: Final = column


def open_leaf(leaf: bytes, fields: LeafFields, secret: StoredSecret | None, sealer: Sealer) -> Opened:
    """Return what a leaf commits to; ``Erased`` if that is gone, ``NotCommitted`` if what is stored is something else."""
    if secret is None:
        raise Erased
    try:
        plaintext = open_plaintext(sealer, secret.sealed, leaf_hash(leaf), secret.salt, secret.key_id)
    except KeyDestroyed as exc:
        raise Erased from exc
    except CannotOpen as exc:
        raise NotCommitted("sealed") from exc
    opened = _parse(plaintext)
    for name, commitment, value in (
        (Committed.ANS, fields.ans_c, opened.ans),
        (Committed.ARGS, fields.args_c, opened.args),
    ):
        if commitment is None:
            if value != b"null":
                raise NotCommitted(name.value)
        elif not opens(commitment, open_key(secret.salt, name), value):
            # The text opened with this leaf and this salt: whoever sealed it here holds the key, and sealed something else.
            raise NotCommitted("sealed")
    return opened


def _parse(plaintext: bytes) -> Opened:
    try:
        members = parse_json_object(plaintext)
    except JsonError as exc:
        raise NotCommitted("sealed") from exc
    if members.keys() != _MEMBERS:
        raise NotCommitted("sealed")
    return Opened(canonical_json(members["ans"]), canonical_json(members["args"]))
