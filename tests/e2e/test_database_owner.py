"""Whoever owns the database cannot use us: tried as a superuser with triggers off, through the front door.

After each of these nothing is answered, nothing is signed, every process of the host says why, and an operator can mend it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.audit.batch_mac import BatchMac, TreePoint
from gateway.audit.guard import Doubt
from gateway.audit.merkle import EMPTY_FRONTIER, Frontier, leaf_hash
from gateway.base.secret import Secret
from gateway.wiring import open_worker
from gateway.wiring.log import guard_file
from gateway.wiring.worker import readiness
from tests.conftest import ORIGIN, Database, fresh_database
from tests.fakes import gateway as kit
from tests.fakes.gateway import Gateway, PartnerClient, running_gateway
from tests.fakes.owner import CHECKPOINT, Owner, assert_stopped, commit_one, copy_tables, owning, public

ASK = "/v1/verifications"


@pytest.fixture
async def gateway(database: Database, tmp_path) -> AsyncIterator[Gateway]:
    async with running_gateway(database, tmp_path) as running:
        yield running


@pytest.fixture
async def partner(gateway: Gateway) -> PartnerClient:
    client = await gateway.partner()
    for _ in range(3):
        assert (await client.verify(kit.CLEAR))[0] == 200
    return client


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[Owner]:
    async with owning(database) as playing:
        yield playing


# Appending -----------------------------------------------------------------------------------------------------------


async def test_leaves_that_no_host_appended_are_neither_extended_nor_signed(gateway, partner, owner):
    """Consistent, complete and well-formed; the MAC is what the owner does not have."""
    await owner.append([b'{"never":"logged"}'], mac=None)

    await assert_stopped(gateway, partner, Doubt.UNAUTHENTICATED)


async def test_a_mac_under_a_key_of_the_owners_own_is_none(gateway, partner, owner):
    before = await owner.head()
    point = TreePoint(before["size"], before["root"])
    own = BatchMac(Secret(b"\x01" * 32), ORIGIN)
    grown = Frontier.from_bytes(before["size"], before["frontier"]).plan(1)
    after = grown.append([leaf_hash(b"own")], []).frontier if not grown.missing else None
    assert after is not None
    await owner.append([b"own"], mac=own.make(point, TreePoint(after.size, after.root)))

    await assert_stopped(gateway, partner, Doubt.UNAUTHENTICATED)


async def test_a_mac_taken_from_an_earlier_batch_is_none(gateway, partner, owner):
    mac = await owner.connection.fetchval("SELECT mac FROM audit.batch ORDER BY size DESC LIMIT 1")
    assert mac is not None
    await owner.append([b"own"], mac=mac)

    await assert_stopped(gateway, partner, Doubt.UNAUTHENTICATED)


async def test_a_batch_whose_mac_was_removed_is_not_signed_by_a_host_that_has_not_seen_it(gateway, partner, owner):
    """The host that appended it remembers; for everyone else it would be the owner's."""
    await owner.run("UPDATE audit.batch SET mac = NULL WHERE size = (SELECT size FROM audit.head)")
    head = await owner.head()
    guard = guard_file(gateway.settings)
    earlier = guard.read().points[-3]
    other = replace(gateway.settings, guard_dir=gateway.settings.guard_dir.with_name("other-host"))
    guard_file(other).create(earlier)

    async with open_worker(other, process="worker-9") as worker:
        assert await readiness(worker) == (Doubt.UNAUTHENTICATED,)
    assert earlier.size < head["size"]
    assert (await partner.verify(kit.CLEAR))[0] == 200  # the doubt is the other host's
    guard.close()


# Taking back ---------------------------------------------------------------------------------------------------------


async def test_a_restored_copy_is_not_extended(gateway, partner, owner):
    await owner.save()
    assert (await partner.verify(kit.SERIOUS))[0] == 200
    await owner.restore()

    await assert_stopped(gateway, partner, Doubt.ROLLED_BACK)


async def test_a_rollback_shows_while_nobody_asks_anything(gateway, partner, owner):
    await owner.save()
    assert (await partner.verify(kit.SERIOUS))[0] == 200
    assert await readiness(gateway.worker) == ()
    await owner.restore()

    assert await readiness(gateway.worker) == (Doubt.ROLLED_BACK,)


async def test_an_answer_that_was_taken_back_and_replaced_is_a_fork(gateway, partner, owner):
    """A deceived second host went on from the copy: genuine MACs, another history."""
    await owner.save()
    assert (await partner.verify(kit.SERIOUS))[0] == 200
    await owner.restore()
    elsewhere = replace(gateway.settings, guard_dir=gateway.settings.guard_dir.with_name("other-host"))
    head = await owner.head()
    guard_file(elsewhere).create(TreePoint(head["size"], head["root"]))
    async with open_worker(elsewhere, process="worker-9") as deceived:
        assert await readiness(deceived) == ()
        for _ in range(3):
            await commit_one(deceived)

    await assert_stopped(gateway, partner, Doubt.FORKED)


async def test_an_empty_log_in_its_place_is_not_extended(gateway, partner, owner):
    async with owner.connection.transaction():
        await owner.run("UPDATE audit.head SET size = 0, root = $1, frontier = ''", EMPTY_FRONTIER.root)
        await owner.run("DELETE FROM audit.batch WHERE size > 0")
        for table in ("entry", "secret", "tile"):
            await owner.run(f"DELETE FROM audit.{table}")

    await assert_stopped(gateway, partner, Doubt.ROLLED_BACK)


async def test_a_writer_on_a_copy_stops_the_signing_of_the_host(gateway, partner, owner, postgres):
    """Two processes of one host on two databases: one of them signs first, then the other finds out, and both stop."""
    await owner.save()
    copy = await fresh_database(postgres)
    try:
        await copy_tables(owner.connection, copy)
        there = replace(gateway.settings, database_dsn=Secret(copy.dsn_of("gateway_api").encode()))
        async with open_worker(there, process="worker-9") as second:
            assert await readiness(second) == ("no_feed_applied",)  # the log agrees so far
            assert (await partner.verify(kit.CLEAR))[0] == 200

            assert await readiness(second) == (Doubt.ROLLED_BACK,)
            await assert_stopped(gateway, partner, Doubt.ROLLED_BACK)
    finally:
        await postgres.drop_database(copy.name)


# Showing for a moment ------------------------------------------------------------------------------------------------


async def test_a_head_row_put_there_for_a_second_is_not_signed_and_not_forgotten(gateway, partner, owner):
    """A tree of one leaf that was never logged: with its checkpoint signed, a receipt of that leaf would verify."""
    true = await owner.head()
    root = leaf_hash(b"never logged")
    await owner.run("UPDATE audit.head SET size = 1, root = $1, frontier = $1", root)

    status, text = await public(gateway, CHECKPOINT)
    await owner.run(
        "UPDATE audit.head SET size = $1, root = $2, frontier = $3", true["size"], true["root"], true["frontier"]
    )

    assert status == 503
    assert ORIGIN not in text
    await assert_stopped(gateway, partner, Doubt.ROLLED_BACK)


@pytest.mark.parametrize("size", ["+ 1", "+ 1000"])
async def test_a_head_beyond_the_log_is_not_signed(gateway, partner, owner, size: str):
    await owner.run("ALTER TABLE audit.head DROP CONSTRAINT head_check")
    await owner.run(f"UPDATE audit.head SET size = size {size}, root = $1", b"\x01" * 32)

    assert (await public(gateway, CHECKPOINT))[0] == 503
    assert (await partner.verify(kit.CLEAR))[0] == 503
    assert guard_file(gateway.settings).read().doubt in {Doubt.UNAUTHENTICATED, Doubt.CONTRADICTS_HEAD}


async def test_another_root_in_the_head_is_not_signed(gateway, partner, owner):
    await owner.run("UPDATE audit.head SET root = $1", b"\x01" * 32)

    assert (await public(gateway, CHECKPOINT))[0] == 503
    await assert_stopped(gateway, partner, Doubt.FORKED)


async def test_one_changed_byte_of_the_frontier_gives_no_answer_on_a_wrong_tree(gateway, partner, owner):
    await owner.run("UPDATE audit.head SET frontier = set_byte(frontier, 5, get_byte(frontier, 5) # 1)")

    status, _headers, _problem = await partner.verify(kit.CLEAR)

    assert status == 503
    await assert_stopped(gateway, partner, Doubt.CONTRADICTS_HEAD)


@pytest.mark.parametrize("change", ["frontier || frontier", "''::bytea", "substr(frontier, 2)"])
async def test_a_frontier_of_another_length_is_a_contradiction(gateway, partner, owner, change: str):
    await owner.run("ALTER TABLE audit.head DROP CONSTRAINT head_check")
    await owner.run(f"UPDATE audit.head SET frontier = {change}")

    assert (await partner.verify(kit.CLEAR))[0] == 503
    await assert_stopped(gateway, partner, Doubt.CONTRADICTS_HEAD)


async def test_a_root_exchanged_in_a_batch_row_is_not_signed_for_an_answer_read_again(gateway, partner, owner):
    _status, _headers, first = await partner.verify(kit.CLEAR)
    for _ in range(40):  # more than the guard remembers
        await partner.verify(kit.CLEAR)
    index = await gateway.ask("SELECT leaf_index FROM audit.entry WHERE verification_id = $1", first["id"])
    await owner.run("UPDATE audit.batch SET root = $1 WHERE size = $2", b"\x01" * 32, index + 1)

    status, _headers, _body = await partner.send("GET", f"{ASK}/{first['id']}")

    assert status == 503
    await assert_stopped(gateway, partner, Doubt.FORKED)


async def test_a_leaf_hash_changed_before_its_tile_is_full_is_found_when_the_tile_is_cut(gateway, partner, owner):
    await owner.run("UPDATE audit.entry SET leaf_hash = $1 WHERE leaf_index = 2", b"\x01" * 32)
    status = 200
    for _ in range(300):
        if status != 200:
            break
        status, _headers, _body = await partner.verify(kit.CLEAR)

    assert status == 503
    await assert_stopped(gateway, partner, Doubt.CONTRADICTS_HEAD)


async def test_a_proof_from_rows_that_are_missing_is_a_doubt(gateway, partner, owner):
    await owner.run("DELETE FROM audit.entry WHERE leaf_index = 1")

    assert (await public(gateway, "/v1/log/proofs/inclusion?index=0"))[0] >= 500
    await assert_stopped(gateway, partner, Doubt.CONTRADICTS_HEAD)
