"""The schema is what the migrations make, made once, in one transaction, by files that never change."""

from __future__ import annotations

import asyncio
import hashlib
import io
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from gateway.postgres import migrate as migrations
from gateway.postgres.dump import dump_safeguards, dump_schema
from gateway.postgres.embedded import EmbeddedPostgres
from gateway.postgres.migrate import MIGRATIONS, ensure_log, migrate, plan
from gateway.postgres.preflight import PreflightError, check_database
from gateway.postgres.safeguards import SHIPPED
from gateway.postgres.schema import HEAD, MigrateError, current

SCHEMA = Path(__file__).parents[2] / "schemas" / "db" / "schema.sql"


@pytest.fixture
async def empty(postgres: EmbeddedPostgres, request: pytest.FixtureRequest):
    """The name of an empty database."""
    name = "m_" + hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
    await postgres.create_database(name)
    yield name
    await postgres.drop_database(name)


def test_the_code_needs_the_newest_revision_there_is():
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")

    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


async def test_the_migrations_make_the_schema_that_is_committed(postgres: EmbeddedPostgres):
    committed = SCHEMA.read_text(encoding="utf-8")
    if not committed.startswith(f"-- Made by python -m gateway.postgres.dump with PostgreSQL {postgres.major()}."):
        pytest.skip("another major version of pg_dump writes the same schema in other words")

    assert await dump_schema(postgres) == committed


async def test_what_guards_the_tables_is_committed_as_the_migrations_make_it(postgres: EmbeddedPostgres):
    """Made by ``python -m gateway.postgres.dump safeguards``; unlike the schema's text, the digests are those of every version."""
    assert await dump_safeguards(postgres) == SHIPPED.read_text(encoding="utf-8")


async def test_migrating_twice_changes_nothing_the_second_time(postgres: EmbeddedPostgres, empty: str):
    first = await migrate(postgres.dsn(empty))
    second = await migrate(postgres.dsn(empty))

    assert (first.before, first.after) == (None, HEAD)
    assert (second.before, second.after) == (HEAD, HEAD)


async def test_a_migration_that_fails_leaves_nothing_behind(postgres: EmbeddedPostgres, empty: str):
    connection = await asyncpg.connect(postgres.dsn(empty))
    await connection.execute("CREATE SCHEMA replica; CREATE TABLE replica.feed_head (in_the_way integer)")

    with pytest.raises(asyncpg.PostgresError):
        await migrate(postgres.dsn(empty))

    assert await connection.fetchval("SELECT to_regnamespace('identity') IS NULL")
    assert await current(connection) is None
    await connection.close()


async def test_two_at_once_migrate_once(postgres: EmbeddedPostgres, empty: str):
    done = await asyncio.gather(*(migrate(postgres.dsn(empty)) for _ in range(3)))

    assert sorted(result.before or "" for result in done) == ["", HEAD, HEAD]


async def test_a_file_changed_after_it_was_run_is_refused(postgres: EmbeddedPostgres, empty: str):
    await migrate(postgres.dsn(empty))
    connection = await asyncpg.connect(postgres.dsn(empty))
    await connection.execute("UPDATE migration.applied SET sha256 = decode(repeat('00', 32), 'hex')")
    await connection.close()

    with pytest.raises(MigrateError, match="was changed after it had been run"):
        await migrate(postgres.dsn(empty))


def test_a_revision_from_the_future_is_refused():
    with pytest.raises(MigrateError, match="does not know"):
        plan("9999")


async def test_the_plan_is_what_would_run(postgres: EmbeddedPostgres, empty: str):
    connection = await asyncpg.connect(postgres.dsn(empty))
    await connection.execute("CREATE SCHEMA migration")
    await connection.execute(plan(None))

    assert await current(connection) == HEAD
    await connection.close()


async def test_opening_a_log_again_under_its_origin_changes_nothing(database):
    connection = await database.connect()
    await ensure_log(connection, 7, "audit.test.example/log7")
    await ensure_log(connection, 7, "audit.test.example/log7")

    rows = await connection.fetch("SELECT size, prev_size, root FROM audit.batch WHERE log_id = 7")
    await connection.close()

    assert [tuple(row) for row in rows] == [(0, None, hashlib.sha256(b"").digest())]


@pytest.mark.parametrize(
    ("log_id", "origin"), [(7, "audit.test.example/other"), (8, "audit.test.example/log7")], ids=["origin", "number"]
)
async def test_a_log_never_changes_its_origin_nor_an_origin_its_log(database, log_id: int, origin: str):
    connection = await database.connect()
    await ensure_log(connection, 7, "audit.test.example/log7")

    with pytest.raises(MigrateError, match="under another origin"):
        await ensure_log(connection, log_id, origin)

    await connection.close()


async def test_a_fit_database_passes_and_the_embedded_one_is_refused_in_production(database):
    connection = await database.connect("gateway_api")
    await check_database(connection, production=False)

    with pytest.raises(PreflightError) as refused:
        await check_database(connection, production=True)

    await connection.close()
    assert [fault.code for fault in refused.value.faults] == ["db_embedded"]


async def test_everything_wrong_with_a_database_is_said_at_once(postgres: EmbeddedPostgres, empty: str):
    connection = await asyncpg.connect(postgres.dsn(empty), server_settings={"synchronous_commit": "off"})

    with pytest.raises(PreflightError) as refused:
        await check_database(connection, production=False)

    await connection.close()
    assert [fault.code for fault in refused.value.faults] == ["db_not_durable", "db_schema"]


def test_every_migration_file_is_run_by_a_revision():
    rendered = plan(None)

    for file in (migrations.MIGRATIONS / "sql").glob("*.sql"):
        assert file.read_text(encoding="utf-8").strip().splitlines()[0] in rendered


@pytest.mark.parametrize("revision", ["0001", "0002", "0003", "0004"])
async def test_a_database_of_every_earlier_revision_is_brought_on_with_its_roles(
    postgres: EmbeddedPostgres, empty: str, revision: str
):
    """``migrate --roles`` is one command, whatever the database is like: grants name what only the newest schema has."""
    await _as_of(postgres.dsn(empty), revision)

    done = await migrate(postgres.dsn(empty), roles=True)

    connection = await asyncpg.connect(postgres.dsn(empty))
    try:
        await check_database(connection, production=False)
    finally:
        await connection.close()
    assert (done.before, done.after) == (revision, HEAD)


async def _as_of(dsn: str, revision: str) -> None:
    """Bring an empty database to an earlier revision, as the program of that time did."""
    script = io.StringIO()
    await asyncio.to_thread(command.upgrade, migrations._config(script), f"base:{revision}", sql=True)
    files = [file for file in sorted((MIGRATIONS / "sql").glob("*.sql")) if file.name[:4] <= revision]
    applied = [(file.name, hashlib.sha256(file.read_bytes()).digest()) for file in files]
    connection = await asyncpg.connect(dsn)
    try:
        await migrations.apply_roles(connection, grants=False)
        async with connection.transaction():
            await connection.execute(f"SET LOCAL ROLE {migrations.OWNER}")
            await connection.execute((MIGRATIONS / "ledger.sql").read_text(encoding="utf-8"))
            await connection.execute(script.getvalue())
            await connection.executemany("INSERT INTO migration.applied (file, sha256) VALUES ($1, $2)", applied)
    finally:
        await connection.close()
