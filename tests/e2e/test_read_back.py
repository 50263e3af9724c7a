"""Reading again what was answered: the same bytes, for the partner that asked, from any worker, each reading on record."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.audit.receipt import ReceiptError, ReceiptStep, verify_receipt
from gateway.base.canonical import canonical_json, parse_json_object
from gateway.base.codec import parse_b64
from gateway.base.crypto import sha256
from tests.conftest import fresh_database
from tests.fakes import gateway as kit
from tests.fakes.gateway import Gateway, PartnerClient, running_gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASK = "/v1/verifications"


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
    client = await gateway.partner(f"partner-{secrets.token_hex(6)}")
    await client.learn_nonces()
    return client


@pytest.mark.parametrize("uscc", [kit.CLEAR, kit.SERIOUS, kit.UNKNOWN, kit.PARTIAL])
@pytest.mark.parametrize("where", ["same-worker", "other-worker"])
async def test_an_answer_reads_back_byte_for_byte(gateway, partner, other_worker, uscc, where):
    """Answer and receipt are those that were given, though the log has grown since."""
    status, _headers, given = await partner.send("POST", ASK, kit.question(uscc))
    await partner.verify(kit.CLEAR)
    answer_id = parse_json_object(given)["id"]
    client = partner if where == "same-worker" else partner.at(other_worker)

    read, _headers, again = await client.send("GET", f"{ASK}/{answer_id}")
    bare, _headers, receipt = await client.send("GET", f"{ASK}/{answer_id}/receipt")

    assert (status, read, bare) == (200, 200, 200)
    assert again == given
    assert given.endswith(b',"receipt":' + receipt + b"}")
    verify_receipt(again, gateway.policy)
    verify_receipt(receipt, gateway.policy)


async def test_the_receipt_commits_to_question_and_answer(gateway, partner):
    """The leaf of an answer names partner, purpose, decision and credential, and binds the request that was sent."""
    proof = partner.proof("POST", ASK)
    body = kit.question(kit.SERIOUS)
    _status, _headers, given = await partner.send("POST", ASK, body, proof=proof)
    leaf = parse_json_object(parse_b64(parse_json_object(given)["receipt"]["leaf"]))

    assert (leaf["t"], leaf["decision"], leaf["purpose"], leaf["n"]) == ("query", "allow:restricted", "onboarding", 1)
    assert leaf["req_h"] == sha256(proof.encode() + b"\0" + body).hex()
    assert leaf["cred"] == partner.key.public.thumbprint
    assert [leaf] == [one for one in await gateway.leaves(t="query") if one.get("id") == leaf["id"]]
    assert kit.SERIOUS.encode() not in canonical_json(leaf)  # a leaf names its subject to nobody who lacks the key


@pytest.mark.parametrize(
    ("change", "step"),
    [
        (lambda answer: answer | {"outcome": "clear"}, ReceiptStep.ANSWER_COMMITMENT),
        (lambda answer: answer | {"flags": []}, ReceiptStep.ANSWER_COMMITMENT),
        (lambda answer: answer | {"subject": answer["subject"] | {"uscc": kit.CLEAR}}, ReceiptStep.ANSWER_COMMITMENT),
    ],
    ids=["outcome", "flags", "subject"],
)
async def test_a_changed_answer_does_not_verify(gateway, partner, change, step):
    """What was answered cannot be altered afterwards, by either side: the receipt names the step that fails."""
    _status, _headers, answer = await partner.verify(kit.SERIOUS)

    with pytest.raises(ReceiptError) as failed:
        verify_receipt(canonical_json(change(answer)), gateway.policy)

    assert failed.value.step is step


async def test_every_reading_is_a_leaf(gateway, partner):
    """Reading an answer and reading its receipt are two leaves that name the verification."""
    _status, _headers, answer = await partner.verify(kit.CLEAR)
    size = await gateway.ask("SELECT size FROM audit.head")

    await partner.send("GET", f"{ASK}/{answer['id']}")
    await partner.send("GET", f"{ASK}/{answer['id']}/receipt")

    leaves = await gateway.leaves(size)
    assert [(leaf["t"], leaf["op"], leaf["id"]) for leaf in leaves] == [
        ("read", "verification.read", answer["id"]),
        ("read", "verification.receipt", answer["id"]),
    ]


async def test_an_erased_answer_is_gone_for_everyone(gateway, partner):
    """After an erasure of salt and sealed text the answer is 404, its receipt too, and the log still has its leaf."""
    _status, _headers, answer = await partner.verify(kit.SERIOUS)
    where = "leaf_index = (SELECT leaf_index FROM audit.entry WHERE verification_id = $1)"
    await gateway.ask(f"DELETE FROM audit.secret WHERE {where}", answer["id"])

    seen = [await partner.send("GET", f"{ASK}/{answer['id']}{rest}") for rest in ("", "/receipt")]

    assert [status for status, _headers, _body in seen] == [404, 404]
    verify_receipt(canonical_json(answer), gateway.policy)


async def test_head_is_a_read_without_its_body(partner):
    """HEAD is authenticated like GET and says as much about the body as GET would."""
    _status, _headers, answer = await partner.verify(kit.CLEAR)
    path = f"{ASK}/{answer['id']}"

    status, headers, body = await partner.send("HEAD", path)
    _status, got, content = await partner.send("GET", path)

    assert (status, body) == (200, b"")
    assert headers["Content-Length"] == got["Content-Length"] == str(len(content))
