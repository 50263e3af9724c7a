"""Least privilege, by trying: each role is refused what it should not do, and may do what it must."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from gateway.postgres.embedded import EmbeddedPostgres
from gateway.postgres.migrate import apply_roles, ensure_log

AUDIT_TABLES = ("log", "head", "batch", "entry", "secret", "request", "tile")
APPEND_ONLY = ("log", "batch", "entry", "secret", "request", "tile")
SERVING = ("gateway_api", "gateway_feed", "gateway_admin", "gateway_audit")

DENIED = asyncpg.exceptions.InsufficientPrivilegeError


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """One database for everything that is refused or changes nothing that matters here."""
    await postgres.create_database("roles", template="gateway_template")
    yield "roles"
    await postgres.drop_database("roles")


@pytest.fixture
def attempt(postgres: EmbeddedPostgres, shared: str):
    """Try one statement as a role."""

    async def attempt_as(role: str, statement: str) -> None:
        connection = await asyncpg.connect(postgres.dsn(shared, role))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    return attempt_as


@pytest.mark.parametrize("role", SERVING)
@pytest.mark.parametrize("table", AUDIT_TABLES)
async def test_nobody_deletes_from_the_log(attempt, role: str, table: str):
    with pytest.raises(DENIED):
        await attempt(role, f"DELETE FROM audit.{table}")


@pytest.mark.parametrize("role", SERVING)
@pytest.mark.parametrize("table", AUDIT_TABLES)
async def test_nobody_truncates_the_log(attempt, role: str, table: str):
    with pytest.raises(DENIED):
        await attempt(role, f"TRUNCATE audit.{table} CASCADE")


@pytest.mark.parametrize("role", SERVING)
@pytest.mark.parametrize("table", APPEND_ONLY)
async def test_nobody_changes_a_row_of_the_log(attempt, role: str, table: str):
    with pytest.raises(DENIED):
        await attempt(role, f"UPDATE audit.{table} SET log_id = 1")


@pytest.mark.parametrize("role", ["gateway_feed", "gateway_audit"])
async def test_only_those_who_append_move_the_head(attempt, role: str):
    with pytest.raises(DENIED):
        await attempt(role, "UPDATE audit.head SET size = size")


@pytest.mark.parametrize("role", ["gateway_api", "gateway_admin"])
async def test_those_who_append_cannot_move_the_head_back(database, role: str):
    connection = await database.connect(role)
    await connection.execute(
        "UPDATE audit.head SET size = 1, frontier = decode(repeat('ab', 32), 'hex') WHERE log_id = 1"
    )

    with pytest.raises(DENIED, match="only grows"):
        await connection.execute("UPDATE audit.head SET size = 0, frontier = '' WHERE log_id = 1")

    await connection.close()


@pytest.mark.parametrize("partition_of", ["entry", "secret", "request"])
async def test_the_partitions_of_the_log_are_no_way_round(attempt, database, partition_of: str):
    connection = await database.connect()
    name = await connection.fetchval(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = $1::text::regclass LIMIT 1",
        f"audit.{partition_of}",
    )
    await connection.close()

    for role in SERVING:
        for statement in (
            f"DELETE FROM {name}",
            f"UPDATE {name} SET log_id = 1",
            f"TRUNCATE {name}",
            f"DROP TABLE {name}",
        ):
            with pytest.raises(DENIED):
                await attempt(role, statement)


@pytest.mark.parametrize("role", SERVING)
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM identity.partner",
        "DELETE FROM identity.partner_key",
        "TRUNCATE identity.partner CASCADE",
        "ALTER TABLE audit.entry DISABLE TRIGGER ALL",
        "DROP TRIGGER head_only_grows ON audit.head",
        "CREATE TABLE audit.mine (a integer)",
        "CREATE TABLE public.mine (a integer)",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "UPDATE migration.applied SET sha256 = sha256",
        "SET ROLE gateway_owner",
        "COPY audit.batch TO PROGRAM 'true'",
    ],
)
async def test_no_role_that_serves_can_change_the_house(attempt, role: str, statement: str):
    with pytest.raises(DENIED):
        await attempt(role, statement)


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("gateway_api", "INSERT INTO identity.partner SELECT * FROM identity.partner"),
        ("gateway_api", "UPDATE identity.partner_key SET state = 'active'"),
        ("gateway_api", "DELETE FROM audit.idempotency"),
        ("gateway_api", "INSERT INTO replica.subject SELECT * FROM replica.subject"),
        ("gateway_api", "TRUNCATE replica.subject_0"),
        ("gateway_api", "UPDATE replica.feed_head SET version = 0"),
        ("gateway_feed", "SELECT * FROM identity.partner"),
        ("gateway_feed", "SELECT * FROM audit.entry"),
        ("gateway_feed", "INSERT INTO audit.entry SELECT * FROM audit.entry"),
        ("gateway_feed", "SELECT created_ms FROM audit.idempotency"),
        ("gateway_feed", "DELETE FROM audit.idempotency WHERE created_ms < 0"),
        ("gateway_feed", "UPDATE audit.request_floor SET day = 'infinity'"),
        ("gateway_feed", "SELECT audit.settled_now(0)"),
        ("gateway_api", "SELECT audit.forget_requests(0)"),
        ("gateway_admin", "SELECT audit.forget_requests(0)"),
        ("gateway_audit", "SELECT audit.forget_requests(0)"),
        ("gateway_api", "SELECT audit.forget_idempotency(0, 1)"),
        ("gateway_admin", "SELECT audit.forget_idempotency(0, 1)"),
        ("gateway_admin", "INSERT INTO replica.subject SELECT * FROM replica.subject"),
        ("gateway_admin", "DELETE FROM replica.record"),
        ("gateway_audit", "SELECT * FROM identity.partner"),
        ("gateway_audit", "SELECT * FROM replica.subject"),
        ("gateway_audit", "SELECT * FROM audit.secret"),
        ("gateway_audit", "INSERT INTO audit.batch SELECT * FROM audit.batch"),
    ],
)
async def test_each_role_is_refused_what_is_not_its_work(attempt, role: str, statement: str):
    with pytest.raises(DENIED):
        await attempt(role, statement)


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("gateway_api", "SELECT size FROM audit.head WHERE log_id = 1 FOR UPDATE"),
        ("gateway_api", "SELECT audit.ensure_partitions(current_date, 7)"),
        ("gateway_api", "SELECT * FROM identity.partner_key"),
        ("gateway_api", "SELECT * FROM replica.subject"),
        ("gateway_feed", "TRUNCATE replica.subject_1, replica.record_1, replica.quarantine_1"),
        ("gateway_feed", "SELECT audit.ensure_partitions(current_date, 7)"),
        ("gateway_feed", "SELECT audit.forget_requests(0)"),
        ("gateway_feed", "SELECT audit.forget_idempotency(0, 10000)"),
        ("gateway_feed", "INSERT INTO replica.feed_event (feed, at_ms, result) VALUES ('f', 0, 'unreachable')"),
        ("gateway_admin", "UPDATE identity.partner_key SET state = 'retired' WHERE false"),
        ("gateway_admin", "SELECT * FROM audit.secret"),
        ("gateway_audit", "SELECT * FROM audit.entry"),
    ],
)
async def test_each_role_may_do_its_work(attempt, role: str, statement: str):
    await attempt(role, statement)


async def test_the_function_that_makes_partitions_cannot_be_led_astray(attempt, database):
    """It runs as the owner, so what it is given is bounded, and nobody else may call it."""
    connection = await database.connect("gateway_api")
    with pytest.raises(asyncpg.PostgresError, match="between 1 and 62"):
        await connection.execute("SELECT audit.ensure_partitions(current_date, 100000)")
    await connection.close()

    with pytest.raises(DENIED):
        await attempt("gateway_audit", "SELECT audit.ensure_partitions(current_date, 7)")


@pytest.mark.parametrize(
    ("call", "why"),
    [
        ("forget_requests(NULL)", "the instant must be"),
        ("forget_requests(-1)", "the instant must be"),
        ("forget_requests(9223372036854775807)", "the instant must be"),
        ("forget_idempotency(NULL, 1)", "the instant must be"),
        ("forget_idempotency(0, NULL)", "at most 10000"),
        ("forget_idempotency(0, 0)", "at most 10000"),
        ("forget_idempotency(0, 10001)", "at most 10000"),
        ("ensure_partitions(NULL, 7)", "between 1 and 62"),
        ("ensure_partitions(current_date, NULL)", "between 1 and 62"),
    ],
)
async def test_the_functions_that_run_as_the_owner_bound_what_they_are_given(attempt, call: str, why: str):
    with pytest.raises(asyncpg.PostgresError, match=why):
        await attempt("gateway_feed", f"SELECT audit.{call}")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit.request_floor SET day = day - 1",
        "UPDATE audit.request_floor SET day = '-infinity'",
        "DELETE FROM audit.request_floor",
        "TRUNCATE audit.request_floor",
    ],
)
async def test_what_was_forgotten_stays_forgotten(database, statement: str):
    """Not even the owner lowers the floor while the triggers are on."""
    connection = await database.connect("gateway_owner")
    await connection.execute("UPDATE audit.request_floor SET day = '2026-01-01'")

    with pytest.raises(DENIED):
        await connection.execute(statement)

    await connection.close()


async def test_applying_the_roles_again_changes_nothing(database):
    connection = await database.connect()
    rights = "SELECT grantee, table_schema, table_name, privilege_type FROM information_schema.role_table_grants ORDER BY 1, 2, 3, 4"
    before = await connection.fetch(rights)

    await apply_roles(connection)

    assert await connection.fetch(rights) == before
    await connection.close()


async def test_the_owner_can_open_a_log(database):
    connection = await database.connect("gateway_owner")

    await ensure_log(connection, 2, "audit.test.example/log2")

    assert await connection.fetchval("SELECT size FROM audit.head WHERE log_id = 2") == 0
    await connection.close()
