"""The rows of the credit catalogue, typed: what each file under ``schemas/catalogue`` holds.

For: reading those files strictly (``catalogue``). Not for: judgement; every number of credit law stands in a row, none in code.
Each row names its source and its first day in force; ``valid_to`` is the last day, inclusive.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Annotated, TypeAlias

import msgspec

from gateway.credit.record import Area, Tier

Named: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]
Months: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=600)]


class Confidence(StrEnum):
    """How well a row is founded. ``unverified`` is said in every answer that rests on the row."""

    TEXT = "text"
    SECONDARY = "secondary"
    UNVERIFIED = "unverified"


class Exposure(StrEnum):
    """What a platform may see of a measure."""

    FLAG = "flag"
    LINKED_NOTICE = "linked_notice"
    NEVER = "never"


class EnforcedBy(StrEnum):
    """Who may act on a measure: its authority, or each consumer by its own decision. Never a platform in place of the former."""

    AUTHORITY = "authority"
    SELF_DECIDED = "self_decided"


class Period(StrEnum):
    """How long a list entry stays."""

    FIXED = "fixed"
    UNTIL_FULFILLED = "until_fulfilled"
    REPAIR_RULE = "repair_rule"


class ClockStart(StrEnum):
    """The day from which a period counts."""

    DECIDED = "decided"
    PUBLISHED = "published"


class RuleSubject(StrEnum):
    """What a publication rule speaks of. ``PROCEDURE`` rows say how to apply for repair."""

    PENALTY = "penalty"
    LIST = "list"
    ANY = "any"
    PROCEDURE = "procedure"


class Bilingual(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text in Chinese and English."""

    zh: Named
    en: Named


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a row is from."""

    document: Named
    article: Named | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every row has. ``valid_from_confidence`` speaks of that day alone, ``confidence`` of the content."""

    code: Named
    valid_from: dt.date
    valid_to: dt.date | None
    source: Source
    confidence: Confidence
    valid_from_confidence: Confidence


class NamedRow(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row with a name."""

    zh: Named
    en: Named


class Category(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The second character of a code under one department."""

    code: Named
    zh: Named


class DepartmentRow(NamedRow, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A registering department of GB 32100."""

    categories: tuple[Category, ...]
    note: str


class DivisionRow(NamedRow, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An administrative division that no longer exists since ``valid_from``."""


class DirectoryClassRow(NamedRow, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A class of the national directory of public credit information."""

    subjects: str
    visibility: str


class MeasureRow(NamedRow, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A statutory or related measure."""

    group: Named
    basis: str
    targets: str
    implementer: str
    exposure: Exposure
    enforced_by: EnforcedBy
    rule: Bilingual


class PlatformMeasureRow(NamedRow, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a platform may do by its own agreement; ``human``: a person decides."""

    precondition: Bilingual
    human: bool


class ListMeasure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A measure that a list brings, and its narrower scope if it has one."""

    code: Named
    scope: str


class ListRow(NamedRow, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A dishonesty list.

    ``tier`` is the heaviest of ``tiers``; an entry may name a lighter one. ``publication_basis``: why entries are published
    although minor. ``window``: removal is applied for through the single window of the procedure row.
    """

    authority: Named
    subjects: tuple[str, ...]
    tier: Tier
    tiers: tuple[Tier, ...]
    measures: tuple[ListMeasure, ...]
    period: Period
    term_months: Months | None
    max_months: Months | None
    clock: ClockStart
    repair_after_months: Months | None
    end_condition: Bilingual
    exit: Bilingual
    window: bool
    publication_basis: str
    sectors: tuple[str, ...]
    as_stated: dict[str, str]


class RepairRule(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long records of a tier are published, and from when repair may be asked for."""

    family: Named
    subject: RuleSubject
    tiers: tuple[Tier, ...]
    areas: tuple[Area, ...]
    min_months: Months | None
    max_months: Months | None
    clock: ClockStart
    apply_after_months: Months | None
    extends_to_ban: bool
    repair: Bilingual


class PenaltyTypeRow(NamedRow, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind of penalty, the words by which records name it, and its tier."""

    tier: Tier
    names: tuple[Named, ...]


class FamilyRow(NamedRow, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Authorities with publication rules of their own."""

    name_contains: tuple[Named, ...]


class ParameterRow(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A period, cap or duty set by law; ``months`` where the gateway computes with it."""

    value: Named
    months: Months | None


class FieldRow(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A field of the double-publicity standard; ``code`` is the spelling that is written."""

    also: tuple[str, ...]
    old: tuple[str, ...]
    retired: bool
    zh: Named
    note: str


class WorkflowRow(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step between finding and lifting."""

    step: int
    zh: Named
    who: str
    payload: str
    deadline: str
    rule: str
