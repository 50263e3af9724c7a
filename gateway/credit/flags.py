"""What is said about a record in force: a flag with its basis, or a notice about a linked person.

A flag is a fact with a basis, not an order: it names list, measures, legal basis, authority, document, days and the way to
repair. What a platform does rests on its own published agreement (E-commerce Law 36); ``platform_cap`` is the heaviest step the
tier bears, and an observation caps it further. Heavy steps are a person's decision (PIPL 24).
Not for: whether a record is visible (``state``), nor the outcome (``answer``). No score exists here.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

import msgspec

from gateway.base.messages.credit import LINKED_PERSON, ROLES
from gateway.credit.catalogue import DayView
from gateway.credit.catalogue_rows import Bilingual, Confidence
from gateway.credit.flag_basis import Measure, PlatformCap, list_basis, penalty_basis, platform_cap
from gateway.credit.periods import add_months, day_after
from gateway.credit.record import ListEntry, Penalty, PersonRole, Record, Tier
from gateway.credit.state import Standing, State, observed

PENALTY_LAW: Final = "中华人民共和国行政处罚法"


class Repair(msgspec.Struct, frozen=True):
    """How the subject gets rid of it; ``earliest`` is the first day to apply where a rule sets one."""

    earliest: dt.date | None
    zh: str
    en: str


class Flag(msgspec.Struct, frozen=True):
    """One record in force. Days are of Asia/Shanghai; ``until`` means the end of that day, else ``end_condition`` ends it.

    ``list_code``: of the list, or of the heaviest kind of penalty (CF-…). ``fine_fen``: in fen, CNY. ``confidence``: of the
    weakest row behind the list, kind and period; ``unverified`` names every row used that still has to be checked.
    """

    record_id: str
    kind: str
    list_code: str
    name: Bilingual
    tier: Tier
    state: State
    measures: tuple[Measure, ...]
    platform_cap: PlatformCap | None
    sectors: tuple[str, ...]
    basis: tuple[str, ...]
    grounds: str | None
    fine_fen: int | None
    authority: str
    authority_code: str
    document_no: str
    decided_on: dt.date
    published_on: dt.date | None
    until: dt.date | None
    end_condition: Bilingual
    repair: Repair
    objection_since: dt.date | None
    observation_until: dt.date | None
    confidence: Confidence
    unverified: tuple[str, ...]


class Notice(msgspec.Struct, frozen=True):
    """A person linked to the subject is listed. Not a flag of the subject, and no ground to restrict it."""

    record_id: str
    list_code: str
    name: Bilingual
    role: PersonRole
    person: str
    state: State
    measures: tuple[Measure, ...]
    basis: tuple[str, ...]
    authority: str
    authority_code: str
    document_no: str
    decided_on: dt.date
    until: dt.date | None
    meaning: Bilingual
    confidence: Confidence
    unverified: tuple[str, ...]


def make_flag(record: Record, standing: Standing, view: DayView) -> Flag:
    """Return the flag of a visible record about the subject itself. HOT."""
    if isinstance(record, Penalty):
        return _penalty_flag(record, standing, view)
    return _list_flag(record, standing, view)


def make_notice(entry: ListEntry, standing: Standing, view: DayView) -> Notice:
    """Return the notice of a visible list entry of a linked person."""
    row, role = standing.list_row, entry.person_role
    if row is None or role is None:
        msg = "a notice needs a listed person and the row of the list"
        raise ValueError(msg)
    facts = list_basis(row, standing.rule, view)
    words = ROLES[role]
    return Notice(
        record_id=entry.record_id,
        list_code=row.code,
        name=facts.name,
        role=role,
        person=entry.person_name or "*",
        state=standing.state,
        measures=facts.linked_measures,
        basis=facts.basis,
        authority=entry.authority,
        authority_code=entry.authority_code,
        document_no=entry.document_no,
        decided_on=entry.decided_on,
        until=standing.last_day,
        meaning=Bilingual(LINKED_PERSON.zh.format(role=words.zh), LINKED_PERSON.en.format(role=words.en)),
        confidence=facts.confidence,
        unverified=facts.linked_unverified,
    )


def _list_flag(entry: ListEntry, standing: Standing, view: DayView) -> Flag:
    row, tier = standing.list_row, standing.tier
    if row is None or tier is None:
        msg = "a flag needs the row of the list"
        raise ValueError(msg)
    facts = list_basis(row, standing.rule, view)
    after = row.repair_after_months
    if after is None and standing.rule is not None:
        after = standing.rule.apply_after_months
    in_observation = observed(entry, view.day)
    return Flag(
        entry.record_id,
        "list_entry",
        row.code,
        facts.name,
        tier,
        standing.state,
        facts.measures,
        platform_cap(tier, view, in_observation=in_observation),
        row.sectors,
        facts.basis,
        entry.grounds,
        None,
        entry.authority,
        entry.authority_code,
        entry.document_no,
        entry.decided_on,
        entry.published_on,
        standing.last_day,
        row.end_condition,
        Repair(_earliest(standing, after), facts.repair.zh, facts.repair.en),
        entry.objection_since if standing.state is State.UNDER_OBJECTION else None,
        entry.observation_to if in_observation else None,
        facts.confidence,
        facts.unverified,
    )


def _penalty_flag(penalty: Penalty, standing: Standing, view: DayView) -> Flag:
    tier = standing.tier or Tier.GENERAL
    facts = penalty_basis(standing.type_row, standing.rule, view)
    rule = standing.rule
    in_observation = observed(penalty, view.day)
    return Flag(
        penalty.record_id,
        "penalty",
        facts.code,
        facts.name,
        tier,
        standing.state,
        (),
        platform_cap(tier, view, in_observation=in_observation),
        (),
        (penalty.basis or PENALTY_LAW, *facts.rule_basis),
        penalty.conduct,
        penalty.fine_fen,
        penalty.authority,
        penalty.authority_code,
        penalty.document_no,
        penalty.decided_on,
        penalty.published_on,
        standing.last_day,
        facts.end_condition,
        Repair(
            _earliest(standing, None if rule is None else rule.apply_after_months), facts.repair.zh, facts.repair.en
        ),
        penalty.objection_since if standing.state is State.UNDER_OBJECTION else None,
        penalty.observation_to if in_observation else None,
        facts.confidence,
        facts.unverified,
    )


def _earliest(standing: Standing, months: int | None) -> dt.date | None:
    """Return the first day on which repair may be asked for: the one after the minimum publication has run."""
    if months is None or standing.start is None:
        return None
    if months == 0:
        return standing.start
    return day_after(add_months(standing.start, months))
