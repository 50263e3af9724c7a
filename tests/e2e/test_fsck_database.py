"""The check of the log against the owner of its database: every way of changing what is stored, tried with triggers off, is named.

The log is one that a gateway has really written: answers, readings, refusals, replays, races, tokens, a revoked key, an erasure. Each
way is tried on a copy of it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from gateway.audit.entry import LeafKind
from gateway.audit.erasure import ERASE, render_erasure
from gateway.audit.fsck import fsck
from gateway.audit.fsck_against import KeptCheckpoint, read_kept
from gateway.audit.fsck_report import FsckReport
from gateway.base.canonical import canonical_json
from gateway.postgres.fsck_reader import PostgresFsckReader
from gateway.postgres.preflight import PreflightError, check_database
from gateway.postgres.queries import Queries
from gateway.wiring import open_operator
from tests.conftest import LOG_ID, ORIGIN, Database, fresh_database
from tests.fakes import gateway as kit
from tests.fakes.gateway import running_gateway
from tests.faults.checkers import checks_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = itertools.count()


@dataclass(frozen=True)
class Written:
    """A log as a gateway left it, and where its keys lie."""

    database: Database
    home: Path
    erased: int
    kept: tuple[KeptCheckpoint, ...]


async def write_everything(database: Database, home: Path) -> Written:
    """Make leaves of every kind; keep an answer with its receipt, and a checkpoint; erase one secret."""
    async with running_gateway(database, home) as gateway:
        one, two = await gateway.partner("partner-one"), await gateway.partner("partner-two")
        _status, _headers, answer = await one.verify(kit.CLEAR)
        await one.verify(kit.SERIOUS, headers={"Idempotency_Key": "key"})
        await one.verify(kit.SERIOUS, headers={"Idempotency_Key": "key"})
        await asyncio.gather(*(one.verify(kit.CLEAR, headers={"Idempotency_Key": "race"}) for _ in range(12)))
        await asyncio.gather(*(one.verify(kit.CLEAR) for _ in range(12)))
        await one.verify(kit.CLEAR, purpose="complaint")
        await one.send("GET", f"/v1/verifications/{answer['id']}")
        await one.send("GET", f"/v1/verifications/{answer['id']}/receipt")
        await two.send("GET", f"/v1/verifications/{answer['id']}")
        proof = one.proof("POST", "/v1/verifications")
        for _ in range(3):
            await one.send("POST", "/v1/verifications", kit.question(), proof=proof)
        await replay_tokens(one)
        async with open_operator(gateway.settings) as operator:
            await operator.revoke_key(two.key.public.thumbprint, client_id="partner-two", compromised=True)
            await asyncio.gather(*(two.verify(kit.CLEAR) for _ in range(5)))
            erased = await gateway.ask("SELECT leaf_index FROM audit.entry WHERE verification_id = $1", answer["id"])
            await operator.ledger.act(LeafKind.ERASURE, ERASE, render_erasure([(erased, erased)]), None)
        await gateway.ask("DELETE FROM audit.secret WHERE leaf_index = $1", erased)
        checkpoint = await one.raw("GET", "/v1/log/checkpoint")
        kept = tuple(
            read_kept(name, content, gateway.policy, ORIGIN)
            for name, content in (("answer", canonical_json(answer)), ("checkpoint", checkpoint.body))
        )
    return Written(database, home, int(erased), kept)


async def replay_tokens(client: kit.PartnerClient) -> None:
    """Use an assertion twice, a proof twice, and ask for what is not granted."""
    assertion = client.assertion()
    form = kit.token_form(assertion=assertion)
    proof = client.proof("POST", "/oauth2/token", nonce=client.nonces["as"], access_token=None)
    fresh = [client.proof("POST", "/oauth2/token", nonce=client.nonces["as"], access_token=None) for _ in range(2)]
    for form_sent, sent in [
        (form, proof),
        (form, fresh[0]),  # the assertion again
        (kit.token_form(assertion=client.assertion()), proof),  # the proof again
        (kit.token_form(assertion=client.assertion(), scope="everything"), fresh[1]),
    ]:
        await client.post_token(form_sent, sent)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def written(postgres, tmp_path_factory) -> AsyncIterator[Written]:
    """One log for all tests here; the gateway that wrote it has ended."""
    database = await fresh_database(postgres)
    home = tmp_path_factory.mktemp("written")
    yield await write_everything(database, home)
    await postgres.drop_database(database.name)


@pytest_asyncio.fixture(loop_scope="module")
async def copy(written: Written, postgres) -> AsyncIterator[Database]:
    """A copy of it, to be changed."""
    name = f"copy_{next(_numbers)}_{secrets.token_hex(3)}"
    await postgres.create_database(name, template=written.database.name)
    yield Database(postgres, name)
    await postgres.drop_database(name)


async def check(database: Database, home: Path, against: tuple[KeptCheckpoint, ...] = ()) -> FsckReport:
    """Check a log as its host does, with the operator's role."""
    pool = await asyncpg.create_pool(database.dsn_of("gateway_admin"), min_size=1, max_size=1)
    try:
        checks = dataclasses.replace(checks_of(home), against=against)
        return await fsck(PostgresFsckReader(pool, Queries.load(), log_id=LOG_ID), checks)
    finally:
        await pool.close()


async def own(database: Database, *statements: str) -> None:
    """Run statements as the owner of the database, triggers off; each changes something."""
    connection = await database.connect()
    try:
        await connection.execute("SET session_replication_role = replica")
        for statement in statements:
            status = await connection.execute(statement)
            assert not status.endswith(" 0"), f"nothing was changed: {statement}"
    finally:
        await connection.close()


async def test_a_log_with_leaves_of_all_kinds_is_clean(written: Written):
    """Nothing that a gateway does, whatever partners send, looks like tampering."""
    report = await check(written.database, written.home, written.kept)

    connection = await written.database.connect()
    kinds = {row["kind"] for row in await connection.fetch("SELECT DISTINCT kind FROM audit.entry")}
    denied = {row["decision"] for row in await connection.fetch("SELECT DISTINCT decision FROM audit.entry")}
    await connection.close()
    assert report.faults == ()
    assert report.clean
    assert kinds == {"query", "read", "deny", "token", "key", "partner", "erasure"}
    assert {"deny:replayed", "deny:revoked", "deny:purpose_not_allowed", "deny:not_found"} <= denied
    assert (report.secrets, report.unopened) == (report.leaves - 1, 0)
    assert report.requests > 30


KEPT = "verification_id IN (SELECT verification_id FROM audit.idempotency)"
ANSWER = f"(SELECT min(leaf_index) FROM audit.entry WHERE kind = 'query' AND {KEPT})"
OTHER = f"(SELECT max(leaf_index) FROM audit.entry WHERE kind = 'query' AND leaf_index <> {ANSWER})"
DENIED = "(SELECT min(leaf_index) FROM audit.entry WHERE kind = 'deny')"
LAST_BATCH = "(SELECT max(size) FROM audit.batch)"
MIDDLE_BATCH = "(SELECT max(size) FROM audit.batch WHERE size < (SELECT max(size) / 2 FROM audit.batch))"
FULL_BATCH = "(SELECT max(size) FROM audit.batch WHERE size - prev_size > 3)"
A_REQUEST = "(SELECT min(req_id) FROM audit.request)"
NEW_DAY = "(SELECT max(req_day) + 5 FROM audit.request)"


def entry(assignment: str, where: str = ANSWER) -> str:
    return f"UPDATE audit.entry SET {assignment} WHERE leaf_index = {where}"


def secret(assignment: str, where: str = ANSWER) -> str:
    return f"UPDATE audit.secret SET {assignment} WHERE leaf_index = {where}"


def request(assignment: str) -> str:
    return f"UPDATE audit.request SET {assignment} WHERE req_id = {A_REQUEST}"


def shifted(sign: str, by: str) -> list[str]:
    """Move the time of the last batch wherever it stands, and of all before it if it goes back."""
    which = "" if sign == "-" else " WHERE {} = (SELECT max({}) FROM {})"
    return [
        f"UPDATE audit.{table} SET {column} = {column} {sign} interval '{by}'"
        + which.format(column, column, f"audit.{table}")
        for table, column in (("batch", "ts"), ("entry", "logged_at"), ("secret", "logged_at"), ("head", "ts"))
    ]


ENTRY_COLUMNS = "leaf_hash, leaf, kind, partner_id, op, purpose, decision, subject_bidx, verification_id"
WAYS = {
    # Columns of entries
    "kind": ("entry_kind", [entry("kind = 'read'")]),
    "partner": ("entry_partner", [entry("partner_id = 'prt_00000000000000000000000000'")]),
    "partner-taken-away": ("entry_partner", [entry("partner_id = NULL")]),
    "operation": ("entry_operation", [entry("op = 'verification.read'")]),
    "purpose": ("entry_purpose", [entry("purpose = 'risk'")]),
    "decision": (
        "entry_decision",
        [entry("decision = 'deny'")],
    ),
    "subject": ("entry_subject", [entry("subject_bidx = decode(repeat('00', 16), 'hex')")]),
    "verification": ("entry_verification", [entry("verification_id = 'ver_other'", OTHER)]),
    "a-reading-as-an-answer": (
        "entry_verification",
        [entry("verification_id = 'ver_x'", "(SELECT min(leaf_index) FROM audit.entry WHERE kind = 'read')")],
    ),
    "leaf": ("leaf_hash", [entry("leaf = overlay(leaf PLACING 'x'::bytea FROM 20)")]),
    "entry-later": (
        "entry_time",
        [
            (
                "UPDATE audit.entry SET logged_at = logged_at + interval '1 ms' WHERE leaf_index = "
                f"(SELECT size - 1 FROM audit.batch WHERE size = {FULL_BATCH})"
            )
        ],
    ),
    "entry-beyond-the-head": (
        "entry_stray",
        [
            (
                f"INSERT INTO audit.entry (log_id, leaf_index, logged_at, {ENTRY_COLUMNS}) "
                f"SELECT log_id, 1000000, logged_at, {ENTRY_COLUMNS} FROM audit.entry WHERE leaf_index = {DENIED}"
            )
        ],
    ),
    "entry-twice": (
        "entry_repeated",
        [
            (
                f"INSERT INTO audit.entry (log_id, leaf_index, logged_at, {ENTRY_COLUMNS}) SELECT log_id, leaf_index, "
                f"logged_at + interval '1 s', {ENTRY_COLUMNS} FROM audit.entry WHERE leaf_index = {DENIED}"
            )
        ],
    ),
    "entry-deleted": ("index_gap", [f"DELETE FROM audit.entry WHERE leaf_index = {ANSWER}"]),
    # Secrets
    "salt-of-an-answer": ("secret_changed", [secret("salt = sha256('x')")]),
    "salt-of-a-refusal": ("secret_changed", [secret("salt = sha256('x')", DENIED)]),
    "sealed-text": ("secret_changed", [secret("sealed = overlay(sealed PLACING 'x'::bytea FROM 14)")]),
    "sealed-text-emptied": ("secret_changed", [secret("sealed = ''")]),
    "sealing-key-number": ("secret_changed", [secret("key_id = 9")]),
    "secret-of-another": (
        "secret_changed",
        [
            (
                f"UPDATE audit.secret AS s SET salt = o.salt, sealed = o.sealed FROM audit.secret AS o "
                f"WHERE s.leaf_index = {ANSWER} AND o.leaf_index = {OTHER}"
            )
        ],
    ),
    "secret-deleted": ("secret_missing", [f"DELETE FROM audit.secret WHERE leaf_index = {ANSWER}"]),
    "secret-of-a-refusal-deleted": ("secret_missing", [f"DELETE FROM audit.secret WHERE leaf_index = {DENIED}"]),
    "secret-at-another-time": ("secret_changed", [secret("logged_at = logged_at + interval '1 ms'")]),
    "secret-beyond-the-head": (
        "secret_stray",
        [
            (
                "INSERT INTO audit.secret (log_id, leaf_index, logged_at, salt, key_id, sealed) SELECT log_id, 1000000, "
                f"logged_at, salt, key_id, sealed FROM audit.secret WHERE leaf_index = {DENIED}"
            )
        ],
    ),
    # Batches and the head
    "batch-deleted": ("batch_chain", [f"DELETE FROM audit.batch WHERE size = {MIDDLE_BATCH}"]),
    "chain-mended": (
        "batch_mac",
        [
            f"""WITH gone AS (DELETE FROM audit.batch WHERE size = {MIDDLE_BATCH} RETURNING size, prev_size)
                UPDATE audit.batch AS b SET prev_size = gone.prev_size FROM gone WHERE b.prev_size = gone.size"""
        ],
    ),
    "mac-taken-away": ("batch_mac", [f"UPDATE audit.batch SET mac = NULL WHERE size = {MIDDLE_BATCH}"]),
    "mac-forged": ("batch_mac", [f"UPDATE audit.batch SET mac = sha256('x') WHERE size = {LAST_BATCH}"]),
    "batch-root": ("batch_root", [f"UPDATE audit.batch SET root = sha256('x') WHERE size = {MIDDLE_BATCH}"]),
    "batch-earlier": ("batch_time", [f"UPDATE audit.batch SET ts = ts - interval '1 d' WHERE size = {FULL_BATCH}"]),
    "batch-later": ("batch_time", [f"UPDATE audit.batch SET ts = ts + interval '1 d' WHERE size = {FULL_BATCH}"]),
    "head-time": ("head_time", ["UPDATE audit.head SET ts = ts + interval '1 y'"]),
    "head-frontier": (
        "head_frontier",
        ["UPDATE audit.head SET frontier = overlay(frontier PLACING 'x'::bytea FROM 3)"],
    ),
    "last-batch-earlier-with-all-that-bears-its-time": ("entry_time", shifted("-", "2 h")),
    "last-batch-later-with-all-that-bears-its-time": ("entry_time", shifted("+", "2 h")),
    "origin-of-the-log": ("log_origin", ["UPDATE audit.log SET origin = 'audit.test.example/other'"]),
    "head-root": ("head_root", ["UPDATE audit.head SET root = sha256('x')"]),
    # One-time ids
    "request-deleted": ("request_missing", [f"DELETE FROM audit.request WHERE req_id = {A_REQUEST}"]),
    "request-exchanged": (
        "request_missing request_extra",
        [request("req_id = decode(repeat('ab', 16), 'hex')")],
    ),
    "request-added": (
        "request_extra",
        [
            (
                "INSERT INTO audit.request (log_id, req_day, req_id) SELECT log_id, req_day, decode(repeat('ab', 16), 'hex') "
                f"FROM audit.request WHERE req_id = {A_REQUEST}"
            )
        ],
    ),
    "request-on-another-day": ("request_day", [request(f"req_day = {NEW_DAY}")]),
    "request-on-two-days": (
        "request_repeated",
        [
            (
                f"INSERT INTO audit.request (log_id, req_day, req_id) SELECT log_id, {NEW_DAY}, req_id "
                f"FROM audit.request WHERE req_id = {A_REQUEST}"
            )
        ],
    ),
    "day-dropped": (
        "request_partition",
        [
            "DO $$ BEGIN EXECUTE (SELECT 'DROP TABLE ' || tableoid::regclass FROM audit.request GROUP BY tableoid LIMIT 1); END $$"
        ],
    ),
    # Idempotency keys
    "idempotency-of-no-answer": ("idempotency_leaf", ["UPDATE audit.idempotency SET verification_id = 'ver_none'"]),
    "idempotency-of-another-answer": (
        "idempotency_leaf",
        [
            (
                "UPDATE audit.idempotency SET verification_id = (SELECT verification_id FROM audit.entry "
                f"WHERE leaf_index = {OTHER})"
            )
        ],
    ),
    "idempotency-partner": (
        "idempotency_leaf",
        [
            "UPDATE audit.idempotency SET partner_id = (SELECT partner_id FROM identity.partner WHERE client_id = 'partner-two')"
        ],
    ),
    "idempotency-body": ("idempotency_body", ["UPDATE audit.idempotency SET body_hash = sha256('x')"]),
    "idempotency-time": ("idempotency_leaf", ["UPDATE audit.idempotency SET created_ms = created_ms - 86400000"]),
    # Partners and keys
    "partner-added": (
        "partner_unregistered",
        [
            (
                "INSERT INTO identity.partner SELECT 'prt_00000000000000000000000000', 'made-up', name, sector, scopes, purposes, "
                "state, created_ms FROM identity.partner WHERE client_id = 'partner-one'"
            )
        ],
    ),
    "partner-widened": (
        "partner_row",
        ["UPDATE identity.partner SET purposes = purposes || '{complaint}'::text[] WHERE client_id = 'partner-one'"],
    ),
    "partner-renamed": (
        "partner_row",
        ["UPDATE identity.partner SET client_id = 'other' WHERE client_id = 'partner-two'"],
    ),
    "key-deleted": ("key_missing", ["DELETE FROM identity.partner_key WHERE state = 'compromised'"]),
    "key-revived": ("key_row", ["UPDATE identity.partner_key SET state = 'active' WHERE state = 'compromised'"]),
    "key-revived-in-a-log-said-to-be-closed": (
        "key_row",
        [
            "UPDATE identity.partner_key SET state = 'active' WHERE state = 'compromised'",
            "UPDATE audit.log SET frozen_ms = 1",
        ],
    ),
    "key-ended": ("key_row", ["UPDATE identity.partner_key SET state = 'retired' WHERE state = 'active'"]),
    "key-exchanged": ("key_row", ["UPDATE identity.partner_key SET jwk = '{}' WHERE state = 'active'"]),
    "key-added": (
        "key_unregistered",
        [
            (
                "INSERT INTO identity.partner_key SELECT repeat('x', 43), partner_id, 'mine', alg, jwk, purpose, state, "
                "not_before_ms, retire_at_ms, created_ms FROM identity.partner_key WHERE state = 'active'"
            )
        ],
    ),
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_change_by_the_owner_of_the_database_is_named(written: Written, copy: Database, way: str):
    """Each way has exactly its own code, however often it shows."""
    codes, statements = WAYS[way]
    await own(copy, *statements)

    report = await check(copy, written.home)

    assert list(dict.fromkeys(fault.code.value for fault in report.faults)) == codes.split()


A_PARTITION = (
    "DO $$ BEGIN EXECUTE (SELECT 'ALTER TABLE ' || tableoid::regclass || ' {0}' FROM audit.request LIMIT 1); END $$"
)
GUARDS = {
    "trigger-off": ("triggers_off", "ALTER TABLE audit.entry DISABLE TRIGGER entry_append_only"),
    "all-triggers-off": ("triggers_off", "ALTER TABLE audit.batch DISABLE TRIGGER ALL"),
    "trigger-only-when-replicating": ("triggers_off", "ALTER TABLE audit.tile ENABLE REPLICA TRIGGER tile_append_only"),
    "triggers-off-for-a-role": (
        "triggers_off",
        "ALTER ROLE gateway_api IN DATABASE {0} SET session_replication_role = 'replica'",
    ),
    "triggers-off-for-all": ("triggers_off", "ALTER DATABASE {0} SET session_replication_role = 'replica'"),
    "trigger-dropped": ("safeguard_missing", "DROP TRIGGER request_append_only ON audit.request"),
    "trigger-added": (
        "safeguard_unknown",
        "CREATE TRIGGER mine BEFORE INSERT ON audit.request FOR EACH ROW EXECUTE FUNCTION audit.refuse_change()",
    ),
    "trigger-exchanged": (
        "safeguard_changed",
        "CREATE OR REPLACE TRIGGER head_only_grows BEFORE UPDATE ON audit.head FOR EACH ROW EXECUTE FUNCTION audit.refuse_change()",
    ),
    "function-body": (
        "safeguard_changed",
        "CREATE OR REPLACE FUNCTION audit.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
    ),
    "function-rights": ("safeguard_changed", "ALTER FUNCTION audit.head_only_grows() SECURITY DEFINER"),
    "function-path": (
        "safeguard_changed",
        "ALTER FUNCTION audit.ensure_partitions(date, integer) SET search_path = public",
    ),
    "function-added": (
        "safeguard_unknown",
        "CREATE FUNCTION audit.enter(a integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    ),
    "key-of-one-time-ids-dropped": ("safeguard_missing", "ALTER TABLE audit.request DROP CONSTRAINT request_pkey"),
    "rule-added": ("safeguard_unknown", "CREATE RULE mine AS ON INSERT TO audit.idempotency DO INSTEAD NOTHING"),
    "partition-elsewhere": ("safeguard_unknown", f"CREATE SCHEMA evil; {A_PARTITION.format('SET SCHEMA evil')}"),
    "table-inherits": ("safeguard_unknown", "CREATE TABLE audit.more () INHERITS (audit.head)"),
    "unlogged": ("safeguard_unknown", "ALTER TABLE audit.head SET UNLOGGED"),
    "unlogged-partition": ("safeguard_unknown", A_PARTITION.format("SET UNLOGGED")),
    "rows-hidden": ("safeguard_unknown", "ALTER TABLE identity.partner_key ENABLE ROW LEVEL SECURITY"),
}


@pytest.mark.parametrize("way", GUARDS)
async def test_what_guards_the_tables_is_as_shipped(written: Written, copy: Database, way: str):
    """Found by the check of the log, and at the start of a process, which then refuses."""
    code, statement = GUARDS[way]
    connection = await copy.connect()
    await connection.execute(statement.replace("{0}", copy.name))
    await connection.close()

    report = await check(copy, written.home)
    serving = await copy.connect("gateway_api")
    with pytest.raises(PreflightError) as refused:
        await check_database(serving, production=False)
    await serving.close()

    assert {fault.code.value for fault in report.faults} >= {code}
    assert {fault.code for fault in refused.value.faults} == {f"db_{code}"}


async def test_what_is_on_a_partition_counts_wherever_it_lies(written: Written, copy: Database):
    """Triggers, rules, row security, off or on: a partition that was moved to another schema is still looked at."""
    connection = await copy.connect()
    table = (await connection.fetchval("SELECT tableoid::regclass::text FROM audit.request LIMIT 1")).split(".")[1]
    await connection.execute(
        f"CREATE SCHEMA evil; ALTER TABLE audit.{table} SET SCHEMA evil; "
        f"CREATE FUNCTION evil.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; "
        f"CREATE TRIGGER mine BEFORE INSERT ON evil.{table} FOR EACH ROW EXECUTE FUNCTION evil.f(); "
        f"CREATE RULE mine AS ON INSERT TO evil.{table} DO INSTEAD NOTHING; "
        f"ALTER TABLE evil.{table} ENABLE ROW LEVEL SECURITY, SET UNLOGGED, DISABLE TRIGGER mine"
    )
    await connection.close()

    report = await check(copy, written.home)

    assert {(fault.code.value, fault.where) for fault in report.faults} >= {
        ("safeguard_unknown", f"partition elsewhere audit.request: evil.{table}"),
        ("safeguard_unknown", f"trigger evil.{table}.mine"),
        ("safeguard_unknown", f"rule evil.{table}.mine"),
        ("safeguard_unknown", f"row security evil.{table}"),
        ("safeguard_unknown", f"unlogged evil.{table}"),
        ("triggers_off", f"evil.{table}.mine"),
    }


async def test_secrets_of_an_erasure_that_come_back_are_named(written: Written, copy: Database):
    """A backup laid over the table brings back what was erased."""
    await own(
        copy,
        "INSERT INTO audit.secret (log_id, leaf_index, logged_at, salt, key_id, sealed) "
        f"SELECT log_id, leaf_index, logged_at, sha256('x'), 1, '' FROM audit.entry WHERE leaf_index = {written.erased}",
    )

    report = await check(copy, written.home)

    assert {fault.code.value for fault in report.faults} == {"secret_changed", "secret_not_erased"}
