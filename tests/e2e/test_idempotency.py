"""The idempotency contract: a retry of a question that was answered gets the same bytes, and never asks twice.

Keys belong to one partner and one operation, live a day, and are bound to the canonical body. Only answers are kept: what was refused
may be mended and sent again under the same key.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.audit.receipt import verify_receipt
from tests.conftest import fresh_database
from tests.fakes import gateway as kit
from tests.fakes.gateway import JSON, Gateway, PartnerClient, RawAnswer, running_gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASK = "/v1/verifications"
AT_ONCE = 40
DAY_MS = 86_400_000


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


async def ask(client: PartnerClient, *keys: str, body: bytes | None = None) -> RawAnswer:
    """Ask with some values of ``Idempotency-Key`` and a fresh proof."""
    proof = client.proof("POST", ASK)
    headers = [JSON, ("Authorization", f"DPoP {client.token}"), ("DPoP", proof)]
    return await client.raw(
        "POST", ASK, [*headers, *(("Idempotency-Key", key) for key in keys)], body or kit.question()
    )


def code_of(answer: RawAnswer) -> tuple[int, str]:
    return answer.status, answer.json["code"]


async def age(gateway: Gateway, client: PartnerClient, by_ms: int) -> None:
    """Let a partner's keys be older than they are."""
    sql = """UPDATE audit.idempotency SET created_ms = created_ms - $2
             WHERE partner_id = (SELECT partner_id FROM identity.partner WHERE client_id = $1)"""
    await gateway.ask(sql, client.client_id, by_ms)


@pytest.mark.parametrize("where", ["same-worker", "other-worker"])
async def test_a_retry_gets_the_same_bytes(gateway, partner, other_worker, where):
    """Same key, same body: status, answer and receipt byte for byte, marked as replayed; nothing is asked again."""
    first = await ask(partner, "order-1", body=kit.question(kit.SERIOUS))
    size = await gateway.ask("SELECT size FROM audit.head")
    await partner.verify(kit.CLEAR)  # the tree grows on; the old receipt does not change
    client = partner if where == "same-worker" else partner.at(other_worker)

    again = await ask(client, "order-1", body=kit.question(kit.SERIOUS))

    assert (first.status, again.status) == (200, 200)
    assert again.body == first.body
    assert (first.headers.get("Idempotent-Replayed"), again.headers["Idempotent-Replayed"]) == (None, "true")
    verify_receipt(again.body, gateway.policy)
    new = [leaf for leaf in await gateway.leaves(size) if leaf.get("id") == first.json["id"]]
    assert [(leaf["t"], leaf["decision"]) for leaf in new] == [("read", "allow:read")]


async def test_the_body_is_compared_by_its_meaning(partner):
    """Same members in another order and spacing are the same body."""
    first = await ask(partner, "order-2", body=b'{"subject":{"uscc":"919900000000000192"},"purpose":"onboarding",'
                      b'"business_ref":"C-1","relation":"signed_merchant"}')  # fmt: skip
    again = await ask(partner, "order-2", body=b' {"relation": "signed_merchant", "business_ref": "C-1", "purpose":'
                      b' "onboarding", "subject": {"uscc": "919900000000000192"}}\n')  # fmt: skip

    assert again.body == first.body


@pytest.mark.parametrize("key", ["quoted", '"quoted"'])
async def test_quotation_marks_are_the_fields_not_the_keys(partner, key):
    """The key is a string of RFC 9651; written without its quotation marks it is the same key."""
    first = await ask(partner, "quoted")
    again = await ask(partner, key)

    assert again.body == first.body


async def test_another_body_is_refused(partner):
    """Same key, other body: 422, no answer, and the first answer still stands."""
    first = await ask(partner, "order-3")
    other = await ask(partner, "order-3", body=kit.question(kit.SERIOUS))
    again = await ask(partner, "order-3")

    assert code_of(other) == (422, "idempotency_key_reused")
    assert first.json["id"] not in other.body.decode()
    assert again.body == first.body


async def test_another_partners_key_is_another_key(gateway, partner):
    """Keys belong to one partner: the same key tells nothing of what another asked."""
    other = await gateway.partner(f"partner-{secrets.token_hex(6)}")
    await other.learn_nonces()
    first = await ask(partner, "shared-key", body=kit.question(kit.SERIOUS))

    theirs = await ask(other, "shared-key", body=kit.question(kit.CLEAR))
    same = await ask(other, "shared-key", body=kit.question(kit.SERIOUS))

    assert (theirs.status, theirs.json["outcome"]) == (200, "clear")
    assert theirs.headers.get("Idempotent-Replayed") is None
    assert code_of(same) == (422, "idempotency_key_reused")  # against their own question, not the first partner's
    assert first.json["id"] not in same.body.decode()


async def test_at_once_over_two_workers_one_question_is_asked(gateway, partner, other_worker):
    """Many retries at once: every 200 is the same answer, the rest are told to come back, and one query leaf exists."""
    clients = [partner, partner.at(other_worker)] * (AT_ONCE // 2)
    size = await gateway.ask("SELECT size FROM audit.head")

    answers = await asyncio.gather(*(ask(client, "race") for client in clients))

    served = [answer for answer in answers if answer.status == 200]
    assert served
    assert len({answer.body for answer in served}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in served) == 1
    for answer in answers:
        if answer.status != 200:
            assert code_of(answer) == (409, "idempotency_in_progress")
            assert answer.headers["Retry-After"] == "1"
    assert len(await gateway.leaves(size, t="query")) == 1
    assert (await ask(partner, "race")).body == served[0].body


async def test_at_once_with_different_bodies_one_wins(gateway, partner, other_worker):
    """Two questions race for one key: one is answered, the other refused, never both."""
    bodies = [kit.question(kit.CLEAR), kit.question(kit.SERIOUS)]
    clients = [partner, partner.at(other_worker)]
    size = await gateway.ask("SELECT size FROM audit.head")

    pairs = [(clients[n % 2], bodies[n // 2 % 2]) for n in range(AT_ONCE)]
    answers = await asyncio.gather(*(ask(client, "duel", body=body) for client, body in pairs))

    assert len({answer.json["id"] for answer in answers if answer.status == 200}) == 1
    assert {code_of(answer) for answer in answers if answer.status != 200} <= {
        (422, "idempotency_key_reused"),
        (409, "idempotency_in_progress"),
    }
    assert len(await gateway.leaves(size, t="query")) == 1


@pytest.mark.parametrize(
    ("bad", "status"),
    [(kit.question("919900000000000191"), 422), (kit.question(purpose="complaint"), 403), (b"{", 400)],
    ids=["422", "403", "400"],
)
async def test_a_refusal_is_not_kept(partner, bad, status):
    """A 4xx does not use the key up: the mended question is answered under it."""
    refused = await ask(partner, "mended", body=bad)
    mended = await ask(partner, "mended")

    assert (refused.status, mended.status) == (status, 200)
    assert mended.headers.get("Idempotent-Replayed") is None


async def test_a_key_lives_a_day(gateway, partner):
    """Just short of a day the key holds; past it the key is new, and from then on names the new answer."""
    first = await ask(partner, "yesterday")
    await age(gateway, partner, DAY_MS - 60_000)
    held = await ask(partner, "yesterday")
    await age(gateway, partner, 61_000)

    renewed = await ask(partner, "yesterday", body=kit.question(kit.SERIOUS))
    again = await ask(partner, "yesterday", body=kit.question(kit.SERIOUS))

    assert held.body == first.body
    assert (renewed.status, renewed.json["outcome"]) == (200, "restricted")
    assert renewed.json["id"] != first.json["id"]
    assert again.body == renewed.body


@pytest.mark.parametrize(
    "keys",
    [("",), ("k" * 256,), ("a", "b"), ("a\tb",), (" ",), ('"open',), ('""',)],
    ids=["empty", "256-bytes", "twice", "tab", "blank", "open-quote", "empty-quotes"],
)
async def test_a_malformed_key_is_refused(partner, keys):
    """A key is 1 to 255 printable ASCII characters, sent once; anything else is refused, not ignored."""
    answer = await ask(partner, *keys)

    assert code_of(answer) == (400, "invalid_request")
    [fault] = answer.json["errors"]
    assert fault["path"] == "/header/Idempotency-Key"


@pytest.mark.parametrize("key", ["k", "k" * 255])
async def test_the_shortest_and_the_longest_key_work(partner, key):
    """1 and 255 bytes are good."""
    first, again = await ask(partner, key), await ask(partner, key)

    assert (first.status, again.body) == (200, first.body)


async def test_a_replayed_proof_gets_nothing_from_a_kept_answer(partner):
    """A captured request with its key is refused like any other: the kept answer is for who holds the token's key."""
    proof = partner.proof("POST", ASK)
    headers = [JSON, ("Authorization", f"DPoP {partner.token}"), ("DPoP", proof), ("Idempotency-Key", "captured")]

    answers = [await partner.raw("POST", ASK, headers, kit.question()) for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 401]
    assert answers[1].json["code"] == "invalid_dpop_proof"
