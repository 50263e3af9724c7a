"""Keys and partners come from their leaves: a row that no leaf brought, or that says something else, authenticates nobody.

Each way is tried as the owner of the database, triggers off, at the token endpoint. The answer is that for an unknown key, byte for byte;
operators are told once for each key, and each try is counted.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.audit.merkle import leaf_hash
from gateway.base.canonical import canonical_json, parse_json_object
from gateway.base.clock import SystemClock
from gateway.base.errors import ErrorKind, GatewayError
from gateway.base.ids import new_id
from gateway.identity.client import token_form
from gateway.identity.key_policy import parse_submitted_key
from gateway.identity.signing_key import SigningKey
from gateway.wiring import open_operator
from tests.conftest import fresh_database
from tests.fakes.gateway import Gateway, PartnerClient, running_gateway
from tests.fakes.row_owner import RowOwner

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOTHING_ELSE = {"error", "error_description", "request_id"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(postgres, tmp_path_factory) -> AsyncIterator[Gateway]:
    database = await fresh_database(postgres)
    async with running_gateway(database, tmp_path_factory.mktemp("gateway")) as running:
        yield running
    await postgres.drop_database(database.name)


@pytest_asyncio.fixture(loop_scope="module")
async def partner(gateway) -> PartnerClient:
    """A partner that has signed in once: its key was proven by this process."""
    return await gateway.partner(f"partner-{secrets.token_hex(6)}")


@pytest_asyncio.fixture(loop_scope="module")
async def owner(gateway) -> AsyncIterator[RowOwner]:
    one = RowOwner(gateway.database)
    yield one
    await one.restore()


async def token_of(client: PartnerClient, **assertion: object) -> tuple[int, dict]:
    """Ask for a token; return status and body."""
    for _ in range(2):
        proof = client.proof("POST", "/oauth2/token", nonce=client.nonces.get("as"), access_token=None)
        status, _headers, body = await client.post_token(token_form(assertion=client.assertion(**assertion)), proof)
        if body.get("error") != "use_dpop_nonce":
            break
    return status, body


def as_client(client: PartnerClient, client_id: str, key: SigningKey) -> PartnerClient:
    return PartnerClient(client.session, client.base, client.issuer, client_id, key, nonces=dict(client.nonces))


async def partner_id_of(gateway: Gateway, client: PartnerClient) -> str:
    return await gateway.ask("SELECT partner_id FROM identity.partner WHERE client_id = $1", client.client_id)


async def add_key(gateway: Gateway, client: PartnerClient, **members: str) -> SigningKey:
    """Register one more key the operator's way."""
    key = SigningKey.generate()
    async with open_operator(gateway.settings) as operator:
        submitted = parse_submitted_key(canonical_json(dict(key.public.jwk) | members))
        await operator.add_key(client.client_id, submitted, SystemClock().now_ms())
    return key


async def revoke(gateway: Gateway, key: SigningKey, *, compromised: bool = True) -> None:
    async with open_operator(gateway.settings) as operator:
        await operator.revoke_key(key.public.thumbprint, client_id=None, compromised=compromised)


def counted(gateway: Gateway) -> dict[str, float]:
    """Return how often each contradiction of a registration was counted."""
    return {
        sample.labels["column"]: sample.value
        for metric in gateway.worker.metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "gateway_records_contradicted_total" and sample.labels["record"] == "registration"
    }


async def refused_columns(gateway: Gateway, client: PartnerClient, **assertion: object) -> set[str]:
    """Ask for a token, which must be refused like an unknown key is; return the columns that were counted."""
    stranger = as_client(client, client.client_id, SigningKey.generate())
    unknown = await token_of(stranger)
    before = counted(gateway)

    status, body = await token_of(client, **assertion)

    assert (status, body["error"]) == (401, "invalid_client")
    assert body.keys() == NOTHING_ELSE
    assert (status, body["error_description"]) == (unknown[0], unknown[1]["error_description"])
    return {column for column, count in counted(gateway).items() if count > before.get(column, 0)}


PUT_KEY = """INSERT INTO identity.partner_key
                 (thumbprint, partner_id, kid, alg, jwk, purpose, state, not_before_ms, created_ms)
             VALUES ($1, $2, $1, 'ES256', $3, 'client-auth', 'active', 0, 0)"""
PUT_PARTNER = """INSERT INTO identity.partner (partner_id, client_id, name, sector, scopes, purposes, state, created_ms)
                 VALUES ($1, $2, 'x', 'network_freight', '{verifications}', '{onboarding}', 'active', 0)"""


def jwk_text(key: SigningKey) -> str:
    return canonical_json(dict(key.public.jwk)).decode()


async def test_a_key_that_no_leaf_registered_signs_nothing(gateway, partner, owner):
    """A key row put beside those of an existing partner."""
    key = SigningKey.generate()
    await owner.run(PUT_KEY, key.public.thumbprint, await partner_id_of(gateway, partner), jwk_text(key))

    columns = await refused_columns(gateway, as_client(partner, partner.client_id, key), kid=key.public.thumbprint)

    assert columns == {"unregistered"}
    assert (await token_of(partner, kid=partner.key.public.thumbprint))[0] == 200  # the partner's own key still does


async def test_a_partner_that_no_leaf_brought_on_is_nobody(gateway, partner, owner):
    """A partner row with a key row of its own, neither in the log."""
    key, client_id = SigningKey.generate(), f"forged-{secrets.token_hex(4)}"
    partner_id = new_id("prt", SystemClock().now_ms())
    await owner.run(PUT_PARTNER, partner_id, client_id)
    await owner.run(PUT_KEY, key.public.thumbprint, partner_id, jwk_text(key))

    assert await refused_columns(gateway, as_client(partner, client_id, key)) == {"unregistered"}


PARTNER_CHANGES = {
    "scopes": "scopes = scopes || '{admin}'",
    "purposes": "purposes = purposes || '{complaint}'",
    "name": "name = name || '!'",
    "sector": "sector = 'other'",
    "fewer purposes": "purposes = '{onboarding}'",
}


@pytest.mark.parametrize("way", PARTNER_CHANGES)
async def test_a_partner_is_what_its_leaf_says(gateway, partner, owner, way):
    """One column of the partner's row changed beside its leaf: its key authenticates nothing, though it was proven a moment ago."""
    sql = f"UPDATE identity.partner SET {PARTNER_CHANGES[way]} WHERE client_id = $1"
    await owner.run(sql, partner.client_id)

    assert await refused_columns(gateway, partner) == {way.split()[-1]}
    await owner.restore()
    assert (await token_of(partner))[0] == 200


KEY_CHANGES = {
    "kid": "kid = 'another-name'",
    "not_before_ms": "not_before_ms = not_before_ms - 1",
    "created_ms": "created_ms = 0",
    "retire_at_ms": "retire_at_ms = not_before_ms + 86400000",
    "state": "state = 'retiring'",
    "revoked_ms": "revoked_ms = 0",
}


@pytest.mark.parametrize("column", KEY_CHANGES)
async def test_a_key_is_what_its_leaf_says(gateway, partner, owner, column):
    """One column of the key's row changed beside its leaf."""
    sql = f"UPDATE identity.partner_key SET {KEY_CHANGES[column]} WHERE thumbprint = $1"
    await owner.run(sql, partner.key.public.thumbprint)

    kid = "another-name" if column == "kid" else partner.key.public.thumbprint
    assert await refused_columns(gateway, partner, kid=kid) == {column}


async def test_anothers_key_in_a_row_is_not_registered(gateway, partner, owner):
    """The public key of a row replaced by the intruder's, its name kept, with and without its thumbprint."""
    intruder = SigningKey.generate()
    client = as_client(partner, partner.client_id, intruder)
    thumbprint = partner.key.public.thumbprint

    await owner.run("UPDATE identity.partner_key SET jwk = $2 WHERE thumbprint = $1", thumbprint, jwk_text(intruder))
    only_jwk = await refused_columns(gateway, client, kid=thumbprint)
    sql = "UPDATE identity.partner_key SET thumbprint = $2 WHERE thumbprint = $1"
    await owner.run(sql, thumbprint, intruder.public.thumbprint)
    both = await refused_columns(gateway, client, kid=thumbprint)

    assert (only_jwk, both) == ({"unregistered"}, {"unregistered"})


async def test_a_key_stays_with_its_partner(gateway, partner, owner):
    """A key row given to another partner: its leaf names the first one."""
    victim = await gateway.partner(f"partner-{secrets.token_hex(6)}")
    sql = "UPDATE identity.partner_key SET partner_id = $2 WHERE thumbprint = $1"
    await owner.run(sql, partner.key.public.thumbprint, await partner_id_of(gateway, victim))

    client = as_client(partner, victim.client_id, partner.key)
    assert await refused_columns(gateway, client, kid=partner.key.public.thumbprint) == {"unregistered"}


async def test_client_identifiers_are_not_exchanged(gateway, partner, owner):
    """Two partners' client identifiers exchanged: neither key signs in under the other's name."""
    other = await gateway.partner(f"partner-{secrets.token_hex(6)}")
    sql = "UPDATE identity.partner SET client_id = $2 WHERE client_id = $1"
    for old, new in (
        (other.client_id, "between"),
        (partner.client_id, other.client_id),
        ("between", partner.client_id),
    ):
        await owner.run(sql, old, new)

    first = await refused_columns(gateway, as_client(partner, other.client_id, partner.key))
    second = await refused_columns(gateway, as_client(partner, partner.client_id, other.key))

    assert (first, second) == ({"client_id"}, {"client_id"})


async def test_names_of_keys_are_not_exchanged(gateway, partner, owner):
    """Two keys of one partner exchange their names: each leaf says which is which."""
    await add_key(gateway, partner, kid="second")
    sql = """UPDATE identity.partner_key SET kid = CASE kid WHEN 'second' THEN 'third' ELSE 'second' END
             WHERE partner_id = $1 AND kid = $2"""
    partner_id = await partner_id_of(gateway, partner)
    for kid in ("second", partner.key.public.thumbprint):
        await owner.run(sql, partner_id, kid)

    assert await refused_columns(gateway, partner, kid="second") == {"kid"}


ALIVE = "UPDATE identity.partner_key SET state = 'active', revoked_ms = NULL WHERE thumbprint = $1"


@pytest.mark.parametrize("compromised", [True, False], ids=["compromised", "retired"])
@pytest.mark.parametrize("where", ["same-process", "other-process"])
async def test_a_key_never_comes_back(gateway, partner, owner, compromised, where):
    """A revoked key whose row was brought back to life, exactly as it was when it was proven: the leaf of its revocation stands."""
    await add_key(gateway, partner)
    await revoke(gateway, partner.key, compromised=compromised)
    await owner.run(ALIVE, partner.key.public.thumbprint)
    client = as_client(partner, partner.client_id, partner.key)

    if where == "same-process":
        assert await refused_columns(gateway, client, kid=partner.key.public.thumbprint) == {"state", "revoked_ms"}
        return
    async with gateway.second_worker() as base:
        client.base = base
        assert (await token_of(client, kid=partner.key.public.thumbprint))[0] == 401


async def test_a_compromised_key_is_not_merely_retired(gateway, partner, owner):
    """Both revocations are leaves, and the row must say the last."""
    await add_key(gateway, partner)
    await revoke(gateway, partner.key, compromised=False)
    await revoke(gateway, partner.key, compromised=True)
    await owner.run(ALIVE, partner.key.public.thumbprint)

    assert await refused_columns(gateway, partner, kid=partner.key.public.thumbprint) == {"state", "revoked_ms"}


async def test_a_key_registered_again_beside_the_log_is_refused(gateway, partner, owner):
    """The row of a compromised key deleted, and an operator made to register the key anew: the log knows that it ended."""
    await add_key(gateway, partner)
    await revoke(gateway, partner.key)
    await owner.run("DELETE FROM identity.partner_key WHERE thumbprint = $1", partner.key.public.thumbprint)
    async with open_operator(gateway.settings) as operator:
        submitted = parse_submitted_key(canonical_json(dict(partner.key.public.jwk)))
        await operator.add_key(partner.client_id, submitted, SystemClock().now_ms())

    assert await refused_columns(gateway, partner, kid=partner.key.public.thumbprint) == {"registered_twice"}


# What is done to the leaves themselves ------------------------------------------------------------------------------

OF_KEY = "leaf_index = (SELECT max(leaf_index) FROM audit.entry WHERE kind = 'key' AND position($1::bytea IN leaf) > 0)"
LEAF_CHANGES = {
    "hidden from its partner": (f"UPDATE audit.entry SET partner_id = NULL WHERE {OF_KEY}", "unregistered"),
    "changed": (
        f"UPDATE audit.entry SET leaf = convert_to(replace(convert_from(leaf, 'UTF8'), 'Z\"', '1Z\"'), 'UTF8') WHERE {OF_KEY}",
        "not_in_tree",
    ),
    "without its secret": (f"DELETE FROM audit.secret WHERE {OF_KEY}", "not_opened"),
    "with another salt": (f"UPDATE audit.secret SET salt = sha256(salt) WHERE {OF_KEY}", "not_opened"),
    "with another text": (
        f"""UPDATE audit.secret SET sealed = (SELECT sealed FROM audit.secret WHERE length(sealed) > 0 AND NOT {OF_KEY} LIMIT 1)
            WHERE {OF_KEY}""",
        "not_opened",
    ),
}


@pytest.mark.parametrize("way", LEAF_CHANGES)
async def test_a_registration_that_cannot_be_shown_is_none(gateway, partner, owner, way):
    """The leaf of a registration hidden, moved, changed or made unreadable: in doubt nobody authenticates."""
    sql, column = LEAF_CHANGES[way]
    await owner.run(sql, partner.key.public.thumbprint.encode())

    assert await refused_columns(gateway, partner) == {column}


@pytest.mark.parametrize(
    "sql",
    [
        f"DELETE FROM audit.entry WHERE {OF_KEY}",
        f"UPDATE audit.entry SET leaf_index = 9000000000000000000 WHERE {OF_KEY}",
    ],
    ids=["deleted", "moved"],
)
async def test_a_hole_where_a_registration_was_stops_the_host(postgres, tmp_path, sql):
    """Who looks for the missing leaf finds that the log contradicts its head; from then on nobody is served until that is resolved."""
    database = await fresh_database(postgres)
    async with running_gateway(database, tmp_path) as gateway:
        partner, other = [await gateway.partner(f"partner-{name}") for name in ("one", "two")]
        await RowOwner(database).run(sql, partner.key.public.thumbprint.encode())

        before, _body = await token_of(other)  # proven when it was first used: it needs no hash now
        hidden, body = await token_of(partner)
        after, _body = await token_of(other)

    assert (before, hidden, after, body["error"]) == (200, 503, 503, "temporarily_unavailable")
    await postgres.drop_database(database.name)


async def test_a_forged_registration_is_not_in_the_tree(gateway, partner, owner):
    """Rows of partner's key and of a leaf that registers it, made to agree, beyond the head or in the place of a real leaf."""
    key = SigningKey.generate()
    client = as_client(partner, partner.client_id, key)
    thumbprint = key.public.thumbprint
    leaf = await gateway.ask("SELECT leaf FROM audit.entry WHERE kind = 'key' AND partner_id = $1",
                             await partner_id_of(gateway, partner))  # fmt: skip
    forged = canonical_json(parse_json_object(leaf) | {"cred": thumbprint})
    await owner.run(PUT_KEY, thumbprint, await partner_id_of(gateway, partner), jwk_text(key))
    copy = """INSERT INTO audit.entry (log_id, leaf_index, logged_at, leaf_hash, leaf, kind, partner_id, op, decision)
              SELECT log_id, (SELECT size FROM audit.head), logged_at, $2, $3, kind, partner_id, op, decision
              FROM audit.entry WHERE leaf = $1"""

    await owner.run(copy, leaf, leaf_hash(forged), forged)
    beyond = await refused_columns(gateway, client, kid=thumbprint)
    size = await gateway.ask("SELECT size FROM audit.head")
    await owner.run("DELETE FROM audit.entry WHERE leaf = $1 AND leaf_index >= $2 - 1", forged, size)
    await owner.run("UPDATE audit.entry SET leaf = $2, leaf_hash = $3 WHERE leaf = $1", leaf, forged, leaf_hash(forged))
    in_place = await refused_columns(gateway, client, kid=thumbprint)

    assert (beyond, in_place) == ({"not_in_tree"}, {"not_in_tree"})


# What is right goes on being right ----------------------------------------------------------------------------------


async def test_what_the_operator_did_is_what_the_log_says(gateway, partner):
    """Several keys with names of their own, one retired: those that live sign in, on every process, and nothing is counted."""
    second = as_client(partner, partner.client_id, await add_key(gateway, partner, kid="2026-autumn"))
    before = counted(gateway)

    both = [
        (await token_of(c, kid=k))[0] for c, k in ((partner, partner.key.public.thumbprint), (second, "2026-autumn"))
    ]
    await revoke(gateway, partner.key, compromised=False)
    retired = (await token_of(partner, kid=partner.key.public.thumbprint))[0]
    async with gateway.second_worker() as base:
        elsewhere = (await token_of(second.at(base), kid="2026-autumn"))[0]

    assert (both, retired, elsewhere) == ([200, 200], 401, 200)
    assert counted(gateway) == before


async def test_leaves_name_whom_they_are_about(gateway, partner):
    """``partner.add`` names the partner; ``key.add`` and ``key.revoke`` partner and key; nothing else of them is said in clear."""
    partner_id = await partner_id_of(gateway, partner)
    await add_key(gateway, partner)
    await revoke(gateway, partner.key)

    leaves = [leaf for leaf in await gateway.leaves(partner=partner_id) if leaf["t"] in {"partner", "key"}]

    thumbprint = partner.key.public.thumbprint
    assert [(leaf["op"], leaf.get("cred")) for leaf in leaves if leaf.get("cred") in {None, thumbprint}] == [
        ("partner.add", None),
        ("key.add", thumbprint),
        ("key.revoke", thumbprint),
    ]
    for leaf in leaves:
        assert set(leaf) <= {"args_c", "cred", "decision", "gw", "log", "n", "op", "partner", "status", "t", "ts", "v"}
        assert partner.client_id not in str(leaf)


async def test_a_change_that_its_leaf_would_not_say_does_not_happen(gateway, partner):
    """A key renamed while its revocation waits for the lock: the revocation is refused, and writes neither row nor leaf."""
    thumbprint = partner.key.public.thumbprint
    waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple'))"
    connection = await gateway.database.connect()
    try:
        async with connection.transaction():
            sql = "SELECT partner_id FROM identity.partner WHERE client_id = $1 FOR UPDATE"
            partner_id = await connection.fetchval(sql, partner.client_id)
            revoking = asyncio.create_task(revoke(gateway, partner.key))
            while not await gateway.ask(waiting):
                assert not revoking.done()
            await connection.execute("UPDATE identity.partner_key SET kid = 'x' WHERE thumbprint = $1", thumbprint)
        with pytest.raises(GatewayError) as refused:
            await revoking
    finally:
        await connection.close()

    assert (refused.value.kind, refused.value.reason) == (ErrorKind.CONFLICT, "changed_meanwhile")
    leaves = await gateway.leaves(partner=partner_id, t="key")
    assert [leaf["op"] for leaf in leaves] == ["key.add"]
    state = await gateway.ask("SELECT state FROM identity.partner_key WHERE thumbprint = $1", thumbprint)
    assert state == "active"
