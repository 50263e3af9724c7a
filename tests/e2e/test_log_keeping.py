"""What an operator does about the log: begin to guard it, resolve a doubt, open a successor. Typed as commands."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.audit.batch_mac import TreePoint
from gateway.audit.guard import Doubt
from gateway.base.canonical import parse_json_object
from gateway.terminal.terminal import Exit
from gateway.wiring import open_log_keeping, open_worker
from gateway.wiring.log import guard_file
from gateway.wiring.worker import readiness
from tests.conftest import ORIGIN, Database
from tests.fakes import gateway as kit
from tests.fakes.gateway import Gateway, PartnerClient, running_gateway
from tests.fakes.owner import CHECKPOINT, Owner, assert_stopped, commit_one, owning, public
from tests.fakes.typist import Typist


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


@pytest.fixture
def typist(gateway: Gateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Typist:
    return Typist(gateway, tmp_path, capsys)


# The guard itself ----------------------------------------------------------------------------------------------------


async def test_a_host_without_its_guard_signs_nothing_until_it_has_joined(gateway, partner, typist, tmp_path):
    checkpoint = tmp_path / "kept.txt"
    _status, text = await public(gateway, CHECKPOINT)
    checkpoint.write_text(text)
    assert (await partner.verify(kit.CLEAR))[0] == 200
    guard_file(gateway.settings).file.unlink()
    async with open_worker(gateway.settings, process="worker-9") as worker:
        assert await readiness(worker) == (Doubt.GUARD_MISSING,)

        joined = await typist.act("join", "--against", checkpoint, "--policy", typist.policy)

        assert joined[0] == Exit.OK
        assert await readiness(worker) == ()
        await commit_one(worker)
    assert (await gateway.leaves(op="log.join"))[0]["t"] == "config"


async def test_a_host_does_not_join_a_log_that_contradicts_what_somebody_kept(
    gateway, partner, owner, tmp_path, typist
):
    """The checkpoint is genuine; the database was taken back behind it."""
    await owner.save()
    assert (await partner.verify(kit.CLEAR))[0] == 200
    checkpoint = tmp_path / "kept.txt"
    checkpoint.write_text((await public(gateway, CHECKPOINT))[1])
    await owner.restore()
    guard_file(gateway.settings).file.unlink()

    code, said = await typist.act("join", "--against", checkpoint, "--policy", typist.policy)

    assert code == Exit.INTEGRITY
    assert "shorter" in said
    assert not guard_file(gateway.settings).exists()


async def test_a_doubt_is_resolved_only_when_the_right_database_is_back(gateway, partner, owner, typist):
    await owner.save()
    true = await owner.head()
    await owner.run("UPDATE audit.head SET size = 1, root = $1, frontier = $1", b"\x01" * 32)
    await assert_stopped(gateway, partner, Doubt.ROLLED_BACK)

    refused = await typist.act("resolve")
    await owner.run(
        "UPDATE audit.head SET size = $1, root = $2, frontier = $3", true["size"], true["root"], true["frontier"]
    )
    await assert_stopped(gateway, partner, Doubt.ROLLED_BACK)
    standing = await typist.log("status")
    resolved = await typist.act("resolve")

    assert refused[0] == Exit.INTEGRITY
    assert (standing[0], "agrees now" in standing[1]) == (Exit.INTEGRITY, True)
    assert resolved[0] == Exit.OK
    assert (await partner.verify(kit.CLEAR))[0] == 200
    assert await readiness(gateway.worker) == ()
    assert len(await gateway.leaves(op="log.resolve")) == 1
    assert (await typist.log("status"))[0] == Exit.OK
    assert (await typist.act("resolve"))[0] == Exit.CONFLICT


# The successor -------------------------------------------------------------------------------------------------------

NEW = f"{ORIGIN}-2"
SUCCEED = ("succeed", "--log-id", 2, "--origin", NEW)


@pytest.fixture
async def stopped(database: Database, owner: Owner, tmp_path: Path, capsys) -> tuple[Typist, TreePoint]:
    """A log whose last answer a restored backup has lost, on a host that has been stopped; and what that host had signed."""
    async with running_gateway(database, tmp_path) as gateway:
        typist = Typist(gateway, tmp_path, capsys)
        partner = await gateway.partner()
        await owner.save()
        assert (await partner.verify(kit.CLEAR))[0] == 200
        signed = guard_file(gateway.settings).read().last
        await owner.restore()
        await assert_stopped(gateway, partner, Doubt.ROLLED_BACK)
        code, said = await typist.act(*SUCCEED, as_owner=True)
        assert (code, "still connected" in said) == (Exit.CONFLICT, True)
    return typist, signed


async def test_a_lost_log_is_succeeded_by_one_that_names_it(stopped, owner):
    """The old log ends; the new one begins with what this host had signed of it."""
    typist, signed = stopped

    code, said = await typist.act(*SUCCEED, as_owner=True)

    assert code == Exit.OK
    assert "GATEWAY_LOG_ID=2" in said
    leaf = parse_json_object(await owner.connection.fetchval("SELECT leaf FROM audit.entry WHERE log_id = 2"))
    assert (leaf["op"], leaf["t"], leaf["log"]) == ("log.succeed", "config", NEW)
    settings = replace(typist.gateway.settings, log_id=2, log_origin=NEW)
    said = (await typist.opened(settings))["args"]
    assert (said["predecessor"], said["last"]["size"], said["by"]) == (ORIGIN, signed.size, "test")


async def test_the_successor_is_served_and_the_old_log_no_more(stopped):
    typist, _signed = stopped
    old = typist.gateway.settings
    assert (await typist.act(*SUCCEED, as_owner=True))[0] == Exit.OK
    new = replace(old, log_id=2, log_origin=NEW)

    async with open_worker(new, process="worker-0") as worker:
        assert await readiness(worker) == ()
        await commit_one(worker)
    async with open_worker(old, process="worker-0") as worker:
        assert await readiness(worker) == (Doubt.ROLLED_BACK,)
    async with open_log_keeping(new) as keeping:
        standing = await keeping.standing()

    assert (standing.verdict, standing.head.size) == (None, 2)


async def test_another_host_that_was_not_told_does_not_go_on_with_the_old_log(stopped, owner):
    typist, _signed = stopped
    head = await owner.head()
    other = replace(typist.gateway.settings, guard_dir=typist.folder / "other-host")
    guard_file(other).create(TreePoint(head["size"], head["root"]))
    assert (await typist.act(*SUCCEED, as_owner=True))[0] == Exit.OK

    async with open_worker(other, process="worker-0") as worker:
        assert await readiness(worker) == (Doubt.CLOSED,)


async def test_the_ceremony_is_held_once(stopped):
    typist, _signed = stopped
    assert (await typist.act(*SUCCEED, as_owner=True))[0] == Exit.OK

    assert (await typist.act(*SUCCEED, as_owner=True))[0] == Exit.CONFLICT


async def test_the_ceremony_needs_the_rights_of_the_owner(stopped):
    typist, _signed = stopped

    code, said = await typist.act(*SUCCEED)

    assert (code, "as for migrate" in said) == (Exit.FAILED, True)


async def test_a_proof_used_in_the_old_log_is_known_to_the_successor(stopped, owner):
    typist, _signed = stopped
    used = await owner.connection.fetch("SELECT req_id FROM audit.request WHERE log_id = 1 ORDER BY req_id")
    assert used

    assert (await typist.act(*SUCCEED, as_owner=True))[0] == Exit.OK

    assert await owner.connection.fetch("SELECT req_id FROM audit.request WHERE log_id = 2 ORDER BY req_id") == used


async def test_both_logs_are_sound_after_the_ceremony(database, tmp_path, capsys, owner):
    """Partners, keys and one-time ids outlive the old log; the new one's check knows where they come from."""
    async with running_gateway(database, tmp_path) as gateway:
        typist = Typist(gateway, tmp_path, capsys)
        partner = await gateway.partner()
        assert (await partner.verify(kit.CLEAR))[0] == 200
    new = replace(gateway.settings, log_id=2, log_origin=NEW)
    assert (await typist.act(*SUCCEED, as_owner=True))[0] == Exit.OK
    revoked = await typist.type("key", "revoke", partner.key.public.thumbprint, "--compromised", settings=new)
    assert revoked[0] == Exit.OK, revoked[1]

    for settings in (gateway.settings, new):
        code, said = await typist.type("audit", "fsck", "--json", settings=settings)
        assert (code, json.loads(said)["faults"]) == (Exit.OK, [])
    await owner.run(
        "INSERT INTO audit.request SELECT 2, req_day, decode(repeat('ab', 16), 'hex') FROM audit.request WHERE log_id = 1 LIMIT 1"
    )
    await owner.run("UPDATE identity.partner_key SET state = 'active', revoked_ms = NULL")

    code, said = await typist.type("audit", "fsck", "--json", settings=new)
    assert {fault["code"] for fault in json.loads(said)["faults"]} == {"request_extra", "key_row"}


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [
        (("succeed", "--log-id", "2", "--origin", "no spaces allowed"), Exit.USAGE),
        (("succeed", "--log-id", "0", "--origin", NEW), Exit.USAGE),
        (("join",), Exit.USAGE),
        (("join", "--trust-database", "--against", "x", "--policy", "y"), Exit.USAGE),
        (("join", "--trust-database"), Exit.CONFLICT),
        (("resolve", "--reason", ""), Exit.USAGE),
    ],
)
async def test_what_makes_no_sense_is_refused(typist, words, exit_code):
    reason = () if "--reason" in words else ("--reason", "tried")

    assert (await typist.log(*words, "--by", "test", *reason))[0] == exit_code


# What comes first ----------------------------------------------------------------------------------------------------


async def test_an_act_whose_leaf_cannot_be_committed_changes_nothing(gateway, partner, owner, typist):
    """The leaf first, then the guard: an operator who is stopped in between has changed nothing without a record."""
    true = await owner.head()
    await owner.run("UPDATE audit.head SET size = 1, root = $1, frontier = $1", b"\x01" * 32)
    await assert_stopped(gateway, partner, Doubt.ROLLED_BACK)
    await owner.run(
        "UPDATE audit.head SET size = $1, root = $2, frontier = $3", true["size"], true["root"], true["frontier"]
    )
    await owner.run("REVOKE INSERT ON audit.entry FROM gateway_admin")

    code, _said = await typist.act("resolve")

    assert code == Exit.UNHEALTHY
    assert guard_file(gateway.settings).read().doubt is Doubt.ROLLED_BACK
    assert await gateway.leaves(op="log.resolve") == []


async def test_a_host_that_cannot_say_that_it_joined_has_not_joined(gateway, owner, typist):
    await gateway.partner()
    guard_file(gateway.settings).file.unlink()
    await owner.run("REVOKE INSERT ON audit.entry FROM gateway_admin")

    code, _said = await typist.act("join", "--trust-database")

    assert code == Exit.UNHEALTHY
    assert not guard_file(gateway.settings).exists()


async def test_a_log_that_was_called_closed_for_a_moment_is_resolved_like_any_doubt(gateway, partner, owner, typist):
    await owner.run("UPDATE audit.log SET frozen_ms = 1")
    assert await readiness(gateway.worker) == (Doubt.CLOSED,)
    await assert_stopped(gateway, partner, Doubt.CLOSED)
    assert (await typist.act("resolve"))[0] == Exit.INTEGRITY
    await owner.run("UPDATE audit.log SET frozen_ms = NULL")

    assert (await typist.act("resolve"))[0] == Exit.OK
    assert (await partner.verify(kit.CLEAR))[0] == 200
