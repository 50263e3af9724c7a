"""What a flag rests on: the part of it that follows from catalogue rows alone, made once a day and row.

For: ``flags``. Not for: anything about one record. A measure that platforms may not see (``Exposure.NEVER``) is left out here,
at the one place where measures are taken from rows.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from gateway.base.messages.credit import PENALTY_END
from gateway.credit.catalogue import OTHER_PENALTY, DayView, worst
from gateway.credit.catalogue_rows import (
    Bilingual,
    Confidence,
    EnforcedBy,
    Exposure,
    ListRow,
    PenaltyTypeRow,
    RepairRule,
    Source,
)
from gateway.credit.record import Tier

_CAPS: Final = {Tier.MINOR: "P10", Tier.GENERAL: "P20", Tier.SERIOUS: "P50"}
OBSERVATION_CAP: Final = "P20"
"""Domain rule: during an observation period nothing above enhanced verification."""
_Used: TypeAlias = tuple[str, str, Confidence]


class Measure(msgspec.Struct, frozen=True):
    """A measure that the list brings. ``enforced_by`` is never the platform in the authority's place."""

    code: str
    zh: str
    en: str
    scope: str
    enforced_by: EnforcedBy


class PlatformCap(msgspec.Struct, frozen=True):
    """The heaviest step that a platform's own agreement may attach; ``human``: only by a person's decision."""

    code: str
    zh: str
    en: str
    human: bool


class ListBasis(msgspec.Struct, frozen=True):
    """What follows from the rows alone, made once a day, list and rule."""

    name: Bilingual
    measures: tuple[Measure, ...]
    linked_measures: tuple[Measure, ...]
    basis: tuple[str, ...]
    repair: Bilingual
    confidence: Confidence
    unverified: tuple[str, ...]
    linked_unverified: tuple[str, ...]


class PenaltyBasis(msgspec.Struct, frozen=True):
    """The same for a kind of penalty and the rule of its period."""

    code: str
    name: Bilingual
    rule_basis: tuple[str, ...]
    end_condition: Bilingual
    repair: Bilingual
    confidence: Confidence
    unverified: tuple[str, ...]


def platform_cap(tier: Tier, view: DayView, *, in_observation: bool) -> PlatformCap | None:
    """Return the heaviest step a tier bears; ``None`` on a day without platform law."""
    code = _CAPS[tier]
    if in_observation:
        code = min(code, OBSERVATION_CAP)
    key = ("cap", tier.value, code)
    cap = view.flag_memo.get(key)
    if cap is None:
        row = view.platform_measures.get(code)
        if row is None:
            return None
        cap = view.flag_memo[key] = PlatformCap(row.code, row.zh, row.en, row.human)
    return cap if isinstance(cap, PlatformCap) else None


def list_basis(row: ListRow, rule: RepairRule | None, view: DayView) -> ListBasis:
    """Return what a list's row and the rule of its period say on this day."""
    key = ("list", row.code, "" if rule is None else rule.code)
    facts = view.flag_memo.get(key)
    if not isinstance(facts, ListBasis):
        facts = view.flag_memo[key] = _make_list_basis(row, rule, view)
    return facts


def _make_list_basis(row: ListRow, rule: RepairRule | None, view: DayView) -> ListBasis:
    shown, shown_rows = _measures(row, view, Exposure.FLAG)
    linked, linked_rows = _measures(row, view, Exposure.LINKED_NOTICE)
    used: list[_Used] = [("lists", row.code, row.confidence)]
    steps = [row.exit]
    basis = [cite(row.source)] + ([row.publication_basis] if row.publication_basis else [])
    if rule is not None:
        used.append(("repair_rules", rule.code, rule.confidence))
        steps.append(rule.repair)
        basis.append(cite(rule.source))
    return ListBasis(
        name=Bilingual(row.zh, row.en),
        measures=shown,
        linked_measures=linked,
        basis=tuple(basis),
        repair=_steps(steps, view if row.window else None),
        confidence=worst(confidence for _, _, confidence in used),
        unverified=_unverified([*used, *shown_rows]),
        linked_unverified=_unverified([*used, *linked_rows]),
    )


def _measures(row: ListRow, view: DayView, exposure: Exposure) -> tuple[tuple[Measure, ...], list[_Used]]:
    """Return a list's measures that may be shown in such a place, and the rows they stand on."""
    rows = [
        (part, measure)
        for part in row.measures
        if (measure := view.measures.get(part.code)) is not None and measure.exposure is exposure
    ]
    return (
        tuple(Measure(row.code, row.zh, row.en, part.scope, row.enforced_by) for part, row in rows),
        [("measures", measure.code, measure.confidence) for _, measure in rows],
    )


def penalty_basis(row: PenaltyTypeRow | None, rule: RepairRule | None, view: DayView) -> PenaltyBasis:
    """Return what a kind of penalty and the rule of its period say on this day; a missing row is said as unverified."""
    key = ("penalty", "" if row is None else row.code, "" if rule is None else rule.code)
    facts = view.flag_memo.get(key)
    if not isinstance(facts, PenaltyBasis):
        facts = view.flag_memo[key] = _make_penalty_basis(row, rule, view)
    return facts


def _make_penalty_basis(row: PenaltyTypeRow | None, rule: RepairRule | None, view: DayView) -> PenaltyBasis:
    used: list[_Used] = [
        ("penalty_types", row.code, row.confidence) if row else ("penalty_types", "none", Confidence.UNVERIFIED),
        ("repair_rules", rule.code, rule.confidence) if rule else ("repair_rules", "none", Confidence.UNVERIFIED),
    ]
    return PenaltyBasis(
        code=OTHER_PENALTY if row is None else row.code,
        name=Bilingual("其他行政处罚", "Other penalty") if row is None else Bilingual(row.zh, row.en),
        rule_basis=() if rule is None else (cite(rule.source),),
        end_condition=Bilingual(PENALTY_END.zh, PENALTY_END.en),
        repair=_steps([] if rule is None else [rule.repair], view),
        confidence=worst(confidence for _, _, confidence in used),
        unverified=_unverified(used),
    )


def _steps(steps: list[Bilingual], view: DayView | None) -> Bilingual:
    """Join what to do with how to apply on this day, where the single window takes the application."""
    procedure = None if view is None else view.procedure()
    parts = steps if procedure is None else [*steps, procedure.repair]
    if not parts:
        return Bilingual("向作出决定的机关申请。", "Apply to the authority that decided.")
    return Bilingual(";".join(part.zh for part in parts) + "。", "; ".join(part.en for part in parts) + ".")


def _unverified(used: list[_Used]) -> tuple[str, ...]:
    return tuple(f"{file}/{code}" for file, code, confidence in used if confidence is Confidence.UNVERIFIED)


def cite(source: Source) -> str:
    """Return a source as people cite it."""
    return source.document if source.article is None else f"{source.document} 第{source.article}条"
