"""What a partner is told, through the front door: outcomes, names, mistyped codes, stale sources, catalogue confidence, repaired records.

The rules themselves are tested with ``gateway.credit``; here they meet a feed, a database, a clock and two workers.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.audit.receipt import verify_receipt
from gateway.base.canonical import canonical_json
from gateway.credit.feed_version import VersionKind
from gateway.sandbox import states
from gateway.sandbox.lines import ENTERPRISE, Firm, deletion, make_uscc, registration
from tests.conftest import Database, fresh_database
from tests.fakes import gateway as kit
from tests.fakes.gateway import TODAY, Gateway, PartnerClient, running_gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(postgres, tmp_path_factory) -> AsyncIterator[Gateway]:
    database = await fresh_database(postgres)
    async with running_gateway(database, tmp_path_factory.mktemp("gateway")) as running:
        yield running
    await postgres.drop_database(database.name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def other_worker(gateway) -> AsyncIterator[str]:
    async with gateway.second_worker() as base:
        yield base


@pytest_asyncio.fixture(loop_scope="module")
async def partner(gateway) -> PartnerClient:
    return await gateway.partner(f"partner-{secrets.token_hex(6)}")


def new_firm() -> Firm:
    """A firm that no other test knows."""
    body = f"{secrets.randbelow(10**7):07d}A"
    return Firm(uscc=make_uscc(ENTERPRISE, body), name=f"测试商户{body}有限公司")


async def publish(gateway: Gateway, *lines: object) -> None:
    await gateway.publish(VersionKind.DELTA, lines)


def register(firm: Firm) -> dict[str, object]:
    return registration(firm, established=TODAY - dt.timedelta(days=900))


def codes(answer: dict) -> list[str]:
    return [reason["code"] for reason in answer["reasons"]]


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("沙箱测试商户03有限公司", True),
        ("沙箱测试商户", True),
        ("没有这样的名称", False),
        ("%", False),
        ("_" * 8, False),
    ],
    ids=["listed-firm", "prefix", "nobody", "percent", "underscores"],
)
async def test_a_name_alone_gives_candidates_and_never_a_flag(gateway, partner, name, found):
    """Whoever is listed under it: a name decides nothing. No flag, no notice, never clear; the leaf names no subject."""
    status, _headers, answer = await partner.verify(None, name=name)

    assert (status, answer["outcome"]) == (200, "unknown_subject")
    assert (answer["flags"], answer["notices"], answer["subject"]["uscc"]) == ([], [], None)
    assert bool(answer["candidates"]) == found
    assert all(set(candidate) == {"uscc", "name", "status"} for candidate in answer["candidates"])
    assert len(answer["candidates"]) <= 10
    assert "name_only" in codes(answer)
    verify_receipt(canonical_json(answer), gateway.policy)
    [leaf] = [one for one in await gateway.leaves(t="query") if one.get("id") == answer["id"]]
    assert not {"sub_c", "sub_bi"} & set(leaf)


async def test_a_name_that_does_not_fit_says_so(partner):
    """The code decides; that the name is another one is said, and points at the field."""
    _status, _headers, answer = await partner.verify(kit.CLEAR, name="另一家有限公司")

    assert (answer["outcome"], answer["subject"]["name_matches"]) == ("clear", False)
    [reason] = [reason for reason in answer["reasons"] if reason["code"] == "name_mismatch"]
    assert reason["field"] == "/subject/name"
    assert reason["zh"]
    assert reason["en"]


@pytest.mark.parametrize("name", ["沙箱测试商户01有限公司", " 沙箱测试商户０１有限公司 "], ids=["same", "full-width"])
async def test_a_name_that_fits_in_another_spelling_fits(partner, name):
    """Width and spaces are no difference."""
    _status, _headers, answer = await partner.verify(kit.CLEAR, name=name)

    assert (answer["subject"]["name_matches"], codes(answer)) == (True, ["nothing_in_force"])


# --- mistyped questions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "content_language", "words"),
    [
        (None, "zh", (("第 18 位", "应为 W"), "是否为")),
        ("zh-CN,zh;q=0.9", "zh", (("第 18 位", "应为 W"), "是否为")),
        ("en-GB", "en", (("Character 18", "must be W"), "Did you mean")),
        ("en;q=0.2, zh;q=0.8", "zh", (("第 18 位", "应为 W"), "是否为")),
        ("fr", "zh", (("第 18 位", "应为 W"), "是否为")),
    ],
)
async def test_a_wrong_check_character_is_explained(partner, language, content_language, words):
    """422 with what the character must be and what may have been meant, in the language asked for, zh where none fits."""
    headers = {} if language is None else {"Accept_Language": language}
    status, got, problem = await partner.verify("91990000000000027X", headers=headers)

    assert (status, problem["code"], got["Content-Language"]) == (422, "validation_failed", content_language)
    [fault] = problem["errors"]
    assert (fault["path"], fault["code"]) == ("/subject/uscc", "checksum")
    assert all(word in fault["message"] for word in words[0])
    assert fault["hint"]

    _status, _headers, problem = await partner.verify("91990000000000O27W", headers=headers)

    [fault] = problem["errors"]
    assert (fault["path"], fault["code"]) == ("/subject/uscc", "alphabet")
    assert words[1] in fault["hint"]
    assert kit.ABNORMAL in fault["hint"]


async def test_a_character_that_no_code_has_is_located(partner):
    """The position counts from 1 and the letters that are never used are named."""
    _status, _headers, problem = await partner.verify("9199000000O000192X", headers={"Accept_Language": "en"})

    [fault] = problem["errors"]
    assert fault["code"] == "alphabet"
    assert "Character 11" in fault["message"]


async def test_all_faults_at_once(partner):
    """Everything wrong with a body is said in one answer, with what is allowed."""
    body = b'{"subject":{"uscc":"919900000000000191","name":"","nick":1},"purpose":"zz","relation":7,"extra":null}'
    _status, _headers, content = await partner.send("POST", "/v1/verifications", body)
    problem = kit.parse_json_object(content)

    found = {(fault["path"], fault["code"]) for fault in problem["errors"]}
    assert found == {
        ("/subject/uscc", "checksum"),
        ("/subject/name", "empty"),
        ("/subject/nick", "unknown_member"),
        ("/purpose", "enum"),
        ("/relation", "type"),
        ("/business_ref", "required"),
        ("/extra", "unknown_member"),
    }
    assert f"{len(found)}" in problem["detail"]
    [purpose] = [fault for fault in problem["errors"] if fault["path"] == "/purpose"]
    assert purpose["allowed"] == ["onboarding", "periodic_review", "risk", "complaint"]
    assert problem["request_id"].startswith("req_")
    assert problem["instance"] == "/v1/verifications"


# --- what flags say -------------------------------------------------------------------------------------------------


async def test_a_flag_says_what_a_platform_must_know(partner):
    """List, measures, basis, authority, document, dates, repair path, state and confidence of the catalogue row."""
    _status, _headers, answer = await partner.verify(kit.ABNORMAL)

    [flag] = answer["flags"]
    assert (flag["list_code"], flag["tier"], flag["state"]) == ("SX-ABN", "minor", "in_force")
    assert flag["authority"] == "沙箱市市场监督管理局"
    assert flag["document_no"] == "沙市监异字〔2026〕27号"
    assert flag["decided_on"] == (TODAY - dt.timedelta(days=40)).isoformat()
    assert flag["basis"]
    assert flag["repair"]
    assert flag["confidence"]
    assert answer["catalogue_version"]
    assert answer["feed_version"] >= 1


async def test_an_objection_is_shown_beside_the_flag(partner):
    """91990000000000166K: restricted, and the flag is under objection since the day it was lodged."""
    _status, _headers, answer = await partner.verify(kit.DISPUTED)

    [flag] = answer["flags"]
    assert (answer["outcome"], flag["state"]) == ("restricted", "under_objection")
    assert flag["objection_since"] == (TODAY - dt.timedelta(days=10)).isoformat()


async def test_answers_that_rest_on_unverified_rows_say_so(gateway, partner):
    """A flag from a catalogue row that nobody has checked against the original names what is unverified, and so does the answer."""
    firm = new_firm()
    await publish(gateway, register(firm), states.unverified_list(firm, TODAY))

    _status, _headers, answer = await partner.verify(firm.uscc)

    [flag] = answer["flags"]
    assert flag["unverified"]
    assert "unverified_rows" in codes(answer)


async def test_what_cannot_be_read_is_partial_never_clear(partner):
    """919900000000001311: one line could not be read, and the answer says how many."""
    _status, _headers, answer = await partner.verify(kit.PARTIAL)

    assert (answer["outcome"], codes(answer)[0]) == ("partial", "records_unreadable")
    assert "nothing_in_force" not in codes(answer)


async def test_a_listed_person_is_a_notice_not_a_flag(gateway, partner):
    """The legal representative is listed: the firm is clear, and told so beside it."""
    firm = new_firm()
    await publish(gateway, register(firm), states.listed_person(firm, TODAY))

    _status, _headers, answer = await partner.verify(firm.uscc)

    assert (answer["outcome"], answer["flags"], len(answer["notices"])) == ("clear", [], 1)


# --- the feed moves on ----------------------------------------------------------------------------------------------


async def test_a_repaired_record_disappears_from_the_next_answer(gateway, partner, other_worker):
    """Repaired in a delta: the next answer of every worker is clear; what was answered before still verifies."""
    firm = new_firm()
    listed = states.serious_list(firm, TODAY)
    await publish(gateway, register(firm), listed)
    clients = (partner, partner.at(other_worker))
    before = [(await client.verify(firm.uscc))[2] for client in clients]

    await publish(gateway, {**listed, "removed_on": TODAY.isoformat(), "removal_reason": "repaired"})
    after = [(await client.verify(firm.uscc))[2] for client in clients]

    assert [answer["outcome"] for answer in before] == ["restricted"] * 2
    assert [(answer["outcome"], answer["flags"]) for answer in after] == [("clear", [])] * 2
    assert {answer["feed_version"] for answer in after} == {before[0]["feed_version"] + 1}
    for answer in (*before, *after):
        verify_receipt(canonical_json(answer), gateway.policy)
    assert (await partner.send("GET", f"/v1/verifications/{before[0]['id']}"))[2] == canonical_json_with_receipt(
        before[0]
    )


def canonical_json_with_receipt(answer: dict) -> bytes:
    """The answer as it went over the wire: the receipt is the last member."""
    receipt = answer.pop("receipt")
    return canonical_json(answer)[:-1] + b',"receipt":' + canonical_json(receipt) + b"}"


async def test_a_deleted_record_and_a_new_one(gateway, partner, other_worker):
    """A record taken out is gone, one put in is there, at every worker, with the version that brought it."""
    firm = new_firm()
    fine = states.fine(firm, TODAY)
    await publish(gateway, register(firm))
    first = (await partner.verify(firm.uscc))[2]
    await publish(gateway, fine)
    second = [(await client.verify(firm.uscc))[2]["outcome"] for client in (partner, partner.at(other_worker))]
    await publish(gateway, deletion("penalty", str(fine["id"])))
    third = [(await client.verify(firm.uscc))[2]["outcome"] for client in (partner, partner.at(other_worker))]

    assert (first["outcome"], second, third) == ("clear", ["restricted"] * 2, ["clear"] * 2)


async def test_a_registration_taken_out_is_unknown(gateway, partner):
    """No registration is not clear: the subject is unknown."""
    firm = new_firm()
    await publish(gateway, register(firm))
    known = (await partner.verify(firm.uscc))[2]["outcome"]
    await publish(gateway, deletion("registration", firm.uscc))

    assert (known, (await partner.verify(firm.uscc))[2]["outcome"]) == ("clear", "unknown_subject")


# --- no source, no answer -------------------------------------------------------------------------------------------


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.parametrize(
    "uscc", [kit.CLEAR, kit.SERIOUS, kit.UNKNOWN, None], ids=["clear", "listed", "unknown", "name"]
)
async def test_past_max_stale_every_worker_says_unavailable(database: Database, tmp_path, uscc):
    """Both workers at once, whatever the facts: unavailable, no flag, the reason, and as of when; status says the same."""
    async with running_gateway(database, tmp_path, max_stale_s="600") as gateway, gateway.second_worker() as base:
        here = await gateway.partner()
        clients = (here, here.at(base))
        more = {"name": "沙箱测试商户03有限公司"} if uscc is None else {}
        fresh = [(await client.verify(uscc, **more))[2]["outcome"] for client in clients]

        await gateway.ask("UPDATE replica.feed_head SET as_of_ms = as_of_ms - 601000")
        stale = [(await client.verify(uscc, **more))[2] for client in clients]
        status = (await here.raw("GET", "/v1/status")).json
        await gateway.pull_feed()
        again = [(await client.verify(uscc, **more))[2]["outcome"] for client in clients]

        assert "unavailable" not in fresh
        assert again == fresh
        for answer in stale:
            assert (answer["outcome"], answer["flags"], answer["candidates"]) == ("unavailable", [], [])
            assert codes(answer) == ["stale_source"]
            assert answer["as_of"]
            verify_receipt(canonical_json(answer), gateway.policy)
        assert status["source"]["stale"] is True


@pytest.mark.asyncio(loop_scope="function")
async def test_without_a_feed_every_answer_is_unavailable(database: Database, tmp_path):
    """Before the first version nothing is known: unavailable, never clear or unknown, with a receipt like any answer."""
    async with running_gateway(database, tmp_path, fed=False) as gateway, gateway.second_worker() as base:
        here = await gateway.partner()
        answers = [(await client.verify(kit.CLEAR))[2] for client in (here, here.at(base))]
        answers.append((await here.verify(None, name="沙箱测试商户01有限公司"))[2])

        for answer in answers:
            assert (answer["outcome"], answer["flags"], answer["as_of"]) == ("unavailable", [], None)
            assert (answer["feed"], answer["feed_version"], codes(answer)) == (None, None, ["no_source"])
            verify_receipt(canonical_json(answer), gateway.policy)

        await gateway.pull_feed()
        assert (await here.verify(kit.CLEAR))[2]["outcome"] == "clear"
