"""A captured request is worth nothing: one proof, one answer, over two workers and fifty attempts at once."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.audit.receipt import verify_receipt
from gateway.base.onetime import one_time_id
from gateway.identity.client import make_proof
from tests.conftest import fresh_database
from tests.fakes import gateway as kit
from tests.fakes.gateway import JSON, Gateway, PartnerClient, running_gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASK = "/v1/verifications"
AT_ONCE = 50


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(postgres, tmp_path_factory) -> AsyncIterator[Gateway]:
    database = await fresh_database(postgres)
    async with running_gateway(database, tmp_path_factory.mktemp("gateway")) as running:
        yield running
    await postgres.drop_database(database.name)


@pytest_asyncio.fixture(loop_scope="module")
async def pair(gateway) -> AsyncIterator[tuple[PartnerClient, PartnerClient]]:
    """One partner at two workers."""
    async with gateway.second_worker() as base:
        here = await gateway.partner(f"partner-{secrets.token_hex(6)}")
        await here.learn_nonces()
        yield here, here.at(base)


def headers_of(client: PartnerClient, proof: str) -> list[tuple[str, str]]:
    return [JSON, ("Authorization", f"DPoP {client.token}"), ("DPoP", proof)]


async def test_of_fifty_at_once_exactly_one_is_answered(gateway, pair):
    """D11: one proof, fifty requests over two workers: one 200, 49 times 401, one query leaf, one one-time id."""
    here, _there = pair
    jti, now = secrets.token_urlsafe(16), kit.SystemClock().now_ms()
    proof = here.proof("POST", ASK, jti=jti, now=now)
    size = await gateway.ask("SELECT size FROM audit.head")

    answers = await asyncio.gather(
        *(client.raw("POST", ASK, headers_of(client, proof), kit.question()) for client in pair * (AT_ONCE // 2))
    )

    assert Counter(answer.status for answer in answers) == {200: 1, 401: AT_ONCE - 1}
    assert {answer.json["code"] for answer in answers if answer.status == 401} == {"invalid_dpop_proof"}
    [good] = [answer for answer in answers if answer.status == 200]
    verify_receipt(good.body, gateway.policy)
    claim = one_time_id(kind="dpop", holder=here.proof_key.public.thumbprint, jti=jti, signed_time_s=now // 1000)
    [leaf] = await gateway.leaves(size, t="query")
    assert (leaf["id"], leaf["req_id"]) == (good.json["id"], claim.digest.hex())
    assert await gateway.ask("SELECT count(*) FROM audit.request WHERE req_id = $1", claim.digest) == 1


async def test_fifty_reads_with_one_proof_are_one_read(gateway, pair):
    """The same holds for reading again: a captured GET opens nothing twice."""
    here, _there = pair
    _status, _headers, answer = await here.verify(kit.CLEAR)
    path = f"{ASK}/{answer['id']}/receipt"
    proof = here.proof("GET", path)
    size = await gateway.ask("SELECT size FROM audit.head")

    answers = await asyncio.gather(
        *(client.raw("GET", path, headers_of(client, proof)[1:]) for client in pair * (AT_ONCE // 2))
    )

    assert Counter(answer.status for answer in answers) == {200: 1, 401: AT_ONCE - 1}
    assert len(await gateway.leaves(size, t="read")) == 1


async def test_c34_a_proof_for_one_address_is_not_good_for_it_with_a_query(pair):
    """C34: the query is not part of ``htu``, so a proof captured at GET /a would fit GET /a?x=2: its one-time id is used."""
    here, there = pair
    _status, _headers, answer = await here.verify(kit.CLEAR)
    path = f"{ASK}/{answer['id']}"
    proof = here.proof("GET", path)

    answers = [
        await client.raw("GET", target, headers_of(client, proof)[1:])
        for client, target in ((here, path), (here, f"{path}?x=2"), (there, f"{path}?x=2"))
    ]

    assert [answer.status for answer in answers] == [200, 401, 401]
    assert {answer.json["code"] for answer in answers[1:]} == {"invalid_dpop_proof"}


async def test_a_proof_is_used_up_by_a_refusal_too(pair):
    """A request that was refused after authentication used its proof: the mended body needs a new one."""
    here, there = pair
    proof = here.proof("POST", ASK)

    bad = await here.raw("POST", ASK, headers_of(here, proof), kit.question(purpose="zz"))
    mended = await there.raw("POST", ASK, headers_of(there, proof), kit.question())

    assert (bad.status, mended.status) == (422, 401)
    assert mended.json["code"] == "invalid_dpop_proof"


async def test_a_proof_that_was_refused_before_authentication_is_not_used_up(pair):
    """What fails before the commit leaves nothing: a proof sent without its token still works with it."""
    here, _there = pair
    proof = here.proof("POST", ASK)

    refused = await here.raw("POST", ASK, [JSON, ("DPoP", proof)], kit.question())
    served = await here.raw("POST", ASK, headers_of(here, proof), kit.question())

    assert (refused.status, served.status) == (401, 200)


async def test_two_partners_may_choose_the_same_jti(gateway, pair):
    """One-time ids belong to the key that signed: nobody can use up another's."""
    here, _there = pair
    other = await gateway.partner(f"partner-{secrets.token_hex(6)}")
    other.nonces = here.nonces
    jti = secrets.token_urlsafe(16)

    answers = [
        await client.raw("POST", ASK, headers_of(client, client.proof("POST", ASK, jti=jti)), kit.question())
        for client in (here, other)
    ]

    assert [answer.status for answer in answers] == [200, 200]


async def test_the_same_jti_for_another_address_is_refused(pair):
    """One ``jti`` is one proof, whatever else the proof says."""
    here, _there = pair
    jti = secrets.token_urlsafe(16)
    _status, _headers, answer = await here.verify(kit.CLEAR)
    path = f"{ASK}/{answer['id']}"

    first = await here.raw("GET", path, headers_of(here, here.proof("GET", path, jti=jti))[1:])
    second = await here.raw(
        "GET", f"{path}/receipt", headers_of(here, here.proof("GET", f"{path}/receipt", jti=jti))[1:]
    )

    assert (first.status, second.status) == (200, 401)


async def test_the_day_of_a_one_time_id_is_the_signed_one(gateway, pair):
    """The day of a one-time id comes from ``iat``: a proof cannot be accepted once for each day on which it arrives."""
    here, _there = pair
    jti = secrets.token_urlsafe(16)
    now = kit.SystemClock().now_ms()
    values = {
        "method": "POST",
        "url": here.issuer + ASK,
        "jti": jti,
        "access_token": here.token,
        "nonce": here.nonces["rs"],
    }
    proof = make_proof(here.proof_key, now=now - 60_000, **values)

    answers = [await here.raw("POST", ASK, headers_of(here, proof), kit.question()) for _ in range(2)]

    day = kit.dt.datetime.fromtimestamp((now - 60_000) / 1000, kit.dt.UTC).date()
    assert [answer.status for answer in answers] == [200, 401]
    claim = one_time_id(
        kind="dpop", holder=here.proof_key.public.thumbprint, jti=jti, signed_time_s=(now - 60_000) // 1000
    )
    assert await gateway.ask("SELECT req_day FROM audit.request WHERE req_id = $1", claim.digest) == day


async def test_c25_a_worker_that_starts_later_knows_what_was_used(gateway, pair):
    """C25: what makes a proof single-use is in the database, not in a process that may have been restarted."""
    here, _there = pair
    proof = here.proof("POST", ASK)
    first = await here.raw("POST", ASK, headers_of(here, proof), kit.question())

    async with gateway.second_worker() as base:
        again = await here.at(base).raw("POST", ASK, headers_of(here, proof), kit.question())

    assert (first.status, again.status) == (200, 401)
