"""The body of a verification request: what is accepted, and that everything wrong is named at once."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.api.wire import parse_idempotency_key, parse_question
from gateway.base.errors import ErrorKind, GatewayError
from gateway.verification.question import Purpose, Relation
from gateway.web.problem import MAX_FAULTS

USCC = "919900000000000192"
FULL_WIDTH = "".join(chr(ord(character) + 0xFEE0) for character in USCC)


def body(**changes: object) -> bytes:
    """A good body; a change to Ellipsis leaves the member out."""
    members: dict[str, object] = {
        "subject": {"uscc": USCC},
        "purpose": "onboarding",
        "business_ref": "C-1",
        "relation": "signed_merchant",
        **changes,
    }
    return json.dumps({name: value for name, value in members.items() if value is not ...}).encode()


def faults(raw: bytes) -> list[tuple[str, str]]:
    with pytest.raises(GatewayError) as caught:
        parse_question(raw, None)
    assert caught.value.kind is ErrorKind.VALIDATION_FAILED
    return [(fault.path, fault.code) for fault in caught.value.faults]


def fault_codes(raw: bytes) -> list[str] | None:
    try:
        parse_question(raw, None)
    except GatewayError as refusal:
        return [fault.code for fault in refusal.faults]
    return None


def test_a_good_body_becomes_a_question():
    question = parse_question(body(subject={"uscc": USCC, "name": "张三　商行"}), "key")

    assert (question.uscc, question.name) == (USCC, "张三　商行")
    assert (question.purpose, question.relation) == (Purpose.ONBOARDING, Relation.SIGNED_MERCHANT)
    assert (question.business_ref, question.idempotency_key) == ("C-1", "key")


def test_the_canonical_body_does_not_depend_on_spelling():
    spaced = b' { "relation" : "signed_merchant" , "business_ref":"C-\\u0031","purpose":"onboarding","subject":{"uscc":"%b"}}\n'

    assert parse_question(spaced % USCC.encode(), None).canonical_body == parse_question(body(), None).canonical_body


@pytest.mark.parametrize("typed", [f"  {USCC} ", FULL_WIDTH, f"\u3000{FULL_WIDTH}", USCC.lower()])
def test_a_code_is_read_as_people_type_it(typed):
    assert parse_question(body(subject={"uscc": typed}), None).uscc == USCC


def test_the_faults_of_a_body_are_sought_as_far_as_they_are_told():
    """62 kB of unknown members are as quickly refused as fifty of them: the walk ends where the list does."""
    many = json.dumps({f"x{number}": 0 for number in range(6000)}).encode()

    assert len(faults(many)) == MAX_FAULTS + 1


def test_a_name_alone_is_a_question():
    question = parse_question(body(subject={"name": "沙箱"}), None)

    assert (question.uscc, question.name) == (None, "沙箱")


@pytest.mark.parametrize("reference", ["C-2026-118", "（2026）沪合字第12号", "合同 1、2〔三〕", "x" * 128, "~"])
def test_references_of_every_usual_form_are_accepted(reference):
    assert parse_question(body(business_ref=reference), None).business_ref == reference


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"subject": ...}, [("/subject", "required")]),
        ({"subject": None}, [("/subject", "type")]),
        ({"subject": {}}, [("/subject", "subject_missing")]),
        ({"subject": {"uscc": None}}, [("/subject/uscc", "type")]),
        ({"subject": {"uscc": ""}}, [("/subject/uscc", "empty")]),
        ({"subject": {"uscc": "9" * 65}}, [("/subject/uscc", "too_long")]),
        ({"subject": {"uscc": "123"}}, [("/subject/uscc", "length")]),
        ({"subject": {"uscc": "91990000000000019I"}}, [("/subject/uscc", "alphabet")]),
        ({"subject": {"uscc": "919900000000000193"}}, [("/subject/uscc", "checksum")]),
        ({"subject": {"uscc": f"{USCC}\n"}}, [("/subject/uscc", "control_character")]),
        ({"subject": {"uscc": 919900000000000192}}, [("/subject/uscc", "type")]),
        ({"subject": {"name": " \u200b\u3000"}}, [("/subject/name", "empty")]),
        ({"subject": {"name": "x" * 201}}, [("/subject/name", "too_long")]),
        ({"subject": {"name": "a\x00b"}}, [("/subject/name", "control_character")]),
        ({"subject": {"name": "a\n"}}, [("/subject/name", "control_character")]),
        ({"subject": {"uscc": USCC, "name": True}}, [("/subject/name", "type")]),
        ({"subject": {"uscc": USCC, "Name": "x"}}, [("/subject/Name", "unknown_member")]),
        ({"purpose": ...}, [("/purpose", "required")]),
        ({"purpose": "Onboarding"}, [("/purpose", "enum")]),
        ({"purpose": ["onboarding"]}, [("/purpose", "type")]),
        ({"relation": "friend"}, [("/relation", "enum")]),
        ({"business_ref": ...}, [("/business_ref", "required")]),
        ({"business_ref": ""}, [("/business_ref", "empty")]),
        ({"business_ref": "x" * 129}, [("/business_ref", "too_long")]),
        ({"business_ref": "a\n"}, [("/business_ref", "control_character")]),
        ({"business_ref": "a\u202eb"}, [("/business_ref", "not_printable")]),
        ({"a/b~": 1}, [("/a~1b~0", "unknown_member")]),
    ],
)
def test_one_fault_is_named_where_it_is(change, expected):
    assert faults(body(**change)) == expected


def test_all_faults_are_named_at_once():
    raw = json.dumps({"subject": {"name": ""}, "purpose": 1, "x": 2}).encode()

    assert faults(raw) == [
        ("/x", "unknown_member"),
        ("/subject/name", "empty"),
        ("/purpose", "type"),
        ("/relation", "required"),
        ("/business_ref", "required"),
    ]


@pytest.mark.parametrize("raw", [b"[]", b'"x"', b"1", b"null", b"true"])
def test_a_body_that_is_no_object(raw):
    assert faults(raw) == [("", "not_an_object")]


def test_a_wrong_check_character_is_explained_but_never_corrected():
    with pytest.raises(GatewayError) as caught:
        parse_question(body(subject={"uscc": "919900000000000I92"}), None)

    [fault] = caught.value.faults
    assert fault.params["position"] == 16
    assert USCC in str(fault.params["suggestions"])


@pytest.mark.parametrize(
    ("raw", "code"),
    [(b"", "empty_body"), (b"{", "not_json"), (b'{"a":1,"a":1}', "duplicate_member"), (b'{"a":1.0}', "not_an_integer")],
)
def test_bytes_that_are_not_strict_json(raw, code):
    with pytest.raises(GatewayError) as caught:
        parse_question(raw, None)

    assert caught.value.kind is ErrorKind.MALFORMED_JSON
    assert [fault.code for fault in caught.value.faults] == [code]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from([USCC, "onboarding", "risk"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["subject", "uscc", "name", "purpose", "business_ref", "relation", "x"]), inner, max_size=6
        )
    ),
    max_leaves=12,
)


@given(JSON)
@example({"subject": {"uscc": "\ud800"}})
def test_no_json_gets_past_unrefused_or_unexplained(value):
    codes = fault_codes(json.dumps(value).encode())

    assert codes is None or (codes and "invalid" not in codes)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ([], None),
        (["abc"], "abc"),
        (['"abc"'], "abc"),
        (['"a\\"b\\\\c"'], 'a"b\\c'),
        (["x" * 255], "x" * 255),
        (["a b!~"], "a b!~"),
    ],
)
def test_idempotency_keys(values, key):
    assert parse_idempotency_key(values) == key


@pytest.mark.parametrize(
    "values",
    [[""], ["x" * 256], ["a\tb"], ["名"], ['"abc'], ['""'], ['"a\\x"'], ["a", "a"], [" a"]],
)
def test_malformed_idempotency_keys_are_refused(values):
    with pytest.raises(GatewayError) as caught:
        parse_idempotency_key(values)

    assert caught.value.kind is ErrorKind.INVALID_REQUEST
