"""The answer for any facts: never falsely clear, monotone expiry, equal treatment."""

from __future__ import annotations

import datetime as dt

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.base.canonical import canonical_json
from gateway.base.clock import Millis
from gateway.credit.answer import FUTURE_TOLERANCE_MS, Asked, Outcome, decide_answer
from gateway.credit.facts import SourceState, SubjectFacts
from gateway.credit.identifiers import Uscc, check_character
from gateway.credit.record import (
    Decision,
    ListEntry,
    Penalty,
    PersonRole,
    Procedure,
    Registration,
    RegistrationStatus,
    RemovalReason,
    Tier,
)
from gateway.credit.state import VISIBLE, State, standing_of
from tests.unit.credit.factories import (
    CODE,
    MAX_STALE_MS,
    TODAY,
    answer_on,
    catalogue,
    make_entry,
    make_facts,
    make_penalty,
    make_registration,
    noon,
)

days = st.dates(dt.date(2019, 1, 1), dt.date(2030, 12, 31))
maybe_day = st.none() | days
lifecycle = {
    "published_on": maybe_day,
    "conduct_ended_on": maybe_day,
    "objection_since": maybe_day,
    "observation_from": maybe_day,
    "observation_to": maybe_day,
    "shielded_from": maybe_day,
    "shielded_to": maybe_day,
    "tier": st.none() | st.sampled_from(Tier),
    "publication_basis": st.none() | st.just("某条例"),
}
penalties = st.fixed_dictionaries(
    {
        "record_id": st.sampled_from("abcdef"),
        "decided_on": days,
        "types": st.sampled_from(["警告", "罚款", "警告;罚款", "吊销许可证件", "训诫"]),
        "authority": st.sampled_from(["天津市应急管理局", "天津市市场监督管理委员会"]),
        "procedure": st.sampled_from(Procedure),
        "decision": st.sampled_from(Decision),
        "ban_until": maybe_day,
        "publish_until": maybe_day,
        "repaired_on": maybe_day,
        "revoked_on": maybe_day,
        "corrected_on": maybe_day,
    }
    | lifecycle
).map(lambda members: make_penalty(**members))
entries = st.fixed_dictionaries(
    {
        "record_id": st.sampled_from("abcdef"),
        "decided_on": days,
        "list_code": st.sampled_from(["SX-JUD", "SX-SAMR", "SX-ABN", "SX-TRANS", "SX-CUST", "SX-MIL", "SX-NEW"]),
        "valid_to": maybe_day,
        "removed_on": maybe_day,
        "removal_reason": st.none() | st.sampled_from(RemovalReason),
        "person_role": st.none() | st.sampled_from(PersonRole),
        "person_name": st.just("张*"),
    }
    | lifecycle
).map(lambda members: make_entry(**members))
records = st.lists(penalties | entries, max_size=4).map(tuple)
registrations = st.none() | st.sampled_from(RegistrationStatus).map(lambda status: make_registration(status=status))
ages = st.sampled_from([-FUTURE_TOLERANCE_MS - 1, 0, 1, MAX_STALE_MS, MAX_STALE_MS + 1]) | st.integers(
    -(10**12), 10**12
)


@st.composite
def facts_and_day(draw) -> tuple[SubjectFacts, dt.date]:
    """Any facts, and the day they are asked about."""
    day = draw(days)
    source = draw(st.none() | ages.map(lambda age: SourceState("tianjin", 1, Millis(noon(day) - age), 0)))
    return SubjectFacts(source, draw(registrations), draw(records), draw(st.integers(0, 2))), day


def decide(facts: SubjectFacts, day: dt.date, name: str | None = None):
    """The answer at noon of a day."""
    return decide_answer(
        Asked(uscc=CODE, name=name), facts, catalogue(), verification_id="v", at=noon(day), max_stale_ms=MAX_STALE_MS
    )


@given(facts_and_day(), st.none() | st.just("别的公司"))
def test_clear_is_said_only_on_complete_fresh_and_readable_facts(case, name):
    """Never falsely clean: unreadable, stale, unknown and in force never collapse into ``clear``."""
    facts, day = case
    states = {standing_of(record, catalogue().on(day)).state: record for record in facts.records}
    source = facts.source
    fresh = source is not None and -FUTURE_TOLERANCE_MS <= noon(day) - source.as_of_ms <= MAX_STALE_MS
    own = [
        record
        for record in facts.records
        if (isinstance(record, Penalty) or record.person_role is None)
        and standing_of(record, catalogue().on(day)).state in VISIBLE
    ]

    answer = decide(facts, day, name)

    may_be_clear = (
        fresh
        and facts.registration is not None
        and not facts.quarantined
        and State.UNREADABLE not in states
        and not own
    )
    assert (answer.outcome is Outcome.CLEAR) == may_be_clear
    assert len(answer.flags) == (len(own) if fresh else 0)
    assert answer.reasons


@given(facts_and_day())
def test_the_same_facts_give_the_same_bytes_in_any_order(case):
    facts, day = case
    turned = SubjectFacts(facts.source, facts.registration, facts.records[::-1], facts.quarantined)
    distinct = len({record.record_id for record in facts.records}) == len(facts.records)

    one, other = decide(facts, day), decide(turned, day)

    assert not distinct or canonical_json(one) == canonical_json(other)


@given(penalties | entries, days, st.integers(1, 4000))
def test_what_has_expired_under_one_rule_does_not_come_back(record, day, later):
    """Monotone expiry: for a record without windows, under the rules of 2026-04-01 and after."""
    bare = msgspec.structs.replace(record, shielded_from=None, shielded_to=None)
    first = max(day, dt.date(2026, 4, 1))
    over = {State.EXPIRED, State.REPAIRED, State.REVOKED, State.CORRECTED}

    if standing_of(bare, catalogue().on(first)).state in over:
        assert standing_of(bare, catalogue().on(first + dt.timedelta(days=later))).state not in VISIBLE


@given(records, days, st.sampled_from(["11", "12", "13", "31", "44", "99"]), st.sampled_from(["91", "92", "93", "52"]))
def test_equal_facts_are_treated_equally(found, day, province, kind):
    """Clause 5.1a: same facts, different ownership, region, size: same result."""
    first = f"{kind}{province}0000MAXT00011"
    other = Uscc(first + check_character(first))
    here = make_facts(*found, on=day)
    there = make_facts(
        *found, on=day, registration=Registration(uscc=other, name="别处合作社", status=RegistrationStatus.ACTIVE)
    )

    one = decide(here, day)
    two = decide_answer(
        Asked(uscc=other, name=None), there, catalogue(), verification_id="v", at=noon(day), max_stale_ms=MAX_STALE_MS
    )

    assert (one.outcome, one.flags, one.notices, one.reasons) == (two.outcome, two.flags, two.notices, two.reasons)


@given(days, st.sampled_from(RegistrationStatus))
def test_an_empty_fact_set_is_clear_for_every_registered_subject(day, status):
    """Engine proven total: default allow (非禁即入)."""
    answer = answer_on(day, registration=make_registration(status=status))

    assert (answer.outcome, answer.flags, answer.notices) == (Outcome.CLEAR, (), ())


@given(records)
def test_every_flag_has_a_basis_and_an_end(found):
    """Each flag has at least one legal basis and an end date or end condition, and the answer is canonical JSON."""
    answer = answer_on(TODAY, *found)

    assert all(flag.basis and flag.end_condition.zh and flag.repair.zh for flag in answer.flags)
    assert all(flag.until is None or flag.until >= TODAY for flag in answer.flags)
    assert canonical_json(answer)


@given(entries)
def test_a_persons_listing_never_restricts_the_firm(entry):
    """Trap 3: 禁止不当联结."""
    listed = msgspec.structs.replace(entry, person_role=PersonRole.LEGAL_REPRESENTATIVE)

    answer = answer_on(TODAY, listed)

    assert isinstance(listed, ListEntry)
    assert answer.flags == ()
    assert answer.outcome in {Outcome.CLEAR, Outcome.PARTIAL}
