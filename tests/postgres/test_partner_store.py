"""Partners and keys on PostgreSQL: found as they were stored, changed only under the key policy."""

from __future__ import annotations

import asyncio

import pytest

from gateway.base.canonical import canonical_json
from gateway.base.clock import Millis
from gateway.base.errors import ErrorKind, GatewayError
from gateway.base.ids import new_id
from gateway.base.secret import Secret
from gateway.identity.jwk import Algorithm
from gateway.identity.key_policy import parse_submitted_key
from gateway.identity.partner import KeyState, Partner, PartnerState
from gateway.identity.signing_key import SigningKey
from gateway.postgres import partner_store
from gateway.postgres.partner_store import KeyAddition, KeyRevocation, PostgresPartnerDirectory
from gateway.postgres.pool import PoolSize, Target, open_pool
from gateway.postgres.queries import Queries

NOW = Millis(1_800_000_000_000)
QUERIES = Queries.load("identity")
KEYS = [SigningKey.generate(alg) for alg in (Algorithm.ES256, Algorithm.EDDSA, Algorithm.ES256, Algorithm.ES256)]


def make_partner(client_id: str = "huoyun-platform", state: PartnerState = PartnerState.ACTIVE) -> Partner:
    return Partner(
        partner_id=new_id("prt", NOW),
        client_id=client_id,
        name="某网络货运平台",
        sector="network_freight",
        scopes=frozenset({"verifications"}),
        purposes=frozenset({"onboarding", "risk"}),
        state=state,
    )


def make_addition(key: SigningKey, *, kid: str | None = None, client_id: str = "huoyun-platform") -> KeyAddition:
    members = dict(key.public.jwk) | ({"kid": kid} if kid else {})
    submitted = parse_submitted_key(canonical_json(members))
    return KeyAddition(client_id=client_id, submitted=submitted, not_before_ms=NOW, now=NOW)


def make_revocation(key: str, *, client_id: str | None = None, compromised: bool = False) -> KeyRevocation:
    return KeyRevocation(client_id=client_id, key=key, compromised=compromised, now=NOW)


@pytest.fixture
async def connection(database):
    """A connection of an operator, with one partner there."""
    opened = await database.connect("gateway_admin")
    await partner_store.add_partner(opened, QUERIES, make_partner(), NOW)
    yield opened
    await opened.close()


@pytest.fixture
async def directory(database, connection):  # noqa: ARG001 - the partner that it finds
    """The directory as the token endpoint has it."""
    target = Target(dsn=Secret(database.dsn_of("gateway_api").encode()), application_name="test")
    pool = await open_pool(target, PoolSize(minimum=1, maximum=2))
    yield PostgresPartnerDirectory(pool, QUERIES)
    await pool.close()


async def refusal_of(awaitable) -> tuple[ErrorKind, str]:
    with pytest.raises(GatewayError) as refused:
        await awaitable
    return refused.value.kind, refused.value.reason


async def test_a_client_is_found_with_everything_that_was_stored(connection, directory):
    added = [
        await partner_store.add_key(connection, QUERIES, make_addition(KEYS[0], kid="first")),
        await partner_store.add_key(connection, QUERIES, make_addition(KEYS[1])),
    ]

    client = await directory.find_client("huoyun-platform", None)

    assert client is not None
    assert client.partner.purposes == frozenset({"onboarding", "risk"})
    found = [key.read() for key in client.keys]
    assert {key.thumbprint: (key.kid, key.state, key.key.jwk) for key in found} == {
        key.thumbprint: (key.kid, KeyState.ACTIVE, key.key.jwk) for key in added
    }


async def test_a_client_is_found_with_the_key_that_is_named_and_no_other(connection, directory):
    for key, kid in zip(KEYS[:2], ("first", "second"), strict=True):
        await partner_store.add_key(connection, QUERIES, make_addition(key, kid=kid))

    found = [await directory.find_client("huoyun-platform", kid) for kid in ("first", "second", "third")]

    assert [[key.kid for key in client.keys] for client in found] == [["first"], ["second"], []]


async def test_a_client_without_keys_is_found_and_nobody_is_nobody(directory):
    client = await directory.find_client("huoyun-platform", None)

    assert client is not None
    assert client.keys == ()
    assert [await directory.find_client("nobody-here", kid) for kid in (None, "first")] == [None, None]


async def test_a_database_that_is_gone_is_unavailable(database):
    target = Target(dsn=Secret(database.dsn.encode()), application_name="test")
    pool = await open_pool(target)
    pool.terminate()

    refusal = await refusal_of(PostgresPartnerDirectory(pool, QUERIES).find_client("huoyun-platform", None))

    assert refusal[0] is ErrorKind.STORE_UNAVAILABLE


async def test_a_client_identifier_is_taken_once(connection):
    again = partner_store.add_partner(connection, QUERIES, make_partner(), NOW)

    assert await refusal_of(again) == (ErrorKind.CONFLICT, "client_taken")


async def test_partners_are_listed_with_their_live_keys(connection):
    await partner_store.add_partner(connection, QUERIES, make_partner("a-second"), NOW)
    await partner_store.add_key(connection, QUERIES, make_addition(KEYS[0]))

    listed = await partner_store.list_partners(connection, QUERIES)

    assert [(one.partner.client_id, one.live_keys) for one in listed] == [("a-second", 0), ("huoyun-platform", 1)]


async def test_a_key_belongs_to_one_partner_for_ever(connection):
    """Rule 1: a thumbprint is unique over all partners and all states."""
    await partner_store.add_partner(connection, QUERIES, make_partner("a-second"), NOW)
    await partner_store.add_key(connection, QUERIES, make_addition(KEYS[0]))
    await partner_store.end_key(connection, QUERIES, make_revocation(KEYS[0].public.thumbprint, compromised=True))

    for client_id in ("huoyun-platform", "a-second"):
        again = partner_store.add_key(connection, QUERIES, make_addition(KEYS[0], kid="other", client_id=client_id))
        assert await refusal_of(again) == (ErrorKind.CONFLICT, "key_known")


async def test_a_third_live_key_is_refused(connection):
    for key in KEYS[:2]:
        await partner_store.add_key(connection, QUERIES, make_addition(key))

    third = partner_store.add_key(connection, QUERIES, make_addition(KEYS[2]))

    assert await refusal_of(third) == (ErrorKind.CONFLICT, "too_many_keys")


async def test_two_operators_at_once_cannot_both_add_the_last_allowed_key(database, connection):
    await partner_store.add_key(connection, QUERIES, make_addition(KEYS[0]))

    async def add(key: SigningKey) -> str:
        other = await database.connect("gateway_admin")
        try:
            async with other.transaction():
                await partner_store.add_key(other, QUERIES, make_addition(key))
        except GatewayError as exc:
            return exc.reason
        finally:
            await other.close()
        return "added"

    outcomes = await asyncio.gather(*(add(key) for key in KEYS[1:4]))

    assert sorted(outcomes) == ["added", "too_many_keys", "too_many_keys"]


async def test_an_unknown_client_or_a_closed_partner_gets_no_key(connection):
    nobody = partner_store.add_key(connection, QUERIES, make_addition(KEYS[0], client_id="nobody-here"))
    assert await refusal_of(nobody) == (ErrorKind.NOT_FOUND, "client_unknown")

    await partner_store.add_partner(connection, QUERIES, make_partner("closed-one", PartnerState.CLOSED), NOW)
    closed = partner_store.add_key(connection, QUERIES, make_addition(KEYS[0], client_id="closed-one"))
    assert await refusal_of(closed) == (ErrorKind.CONFLICT, "partner_closed")


async def test_a_key_is_ended_by_its_name_or_by_its_thumbprint(connection):
    for key, kid in zip(KEYS[:2], ("first", "second"), strict=True):
        await partner_store.add_key(connection, QUERIES, make_addition(key, kid=kid))

    _, retired = await partner_store.end_key(connection, QUERIES, make_revocation("first", client_id="huoyun-platform"))
    client, compromised = await partner_store.end_key(
        connection, QUERIES, make_revocation(KEYS[1].public.thumbprint, compromised=True)
    )

    assert (retired.kid, retired.state, retired.revoked_ms) == ("first", KeyState.RETIRED, NOW)
    assert (compromised.kid, compromised.state) == ("second", KeyState.COMPROMISED)
    stored = await partner_store.list_keys(connection, QUERIES, client.partner.client_id)
    assert {key.kid: key.state for key in stored} == {"first": KeyState.RETIRED, "second": KeyState.COMPROMISED}


async def test_the_last_live_key_is_retired_only_if_compromised(connection):
    """Rule 5: retiring it would lock the partner out; a leaked key must go whatever follows."""
    await partner_store.add_key(connection, QUERIES, make_addition(KEYS[0], kid="only"))

    retire = partner_store.end_key(connection, QUERIES, make_revocation("only", client_id="huoyun-platform"))
    assert await refusal_of(retire) == (ErrorKind.CONFLICT, "last_key")

    _, ended = await partner_store.end_key(
        connection, QUERIES, make_revocation("only", client_id="huoyun-platform", compromised=True)
    )
    assert ended.state is KeyState.COMPROMISED


async def name_after(database, key: SigningKey, kid: str) -> None:
    """Name a stored key as no registration would."""
    owner = await database.connect()
    await owner.execute("UPDATE identity.partner_key SET kid = $2 WHERE thumbprint = $1", key.public.thumbprint, kid)
    await owner.close()


@pytest.mark.parametrize("client_id", [None, "huoyun-platform"])
@pytest.mark.parametrize("named", [0, 1])
async def test_a_thumbprint_means_that_key_and_no_other(database, connection, client_id, named):
    """Another key that is called like it, in whichever order they stand, is not touched, however often the command is repeated."""
    for key, kid in zip(KEYS[:2], ("first", "second"), strict=True):
        await partner_store.add_key(connection, QUERIES, make_addition(key, kid=kid))
    impostor, meant = KEYS[named], KEYS[1 - named]
    thumbprint = meant.public.thumbprint
    await name_after(database, impostor, thumbprint)
    revocation = make_revocation(thumbprint, client_id=client_id, compromised=True)

    _, ended = await partner_store.end_key(connection, QUERIES, revocation)
    again = await refusal_of(partner_store.end_key(connection, QUERIES, revocation))

    stored = await partner_store.list_keys(connection, QUERIES, "huoyun-platform")
    assert ended.thumbprint == thumbprint
    assert again == (ErrorKind.CONFLICT, "key_compromised")
    assert {key.thumbprint: key.state for key in stored} == {
        thumbprint: KeyState.COMPROMISED,
        impostor.public.thumbprint: KeyState.ACTIVE,
    }


async def test_a_thumbprint_of_another_clients_key_is_no_name_of_ones_own(database, connection):
    """Said together with the wrong client it is nobody's, even if that client calls a key so."""
    await partner_store.add_partner(connection, QUERIES, make_partner("a-second"), NOW)
    await partner_store.add_key(connection, QUERIES, make_addition(KEYS[0]))
    await partner_store.add_key(connection, QUERIES, make_addition(KEYS[1], client_id="a-second"))
    await name_after(database, KEYS[1], KEYS[0].public.thumbprint)

    wrong = make_revocation(KEYS[0].public.thumbprint, client_id="a-second", compromised=True)

    assert await refusal_of(partner_store.end_key(connection, QUERIES, wrong)) == (ErrorKind.NOT_FOUND, "key_unknown")


async def test_a_name_of_two_keys_is_a_conflict(database, connection):
    """A rule of the database keeps names apart; where somebody took it away, a guess would end the wrong key."""
    for key, kid in zip(KEYS[:2], ("first", "second"), strict=True):
        await partner_store.add_key(connection, QUERIES, make_addition(key, kid=kid))
    owner = await database.connect()
    await owner.execute("ALTER TABLE identity.partner_key DROP CONSTRAINT partner_key_partner_id_kid_key")
    await owner.close()
    await name_after(database, KEYS[1], "first")

    ended = partner_store.end_key(connection, QUERIES, make_revocation("first", client_id="huoyun-platform"))

    assert await refusal_of(ended) == (ErrorKind.CONFLICT, "key_ambiguous")
    stored = await partner_store.list_keys(connection, QUERIES, "huoyun-platform")
    assert {key.state for key in stored} == {KeyState.ACTIVE}


async def test_a_key_nobody_has_is_not_found(connection):
    for key, client_id in ((KEYS[3].public.thumbprint, None), ("no-such", "huoyun-platform"), ("no-such", None)):
        ended = partner_store.end_key(connection, QUERIES, make_revocation(key, client_id=client_id))
        assert await refusal_of(ended) == (ErrorKind.NOT_FOUND, "key_unknown")


async def test_a_change_that_is_rolled_back_did_not_happen(connection):
    transaction = connection.transaction()
    await transaction.start()
    await partner_store.add_key(connection, QUERIES, make_addition(KEYS[0]))
    await transaction.rollback()

    assert await partner_store.list_keys(connection, QUERIES, "huoyun-platform") == ()
