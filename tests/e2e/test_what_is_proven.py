"""What remains possible, and for whom: the sentences of ``docs/what-is-proven.md`` that no other test shows.

Several of these show an attack that succeeds. They are here so that the page cannot promise more than the code keeps.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.audit.batch_mac import TreePoint
from gateway.audit.checkpoint import parse_checkpoint
from gateway.audit.merkle import Frontier, leaf_hash
from gateway.audit.note import NoteSigner
from gateway.audit.plaintext import open_plaintext
from gateway.audit.policy import Policy
from gateway.audit.proofs import ProofError, verify_consistency
from gateway.audit.receipt import verify_receipt
from gateway.audit.tiles import StoredTree
from gateway.base.canonical import parse_json_object
from gateway.base.codec import parse_b64
from gateway.base.crypto import Ed25519Signer
from gateway.base.host_keys import load_host_keys
from gateway.base.sealing import Sealer
from gateway.base.secret import Secret
from gateway.terminal.terminal import Exit
from gateway.wiring import open_worker
from gateway.wiring.log import guard_file, make_batch_mac, make_checkpoint_signer
from gateway.wiring.worker import readiness
from tests.conftest import Database, fresh_database
from tests.fakes import gateway as kit
from tests.fakes.gateway import Gateway, PartnerClient, running_gateway
from tests.fakes.memory_log import MemoryLog
from tests.fakes.owner import CHECKPOINT, Owner, commit_one, copy_tables, owning, public
from tests.fakes.typist import Typist

ASK = "/v1/verifications"
BUSINESS = "C-7316-4452"


@pytest.fixture
async def gateway(database: Database, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running_gateway(database, tmp_path) as running:
        yield running


@pytest.fixture
async def partner(gateway: Gateway) -> PartnerClient:
    client = await gateway.partner()
    await client.learn_nonces()
    return client


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[Owner]:
    async with owning(database) as playing:
        yield playing


@pytest.fixture
def typist(gateway: Gateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Typist:
    return Typist(gateway, tmp_path, capsys)


# Who has an answer with its receipt ----------------------------------------------------------------------------------


async def test_a_receipt_outlives_what_was_erased(gateway, partner, owner):
    _status, _headers, answer = await partner.send("POST", ASK, kit.question())
    answer_id = parse_json_object(answer)["id"]
    await owner.run(
        "DELETE FROM audit.secret WHERE leaf_index = (SELECT leaf_index FROM audit.entry WHERE verification_id = $1)",
        answer_id,
    )

    status, _headers, _problem = await partner.send("GET", f"{ASK}/{answer_id}")

    assert status == 404
    assert verify_receipt(answer, gateway.policy).answer_checked


async def test_a_receipt_outlives_its_log(database, tmp_path, capsys):
    async with running_gateway(database, tmp_path) as gateway:
        typist = Typist(gateway, tmp_path, capsys)
        partner = await gateway.partner()
        _status, _headers, answer = await partner.send("POST", ASK, kit.question())
    code, _said = await typist.act("succeed", "--log-id", 2, "--origin", "audit.test.example/log2", as_owner=True)

    assert code == Exit.OK
    assert verify_receipt(answer, gateway.policy).answer_checked


async def test_an_answer_names_the_version_it_was_made_from(gateway, partner):
    _status, _headers, answer = await partner.verify(kit.CLEAR)

    version = await gateway.ask("SELECT version FROM replica.feed_head")
    assert (answer["feed"], answer["feed_version"]) == (gateway.settings.feed_name, version)


# Who watches checkpoints, and who holds the log key ------------------------------------------------------------------


async def watched(gateway: Gateway, policy: Policy) -> TreePoint:
    """Fetch a checkpoint as a watcher does, and keep what it says."""
    _status, text = await public(gateway, CHECKPOINT)
    checkpoint = policy.open_checkpoint(text.encode()).checkpoint
    return TreePoint(checkpoint.size, checkpoint.root)


def forge(gateway: Gateway, leaves: list[bytes]) -> tuple[MemoryLog, str]:
    """Return a tree of one's own and a checkpoint of it, signed with the stolen log key."""
    keys = load_host_keys(gateway.settings)
    fork = MemoryLog()
    fork.append(leaves)
    signer = make_checkpoint_signer(gateway.settings, keys)
    assert str(NoteSigner(gateway.settings.log_origin, Ed25519Signer(keys.log_signing)).key) == signer.vkey
    return fork, signer.sign(fork.frontier.size, fork.frontier.root)


async def test_the_holder_of_the_log_key_can_sign_a_fork_and_a_watcher_sees_it(gateway, partner):
    """The forged checkpoint opens with everybody's policy; it cannot be led back to the one the watcher kept."""
    _status, _headers, answer = await partner.send("POST", ASK, kit.question())
    kept = await watched(gateway, gateway.policy)
    fork, text = forge(gateway, [b"never logged %d" % n for n in range(kept.size + 5)])

    forged = gateway.policy.open_checkpoint(text.encode()).checkpoint

    proof = await StoredTree(fork, forged.size).consistency(kept.size, forged.size)
    with pytest.raises(ProofError):
        verify_consistency(
            old_size=kept.size, old_root=kept.root, new_size=forged.size, new_root=forged.root, path=proof
        )
    assert verify_receipt(answer, gateway.policy).answer_checked  # what was signed before stays as it is


async def test_a_watcher_that_has_not_looked_since_sees_nothing(gateway, partner, owner):
    """A fork that leaves the log behind the kept checkpoint is consistent with it, like the log itself."""
    kept = await watched(gateway, gateway.policy)
    rows = await owner.connection.fetch("SELECT leaf FROM audit.entry ORDER BY leaf_index")
    await partner.verify(kit.CLEAR)
    fork, text = forge(gateway, [*(row["leaf"] for row in rows), b"never logged"])
    forged = parse_checkpoint(text.partition("\n\n")[0].encode() + b"\n")

    proof = await StoredTree(fork, forged.size).consistency(kept.size, forged.size)

    verify_consistency(old_size=kept.size, old_root=kept.root, new_size=forged.size, new_root=forged.root, path=proof)
    later = await watched(gateway, gateway.policy)
    assert later.size >= forged.size
    with pytest.raises(ProofError):
        verify_consistency(
            old_size=forged.size,
            old_root=forged.root,
            new_size=later.size,
            new_root=later.root,
            path=await consistency(gateway, forged.size, later.size),
        )


async def consistency(gateway: Gateway, old: int, new: int) -> list[bytes]:
    _status, text = await public(gateway, f"/v1/log/proofs/consistency?from={old}&to={new}")
    return [parse_b64(digest) for digest in parse_json_object(text.encode())["hashes"]]


# An operator ---------------------------------------------------------------------------------------------------------


async def test_what_an_operators_own_partner_does_is_on_record(gateway):
    own = await gateway.partner("operators-own")
    assert (await own.verify(kit.SERIOUS))[0] == 200

    mine = await gateway.ask("SELECT partner_id FROM identity.partner WHERE client_id = 'operators-own'")
    assert [leaf["op"] for leaf in await gateway.leaves(partner=mine)] == [
        "partner.add",
        "key.add",
        "token.issue",
        "verification.create",
    ]


# The owner of the database -------------------------------------------------------------------------------------------


async def test_the_database_holds_no_question_and_no_answer_in_the_clear(partner, owner):
    """Who, when, for what and with which outcome is there; about whom, with which reference, and what was answered is not."""
    _status, _headers, answer = await partner.verify(kit.SERIOUS, business_ref=BUSINESS)
    tables = await owner.connection.fetch(
        "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('audit', 'identity')"
    )

    texts = [
        text for (table,) in tables for (text,) in await owner.connection.fetch(f"SELECT t::text FROM {table} AS t")
    ]

    flag = answer["flags"][0]["record_id"]
    for secret in (kit.SERIOUS, BUSINESS, flag):
        assert not [text for text in texts if secret in text or secret.encode().hex() in text], secret
    said = await owner.connection.fetchrow(
        "SELECT partner_id, purpose, decision FROM audit.entry WHERE verification_id = $1", answer["id"]
    )
    assert (said["purpose"], said["decision"]) == ("onboarding", "allow:restricted")
    assert await owner.connection.fetchval("SELECT count(*) FROM replica.subject WHERE uscc = $1", kit.SERIOUS) == 1


async def test_between_two_rounds_the_owner_can_change_an_answer(partner, owner):
    """Until the next comparison. The answer names its version, whose signed file says otherwise."""
    _status, _headers, before = await partner.verify(kit.SERIOUS)
    await owner.run("DELETE FROM replica.record WHERE subject_key = $1", kit.SERIOUS)

    _status, _headers, after = await partner.verify(kit.SERIOUS)

    assert (before["outcome"], after["outcome"]) == ("restricted", "clear")
    assert after["feed_version"] == before["feed_version"]


async def test_a_deleted_one_time_id_lets_a_fresh_proof_in_again_and_fsck_names_it(partner, owner, typist):
    proof = partner.proof("POST", ASK)
    first, _headers, _body = await partner.send("POST", ASK, kit.question(), proof=proof)
    replayed, _headers, _body = await partner.send("POST", ASK, kit.question(), proof=proof)
    used = parse_json_object(
        await owner.connection.fetchval(
            "SELECT leaf FROM audit.entry WHERE kind = 'query' ORDER BY leaf_index DESC LIMIT 1"
        )
    )["req_id"]
    await owner.run("DELETE FROM audit.request WHERE req_id = $1", bytes.fromhex(used))

    again, _headers, _body = await partner.send("POST", ASK, kit.question(), proof=proof)
    await owner.run("DELETE FROM audit.request WHERE req_id = $1", bytes.fromhex(used))

    assert (first, replayed, again) == (200, 401, 200)
    assert "request_missing" in await faults_of(typist)


async def test_a_hidden_revocation_revives_a_key_until_fsck_reads_the_log(partner, owner, typist):
    row = "SELECT state, revoked_ms FROM identity.partner_key WHERE thumbprint = $1"
    thumbprint = partner.key.public.thumbprint
    live = await owner.connection.fetchrow(row, thumbprint)
    code, said = await typist.type("key", "revoke", thumbprint, "--compromised")
    assert code == Exit.OK, said
    revocation = await owner.connection.fetchval("SELECT max(leaf_index) FROM audit.entry WHERE op = 'key.revoke'")
    await owner.run(
        "UPDATE identity.partner_key SET state = $2, revoked_ms = $3 WHERE thumbprint = $1",
        thumbprint,
        live["state"],
        live["revoked_ms"],
    )
    await owner.run("UPDATE audit.entry SET kind = 'read', partner_id = NULL WHERE leaf_index = $1", revocation)

    assert await partner.sign_in()
    assert "entry_kind" in await faults_of(typist)


async def test_a_guard_restored_with_the_database_is_noticed_only_from_outside(
    gateway, partner, owner, typist, tmp_path
):
    """Every host of the log and its database are taken back together: who kept a later checkpoint can show it."""
    await owner.save()
    guard = guard_file(gateway.settings)
    guard_then = guard.file.read_bytes()
    assert (await partner.verify(kit.CLEAR))[0] == 200
    kept = tmp_path / "kept.txt"
    kept.write_text((await public(gateway, CHECKPOINT))[1])
    await owner.restore()
    guard.file.write_bytes(guard_then)

    async with open_worker(gateway.settings, process="worker-9") as worker:
        assert await readiness(worker) == ()

    assert await faults_of(typist) == set()
    assert "checkpoint_beyond_head" in await faults_of(typist, "--against", kept)


async def test_a_revived_row_lets_issued_tokens_on_for_the_rest_of_their_life(partner, owner, typist):
    assert (await partner.verify(kit.CLEAR))[0] == 200
    assert (await typist.type("key", "revoke", partner.key.public.thumbprint, "--compromised"))[0] == Exit.OK
    refused = (await partner.verify(kit.CLEAR))[0]
    await owner.run("UPDATE identity.partner_key SET state = 'active', revoked_ms = NULL")

    revived = (await partner.verify(kit.CLEAR))[0]
    with pytest.raises(AssertionError, match="invalid_client"):
        await partner.sign_in()

    assert (refused, revived) == (401, 200)
    assert {"key_row", "credential_revoked"} <= await faults_of(typist)


@pytest.fixture
def servers_folder() -> Iterator[str]:
    """A folder that the database server, another user, can write to."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o777)
        yield folder


@pytest.mark.slow
async def test_a_batch_that_was_given_up_can_be_put_in_later_and_fsck_names_its_missing_ids(
    gateway, partner, owner, typist, servers_folder
):
    """A deferred trigger copies the rows, MAC and all, and makes COMMIT fail: they are a batch that a host has made."""
    await owner.run("SET session_replication_role = origin")
    await owner.run(GIVE_UP.replace("FOLDER", servers_folder))
    size = (await owner.head())["size"]

    status, _headers, _problem = await partner.verify(kit.CLEAR)

    assert (status, (await owner.head())["size"]) == (503, size)
    await owner.run("DROP TRIGGER give_up ON audit.batch; DROP FUNCTION public.give_up()")
    await owner.run("SET session_replication_role = replica")
    async with owner.connection.transaction():
        for table in ("entry", "secret", "batch"):
            await owner.run(f"COPY audit.{table} FROM '{servers_folder}/{table}'")
        await owner.run("DELETE FROM audit.head")
        await owner.run(f"COPY audit.head FROM '{servers_folder}/head'")
    while await readiness(gateway.worker):  # commits had failed: it finds out that they work again
        await gateway.worker.probe.tried()
    assert guard_file(gateway.settings).read().last.size > size
    assert await faults_of(typist) == {"request_missing"}


GIVE_UP = """
CREATE FUNCTION public.give_up() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    EXECUTE format('COPY (SELECT * FROM audit.batch WHERE size = %s) TO ''FOLDER/batch''', NEW.size);
    EXECUTE format('COPY (SELECT * FROM audit.entry WHERE leaf_index >= %s) TO ''FOLDER/entry''', NEW.prev_size);
    EXECUTE format('COPY (SELECT * FROM audit.secret WHERE leaf_index >= %s) TO ''FOLDER/secret''', NEW.prev_size);
    EXECUTE 'COPY (SELECT * FROM audit.head) TO ''FOLDER/head''';
    RAISE EXCEPTION 'given up';
END $$;
CREATE CONSTRAINT TRIGGER give_up AFTER INSERT ON audit.batch DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION public.give_up();
"""


async def test_two_hosts_that_are_shown_two_copies_go_on_and_two_checkpoints_show_it(gateway, partner, owner, postgres):
    head = await owner.head()
    other = replace(gateway.settings, guard_dir=gateway.settings.guard_dir.with_name("other-host"))
    guard_file(other).create(TreePoint(head["size"], head["root"]))
    copy = await fresh_database(postgres)
    try:
        await copy_tables(owner.connection, copy)
        there = replace(other, database_dsn=Secret(copy.dsn_of("gateway_api").encode()))
        async with open_worker(there, process="worker-9") as second:
            await commit_one(second)
            assert (await partner.verify(kit.CLEAR))[0] == 200
            here = await watched(gateway, gateway.policy)
            elsewhere = gateway.policy.open_checkpoint((await second.log.checkpoint()).encode()).checkpoint
            assert second.guardian.state().doubt is None
    finally:
        await postgres.drop_database(copy.name)

    assert gateway.worker.guardian.state().doubt is None
    assert (here.size, here.root != elsewhere.root) == (elsewhere.size, True)


async def test_a_power_cut_can_take_the_guards_last_moment(gateway, partner, owner):
    """The page cache held it, the disk did not: the guard comes back a moment older, and the log with it."""
    await owner.save()
    guard = guard_file(gateway.settings)
    on_disk = guard.file.read_bytes()
    assert (await partner.verify(kit.CLEAR))[0] == 200
    lost = await watched(gateway, gateway.policy)
    await owner.restore()
    guard.file.write_bytes(on_disk)

    async with open_worker(gateway.settings, process="worker-0") as after_the_cut:
        assert await readiness(after_the_cut) == ()
        await commit_one(after_the_cut)
        now = gateway.policy.open_checkpoint((await after_the_cut.log.checkpoint()).encode()).checkpoint

    assert (now.size, now.root != lost.root) == (lost.size, True)


async def test_a_host_that_starts_on_an_empty_log_guards_from_nothing_on(gateway, partner, owner, postgres):
    empty = await fresh_database(postgres)
    other = replace(gateway.settings, guard_dir=gateway.settings.guard_dir.with_name("other-host"))
    there = replace(other, database_dsn=Secret(empty.dsn_of("gateway_api").encode()))
    try:
        async with open_worker(there, process="worker-9") as worker:
            assert worker.guardian.state().last.size == 0
    finally:
        await postgres.drop_database(empty.name)

    async with open_worker(other, process="worker-9") as worker:
        assert await readiness(worker) == ()
    assert await gateway.leaves(op="log.join") == []
    assert (await partner.verify(kit.CLEAR))[0] == 200
    assert (await owner.head())["size"] > 0


async def test_a_log_that_was_taken_back_behind_its_guard_is_noticed_inside(gateway, partner, owner, typist):
    """The check of the log compares it with what this host has signed, without being told to."""
    await owner.save()
    assert (await partner.verify(kit.CLEAR))[0] == 200
    await owner.restore()

    assert await faults_of(typist) == {"checkpoint_beyond_head"}

    guard_file(gateway.settings).file.unlink()
    code, said = await typist.type("audit", "fsck", "--json")
    assert (code, parse_json_object(said.encode())["guard"]) == (Exit.OK, None)
    assert "no guard" in (await typist.type("audit", "fsck"))[1]


async def faults_of(typist: Typist, *words: object) -> set[str]:
    """Return the codes of what the check of the log finds."""
    code, said = await typist.type("audit", "fsck", "--json", *words)
    document, _end = json.JSONDecoder().raw_decode(said)  # what stands on stderr comes behind it
    found = {fault["code"] for fault in document["faults"]}
    assert code == (Exit.INTEGRITY if found else Exit.OK)
    return found


# Who holds a host's keys ---------------------------------------------------------------------------------------------


async def test_the_holder_of_the_mac_key_can_append_and_what_was_appended_stays(gateway, partner, owner):
    keys = load_host_keys(gateway.settings)
    head = await owner.head()
    frontier = Frontier.from_bytes(head["size"], head["frontier"])
    grown = frontier.plan(1).append([leaf_hash(b"forged")], []).frontier
    mac = make_batch_mac(gateway.settings, keys).make(
        TreePoint(frontier.size, frontier.root), TreePoint(grown.size, grown.root)
    )
    await owner.append([b"forged"], mac=mac)

    assert (await partner.verify(kit.CLEAR))[0] == 200
    assert await readiness(gateway.worker) == ()
    assert (
        await owner.connection.fetchval("SELECT leaf FROM audit.entry WHERE leaf_index = $1", head["size"]) == b"forged"
    )


async def test_the_holder_of_the_sealing_key_reads_what_was_sealed(gateway, partner, owner):
    await partner.verify(kit.SERIOUS, business_ref=BUSINESS)
    row = await owner.connection.fetchrow(
        "SELECT e.leaf, s.salt, s.sealed, s.key_id FROM audit.entry AS e JOIN audit.secret AS s USING (log_id, leaf_index) "
        "WHERE e.kind = 'query' ORDER BY leaf_index DESC LIMIT 1"
    )
    stolen = Sealer({1: load_host_keys(gateway.settings).sealing}, current=1)

    opened = open_plaintext(stolen, row["sealed"], leaf_hash(row["leaf"]), row["salt"], row["key_id"])

    assert BUSINESS.encode() in opened
    assert kit.SERIOUS.encode() in opened
