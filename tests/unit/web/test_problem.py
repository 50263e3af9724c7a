"""Problem documents: every kind has its status, sentences in both languages, and the header fields it owes."""

from __future__ import annotations

import msgspec
import pytest

from gateway.base.errors import ErrorKind, Fault, GatewayError
from gateway.base.messages import Lang
from gateway.base.messages.faults import HINTS, MESSAGES, fault_message
from gateway.base.messages.problems import PROBLEMS
from gateway.web.problem import MAX_FAULTS, ProblemRenderer, is_retryable, status_of

RENDER = ProblemRenderer("https://gateway.example").render


def document(refusal: GatewayError, lang: Lang = Lang.EN) -> dict[str, object]:
    reply = RENDER(refusal, lang=lang, instance="/x", request_id="req_1")
    value = msgspec.json.decode(reply.body)
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("kind", list(ErrorKind))
@pytest.mark.parametrize("lang", list(Lang))
def test_every_kind_renders_in_both_languages(kind, lang):
    told = document(GatewayError(kind), lang)

    assert 400 <= status_of(kind) < 600
    assert (told["status"], told["code"]) == (status_of(kind), kind.value)
    assert told["type"] == f"https://gateway.example/docs/errors/{kind.value}"
    assert told["title"]
    assert "{" not in str(told["detail"])


def test_there_is_a_row_for_every_kind_and_no_other():
    assert set(PROBLEMS) == set(ErrorKind)


@pytest.mark.parametrize("table", [MESSAGES, HINTS])
def test_both_languages_of_a_fault_use_the_same_blanks(table):
    def blanks(text):
        return sorted(part.split("}")[0] for part in text.split("{")[1:])

    assert [code for code, sentence in table.items() if blanks(sentence.zh) != blanks(sentence.en)] == []


@pytest.mark.parametrize(
    ("kind", "retryable"),
    [
        (ErrorKind.STORE_UNAVAILABLE, True),
        (ErrorKind.IDEMPOTENCY_IN_PROGRESS, True),
        (ErrorKind.INTERNAL, True),
        (ErrorKind.CONFLICT, False),
        (ErrorKind.VALIDATION_FAILED, False),
        (ErrorKind.INVALID_TOKEN, False),
    ],
)
def test_retryable_means_unchanged_and_later(kind, retryable):
    assert is_retryable(kind) is retryable


@pytest.mark.parametrize("kind", [kind for kind in ErrorKind if status_of(kind) == 401])
def test_every_401_carries_a_challenge(kind):
    names = [name for name, _ in RENDER(GatewayError(kind), lang=Lang.ZH, instance="", request_id="").headers]

    assert "WWW-Authenticate" in names


@pytest.mark.parametrize("kind", [kind for kind in ErrorKind if status_of(kind) == 503])
def test_every_503_says_when_to_come_back(kind):
    headers = dict(RENDER(GatewayError(kind, retry_after_s=9), lang=Lang.ZH, instance="", request_id="").headers)

    assert headers["Retry-After"] == "9"


def test_a_reason_that_is_no_machine_word_is_not_told():
    assert "reason" not in document(GatewayError(ErrorKind.INVALID_TOKEN, reason="kid ../../etc"))
    assert "reason" not in document(GatewayError(ErrorKind.NOT_FOUND, reason="erased"))


def test_facts_are_never_told():
    told = document(GatewayError(ErrorKind.INTERNAL, facts={"dsn": "postgres://secret"}))

    assert "secret" not in str(told)


def test_a_fault_without_a_sentence_or_with_missing_blanks_still_renders():
    assert fault_message(Fault(path="", code="no_such_code"), Lang.EN) == "The value is not valid."
    assert fault_message(Fault(path="", code="too_long"), Lang.EN) == "The value is not valid."


def test_faults_beyond_the_limit_are_told_to_exist_but_not_listed():
    faults = [Fault(path=f"/{number}", code="required") for number in range(MAX_FAULTS + 10)]
    told = document(GatewayError(ErrorKind.VALIDATION_FAILED, faults=faults))

    assert len(told["errors"]) == MAX_FAULTS
    assert str(told["detail"]).startswith(f"{MAX_FAULTS}+ ")


def test_an_instance_that_is_not_ascii_is_left_out():
    reply = RENDER(GatewayError(ErrorKind.MALFORMED_REQUEST), lang=Lang.ZH, instance="/\udcff", request_id="r")

    assert msgspec.json.decode(reply.body)["instance"] == ""
