"""Where a record stands on a day: the record state machine of credit law.

received → in force (tier) → [under objection: annotated] → shielded | repaired | expired | revoked | corrected.
For: deciding which records may be spoken of at all. Not for: what is said about them (``flags``), nor outcomes (``answer``).
Rules are those in force on the day asked about, so one record asked about on two days may rightly have two different ends.

A subject is never the better for what we cannot interpret: a list that the catalogue does not know is ``UNREADABLE``, not absent.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Final, NamedTuple

from gateway.credit.catalogue import DEFAULT_FAMILY, MAX_CONDUCT_AGE, DayView
from gateway.credit.catalogue_rows import ClockStart, ListRow, PenaltyTypeRow, Period, RepairRule, RuleSubject
from gateway.credit.periods import add_months
from gateway.credit.record import Decision, Lifecycle, ListEntry, Penalty, Procedure, Record, RemovalReason, Tier


class State(StrEnum):
    """Where a record stands. Only ``in_force``, ``observation`` and ``under_objection`` are visible."""

    IN_FORCE = "in_force"
    OBSERVATION = "observation"
    UNDER_OBJECTION = "under_objection"
    RECEIVED = "received"
    NOT_PUBLISHED = "not_published"
    SHIELDED = "shielded"
    REPAIRED = "repaired"
    EXPIRED = "expired"
    REVOKED = "revoked"
    CORRECTED = "corrected"
    UNREADABLE = "unreadable"


VISIBLE: Final = frozenset({State.IN_FORCE, State.OBSERVATION, State.UNDER_OBJECTION})

_REMOVED: Final = {
    RemovalReason.EXPIRED: State.EXPIRED,
    RemovalReason.REPAIRED: State.REPAIRED,
    RemovalReason.FULFILLED: State.REPAIRED,
    RemovalReason.REVOKED: State.REVOKED,
    RemovalReason.CORRECTED: State.CORRECTED,
}


class Standing(NamedTuple):
    """A record's state on a day and the rows it rests on. ``last_day`` is ``None`` where only a condition ends it."""

    state: State
    tier: Tier | None = None
    start: dt.date | None = None
    last_day: dt.date | None = None
    rule: RepairRule | None = None
    list_row: ListRow | None = None
    type_row: PenaltyTypeRow | None = None
    unknown_types: tuple[str, ...] = ()


def standing_of(record: Record, view: DayView) -> Standing:
    """Return where a record stands on the day of a catalogue view."""
    if isinstance(record, Penalty):
        return _penalty(record, view)
    return _entry(record, view)


def _penalty(penalty: Penalty, view: DayView) -> Standing:
    day = view.day
    if penalty.decision is Decision.NO_PENALTY:
        return Standing(State.NOT_PUBLISHED)  # 首违不罚: for the regulator only, never a flag
    if penalty.corrected_on is not None and penalty.corrected_on <= day:
        return Standing(State.CORRECTED)
    if penalty.revoked_on is not None and penalty.revoked_on <= day:
        return Standing(State.REVOKED)
    if penalty.repaired_on is not None and penalty.repaired_on <= day:
        return Standing(State.REPAIRED)
    finding = view.tier_of(penalty.types)
    tier = penalty.tier or (Tier.MINOR if penalty.procedure is Procedure.SIMPLE else finding.tier)
    hidden = _hidden(penalty, tier, penalty.publication_basis, view)
    if hidden is not None:
        return Standing(hidden, tier)
    rule = view.rule_at(RuleSubject.PENALTY, view.family_of(penalty.authority), tier, penalty.area)
    start = _start(penalty, None if rule is None else rule.clock)
    last_day = _penalty_end(penalty, rule, start)
    if last_day is not None and last_day < day:
        return Standing(State.EXPIRED, tier, start, last_day)
    return Standing(_shown(penalty, day), tier, start, last_day, rule, None, finding.row, finding.unknown)


def _entry(entry: ListEntry, view: DayView) -> Standing:
    day = view.day
    if entry.removed_on is not None and entry.removed_on <= day:
        return Standing(State.REPAIRED if entry.removal_reason is None else _REMOVED[entry.removal_reason])
    row = view.lists.get(entry.list_code)
    if row is None or not _may_hold(row, entry):
        early = entry.decided_on > day
        return Standing(State.RECEIVED if early else State.UNREADABLE)
    tier = entry.tier if entry.tier in row.tiers and entry.tier is not None else row.tier
    hidden = _hidden(entry, tier, entry.publication_basis or row.publication_basis, view)
    if hidden is not None:
        return Standing(hidden, tier, list_row=row)
    start = _start(entry, row.clock)
    rule = view.rule_at(RuleSubject.LIST, DEFAULT_FAMILY, tier) if row.period is Period.REPAIR_RULE else None
    last_day = _entry_end(entry, row, rule, start)
    if last_day is not None and last_day < day:
        return Standing(State.EXPIRED, tier, start, last_day, list_row=row)
    return Standing(_shown(entry, day), tier, start, last_day, rule, row)


def _hidden(record: Record, tier: Tier, publication_basis: str | None, view: DayView) -> State | None:
    """Return why a record is not visible whatever its period, or ``None``."""
    day = view.day
    if record.decided_on > day or (record.published_on is not None and record.published_on > day):
        return State.RECEIVED
    if record.shielded_from is not None and record.shielded_from <= day <= (record.shielded_to or day):
        return State.SHIELDED
    if tier is Tier.MINOR and not publication_basis:
        return State.NOT_PUBLISHED
    if record.conduct_ended_on is not None:
        months = view.parameter_months(MAX_CONDUCT_AGE)
        if months is not None and add_months(record.conduct_ended_on, months) < day:
            return State.EXPIRED
    return None


def _shown(record: Lifecycle, day: dt.date) -> State:
    """Return how a visible record is shown. An objection is said first; an observation caps measures either way."""
    if record.objection_since is not None and record.objection_since <= day:
        return State.UNDER_OBJECTION
    if observed(record, day):
        return State.OBSERVATION
    return State.IN_FORCE


def observed(record: Lifecycle, day: dt.date) -> bool:
    """Tell whether a day lies in the record's observation period, which ends by itself."""
    if record.observation_from is None or record.observation_to is None:
        return False
    return record.observation_from <= day <= record.observation_to


def _may_hold(row: ListRow, entry: ListEntry) -> bool:
    """Tell whether a list may hold such a subject; a list of persons says nothing about an enterprise."""
    if entry.person_role is not None:
        return "person" in row.subjects
    return row.subjects != ("person",)


def _start(record: Record, clock: ClockStart | None) -> dt.date:
    if clock is ClockStart.PUBLISHED and record.published_on is not None:
        return record.published_on
    return record.decided_on


def _penalty_end(penalty: Penalty, rule: RepairRule | None, start: dt.date) -> dt.date | None:
    """Return the last day a penalty is published: the rule's maximum, or earlier where its authority ends it earlier."""
    last = None if rule is None or rule.max_months is None else add_months(start, rule.max_months)
    if last is not None and rule is not None and rule.extends_to_ban and penalty.ban_until is not None:
        last = max(last, penalty.ban_until)
    return _earlier(last, penalty.publish_until)


def _entry_end(entry: ListEntry, row: ListRow, rule: RepairRule | None, start: dt.date) -> dt.date | None:
    """Return the last day of a list entry: its own, within the maximum of its list or rule; else the list's usual term."""
    months = row.max_months if rule is None else rule.max_months
    most = None if months is None else add_months(start, months)
    if entry.valid_to is not None:
        return _earlier(most, entry.valid_to)
    if row.period is Period.FIXED and row.term_months is not None:
        return add_months(start, row.term_months)
    return None if row.period is Period.UNTIL_FULFILLED else most


def _earlier(one: dt.date | None, other: dt.date | None) -> dt.date | None:
    if one is None or other is None:
        return one or other
    return min(one, other)
