"""Where a record stands on a day: domain.md points 2, 4, 5; traps 7, 8, 11, 15."""

from __future__ import annotations

import datetime as dt

import pytest

from gateway.base.clock import shanghai_date
from gateway.credit.periods import add_months
from gateway.credit.record import Area, Decision, PersonRole, Procedure, RemovalReason, Tier
from gateway.credit.state import State, standing_of
from tests.unit.credit.factories import catalogue, make_entry, make_penalty, noon

DAY = dt.timedelta(days=1)


def state_on(record, day: dt.date) -> State:
    """The state of a record on a day."""
    return standing_of(record, catalogue().on(day)).state


def until(record, day: dt.date) -> dt.date | None:
    """The last day on which a record is visible, by the rules of a day."""
    return standing_of(record, catalogue().on(day)).last_day


@pytest.mark.parametrize(
    ("start", "months", "last"),
    [
        ("2026-01-31", 1, "2026-02-28"),
        ("2024-01-31", 1, "2024-02-29"),
        ("2024-02-29", 12, "2025-02-28"),
        ("2026-05-20", 3, "2026-08-20"),
        ("2025-12-10", 12, "2026-12-10"),
        ("2025-11-30", 3, "2026-02-28"),
        ("2026-05-20", 0, "2026-05-20"),
    ],
)
def test_a_period_of_months_ends_with_the_day_of_the_same_number(start, months, last):
    """Civil Code 202: without such a day, the last day of the month."""
    assert add_months(dt.date.fromisoformat(start), months) == dt.date.fromisoformat(last)


def test_days_turn_at_midnight_of_shanghai():
    """Trap 11: time zone Asia/Shanghai."""
    midnight = noon(dt.date(2026, 5, 20)) + 12 * 3_600_000

    assert (shanghai_date(midnight - 1), shanghai_date(midnight)) == (dt.date(2026, 5, 20), dt.date(2026, 5, 21))


def test_a_penalty_is_received_until_dated_and_published():
    """Visible at t when the document is dated and published by t."""
    penalty = make_penalty(decided_on=dt.date(2026, 5, 20), published_on=dt.date(2026, 5, 25))

    states = [state_on(penalty, dt.date(2026, 5, day)) for day in (19, 20, 24, 25)]

    assert states == [State.RECEIVED, State.RECEIVED, State.RECEIVED, State.IN_FORCE]


def test_a_penalty_is_visible_to_the_end_of_its_last_day():
    """Trap 11: end of day semantics of 公示截止期: an end date means the end of that day."""
    penalty = make_penalty(publish_until=dt.date(2026, 9, 30))

    states = [state_on(penalty, dt.date(2026, 9, 30)), state_on(penalty, dt.date(2026, 10, 1))]

    assert states == [State.IN_FORCE, State.EXPIRED]


@pytest.mark.parametrize(
    ("member", "state"),
    [("repaired_on", State.REPAIRED), ("revoked_on", State.REVOKED), ("corrected_on", State.CORRECTED)],
)
def test_a_penalty_disappears_at_once_when_lifted(member, state):
    """On repair, expiry, revocation or correction: the flag disappears at once."""
    penalty = make_penalty(**{member: dt.date(2026, 8, 1)})

    states = [state_on(penalty, dt.date(2026, 7, 31)), state_on(penalty, dt.date(2026, 8, 1))]

    assert states == [State.IN_FORCE, state]


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        (RemovalReason.EXPIRED, State.EXPIRED),
        (RemovalReason.REPAIRED, State.REPAIRED),
        (RemovalReason.FULFILLED, State.REPAIRED),
        (RemovalReason.REVOKED, State.REVOKED),
        (RemovalReason.CORRECTED, State.CORRECTED),
    ],
)
def test_a_removed_list_entry_disappears_at_once(reason, state):
    """Trap 8: a removed list entry must vanish."""
    entry = make_entry(removed_on=dt.date(2026, 8, 1), removal_reason=reason)

    states = [state_on(entry, dt.date(2026, 7, 31)), state_on(entry, dt.date(2026, 8, 1))]

    assert states == [State.IN_FORCE, state]


@pytest.mark.parametrize("make", [make_penalty, make_entry])
def test_a_record_is_shielded_while_its_subject_is_reorganised(make):
    """Shielded (reorganisation): not visible within the window, visible before and after."""
    record = make(shielded_from=dt.date(2026, 6, 1), shielded_to=dt.date(2026, 6, 30))
    days = [dt.date(2026, 5, 31), dt.date(2026, 6, 1), dt.date(2026, 6, 30), dt.date(2026, 7, 1)]

    states = [state_on(record, day) for day in days]

    assert states == [State.IN_FORCE, State.SHIELDED, State.SHIELDED, State.IN_FORCE]


def test_a_shield_without_end_holds():
    assert state_on(make_entry(shielded_from=dt.date(2026, 6, 1)), dt.date(2026, 11, 22)) is State.SHIELDED


@pytest.mark.parametrize("make", [make_penalty, make_entry])
def test_an_objection_annotates_and_does_not_hide(make):
    record = make(objection_since=dt.date(2026, 6, 1))

    states = [state_on(record, dt.date(2026, 5, 31)), state_on(record, dt.date(2026, 6, 1))]

    assert states == [State.IN_FORCE, State.UNDER_OBJECTION]


def test_an_observation_period_ends_by_itself():
    """An observation period (观察期) shows a flag as ``observation``; the window ends automatically."""
    record = make_entry(observation_from=dt.date(2026, 6, 1), observation_to=dt.date(2026, 6, 30))
    days = [dt.date(2026, 5, 31), dt.date(2026, 6, 1), dt.date(2026, 6, 30), dt.date(2026, 7, 1)]

    states = [state_on(record, day) for day in days]

    assert states == [State.IN_FORCE, State.OBSERVATION, State.OBSERVATION, State.IN_FORCE]


def test_an_objection_is_said_before_an_observation():
    record = make_entry(
        objection_since=dt.date(2026, 6, 1), observation_from=dt.date(2026, 6, 1), observation_to=dt.date(2026, 6, 30)
    )

    assert state_on(record, dt.date(2026, 6, 2)) is State.UNDER_OBJECTION


def test_conduct_that_ended_five_years_ago_is_not_spoken_of():
    """Visible only if the conduct ended under five years ago; the fifth year ends with its last day."""
    entry = make_entry(conduct_ended_on=dt.date(2021, 6, 15))

    states = [state_on(entry, dt.date(2026, 6, 15)), state_on(entry, dt.date(2026, 6, 16))]

    assert states == [State.IN_FORCE, State.EXPIRED]


def test_a_simple_procedure_penalty_is_not_published():
    """Simple-procedure and minor penalties are not dishonesty (Tianjin regulation art. 12)."""
    penalty = make_penalty(procedure=Procedure.SIMPLE)

    for day in (dt.date(2026, 5, 20), dt.date(2026, 11, 22)):
        assert state_on(penalty, day) is State.NOT_PUBLISHED


@pytest.mark.parametrize("types", ["警告", "通报批评", "警告;通报批评"])
@pytest.mark.parametrize("day", [dt.date(2026, 3, 1), dt.date(2026, 5, 1)])
def test_a_minor_penalty_is_not_published_before_and_after_order_36(types, day):
    assert state_on(make_penalty(types=types, decided_on=dt.date(2026, 2, 1)), day) is State.NOT_PUBLISHED


def test_a_minor_penalty_is_published_for_three_months_where_its_authority_requires_it():
    """Minor items are not published, or 3 months at most."""
    penalty = make_penalty(types="警告", publication_basis="某条例第三条", decided_on=dt.date(2026, 5, 20))

    states = [state_on(penalty, dt.date(2026, 8, 20)), state_on(penalty, dt.date(2026, 8, 21))]

    assert states == [State.IN_FORCE, State.EXPIRED]


def test_a_decision_not_to_punish_is_never_a_flag():
    """A decision not to punish a first offence (首违不罚) never becomes a flag, whatever else the record says."""
    penalty = make_penalty(decision=Decision.NO_PENALTY, types="吊销许可证件", tier=Tier.SERIOUS, publication_basis="x")

    assert state_on(penalty, dt.date(2026, 6, 1)) is State.NOT_PUBLISHED


def test_the_authoritys_own_finding_goes_before_the_derived_tier():
    lighter, heavier = make_penalty(types="罚款", tier=Tier.MINOR), make_penalty(types="罚款", tier=Tier.SERIOUS)

    assert state_on(lighter, dt.date(2026, 6, 1)) is State.NOT_PUBLISHED
    assert until(heavier, dt.date(2026, 6, 1)) == dt.date(2029, 5, 20)


@pytest.mark.parametrize(
    ("types", "last"), [("罚款", "2027-05-20"), ("罚款;警告", "2027-05-20"), ("警告;罚款;吊销许可证件", "2029-05-20")]
)
def test_the_longest_period_counts_for_several_kinds_of_penalty(types, last):
    """Trap 7: tier = most severe. General up to 1 year, serious up to 3 years, from the document's date."""
    penalty = make_penalty(types=types, published_on=dt.date(2026, 6, 30))

    assert until(penalty, dt.date(2026, 7, 1)) == dt.date.fromisoformat(last)


def test_one_penalty_has_two_periods_and_both_are_right():
    """One penalty asked about as of 2025 and as of today gives different periods; both are right."""
    penalty = make_penalty(decided_on=dt.date(2024, 10, 1))

    assert (state_on(penalty, dt.date(2025, 12, 1)), until(penalty, dt.date(2025, 12, 1))) == (
        State.IN_FORCE,
        dt.date(2027, 10, 1),
    )
    assert state_on(penalty, dt.date(2026, 11, 22)) is State.EXPIRED


def test_a_penalty_of_december_2025_is_in_force_across_the_change():
    """Trap 15: Order 36 transition: penalty of 2025-12 in force across the change."""
    penalty = make_penalty(decided_on=dt.date(2025, 12, 10))
    days = [dt.date(2026, 3, 31), dt.date(2026, 4, 1), dt.date(2026, 12, 10), dt.date(2026, 12, 11)]

    states = [state_on(penalty, day) for day in days]

    assert states == [State.IN_FORCE, State.IN_FORCE, State.IN_FORCE, State.EXPIRED]
    assert (until(penalty, days[0]), until(penalty, days[1])) == (dt.date(2028, 12, 10), dt.date(2026, 12, 10))


def test_the_policy_day_and_today_give_different_repair_days():
    """Clause 0.1: as of 2023-05-17 and today give different repair periods for one penalty."""
    food = make_penalty(decided_on=dt.date(2023, 5, 10), area=Area.FOOD, types="吊销许可证件")

    then = standing_of(food, catalogue().on(dt.date(2023, 5, 17))).rule
    now = standing_of(food, catalogue().on(dt.date(2026, 4, 30))).rule

    assert then is not None
    assert now is not None
    assert (then.code, then.apply_after_months, then.max_months) == ("NDRC58-AREAS", 12, 36)
    assert (now.code, now.apply_after_months, now.max_months) == ("NDRC36-SERIOUS", 12, 36)


def test_a_market_regulators_penalty_counts_from_publication_and_follows_order_107():
    """SAMR Order 107 (2025-12-25) follows the same tiers; its clock starts at publication."""
    penalty = make_penalty(
        authority="天津市市场监督管理委员会", decided_on=dt.date(2025, 12, 1), published_on=dt.date(2025, 12, 10)
    )

    assert until(penalty, dt.date(2025, 12, 24)) == dt.date(2028, 12, 10)
    assert until(penalty, dt.date(2025, 12, 25)) == dt.date(2026, 12, 10)


def test_a_longer_ban_extends_publication_under_order_45():
    penalty = make_penalty(
        authority="天津市市场监督管理委员会",
        types="限制从业",
        decided_on=dt.date(2025, 1, 1),
        ban_until=dt.date(2030, 1, 1),
    )

    assert until(penalty, dt.date(2025, 6, 1)) == dt.date(2030, 1, 1)


def test_without_a_rule_a_penalty_stays_visible():
    """No rule of the day hides nothing."""
    penalty = make_penalty(decided_on=dt.date(2015, 1, 1))

    assert (state_on(penalty, dt.date(2016, 1, 1)), until(penalty, dt.date(2016, 1, 1))) == (State.IN_FORCE, None)


@pytest.mark.parametrize(
    ("members", "last"),
    [
        ({"list_code": "SX-JUD"}, None),
        ({"list_code": "SX-JUD", "valid_to": dt.date(2028, 3, 1)}, dt.date(2028, 3, 1)),
        ({"list_code": "SX-SAMR"}, dt.date(2029, 3, 1)),
        ({"list_code": "SX-SAMR", "valid_to": dt.date(2028, 3, 1)}, dt.date(2028, 3, 1)),
        ({"list_code": "SX-SAMR", "valid_to": dt.date(2039, 3, 1)}, dt.date(2029, 3, 1)),
        ({"list_code": "SX-TAX", "published_on": dt.date(2026, 4, 1)}, dt.date(2029, 4, 1)),
        ({"list_code": "SX-STAT"}, dt.date(2027, 3, 1)),
        ({"list_code": "SX-STAT", "valid_to": dt.date(2028, 3, 1)}, dt.date(2028, 3, 1)),
        ({"list_code": "SX-TRANS"}, dt.date(2029, 3, 1)),
        ({"list_code": "SX-EXPR"}, dt.date(2027, 3, 1)),
        ({"list_code": "SX-CUST", "tier": Tier.GENERAL}, dt.date(2027, 3, 1)),
        ({"list_code": "SX-CUST"}, dt.date(2029, 3, 1)),
        ({"list_code": "SX-JUD", "tier": Tier.GENERAL}, None),
        ({"list_code": "SX-ABN"}, None),
    ],
)
def test_a_list_entry_lasts_as_its_list_says(members, last):
    """Its own end within the list's maximum, else the list's term, else the rule of its tier, else until fulfilled."""
    assert until(make_entry(**members), dt.date(2026, 6, 1)) == last


def test_the_abnormal_operations_list_is_minor_and_published_by_its_own_regulation():
    """SX-ABN: minor tier, published because 企业信息公示暂行条例 says so, until the duty is fulfilled."""
    entry = make_entry(list_code="SX-ABN", decided_on=dt.date(2023, 7, 1))

    standing = standing_of(entry, catalogue().on(dt.date(2026, 11, 22)))

    assert (standing.state, standing.tier, standing.last_day) == (State.IN_FORCE, Tier.MINOR, None)


def test_a_list_that_the_catalogue_does_not_know_is_unreadable_and_not_absent():
    """Clause 4.2a: unknown code reported, not dropped."""
    entry = make_entry(list_code="SX-NEW")

    assert state_on(entry, dt.date(2026, 6, 1)) is State.UNREADABLE
    assert (
        state_on(make_entry(list_code="SX-NEW", decided_on=dt.date(2026, 7, 1)), dt.date(2026, 6, 1)) is State.RECEIVED
    )


def test_a_list_of_persons_says_nothing_readable_about_an_enterprise():
    enterprise = make_entry(list_code="SX-MIL")
    person = make_entry(list_code="SX-MIL", person_role=PersonRole.LEGAL_REPRESENTATIVE, person_name="张*")
    person_on_list_of_firms = make_entry(
        list_code="SX-GOVP", person_role=PersonRole.RESPONSIBLE_PERSON, person_name="张*"
    )

    states = [state_on(entry, dt.date(2026, 6, 1)) for entry in (enterprise, person, person_on_list_of_firms)]

    assert states == [State.UNREADABLE, State.IN_FORCE, State.UNREADABLE]
