"""Acts of operators on partners and keys, as their leaves say them, and what contradicts them: the words that both sides share.

For: whoever reads such leaves (the check of the log, the token endpoint). Not for: the rule itself, which knows partners and keys
(``gateway.verification.registrations``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from gateway.audit.entry import LeafFields
from gateway.base.canonical import Json

Row: TypeAlias = Mapping[str, Json]
"""A row of a partner or key: a JSON object with the names of its columns."""


class Act(StrEnum):
    """What operators do to partners and keys: the ``op`` of the leaf."""

    PARTNER_ADD = "partner.add"
    KEY_ADD = "key.add"
    KEY_REVOKE = "key.revoke"


class Wrong(StrEnum):
    """What can be wrong beside a column that differs."""

    UNREGISTERED = "unregistered"
    REGISTERED_TWICE = "registered_twice"
    NOT_OPENED = "not_opened"
    LEAF_INCOHERENT = "leaf_incoherent"
    UNKNOWN_ACT = "unknown_act"


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidLeaf:
    """A leaf about a partner or a key. ``said`` is what it commits to; None if that could not be opened or does not open it."""

    leaf_index: int
    fields: LeafFields
    said: Row | None


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A column, or one of ``Wrong``, in which row and log disagree; ``leaf_index`` is None where a leaf is missing."""

    what: str
    leaf_index: int | None


Compare = Callable[[Row, Sequence[SaidLeaf]], Sequence[Contradiction]]
"""Tells in what a row differs from the leaves about it, which come in the order of the log."""


@dataclass(frozen=True, slots=True)
class HolderRules:
    """How partners and keys follow from their leaves."""

    partner: Compare
    key: Compare
