"""Fixtures for all tests: a real PostgreSQL for the session, a fresh migrated database for each test that asks for one."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from gateway.base.trusted_files import Account, judge_path
from gateway.postgres.embedded import EmbeddedPostgres
from gateway.postgres.migrate import ensure_log, migrate

ORIGIN = "audit.test.example/log1"
LOG_ID = 1
ROLES = ("gateway_owner", "gateway_api", "gateway_feed", "gateway_admin", "gateway_audit")
_TEMPLATE = "gateway_template"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Database:
    """A fresh, migrated database with an open log, on the session's server."""

    server: EmbeddedPostgres
    name: str

    @property
    def dsn(self) -> str:
        """The superuser's connection string."""
        return self.server.dsn(self.name)

    def dsn_of(self, role: str) -> str:
        """The connection string of one of the gateway's roles."""
        return self.server.dsn(self.name, role)

    async def connect(self, role: str | None = None) -> asyncpg.Connection:
        """Open a connection; the caller closes it."""
        return await asyncpg.connect(self.dsn if role is None else self.dsn_of(role))


async def prepare_template(server: EmbeddedPostgres) -> None:
    """Create the migrated database that the others are copied from, and let the roles in."""
    await server.create_database(_TEMPLATE)
    await migrate(server.dsn(_TEMPLATE), roles=True)
    connection = await asyncpg.connect(server.dsn(_TEMPLATE))
    try:
        await ensure_log(connection, LOG_ID, ORIGIN)
    finally:
        await connection.close()
    await server.let_in(*ROLES)


async def fresh_database(server: EmbeddedPostgres) -> Database:
    """Copy the template."""
    name = f"test_{next(_numbers)}"
    await server.create_database(name, template=_TEMPLATE)
    return Database(server, name)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedPostgres]:
    """The session's PostgreSQL server, with the migrated template."""
    home: Path = tmp_path_factory.mktemp("postgres")
    async with EmbeddedPostgres(home) as server:
        await prepare_template(server)
        yield server


@pytest_asyncio.fixture
async def database(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    """A fresh database for one test."""
    made = await fresh_database(postgres)
    yield made
    await postgres.drop_database(made.name)


@pytest_asyncio.fixture
async def own_postgres(tmp_path: Path) -> AsyncIterator[Database]:
    """A database on a server of its own, for tests that kill the server."""
    async with EmbeddedPostgres(tmp_path / "server") as server:
        await prepare_template(server)
        yield await fresh_database(server)


@pytest.fixture
def host_folder() -> Iterator[Path]:
    """A folder as production wants one: nobody but root and this user may write on the way to it. ``/tmp`` never is."""
    account = Account.current({})
    places = [Path.home(), Path(__file__).parents[1], Path("/var/lib")]
    fit = [place for place in places if os.access(place, os.W_OK) and not judge_path(place, account)]
    assert fit, f"none of {places} is a folder that only root and this user may write"
    folder = Path(tempfile.mkdtemp(prefix=".credit-gateway-test-", dir=fit[0])).resolve()
    yield folder
    shutil.rmtree(folder)
