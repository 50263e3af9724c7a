"""Who was told no, and why, is on record: a refusal of an authenticated caller is a leaf before it is an answer.

A stranger's refusal is none (tested with tables B to D): the log cannot be filled from outside. Nor can a partner fill it with replays.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.base.crypto import sha256
from gateway.wiring import open_operator
from tests.conftest import fresh_database
from tests.fakes import gateway as kit
from tests.fakes.gateway import FORM, JSON, Gateway, PartnerClient, running_gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

SEALED_NOTHING = 12 + 16
"""Nonce and tag: the empty text vouches for the salt and keeps nothing of the body."""
ASK = "/v1/verifications"
NOBODYS = "/v1/verifications/ver_01K00000000000000000000000"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(postgres, tmp_path_factory) -> AsyncIterator[Gateway]:
    database = await fresh_database(postgres)
    async with running_gateway(database, tmp_path_factory.mktemp("gateway")) as running:
        yield running
    await postgres.drop_database(database.name)


@pytest_asyncio.fixture(loop_scope="module")
async def partner(gateway) -> PartnerClient:
    client = await gateway.partner(f"partner-{secrets.token_hex(6)}")
    await client.learn_nonces()
    return client


def authenticated(client: PartnerClient, method: str, path: str) -> list[tuple[str, str]]:
    return [("Authorization", f"DPoP {client.token}"), ("DPoP", client.proof(method, path))]


REFUSALS = {
    "malformed-json": ("POST", ASK, [JSON], b"{", 400, "malformed_json", "not_json"),
    "validation": ("POST", ASK, [JSON], kit.question("x"), 422, "validation_failed", "validation_failed"),
    "purpose": (
        "POST",
        ASK,
        [JSON],
        kit.question(purpose="complaint"),
        403,
        "purpose_not_allowed",
        "purpose_not_allowed",
    ),
    "media-type": ("POST", ASK, [FORM], b"a=b", 415, "unsupported_media_type", "media_type"),
    "too-large": ("POST", ASK, [JSON], b" " * 70_000, 413, "body_too_large", "body_too_large"),
    "not-gzip": ("POST", ASK, [JSON, ("Content-Encoding", "gzip")], b"junk", 400, "malformed_request", "not_gzip"),
    "bad-key": (
        "POST",
        ASK,
        [JSON, ("Idempotency-Key", "a"), ("Idempotency-Key", "b")],
        kit.question(),
        400,
        "invalid_request",
        "idempotency_key",
    ),
    "unknown-answer": ("GET", NOBODYS, [], None, 404, "not_found", "not_found"),
    "unknown-receipt": ("GET", f"{NOBODYS}/receipt", [], None, 404, "not_found", "not_found"),
    "no-such-form": ("GET", f"{ASK}/x", [], None, 404, "not_found", "not_found"),
}


@pytest.mark.parametrize("row", REFUSALS)
async def test_a_refusal_is_a_leaf(gateway, partner, row):
    """One leaf of kind deny with decision, status, credential and the hash of the request; nothing of the body is kept."""
    method, path, headers, body, status, code, reason = REFUSALS[row]
    size = await gateway.ask("SELECT size FROM audit.head")
    fields = authenticated(partner, method, path)

    answer = await partner.raw(method, path, [*fields, *headers], body)

    assert (answer.status, answer.json["code"]) == (status, code)
    [leaf] = await gateway.leaves(size)
    operation = {"POST": "verification.create", "GET": "verification.read"}[method]
    assert leaf["op"] == ("verification.receipt" if path.endswith("/receipt") else operation)
    assert (leaf["t"], leaf["decision"], leaf["status"], leaf["n"]) == ("deny", f"deny:{reason}", status, 0)
    assert leaf["cred"] == partner.key.public.thumbprint
    kept = (
        b"" if row in {"media-type", "too-large"} or body is None else body
    )  # the body was refused before it was read
    assert leaf["req_h"] == sha256(fields[1][1].encode() + b"\0" + kept).hex()
    assert not {"sub_c", "sub_bi", "args_c", "ans_c", "id"} & set(leaf)
    sealed = await gateway.ask("SELECT sealed FROM audit.secret WHERE leaf_index = $1", size)
    assert len(sealed) == SEALED_NOTHING


async def test_the_purpose_of_a_refused_question_is_on_record(gateway, partner):
    """Asking for a purpose that the agreement does not name is told by the leaf."""
    size = await gateway.ask("SELECT size FROM audit.head")
    await partner.verify(kit.CLEAR, purpose="complaint")

    [leaf] = await gateway.leaves(size)
    assert (leaf["purpose"], leaf["decision"]) == ("complaint", "deny:purpose_not_allowed")


async def test_an_idempotency_refusal_is_a_leaf(gateway, partner):
    """A key used for another body: 422 and its leaf."""
    await partner.verify(kit.CLEAR, headers={"Idempotency_Key": "one"})
    size = await gateway.ask("SELECT size FROM audit.head")

    status, _headers, _body = await partner.verify(kit.SERIOUS, headers={"Idempotency_Key": "one"})

    [leaf] = await gateway.leaves(size)
    assert (status, leaf["decision"], leaf["status"]) == (422, "deny:idempotency_key_reused", 422)


async def test_replays_are_noted_once_a_second(gateway, partner):
    """A flood of replays leaves at most one note a second, and the note says what it was."""
    proof = partner.proof("POST", ASK)
    headers = [JSON, ("Authorization", f"DPoP {partner.token}"), ("DPoP", proof)]
    await partner.raw("POST", ASK, headers, kit.question())
    size = await gateway.ask("SELECT size FROM audit.head")
    began = kit.SystemClock().now_ms() // 1000

    answers = await asyncio.gather(*(partner.raw("POST", ASK, headers, kit.question()) for _ in range(60)))

    ended = kit.SystemClock().now_ms() // 1000
    notes = await gateway.leaves(size)
    assert {answer.status for answer in answers} == {401}
    assert {(leaf["t"], leaf["decision"], leaf["status"]) for leaf in notes} == {("deny", "deny:replayed", 401)}
    assert len({leaf["ts"][:19] for leaf in notes}) == len(notes) <= ended - began + 1


async def test_the_use_of_a_dead_credential_is_noted(gateway, partner):
    """A token whose key was revoked: refused, and the attempt is on record with its credential."""
    async with open_operator(gateway.settings) as operator:
        await operator.revoke_key(partner.key.public.thumbprint, client_id=partner.client_id, compromised=True)
    size = await gateway.ask("SELECT size FROM audit.head")

    status, _headers, body = await partner.verify(kit.CLEAR)

    [leaf] = await gateway.leaves(size)
    assert (status, body["code"]) == (401, "invalid_token")
    assert (leaf["decision"], leaf["cred"]) == ("deny:revoked", partner.key.public.thumbprint)


async def test_a_revoked_key_is_told_so_before_anything_else(gateway, partner):
    """A dead credential learns nothing from validation: the commit of the refusal finds it dead."""
    async with open_operator(gateway.settings) as operator:
        await operator.revoke_key(partner.key.public.thumbprint, client_id=partner.client_id, compromised=True)

    answers = [await partner.verify("x"), await partner.verify(kit.CLEAR, purpose="complaint")]

    assert [(status, body["code"]) for status, _headers, body in answers] == [(401, "invalid_token")] * 2


async def test_a_forged_token_leaves_nothing(gateway, partner):
    """Claims that we did not sign name nobody: no leaf, whatever partner they speak of."""
    head, payload, signature = partner.token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    forged = base64.urlsafe_b64encode(json.dumps({**claims, "scope": "everything"}).encode()).rstrip(b"=").decode()
    partner.token = f"{head}.{forged}.{signature}"
    before = await gateway.audit_rows()

    answer = await partner.raw("POST", ASK, [JSON, *authenticated(partner, "POST", ASK)], kit.question())

    assert (answer.status, answer.json["code"]) == (401, "invalid_token")
    assert await gateway.audit_rows() == before


async def test_the_log_is_sound_after_all_this(gateway, partner):
    """Whatever was refused, the log re-derives from its leaves."""
    await partner.verify(kit.CLEAR)

    async with open_operator(gateway.settings) as operator:
        report = await operator.fsck((), lambda _done: None, shallow=False)

    assert (report.faults, report.complete) == ((), True)
