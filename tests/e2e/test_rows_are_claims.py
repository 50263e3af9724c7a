"""Rows are claims, leaves are facts: what the owner of the database does to the rows of answers, and what partners then get.

Each way is tried as a superuser with triggers off, through the front door. Whatever was done, nobody gets another partner's answer,
nor another answer of its own than the one it asked for: 404 for a row whose leaf is not the caller's, ``record_contradicted`` for
one that contradicts the caller's own leaf; and each is counted, and logged once.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
import pytest
import pytest_asyncio

from gateway.audit.entry import Committed, open_key
from gateway.audit.merkle import leaf_hash
from gateway.base.canonical import canonical_json, parse_json_object
from gateway.base.clock import Millis, SystemClock
from gateway.base.codec import b64url
from gateway.base.crypto import sha256
from gateway.base.errors import ErrorKind, GatewayError
from gateway.base.ids import new_id
from gateway.base.onetime import one_time_id
from gateway.verification.call import Call
from gateway.verification.question import Purpose, Question, Relation
from gateway.verification.verify import _claim
from tests.conftest import fresh_database
from tests.fakes import gateway as kit
from tests.fakes.gateway import JSON, Gateway, PartnerClient, RawAnswer, running_gateway
from tests.fakes.row_owner import RowOwner

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASK = "/v1/verifications"
HOUR_MS = 3_600_000
CONTRADICTED = (500, "record_contradicted")
GONE = (404, "not_found")
SWAP = """UPDATE audit.{table} AS e SET {sets}
          FROM audit.{table} AS o
          WHERE (e.leaf_index, o.leaf_index) IN (($1::bigint, $2::bigint), ($2::bigint, $1::bigint))"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(postgres, tmp_path_factory) -> AsyncIterator[Gateway]:
    database = await fresh_database(postgres)
    async with running_gateway(database, tmp_path_factory.mktemp("gateway")) as running:
        yield running
    await postgres.drop_database(database.name)


async def signed_in(gateway: Gateway) -> PartnerClient:
    client = await gateway.partner(f"partner-{secrets.token_hex(6)}")
    await client.learn_nonces()
    return client


@pytest_asyncio.fixture(loop_scope="module")
async def partner(gateway) -> PartnerClient:
    return await signed_in(gateway)


@pytest_asyncio.fixture(loop_scope="module")
async def owner(gateway) -> AsyncIterator[RowOwner]:
    one = RowOwner(gateway.database)
    yield one
    await one.restore()


@dataclass(frozen=True)
class Kept:
    """An answer that was given, and where its leaf is."""

    id: str
    body: bytes
    leaf_index: int
    partner_id: str


async def given(gateway: Gateway, client: PartnerClient, uscc: str, *key: str, **changes: str) -> Kept:
    """Ask, and return what was answered."""
    answer = await ask(client, *key, body=kit.question(uscc, **changes))
    assert answer.status == 200, answer.body
    row = "SELECT {} FROM audit.entry WHERE verification_id = $1"
    return Kept(
        answer.json["id"],
        answer.body,
        await gateway.ask(row.format("leaf_index"), answer.json["id"]),
        await gateway.ask(row.format("partner_id"), answer.json["id"]),
    )


async def ask(client: PartnerClient, *keys: str, body: bytes) -> RawAnswer:
    proof = client.proof("POST", ASK)
    headers = [JSON, ("Authorization", f"DPoP {client.token}"), ("DPoP", proof)]
    return await client.raw("POST", ASK, [*headers, *(("Idempotency-Key", key) for key in keys)], body)


async def read(client: PartnerClient, verification_id: str, rest: str = "") -> RawAnswer:
    path = f"{ASK}/{verification_id}{rest}"
    headers = [("Authorization", f"DPoP {client.token}"), ("DPoP", client.proof("GET", path))]
    return await client.raw("GET", path, headers)


def code_of(answer: RawAnswer) -> tuple[int, str]:
    return answer.status, answer.json.get("code", "")


def counted(gateway: Gateway, record: str, column: str) -> float:
    """Return how often a contradiction was counted by the worker."""
    labels = {"record": record, "column": column}
    return gateway.worker.metrics.registry.get_sample_value("gateway_records_contradicted_total", labels) or 0.0


# One column of the partner's own row is not what the leaf says ------------------------------------------------------

COLUMNS = {
    "another partner's": ("partner_id", "partner_id = $2", "prt_01K00000000000000000000000"),
    "nobody's": ("partner_id", "partner_id = NULLIF($2, '')", ""),
    "a reading": ("kind", "kind = $2", "read"),
    "another operation": ("operation", "op = $2", "verification.read"),
    "another purpose": ("purpose", "purpose = $2", "risk"),
    "another decision": ("decision", "decision = $2", "allow:clear"),
    "another hash": ("leaf_hash", "leaf_hash = sha256(convert_to($2, 'UTF8'))", "x"),
    "another subject": ("subject_index", "subject_bidx = substr(sha256(convert_to($2, 'UTF8')), 1, 16)", "x"),
}


@pytest.mark.parametrize("way", COLUMNS)
async def test_every_column_follows_from_the_leaf(gateway, partner, owner, way):
    """A column of the caller's own row that its leaf does not bear out: answer and receipt are refused, and the column is named to us."""
    column, change, value = COLUMNS[way]
    kept = await given(gateway, partner, kit.SERIOUS)
    before = counted(gateway, "answer", column)

    await owner.run(f"UPDATE audit.entry SET {change} WHERE verification_id = $1", kept.id, value)
    seen = [code_of(await read(partner, kept.id, rest)) for rest in ("", "/receipt")]

    assert seen == [CONTRADICTED, CONTRADICTED]
    assert counted(gateway, "answer", column) == before + 2


# Two rows are exchanged, or one is put in the place of another ------------------------------------------------------

EXCHANGES = {
    "ids": ("entry", "verification_id = o.verification_id"),
    "ids and partners": ("entry", "verification_id = o.verification_id, partner_id = o.partner_id"),
    "ids, partners and decisions": (
        "entry",
        "verification_id = o.verification_id, partner_id = o.partner_id, decision = o.decision",
    ),
    "leaves": ("entry", "leaf = o.leaf"),
    "leaves and their hashes": ("entry", "leaf = o.leaf, leaf_hash = o.leaf_hash"),
    "all but the ids": (
        "entry",
        """leaf = o.leaf, leaf_hash = o.leaf_hash, partner_id = o.partner_id, purpose = o.purpose, decision = o.decision,
           subject_bidx = o.subject_bidx""",
    ),
    "sealed texts": ("secret", "sealed = o.sealed"),
    "salts": ("secret", "salt = o.salt"),
    "salts and sealed texts": ("secret", "salt = o.salt, sealed = o.sealed"),
}


@pytest.mark.parametrize("whose", ["same-partner", "other-partner"])
@pytest.mark.parametrize("way", EXCHANGES)
async def test_an_exchange_serves_nothing_that_was_not_asked_for(gateway, partner, owner, way, whose):
    """Whatever two rows exchange, reading either serves nothing of the other: not its answer, not its receipt, not its keys."""
    other = partner if whose == "same-partner" else await signed_in(gateway)
    mine = await given(gateway, partner, kit.SERIOUS)
    theirs = await given(gateway, other, kit.CLEAR, purpose="risk")
    salt = await gateway.ask("SELECT salt FROM audit.secret WHERE leaf_index = $1", theirs.leaf_index)
    table, sets = EXCHANGES[way]

    await owner.run(SWAP.format(table=table, sets=sets), mine.leaf_index, theirs.leaf_index)
    answers = [await read(partner, kept.id, rest) for kept in (mine, theirs) for rest in ("", "/receipt")]

    assert {code_of(answer) for answer in answers} <= {CONTRADICTED, GONE}
    for answer in answers:
        assert kit.CLEAR.encode() not in answer.body
        assert b64url(open_key(salt, Committed.ANS)).encode() not in answer.body
    if whose == "same-partner":
        assert {code_of(answer) for answer in answers} == {CONTRADICTED}


async def test_a_row_that_is_not_the_callers_is_not_there(gateway, partner, owner):
    """Another partner's row relabelled as the caller's: the same 404 as for any foreign one; the owner of the leaf is told of the fault."""
    other = await signed_in(gateway)
    theirs = await given(gateway, other, kit.CLEAR)
    mine = await given(gateway, partner, kit.SERIOUS)
    before = counted(gateway, "answer", "partner_id")
    sql = "UPDATE audit.entry SET partner_id = $2 WHERE verification_id = $1"

    foreign = await read(partner, theirs.id)
    await owner.run(sql, theirs.id, mine.partner_id)
    relabelled = await read(partner, theirs.id)
    owners = await read(other, theirs.id)

    told = [{k: v for k, v in one.json.items() if k != "request_id"} for one in (foreign, relabelled)]
    assert told[0] == told[1]
    assert (code_of(relabelled), code_of(owners)) == (GONE, CONTRADICTED)
    assert counted(gateway, "answer", "partner_id") == before + 2


async def test_a_reading_is_not_an_answer(gateway, partner, owner):
    """The leaf of a reading names the verification too; put in the place of the answer, it is refused."""
    kept = await given(gateway, partner, kit.CLEAR)
    await read(partner, kept.id)
    reading = await gateway.ask("SELECT max(leaf_index) FROM audit.entry WHERE kind = 'read'")
    sql = (
        """UPDATE audit.entry SET verification_id = CASE leaf_index WHEN $1 THEN $3 END WHERE leaf_index IN ($1, $2)"""
    )

    await owner.run(sql, reading, kept.leaf_index, kept.id)
    as_it_is = code_of(await read(partner, kept.id))
    await owner.run("UPDATE audit.entry SET kind = 'query' WHERE leaf_index = $1", reading)
    relabelled = code_of(await read(partner, kept.id))

    assert (as_it_is, relabelled) == (CONTRADICTED, CONTRADICTED)


# The leaf itself, and the tree around it ----------------------------------------------------------------------------


def forged(leaf: bytes) -> bytes:
    return canonical_json(parse_json_object(leaf) | {"decision": "allow:clear"})


@pytest.mark.parametrize(
    "made",
    [forged, lambda leaf: leaf + b" ", lambda _leaf: b"{}", lambda _leaf: b""],
    ids=["forged", "spaced", "bare", "empty"],
)
async def test_a_leaf_that_is_not_in_the_tree_is_no_leaf(gateway, partner, owner, made):
    """A row made to agree with itself, leaf, hash and columns, proves nothing: the leaf is not in the tree, or is no leaf at all."""
    kept = await given(gateway, partner, kit.SERIOUS)
    leaf = made(await gateway.ask("SELECT leaf FROM audit.entry WHERE leaf_index = $1", kept.leaf_index))
    before = counted(gateway, "answer", "leaf")
    sql = "UPDATE audit.entry SET leaf = $2, leaf_hash = $3, decision = $4 WHERE leaf_index = $1"

    decision = "allow:clear" if made is forged else "allow:restricted"
    await owner.run(sql, kept.leaf_index, leaf, leaf_hash(leaf), decision)
    seen = [code_of(await read(partner, kept.id, rest)) for rest in ("", "/receipt")]

    assert seen == [CONTRADICTED, CONTRADICTED]
    assert counted(gateway, "answer", "leaf") == before + 2


@pytest.mark.parametrize("to", ["-1", "leaf_index - 1", "9000000000000000000"], ids=["below", "beside", "beyond"])
async def test_a_leaf_is_where_it_is(gateway, partner, owner, to):
    """A row moved to another index is refused: its path leads to no root."""
    kept = await given(gateway, partner, kit.SERIOUS)

    for table in ("secret", "entry"):
        await owner.run(f"UPDATE audit.{table} SET leaf_index = {to} WHERE leaf_index = $1", kept.leaf_index)
    seen = code_of(await read(partner, kept.id))

    assert seen == CONTRADICTED


async def test_a_second_row_under_an_id_shows_nothing_else(gateway, partner, owner):
    """A copy of another row under the caller's id: whichever of the two is found, nothing of the other answer is shown."""
    mine = await given(gateway, partner, kit.SERIOUS)
    theirs = await given(gateway, await signed_in(gateway), kit.CLEAR)
    sql = """INSERT INTO audit.entry (log_id, leaf_index, logged_at, leaf_hash, leaf, kind, partner_id, op, purpose, decision,
                 subject_bidx, verification_id)
             SELECT log_id, leaf_index, logged_at - interval '1 second', leaf_hash, leaf, kind, $2, op, purpose, decision,
                 subject_bidx, $3
             FROM audit.entry WHERE verification_id = $1"""

    await owner.run(sql, theirs.id, mine.partner_id, mine.id)
    answer = await read(partner, mine.id)

    assert answer.body == mine.body or code_of(answer) in {CONTRADICTED, GONE}
    assert kit.CLEAR.encode() not in answer.body


# What stands beside the leaf ----------------------------------------------------------------------------------------


async def test_a_changed_text_is_no_erasure(gateway, partner, owner):
    """Changed sealed text is a contradiction, not "erased"; a key that is not here is what an erased key looks like."""
    kept = await given(gateway, partner, kit.SERIOUS)
    sql = "UPDATE audit.secret SET sealed = set_byte(sealed, 20, get_byte(sealed, 20) # 1) WHERE leaf_index = $1"

    await owner.run(sql, kept.leaf_index)
    changed = [code_of(await read(partner, kept.id, rest)) for rest in ("", "/receipt")]
    await owner.run("UPDATE audit.secret SET key_id = 77 WHERE leaf_index = $1", kept.leaf_index)
    unknown_key = [code_of(await read(partner, kept.id, rest)) for rest in ("", "/receipt")]

    assert (changed, unknown_key) == ([CONTRADICTED] * 2, [GONE] * 2)


async def test_a_contradiction_is_on_record(gateway, partner, owner):
    """The refusal is a leaf like any other, the proof is used up, and nothing is told but the code."""
    kept = await given(gateway, partner, kit.SERIOUS)
    await owner.run("UPDATE audit.entry SET decision = 'allow:clear' WHERE verification_id = $1", kept.id)
    size = await gateway.ask("SELECT size FROM audit.head")
    path = f"{ASK}/{kept.id}"
    headers = [("Authorization", f"DPoP {partner.token}"), ("DPoP", partner.proof("GET", path))]

    first, again = [await partner.raw("GET", path, headers) for _ in range(2)]

    leaves = await gateway.leaves(size, t="deny")
    assert (code_of(first), code_of(again)) == (CONTRADICTED, (401, "invalid_dpop_proof"))
    assert leaves[0]["decision"] == "deny:record_contradicted"
    assert first.json["retryable"] is False
    assert "decision" not in first.body.decode()


# Idempotency rows ---------------------------------------------------------------------------------------------------

PUT_KEY = """INSERT INTO audit.idempotency (log_id, partner_id, op, key_hash, body_hash, verification_id, created_ms)
             SELECT 1, partner_id, 'verification.create', $2, $3, $4, $5 FROM identity.partner WHERE client_id = $1
             ON CONFLICT (log_id, partner_id, op, key_hash) DO UPDATE
             SET body_hash = excluded.body_hash, verification_id = excluded.verification_id, created_ms = excluded.created_ms"""


async def put_key(owner: RowOwner, client_id: str, key: str, body: bytes, verification_id: str) -> None:
    """Write an idempotency row as if a question had been answered under a key just now."""
    body_hash = sha256(canonical_json(parse_json_object(body)))
    await owner.run(PUT_KEY, client_id, sha256(key.encode()), body_hash, verification_id, SystemClock().now_ms())


async def test_a_new_question_is_never_answered_by_an_old_answer(gateway, partner, owner):
    """A row put there for a fresh key, naming an old answer of the same partner to the very same body, is refused.

    With or without a key of its own: the leaf does not name this one.
    """
    bare = await given(gateway, partner, kit.CLEAR)
    keyed = await given(gateway, partner, kit.CLEAR, "an-older-order")
    before = counted(gateway, "idempotency", "key_hash")

    seen = []
    for number, old in enumerate((bare, keyed)):
        await put_key(owner, partner.client_id, f"fresh-{number}", kit.question(kit.CLEAR), old.id)
        seen.append(await ask(partner, f"fresh-{number}", body=kit.question(kit.CLEAR)))

    assert [code_of(answer) for answer in seen] == [CONTRADICTED] * 2
    assert counted(gateway, "idempotency", "key_hash") == before + 2


async def test_two_keys_of_one_body_are_not_exchanged(gateway, partner, owner):
    """Rows of two keys of one partner for one body exchanged: each leaf names its own key, so both are refused."""
    first = await given(gateway, partner, kit.CLEAR, "order-a")
    second = await given(gateway, partner, kit.CLEAR, "order-b")
    sql = """UPDATE audit.idempotency SET verification_id = CASE verification_id WHEN $1 THEN $2 ELSE $1 END
             WHERE verification_id IN ($1, $2)"""

    assert await owner.run(sql, first.id, second.id) == 2
    seen = [code_of(await ask(partner, key, body=kit.question(kit.CLEAR))) for key in ("order-a", "order-b")]

    assert seen == [CONTRADICTED] * 2


async def test_a_key_does_not_answer_another_body(gateway, partner, owner):
    """A row whose body hash was changed to that of another question is refused: the leaf commits to the body it answered."""
    kept = await given(gateway, partner, kit.CLEAR, "order-c")
    before = counted(gateway, "idempotency", "body_hash")

    await put_key(owner, partner.client_id, "order-c", kit.question(kit.SERIOUS), kept.id)
    answer = await ask(partner, "order-c", body=kit.question(kit.SERIOUS))

    assert code_of(answer) == CONTRADICTED
    assert counted(gateway, "idempotency", "body_hash") == before + 1


async def test_a_key_does_not_answer_for_another_partner(gateway, partner, owner):
    """A row that names another partner's answer, to the same body under the same key, is refused, and shows nothing of it."""
    other = await signed_in(gateway)
    theirs = await given(gateway, other, kit.CLEAR, "shared")
    before = counted(gateway, "idempotency", "verification_id")

    await put_key(owner, partner.client_id, "shared", kit.question(kit.CLEAR), theirs.id)
    answer = await ask(partner, "shared", body=kit.question(kit.CLEAR))

    assert code_of(answer) == CONTRADICTED
    assert theirs.id.encode() not in answer.body
    assert counted(gateway, "idempotency", "verification_id") == before + 1


async def test_a_moved_row_does_not_answer_for_another_partner(gateway, partner, owner):
    """The other partner's whole row relabelled as the caller's: refused, and the other one's question is simply asked anew."""
    other = await signed_in(gateway)
    theirs = await given(gateway, other, kit.CLEAR, "moved")
    mine = await given(gateway, partner, kit.SERIOUS)
    sql = "UPDATE audit.idempotency SET partner_id = $2 WHERE verification_id = $1"

    await owner.run(sql, theirs.id, mine.partner_id)
    answer = await ask(partner, "moved", body=kit.question(kit.CLEAR))
    theirs_again = await ask(other, "moved", body=kit.question(kit.CLEAR))

    assert code_of(answer) == CONTRADICTED
    assert (theirs_again.status, theirs_again.headers.get("Idempotent-Replayed")) == (200, None)


async def test_a_key_that_names_no_answer_is_refused(partner, owner):
    """A row for an answer that does not exist is a contradiction, not a 404 and not a new answer."""
    await put_key(owner, partner.client_id, "nothing", kit.question(kit.CLEAR), "ver_01K00000000000000000000000")

    assert code_of(await ask(partner, "nothing", body=kit.question(kit.CLEAR))) == CONTRADICTED


async def test_an_exchanged_answer_row_is_not_served_by_a_key(gateway, partner, owner):
    """The idempotency row is as it was, the row of the answer was exchanged: a retry is refused like a reading."""
    kept = await given(gateway, partner, kit.SERIOUS, "order-d")
    clear = await given(gateway, partner, kit.CLEAR)
    swap = SWAP.format(table="entry", sets="verification_id = o.verification_id")

    await owner.run(swap, kept.leaf_index, clear.leaf_index)
    answer = await ask(partner, "order-d", body=kit.question(kit.SERIOUS))

    assert code_of(answer) == CONTRADICTED


async def test_a_key_lives_a_day_by_its_leaf(gateway, partner, owner):
    """A row made young again does not bring back yesterday's answer: how old it is, its leaf says."""
    now = SystemClock().now_ms()
    body = canonical_json(parse_json_object(kit.question(kit.CLEAR)))
    calls = [await made_call(gateway, partner, Millis(now - ago_ms)) for ago_ms in (25 * HOUR_MS, 23 * HOUR_MS)]
    questions = [made_question(body, key) for key in ("yesterday", "this-day")]
    olds = [await gateway.worker.needs.verify(call, asked) for call, asked in zip(calls, questions, strict=True)]
    before = counted(gateway, "idempotency", "created_ms")

    for old, key in zip(olds, ("yesterday", "this-day"), strict=True):
        await put_key(owner, partner.client_id, key, body, old.verification_id)
    stale, young = [await ask(partner, key, body=body) for key in ("yesterday", "this-day")]

    assert (code_of(stale), young.status, young.json["id"]) == (CONTRADICTED, 200, olds[1].verification_id)
    assert counted(gateway, "idempotency", "created_ms") == before + 1


async def made_call(gateway: Gateway, client: PartnerClient, received: Millis) -> Call:
    """Return a call of a partner that was received at an instant of the last two days."""
    partner_id = await gateway.ask("SELECT partner_id FROM identity.partner WHERE client_id = $1", client.client_id)
    thumbprint = client.key.public.thumbprint
    claim = one_time_id(
        kind="dpop", holder=thumbprint, jti=secrets.token_hex(8), signed_time_s=SystemClock().now_ms() // 1000
    )
    return Call(
        request_id=new_id("req", received),
        received_ms=received,
        partner_id=partner_id,
        client_id=client.client_id,
        credential=thumbprint,
        scopes=frozenset({"verifications"}),
        purposes=frozenset({"onboarding"}),
        claim=claim,
        request_hash=bytes(32),
        operation="verification.create",
    )


def made_question(body: bytes, key: str) -> Question:
    asked = parse_json_object(body)
    return Question(
        uscc=kit.CLEAR,
        name=None,
        purpose=Purpose(asked["purpose"]),
        business_ref=asked["business_ref"],
        relation=Relation(asked["relation"]),
        idempotency_key=key,
        canonical_body=body,
    )


async def test_a_key_does_not_answer_another_operation(gateway, partner, owner):
    """A row moved to another operation, where the caller uses the same key and body, is refused: the leaf says what was done."""
    body = canonical_json(parse_json_object(kit.question(kit.CLEAR)))
    await given(gateway, partner, kit.CLEAR, "other-operation")
    call = msgspec.structs.replace(await made_call(gateway, partner, SystemClock().now_ms()), operation="other.create")
    before = counted(gateway, "idempotency", "op")

    key_hash = sha256(b"other-operation")
    await owner.run("UPDATE audit.idempotency SET op = 'other.create' WHERE key_hash = $1", key_hash)
    with pytest.raises(GatewayError) as refused:
        await gateway.worker.needs.verify(call, made_question(body, "other-operation"))

    assert refused.value.kind is ErrorKind.RECORD_CONTRADICTED
    assert counted(gateway, "idempotency", "op") == before + 1


async def test_a_race_that_was_lost_to_a_forged_row_is_on_record(gateway, partner, owner):
    """Where the row appears between the look and the commit, the refusal is the same, and its leaf may claim the proof."""
    body = canonical_json(parse_json_object(kit.question(kit.CLEAR)))
    old = await given(gateway, partner, kit.CLEAR)
    verify = gateway.worker.needs.verify
    call = await made_call(gateway, partner, SystemClock().now_ms())
    await put_key(owner, partner.client_id, "raced", body, old.id)
    asked = made_question(body, "raced")

    with pytest.raises(GatewayError) as refused:
        await verify._lost_the_race(call, asked, _claim(call, asked, old.id))

    assert (refused.value.kind, refused.value.reason) == (ErrorKind.RECORD_CONTRADICTED, "record_contradicted")
