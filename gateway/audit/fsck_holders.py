"""Partners and keys against the acts that brought them, and credentials against the keys that were registered.

For: a row of a partner or key that no leaf explains, a leaf whose row is gone, a row that says otherwise; a leaf whose credential no
earlier leaf registered, or a revocation had ended. Not for: how a row follows from its leaves (``acts.HolderRules``).

Which key an act is about stands in its leaf; what the row must be, in its sealed arguments. Without them (another sealing key) that is
one fault a row: nothing can be said about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.audit.acts import Act, Compare, HolderRules, Row, SaidLeaf, Wrong
from gateway.audit.entry import LeafFields, LeafKind
from gateway.audit.fsck_report import FaultCode, Faults
from gateway.base.canonical import Json

NOTES: Final = frozenset({"deny:replayed", "deny:revoked"})
"""Notes on what the commit refused: they claim nothing, and may name a key after its end."""


@dataclass(frozen=True, slots=True)
class Holders:
    """The rows of partners and keys at one moment, by partner identifier and by thumbprint."""

    partners: Mapping[str, Row]
    keys: Mapping[str, Row]


@dataclass(frozen=True, slots=True)
class _Codes:
    unregistered: FaultCode
    differs: FaultCode
    missing: FaultCode


_PARTNER: Final = _Codes(FaultCode.PARTNER_UNREGISTERED, FaultCode.PARTNER_ROW, FaultCode.PARTNER_MISSING)
_KEY: Final = _Codes(FaultCode.KEY_UNREGISTERED, FaultCode.KEY_ROW, FaultCode.KEY_MISSING)


@dataclass(slots=True)
class HolderCheck:
    """Learns partners and keys from acts on the way through the log (a ``Witness``), then compares the rows."""

    faults: Faults
    rules: HolderRules
    partners: dict[str, list[SaidLeaf]] = field(default_factory=dict)
    keys: dict[str, list[SaidLeaf]] = field(default_factory=dict)
    registered: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)

    def saw(self, index: int, fields: LeafFields, arguments: Json) -> None:
        """Take note of an act, or compare the credential of a partner's call."""
        said = arguments if isinstance(arguments, dict) else None
        leaf = SaidLeaf(leaf_index=index, fields=fields, said=said)
        if fields.kind is LeafKind.PARTNER and fields.partner is not None:
            self.partners.setdefault(fields.partner, []).append(leaf)
        elif fields.kind is LeafKind.KEY and fields.cred is not None:
            self.keys.setdefault(fields.cred, []).append(leaf)
            (self.registered if fields.op == Act.KEY_ADD else self.ended).add(fields.cred)
        elif fields.cred is not None:
            self._compare_credential(index, fields, fields.cred)

    def missed(self) -> None:
        """Nothing is known from a leaf that cannot be read."""

    def _compare_credential(self, index: int, fields: LeafFields, credential: str) -> None:
        if credential not in self.registered:
            self.faults.add(FaultCode.CREDENTIAL_UNREGISTERED, index)
        elif credential in self.ended and not (fields.kind is LeafKind.DENY and fields.decision in NOTES):
            self.faults.add(FaultCode.CREDENTIAL_REVOKED, index)

    def compare(self, before: Holders, after: Holders) -> None:
        """Compare the rows, as read before the head and after the walk, with what the acts said.

        What was there before the head has its act below it; what an act below the head did is there afterwards. So a row that is right
        at either moment is right: operators may be at work.
        """
        self._compare(before.partners, after.partners, self.partners, self.rules.partner, _PARTNER)
        self._compare(before.keys, after.keys, self.keys, self.rules.key, _KEY)

    def _compare(
        self,
        before: Mapping[str, Row],
        after: Mapping[str, Row],
        acts: Mapping[str, list[SaidLeaf]],
        rule: Compare,
        codes: _Codes,
    ) -> None:
        for name in acts:
            if name not in after:
                self.faults.add(codes.missing, name)
        for name, row in before.items():
            leaves = acts.get(name, [])
            found = rule(row, leaves)
            if not found or (name in after and not rule(after[name], leaves)):
                continue
            match found[0].what:
                case Wrong.UNREGISTERED:
                    self.faults.add(codes.unregistered, name)
                case Wrong.NOT_OPENED:
                    self.faults.add(FaultCode.ACT_UNREADABLE, found[0].leaf_index)
                case _:
                    self.faults.add(codes.differs, f"{name} {' '.join(one.what for one in found)}")
