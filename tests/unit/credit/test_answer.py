"""The answer: domain.md points 1, 2, 3, 5, 6, 7, and the sandbox merchants of the feed; traps 1, 3, 4, 8, 9, 12."""

from __future__ import annotations

import datetime as dt
import json
import re

import pytest

from gateway.base.canonical import canonical_json
from gateway.base.clock import Millis
from gateway.base.messages.credit import REASONS
from gateway.credit.answer import FUTURE_TOLERANCE_MS, Asked, Outcome, decide_answer, decide_candidates
from gateway.credit.catalogue_rows import Confidence
from gateway.credit.facts import Candidates
from gateway.credit.feed import parse_line
from gateway.credit.identifiers import Uscc
from gateway.credit.record import Decision, PersonRole, Procedure, RegistrationStatus, RemovalReason, Tier
from gateway.credit.state import State
from tests.unit.credit.factories import (
    CODE,
    MAX_STALE_MS,
    TODAY,
    answer_on,
    catalogue,
    codes,
    entry_line,
    make_entry,
    make_facts,
    make_penalty,
    make_registration,
    make_source,
    noon,
)


def candidates_on(day: dt.date, *names: str, **changes):
    """What is answered to a name alone."""
    rows = tuple(make_registration(name=name) for name in names)
    members = {"source": make_source(noon(day)), "rows": rows} | changes
    return decide_candidates(
        Candidates(**members), catalogue(), verification_id="ver_1", at=noon(day), max_stale_ms=MAX_STALE_MS
    )


def test_a_registered_subject_without_records_is_clear():
    """Default is allow: no list and no rule means no restriction (非禁即入)."""
    answer = answer_on(TODAY)

    assert (answer.outcome, answer.flags, codes(answer)) == (Outcome.CLEAR, (), {"nothing_in_force"})
    assert (answer.as_of, answer.feed, answer.feed_version) == ("2026-11-22T03:59:00.000Z", "tianjin", 7)
    assert answer.catalogue_version == catalogue().version


def test_before_the_first_feed_nothing_is_said():
    """Absence of evidence is not clean: no source is ``unavailable``."""
    answer = answer_on(TODAY, source=None)

    assert (answer.outcome, codes(answer), answer.as_of) == (Outcome.UNAVAILABLE, {"no_source"}, None)


@pytest.mark.parametrize(
    ("age_ms", "outcome"), [(MAX_STALE_MS, Outcome.CLEAR), (MAX_STALE_MS + 1, Outcome.UNAVAILABLE)]
)
def test_past_max_stale_the_outcome_is_unavailable(age_ms, outcome):
    """Past ``max_stale`` the verdict is ``unavailable``, never ``clear``."""
    at = noon(TODAY)

    answer = answer_on(TODAY, source=make_source(at, as_of_ms=Millis(at - age_ms)))

    assert answer.outcome is outcome


@pytest.mark.parametrize(
    ("ahead_ms", "outcome"), [(FUTURE_TOLERANCE_MS, Outcome.CLEAR), (FUTURE_TOLERANCE_MS + 1, Outcome.UNAVAILABLE)]
)
def test_facts_from_the_future_are_no_facts(ahead_ms, outcome):
    at = noon(TODAY)

    answer = answer_on(TODAY, source=make_source(at, as_of_ms=Millis(at + ahead_ms)))

    assert answer.outcome is outcome


def test_a_stale_answer_lists_no_flag_since_none_is_known_to_be_in_force():
    at = noon(TODAY)
    stale = make_source(at, as_of_ms=Millis(at - MAX_STALE_MS - 1))

    answer = answer_on(TODAY, make_entry(), source=stale)

    assert (answer.outcome, answer.flags, answer.subject.name) == (Outcome.UNAVAILABLE, (), None)
    assert answer.as_of == "2026-11-21T03:59:59.999Z"


def test_a_quarantined_line_makes_the_answer_partial_and_flags_are_still_listed():
    """Unreadable record: ``partial``, never ``clear``."""
    bare, flagged = answer_on(TODAY, quarantined=1), answer_on(TODAY, make_entry(), quarantined=2)

    assert (bare.outcome, bare.flags) == (Outcome.PARTIAL, ())
    assert (flagged.outcome, len(flagged.flags)) == (Outcome.PARTIAL, 1)
    assert "2" in next(reason.en for reason in flagged.reasons if reason.code == "records_unreadable")
    assert "nothing_in_force" not in codes(bare)


def test_an_unknown_code_is_unknown_and_not_clear():
    answer = answer_on(TODAY, registration=None)

    assert (answer.outcome, codes(answer)) == (Outcome.UNKNOWN_SUBJECT, {"not_registered"})
    assert answer.subject.uscc == CODE


def test_an_unknown_code_is_told_what_is_odd_about_it():
    code = Uscc("91120116MA05K8N3XL")

    answer = decide_answer(
        Asked(uscc=code, name=None),
        make_facts(registration=None),
        catalogue(),
        verification_id="ver_1",
        at=noon(TODAY),
        max_stale_ms=MAX_STALE_MS,
    )

    assert codes(answer) == {"not_registered", "organisation_code_check"}


def test_records_of_a_code_that_the_register_does_not_know_count():
    """Fail closed: a restriction found is said although the register does not know the subject."""
    restricted = answer_on(TODAY, make_entry(), registration=None)
    unreadable = answer_on(TODAY, registration=None, quarantined=1)
    over = answer_on(TODAY, make_penalty(repaired_on=TODAY), registration=None)

    assert (restricted.outcome, unreadable.outcome, over.outcome) == (
        Outcome.RESTRICTED,
        Outcome.PARTIAL,
        Outcome.UNKNOWN_SUBJECT,
    )
    assert "not_registered" in codes(restricted)


def test_a_list_unknown_to_the_catalogue_makes_the_answer_partial():
    """Clause 4.2a: unknown code reported, not dropped."""
    answer = answer_on(TODAY, make_entry(list_code="SX-NEW"), make_penalty(decided_on=dt.date(2026, 8, 1)))

    assert (answer.outcome, len(answer.flags)) == (Outcome.PARTIAL, 1)
    assert "SX-NEW" in next(reason.zh for reason in answer.reasons if reason.code == "record_not_interpretable")


@pytest.mark.parametrize(
    "record",
    [
        make_penalty(repaired_on=TODAY),
        make_penalty(revoked_on=TODAY),
        make_penalty(corrected_on=TODAY),
        make_penalty(decided_on=dt.date(2025, 1, 1)),
        make_penalty(decided_on=TODAY + dt.timedelta(days=1)),
        make_penalty(shielded_from=TODAY),
        make_penalty(procedure=Procedure.SIMPLE),
        make_penalty(types="警告"),
        make_penalty(decision=Decision.NO_PENALTY),
        make_entry(removed_on=TODAY, removal_reason=RemovalReason.REPAIRED),
        make_entry(list_code="SX-STAT", decided_on=dt.date(2025, 1, 1)),
    ],
    ids=lambda record: record.record_id,
)
def test_only_records_in_force_are_flags(record):
    """Only records in force are flags; first-offence and minor decisions leave no trace in an answer."""
    answer = answer_on(TODAY, record)

    assert (answer.outcome, answer.flags, codes(answer)) == (Outcome.CLEAR, (), {"nothing_in_force"})
    assert canonical_json(answer) == canonical_json(answer_on(TODAY))


def test_a_flag_is_a_fact_with_a_basis():
    """It names list code, measures, legal basis, authority and its code, document number, dates, repair path, sectors."""
    answer = answer_on(TODAY, make_entry(grounds="有履行能力而拒不履行", published_on=dt.date(2026, 3, 3)))

    (flag,) = answer.flags
    assert (answer.outcome, flag.list_code, flag.name.en, flag.tier) == (
        Outcome.RESTRICTED,
        "SX-JUD",
        "Judgment defaulters",
        Tier.SERIOUS,
    )
    assert (flag.authority, flag.authority_code, flag.document_no) == (
        "天津市第一中级人民法院",
        "12120000000000019L",
        "(2026)津01执1号",
    )
    assert (flag.decided_on, flag.published_on, flag.until) == (dt.date(2026, 3, 1), dt.date(2026, 3, 3), None)
    assert flag.end_condition.zh
    assert flag.basis == ("最高人民法院关于公布失信被执行人名单信息的若干规定(法释〔2017〕7号)",)
    assert flag.repair.zh
    assert flag.repair.en
    assert "INDUSTRIAL_INTERNET" in flag.sectors


def test_a_penalty_flag_names_its_kind_amount_and_first_day_of_repair():
    answer = answer_on(TODAY, make_penalty(types="警告;罚款", fine_fen=5_000_000, decided_on=dt.date(2026, 8, 31)))

    (flag,) = answer.flags
    assert (flag.kind, flag.list_code, flag.tier, flag.fine_fen) == ("penalty", "CF-FINE", Tier.GENERAL, 5_000_000)
    assert (flag.until, flag.repair.earliest) == (dt.date(2027, 8, 31), dt.date(2026, 12, 1))
    assert flag.basis[-1].startswith("国家发展改革委令第36号")


def test_every_list_gives_a_flag_with_a_basis_and_an_end():
    """Each flag has at least one legal basis and an end date or end condition."""
    for code in catalogue().on(TODAY).lists.keys() - {"SX-MIL"}:
        (flag,) = answer_on(TODAY, make_entry(list_code=code)).flags

        assert all(flag.basis), code
        assert flag.end_condition.zh, code
        assert flag.repair.zh.endswith("。"), code


def test_measures_not_meant_for_platforms_are_never_shown():
    """M04, M05, M11 and M12 never; M02 only in a linked notice; M03 shown, but its authority's to enforce."""
    entries = [make_entry(list_code=code, record_id=code) for code in catalogue().on(TODAY).lists if code != "SX-MIL"]

    answer = answer_on(TODAY, *entries)

    shown = {measure.code: measure for flag in answer.flags for measure in flag.measures}
    assert not shown.keys() & {"M02", "M04", "M05", "M11", "M12"}
    assert (shown["M03"].enforced_by, shown["M14"].enforced_by) == ("authority", "self_decided")


def test_the_answer_says_what_is_not_yet_verified():
    """Unverified rows say so in every answer that uses them."""
    answer = answer_on(TODAY, make_entry(list_code="SX-TRANS"))

    (flag,) = answer.flags
    assert flag.confidence is Confidence.UNVERIFIED
    assert "lists/SX-TRANS" in flag.unverified
    assert "unverified_rows" in codes(answer)


def test_an_answer_on_firm_rows_does_not_cry_wolf():
    answer = answer_on(TODAY, make_penalty())

    (flag,) = answer.flags
    assert (flag.confidence, flag.unverified) == (Confidence.SECONDARY, ())
    assert "unverified_rows" not in codes(answer)


def test_an_unknown_kind_of_penalty_is_shown_as_other_and_said():
    answer = answer_on(TODAY, make_penalty(types="训诫"))

    (flag,) = answer.flags
    assert (flag.list_code, flag.confidence) == ("CF-OTHER", Confidence.UNVERIFIED)
    assert "训诫" in next(reason.zh for reason in answer.reasons if reason.code == "unknown_penalty_type")


def test_on_a_day_without_rules_a_penalty_is_shown_and_the_gap_said():
    answer = answer_on(dt.date(2016, 1, 1), make_penalty(decided_on=dt.date(2015, 1, 1)))

    (flag,) = answer.flags
    assert (flag.until, flag.platform_cap, flag.confidence) == (None, None, Confidence.UNVERIFIED)
    assert {"no_publication_rule", "unverified_rows"} <= codes(answer)


def test_an_observation_is_restricted_and_caps_what_it_may_trigger():
    """An observation period (观察期) shows a flag as ``observation`` and caps what it may trigger."""
    answer = answer_on(TODAY, make_entry(observation_from=TODAY, observation_to=TODAY))

    (flag,) = answer.flags
    assert (answer.outcome, flag.state, flag.observation_until) == (Outcome.RESTRICTED, State.OBSERVATION, TODAY)
    assert flag.platform_cap is not None
    assert (flag.platform_cap.code, flag.platform_cap.human) == ("P20", False)


@pytest.mark.parametrize(
    ("record", "cap", "human"),
    [
        (make_entry(list_code="SX-ABN"), "P10", False),
        (make_penalty(), "P20", False),
        (make_penalty(types="吊销许可证件"), "P50", True),
        (make_entry(), "P50", True),
        (make_entry(objection_since=TODAY, observation_from=TODAY, observation_to=TODAY), "P20", False),
    ],
)
def test_what_a_tier_bears_is_capped_and_heavy_steps_need_a_person(record, cap, human):
    """Measure severity <= tier of the record; decided by a person for the heavy ones (PIPL 24)."""
    (flag,) = answer_on(TODAY, record).flags

    assert flag.platform_cap is not None
    assert (flag.platform_cap.code, flag.platform_cap.human) == (cap, human)


def test_an_objection_is_annotated():
    answer = answer_on(TODAY, make_entry(objection_since=dt.date(2026, 11, 1)))

    (flag,) = answer.flags
    assert (answer.outcome, flag.state, flag.objection_since) == (
        Outcome.RESTRICTED,
        State.UNDER_OBJECTION,
        dt.date(2026, 11, 1),
    )


def test_a_personal_listing_is_a_linked_notice_and_not_the_companys_flag():
    """Trap 3: legal representative listed personally != enterprise listed; linked notice only (禁止不当联结)."""
    line = entry_line(list_code="SX-SAMR", person={"role": "legal_representative", "name": "欧阳锋"})

    answer = answer_on(TODAY, parse_line(line).value)

    (notice,) = answer.notices
    assert (answer.outcome, answer.flags, notice.person) == (Outcome.CLEAR, (), "欧**")
    assert [measure.code for measure in notice.measures] == ["M02"]
    assert "法定代表人" in notice.meaning.zh
    assert "欧阳锋" not in canonical_json(answer).decode()


def test_a_linked_notice_ends_like_a_flag():
    entry = make_entry(
        person_role=PersonRole.RESPONSIBLE_PERSON,
        person_name="张*",
        removed_on=TODAY,
        removal_reason=RemovalReason.FULFILLED,
    )

    assert answer_on(TODAY, entry).notices == ()


def test_a_name_alone_gives_candidates_and_never_a_flag():
    """A name alone never yields a flag, only candidates. Trap 1, clause 5.4f: homonyms."""
    answer = candidates_on(TODAY, "天津测试有限公司", "天津测试有限公司")

    assert (answer.outcome, answer.flags, len(answer.candidates)) == (Outcome.UNKNOWN_SUBJECT, (), 2)
    assert codes(answer) == {"name_only"}


def test_no_candidate_is_said_to_be_none():
    assert codes(candidates_on(TODAY)) == {"name_only", "no_candidates"}


@pytest.mark.parametrize("source", [None, make_source(noon(dt.date(2026, 1, 1)))])
def test_candidates_of_a_stale_source_are_not_shown(source):
    answer = candidates_on(TODAY, "天津测试有限公司", source=source)

    assert (answer.outcome, answer.candidates) == (Outcome.UNAVAILABLE, ())


def test_even_with_facts_at_hand_a_question_without_a_code_gets_no_flag():
    answer = decide_answer(
        Asked(uscc=None, name="天津测试有限公司"),
        make_facts(make_entry()),
        catalogue(),
        verification_id="ver_1",
        at=noon(TODAY),
        max_stale_ms=MAX_STALE_MS,
    )

    assert (answer.outcome, answer.flags, answer.subject.name) == (Outcome.UNKNOWN_SUBJECT, (), None)


def test_a_name_that_does_not_fit_the_code_says_so_and_hides_nothing():
    answer = answer_on(TODAY, make_entry(), name="天津别的有限公司")

    mismatch = next(reason for reason in answer.reasons if reason.code == "name_mismatch")
    assert (answer.outcome, answer.subject.name_matches, mismatch.field) == (Outcome.RESTRICTED, False, "/subject/name")
    assert len(answer.flags) == 1


@pytest.mark.parametrize("name", ["天津测试有限公司", " 天津测试 有限公司"])
def test_a_name_that_fits_is_confirmed(name):
    answer = answer_on(TODAY, name=name)

    assert (answer.outcome, answer.subject.name_matches, codes(answer)) == (Outcome.CLEAR, True, {"nothing_in_force"})


@pytest.mark.parametrize("status", list(RegistrationStatus))
def test_the_registers_status_is_a_fact_and_no_flag(status):
    answer = answer_on(TODAY, registration=make_registration(status=status))

    said = codes(answer) - {"nothing_in_force"}
    assert (answer.outcome, answer.flags, answer.subject.status) == (Outcome.CLEAR, (), status)
    assert said == (set() if status is RegistrationStatus.ACTIVE else {f"status_{status}"})


def test_a_branch_has_its_own_code_and_does_not_inherit():
    """Trap 4: branch (分支机构) has its own USCC; do not inherit. Trap 12: a re-registered company is a new subject."""
    branch = answer_on(TODAY, registration=make_registration(name="天津测试有限公司滨海分公司"))

    assert (branch.outcome, branch.flags) == (Outcome.CLEAR, ())


def test_records_under_the_old_number_count_for_the_firm():
    """Trap 2: old 15-digit number and USCC of one firm must merge."""
    old = make_penalty(uscc=None, reg_no="440301103097413")

    answer = answer_on(TODAY, old, registration=make_registration(reg_no="440301103097413"))

    assert (answer.outcome, len(answer.flags)) == (Outcome.RESTRICTED, 1)


def test_flags_come_in_an_order_that_the_facts_alone_decide():
    records = [
        make_penalty(record_id="a"),
        make_entry(record_id="b", list_code="SX-ABN"),
        make_entry(record_id="c"),
        make_penalty(record_id="d", decided_on=dt.date(2026, 6, 1)),
        make_entry(record_id="e", list_code="SX-NEW"),
    ]

    answers = [answer_on(TODAY, *records), answer_on(TODAY, *reversed(records))]

    assert [flag.record_id for flag in answers[0].flags] == ["c", "d", "a", "b"]
    assert canonical_json(answers[0]) == canonical_json(answers[1])


def test_the_answer_is_canonical_json_of_strings_integers_and_booleans():
    raw = canonical_json(answer_on(TODAY, make_entry(), make_penalty(fine_fen=1), name="x"))

    kinds = {type(leaf) for leaf in leaves(json.loads(raw))}
    assert kinds <= {str, int, bool, type(None)}
    assert re.findall(rb'"([^"]*[^\x00-\x7f][^"]*)":', raw) == []


def leaves(tree):
    """Every value that is neither object nor array."""
    if isinstance(tree, dict):
        tree = list(tree.values())
    return [leaf for item in tree for leaf in leaves(item)] if isinstance(tree, list) else [tree]


def test_no_score_of_anybody_exists_in_an_answer():
    """No numeric score of a natural person exists in any schema."""
    raw = canonical_json(answer_on(TODAY, make_entry(person_role=PersonRole.LEGAL_REPRESENTATIVE, person_name="张*")))

    assert b"score" not in raw.lower()


def test_every_sentence_stands_in_both_languages_and_fills_alike():
    for code, sentence in REASONS.items():
        assert re.findall(r"{(\w+)}", sentence.zh) == re.findall(r"{(\w+)}", sentence.en), code
        assert sentence.zh != sentence.en


@pytest.mark.parametrize(
    ("code", "changes", "outcome", "state"),
    [
        ("91990000000000027W", {"list_code": "SX-ABN", "decided_on": "2025-07-01"}, Outcome.RESTRICTED, State.IN_FORCE),
        ("91990000000000035P", {"list_code": "SX-SAMR"}, Outcome.RESTRICTED, State.IN_FORCE),
        ("91990000000000174E", {"list_code": "SX-JUD"}, Outcome.RESTRICTED, State.IN_FORCE),
        ("91990000000000166K", {"objection_since": "2026-10-01"}, Outcome.RESTRICTED, State.UNDER_OBJECTION),
    ],
)
def test_sandbox_merchants_answer_as_their_names_say(code, changes, outcome, state):
    """They come through the feed like everything else, by no special case in the answer path."""
    record = parse_line(entry_line(uscc=code, **changes)).value

    answer = answer_on(TODAY, record)

    assert (answer.outcome, [flag.state for flag in answer.flags]) == (outcome, [state])
