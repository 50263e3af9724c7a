"""The feed line: domain.md "Feed and field practice", points 1, 7, 8; traps 1, 2, 5, 7."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from gateway.credit.feed import FeedLine, LineError, parse_line
from gateway.credit.record import (
    Decision,
    PersonRole,
    Procedure,
    Registration,
    RegistrationStatus,
    RemovalReason,
    Tier,
    decode_record,
    decode_registration,
    encode_value,
)
from tests.unit.credit.factories import (
    AUTHORITY,
    CODE,
    catalogue,
    entry_line,
    make_penalty,
    penalty_line,
    registration_line,
)

OLD_NUMBER = "440301103097413"
PERSON_NUMBER = "120101199001010017"


def refusal(raw: bytes) -> LineError:
    """The refusal of a bad line."""
    with pytest.raises(LineError) as caught:
        parse_line(raw)
    return caught.value


def test_a_registration_line():
    line = parse_line(registration_line(reg_no=OLD_NUMBER, legal_representative="张三"))

    expected = Registration(
        uscc=CODE,
        name="天津测试有限公司",
        status=RegistrationStatus.ACTIVE,
        reg_no=OLD_NUMBER,
        established=dt.date(2019, 4, 1),
    )
    assert line == FeedLine("put", "registration", CODE, CODE, expected)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("存续", "active"),
        ("吊销", "revoked"),
        ("注销", "deregistered"),
        ("歇业", "dormant"),
        ("moved_out", "moved_out"),
    ],
)
def test_the_words_of_the_register_are_understood(sent, status):
    value = parse_line(registration_line(status=sent)).value

    assert isinstance(value, Registration)
    assert value.status == status


def test_a_penalty_line_in_the_spelling_of_2021():
    line = parse_line(penalty_line())

    expected = make_penalty(
        conduct="未按规定设置安全警示标志",
        basis="《中华人民共和国安全生产法》第九十九条",
        content="罚款五万元",
        fine_fen=5_000_000,
        publish_until=dt.date(2027, 5, 20),
        published_on=dt.date(2026, 5, 25),
        origin="天津市应急管理局",
        origin_code=AUTHORITY,
    )
    assert line == FeedLine("put", "penalty", "cf-1", CODE, expected)


def test_old_spellings_are_accepted_and_one_is_kept():
    """The 2021 double-publicity fields with their old spellings are accepted as aliases, one is emitted."""
    old = penalty_line(
        CF_CFLB=None,
        CF_CFLB1="罚款",
        CF_CFLB2="没收违法所得、没收非法财物",
        CF_NR=None,
        CF_JG="罚款五万元",
        CF_CFJG=None,
        CF_XZJG="天津市应急管理局",
        CF_XDR_GSDJ=OLD_NUMBER,
        CF_XDR_ZDM="00000001-9",
        CF_YXQ="2027/01/31",
        CF_ZT="0",
        DFBM="120000",
        SJC="2026-05-21",
    )
    new = penalty_line(
        CF_CFLB="罚款;没收违法所得;没收非法财物", CF_XDR_GSZC=OLD_NUMBER, CF_XDR_ZZJG="000000019", CF_QX="2027-01-31"
    )

    assert parse_line(old) == parse_line(new)
    emitted = json.loads(encode_value(parse_line(old).value)).keys()
    spellings = {row.code for row in catalogue().rows("penalty_fields.json")}
    ours = {"CF_NR_FK_FEN", "CF_NR_WFFF_FEN"}
    assert {name for name in emitted if name.isupper()} <= spellings | ours


def test_two_spellings_that_disagree_are_no_value():
    refused = refusal(penalty_line(CF_XZJG="天津市公安局"))

    assert (refused.reason, refused.subject_key) == ("spellings_disagree:CF_CFJG", CODE)


@pytest.mark.parametrize(
    ("wan", "fen"),
    [
        ("5", 5_000_000),
        ("5.0000", 5_000_000),
        ("0.5", 500_000),
        ("0.000001", 1),
        (3, 3_000_000),
        ("", None),
        ("0", 0),
        ("12.345678", 12_345_678),
    ],
)
def test_the_unit_of_fines_is_ten_thousand_yuan(wan, fen):
    """Trap 5: fine field unit is 万元."""
    value = parse_line(penalty_line(CF_NR_FK=wan, CF_NR_WFFF=wan)).value

    assert (value.fine_fen, value.confiscated_fen) == (fen, fen)


@pytest.mark.parametrize("wan", ["-1", "1,000", "五", "1e3", "NaN", "0.0000001", "100000001", ".5", "5.", "１", -1])
def test_an_amount_that_cannot_be_exact_is_refused(wan):
    assert refusal(penalty_line(CF_NR_FK=wan)).reason == "bad_amount"


@pytest.mark.parametrize("day", ["2026-05-20", "2026/05/20", "20260520", "2026-05-20 00:00:00", "2026-05-20T00:00:00"])
def test_days_are_read_in_the_spellings_of_the_field(day):
    assert parse_line(penalty_line(CF_JDRQ=day)).value.decided_on == dt.date(2026, 5, 20)


def test_the_open_ended_day_is_no_day():
    assert parse_line(penalty_line(CF_GSJZQ="2099/12/31")).value.publish_until is None


@pytest.mark.parametrize(
    "day", ["2026-02-30", "26-05-20", "20.05.2026", "2026-5-2", "1900-01-01", "2026-05-20 08:00:00", "２０２６-05-20"]
)
def test_a_day_that_is_none_is_refused(day):
    assert refusal(penalty_line(CF_JDRQ=day)).reason == "bad_day"


def test_an_old_number_alone_names_the_subject_by_that_number():
    """Trap 2: old 15-digit number and USCC of one firm must merge."""
    line = parse_line(penalty_line(CF_XDR_SHXYM=None, CF_XDR_GSDJ=OLD_NUMBER))

    assert (line.subject_key, line.value.uscc, line.value.reg_no) == (f"R:{OLD_NUMBER}", None, OLD_NUMBER)


def test_a_record_with_code_and_old_number_is_filed_under_the_code():
    assert parse_line(penalty_line(CF_XDR_GSZC=OLD_NUMBER)).subject_key == CODE


@pytest.mark.parametrize("raw", [penalty_line(CF_XDR_SHXYM=None), entry_line(uscc=None), penalty_line(CF_XDR_SHXYM="")])
def test_a_record_with_a_name_only_has_no_subject(raw):
    """Trap 1: name without USCC must never produce a flag."""
    refused = refusal(raw)

    assert (refused.reason, refused.subject_key) == ("no_subject_code", None)


def test_a_wrong_code_beside_a_right_old_number_makes_the_firm_of_the_number_doubtful():
    refused = refusal(penalty_line(CF_XDR_SHXYM="919900000000000193", CF_XDR_GSZC=OLD_NUMBER))

    assert (refused.reason, refused.subject_key) == ("bad_uscc", f"R:{OLD_NUMBER}")


def test_codes_of_two_subjects_in_one_record_are_refused():
    refused = refusal(penalty_line(CF_XDR_ZZJG="71526726X"))

    assert (refused.reason, refused.subject_key) == ("subject_codes_disagree", CODE)


def test_personal_identifiers_are_not_kept():
    """No personal identifier of the line is found in what is kept: numbers, names of representatives, free text of facts."""
    raw = penalty_line(
        CF_FRDB="张三丰",
        CF_FR="张三丰",
        CF_FR_ZJLX="身份证",
        CF_FR_ZJHM=PERSON_NUMBER,
        CF_FR_SFZH=PERSON_NUMBER,
        CF_XDR_ZJHM=PERSON_NUMBER,
        CF_XDR_SFZ=PERSON_NUMBER,
        CF_SY=f"当事人张三丰({PERSON_NUMBER})未设置标志",
        CF_WFXW=f"{PERSON_NUMBER}未设置标志",
        CF_NR=f"对张三丰({PERSON_NUMBER.lower()})所在的{CODE}罚款",
    )

    kept = encode_value(parse_line(raw).value).decode()

    assert PERSON_NUMBER not in kept
    assert "120***************" in kept
    assert f"所在的{CODE}罚款" in kept
    assert "CF_SY" not in kept
    assert "CF_FR" not in kept


def test_a_natural_persons_record_is_refused():
    """Natural person: separate consent bound to purpose and time; none comes with the feed."""
    assert refusal(penalty_line(CF_XDR_LB="自然人", CF_XDR_ZJHM=PERSON_NUMBER)).reason == "natural_person"


@pytest.mark.parametrize(
    "marks", [{"secrecy": "秘密"}, {"secrecy": "secret"}, {"secrecy": 1}, {"BZ": "本件涉密"}, {"BZ": "机密★10年"}]
)
def test_a_record_with_a_secrecy_mark_is_refused(marks):
    """Clause 4.2b: 涉密 never enters; a record with a secrecy mark is rejected."""
    refused = refusal(penalty_line(**marks))

    assert (refused.reason, refused.record_id, refused.subject_key) == ("secrecy_mark", "cf-1", CODE)


@pytest.mark.parametrize(
    "marks", [{"secrecy": "none"}, {"secrecy": "非涉密"}, {"BZ": "非涉密信息"}, {"BZ": "不涉密"}, {"BZ": ""}]
)
def test_an_open_record_may_say_so(marks):
    assert parse_line(penalty_line(**marks)).record_id == "cf-1"


def test_a_list_entry_line():
    line = parse_line(
        entry_line(
            valid_to="2028-03-01", removed_on="2026-09-01", removal_reason="repaired", objection_since="2026-04-01"
        )
    )

    assert (line.kind, line.subject_key, line.value.list_code) == ("list_entry", CODE, "SX-JUD")
    assert (line.value.valid_to, line.value.removal_reason) == (dt.date(2028, 3, 1), RemovalReason.REPAIRED)


def test_a_listed_person_is_kept_masked_and_by_role():
    """Trap 3: legal representative listed personally != enterprise listed."""
    raw = entry_line(person={"role": "legal_representative", "name": "欧阳锋", "number": PERSON_NUMBER})

    value = parse_line(raw).value

    assert (value.person_role, value.person_name) == (PersonRole.LEGAL_REPRESENTATIVE, "欧**")
    assert "欧阳锋" not in encode_value(value).decode()
    assert PERSON_NUMBER not in encode_value(value).decode()


@pytest.mark.parametrize("member", ["document_no", "authority", "authority_code"])
def test_a_list_entry_without_decision_or_authority_is_refused(member):
    """Workflow step 1: reject entry without document no. and authority USCC."""
    assert refusal(entry_line(**{member: None})).reason == f"bad_member:{member}"
    assert refusal(entry_line(**{member: " "})).reason in {f"missing:{member}", f"bad_authority_code:{member}"}


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"CF_CFJGDM": None}, "missing:CF_CFJGDM"),
        ({"CF_CFJGDM": "12120000000000018L"}, "bad_authority_code:CF_CFJGDM"),
        ({"CF_WSH": " "}, "missing:CF_WSH"),
        ({"CF_XDR_MC": None}, "missing:CF_XDR_MC"),
        ({"CF_JDRQ": None}, "missing:CF_JDRQ"),
        ({"CF_CFLB": None}, "missing:CF_CFLB"),
        ({"CF_CFLB": "; 、"}, "missing:CF_CFLB"),
        ({"CF_WSH": 5}, "bad_member:CF_WSH"),
        ({"CF_WSH": "9" * 300}, "bad_member:CF_WSH"),
        ({"CF_ZT": "1"}, "revoked_without_day:CF_ZT"),
        ({"tier": "trivial"}, "bad_member:tier"),
        ({"procedure": "secret"}, "bad_member:procedure"),
        ({"repaired_on": "2026/05/20"}, "bad_member:repaired_on"),
        ({"repaird_on": "2026-05-20"}, "unknown_member"),
        ({"observation_from": "2026-05-20"}, "period_half_told:observation_from"),
        ({"observation_from": "2026-05-20", "observation_to": "2026-05-19"}, "period_half_told:observation_from"),
        ({"shielded_to": "2026-05-20"}, "period_half_told:shielded_from"),
        ({"CF_WFXW": "a\u0000b"}, "control_character"),
        ({"op": "upsert"}, "bad_op"),
        ({"op": None}, "bad_op"),
        ({"kind": "licence"}, "bad_kind"),
        ({"kind": ["penalty"]}, "bad_kind"),
    ],
)
def test_a_bad_penalty_names_reason_record_and_subject(members, reason):
    """One bad record is quarantined with its reason and makes its subject partial, never clear."""
    refused = refusal(penalty_line(**members))

    assert (refused.reason, refused.record_id, refused.subject_key) == (reason, "cf-1", CODE)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"uscc": "919900000000000193"}, "bad_uscc"),
        ({"id": "other"}, "id_is_not_the_code"),
        ({"status": "unheard of"}, "bad_status"),
        ({"reg_no": "123"}, "bad_reg_no"),
        ({"name": " "}, "missing:name"),
        ({"name": None}, "bad_member:name"),
        ({"established": "yesterday"}, "bad_day"),
    ],
)
def test_a_bad_registration_is_refused(members, reason):
    assert refusal(registration_line(**members)).reason == reason


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"removed_on": "2026-09-01"}, "removal_half_told"),
        ({"removal_reason": "expired"}, "removal_half_told"),
        ({"valid_to": "2026-02-01"}, "ends_before_decision:valid_to"),
        ({"person": {"role": "cousin", "name": "张三"}}, "bad_member:person.role"),
        ({"person": {"role": "legal_representative"}}, "bad_member:person"),
        ({"person": "张三"}, "bad_member:person"),
    ],
)
def test_a_bad_list_entry_is_refused(members, reason):
    assert refusal(entry_line(**members)).reason == reason


@pytest.mark.parametrize("record_id", ["", " ", "a b", "x" * 129, "记录", 5, None])
def test_a_record_id_is_short_printable_ascii(record_id):
    refused = refusal(penalty_line(id=record_id))

    assert (refused.reason, refused.record_id, refused.subject_key) == ("bad_id", None, CODE)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not_json"),
        (b"[]", "not_an_object"),
        (b'{"op":"put","op":"put"}', "duplicate_member"),
        (b'{"id":"a","CF_NR_FK":1.5}', "not_an_integer"),
        (b'\xef\xbb\xbf{"id":"a"}', "byte_order_mark"),
        (b'{"id":"\xff"}', "not_json"),
        (b'{"id":NaN}', "not_an_integer"),
        (b'{"id":"\\ud800"}', "not_json"),
        (b"x" * 70_000, "line_too_long"),
    ],
)
def test_what_is_not_strict_json_is_refused(raw, reason):
    assert refusal(raw).reason == reason


@pytest.mark.parametrize(
    "twin",
    [
        b'"CF_WSH": "other"',
        b'"CF_WSH" : ":"',
        b'"CF_WSH":":\xe5\x88\xab"',
        b'"CF_WSH":""',
        b'"CF_WSH":null',
        b'"CF_WSH":[]',
    ],
)
def test_a_member_sent_twice_is_refused_whatever_its_value(twin):
    """The fast way of reading must not let the last of two members win."""
    raw = penalty_line()[:-1] + b", " + twin + b"}"

    assert refusal(raw).reason == "duplicate_member"


def test_a_truncated_line_still_names_its_subject():
    refused = refusal(penalty_line()[:300])

    assert (refused.reason, refused.record_id, refused.subject_key) == ("not_json", "cf-1", CODE)


def test_local_columns_of_a_publisher_are_ignored():
    assert parse_line(penalty_line(CF_LOCAL_1="x", YLZD1="", CF_SYFW="0")).value == parse_line(penalty_line()).value


def test_an_objection_in_the_old_status_is_shown_from_the_start():
    assert parse_line(penalty_line(CF_ZT="2")).value.objection_since == dt.date(2026, 5, 20)


@pytest.mark.parametrize(
    ("kind", "record_id", "key"),
    [("penalty", "cf-1", None), ("list_entry", "sx-1", None), ("registration", CODE, CODE)],
)
def test_a_deletion_needs_only_kind_and_id(kind, record_id, key):
    raw = json.dumps({"op": "delete", "kind": kind, "id": record_id}).encode()

    assert parse_line(raw) == FeedLine("delete", kind, record_id, key, None)


def test_the_deletion_of_a_registration_names_its_code():
    assert refusal(b'{"op":"delete","kind":"registration","id":"r-1"}').reason == "id_is_not_the_code"


def test_what_is_stored_is_read_back_equal():
    raw = penalty_line(
        procedure="simple",
        decision="no_penalty",
        area="fire",
        tier="minor",
        publication_basis="市级规定",
        repaired_on="2026-06-01",
        revoked_on="2026-06-02",
        corrected_on="2026-06-03",
        shielded_from="2026-06-04",
        observation_from="2026-06-05",
        observation_to="2026-06-06",
        objection_since="2026-06-07",
        conduct_ended_on="2026-06-08",
    )
    penalty, entry = parse_line(raw).value, parse_line(entry_line()).value
    registration = parse_line(registration_line()).value

    assert decode_record(encode_value(penalty)) == penalty
    assert decode_record(encode_value(entry)) == entry
    assert decode_registration(encode_value(registration)) == registration
    assert (penalty.procedure, penalty.decision, penalty.tier) == (Procedure.SIMPLE, Decision.NO_PENALTY, Tier.MINOR)
