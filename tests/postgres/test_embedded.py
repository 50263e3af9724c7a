"""The embedded server: unprivileged, private, durable, and gone when it should be."""

# ruff: noqa: ASYNC240 - procfs and a temporary directory do not block
from __future__ import annotations

import os
import stat
from pathlib import Path

import asyncpg
import pytest

from gateway.postgres.binaries import find_programs, initdb_command
from gateway.postgres.embedded import EmbeddedPostgres
from gateway.postgres.embedded_files import StopMode
from gateway.postgres.processes import children

pytestmark = pytest.mark.slow


async def value(server: EmbeddedPostgres, query: str):
    connection = await asyncpg.connect(server.dsn())
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_it_is_durable_private_and_never_root(postgres: EmbeddedPostgres):
    settings = {
        name: await value(postgres, f"SELECT current_setting('{name}')")
        for name in (
            "fsync",
            "full_page_writes",
            "data_checksums",
            "synchronous_commit",
            "listen_addresses",
            "server_encoding",
        )
    }

    assert settings == {
        "fsync": "on",
        "full_page_writes": "on",
        "data_checksums": "on",
        "synchronous_commit": "on",
        "listen_addresses": "",
        "server_encoding": "UTF8",
    }
    assert Path(f"/proc/{postgres.pid}").stat().st_uid != 0
    assert stat.S_IMODE(postgres.socket_directory.stat().st_mode) == 0o700
    assert len(str(postgres.socket_directory / ".s.PGSQL.5432.lock").encode()) < 107


async def test_nobody_gets_in_without_the_password(postgres: EmbeddedPostgres):
    for user in ("embedded", "gateway_api"):
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(
                host=str(postgres.socket_directory),
                user=user,
                password="wrong",
                database="postgres",
            )


async def test_what_was_committed_survives_a_kill_and_a_restart(tmp_path: Path):
    async with EmbeddedPostgres(tmp_path / "pg") as server:
        connection = await asyncpg.connect(server.dsn())
        await connection.execute("CREATE TABLE kept (a integer); INSERT INTO kept VALUES (1)")
        family = [server.pid, *children(server.pid)]

        await server.kill()
        connection.terminate()

        assert not [pid for pid in family if Path(f"/proc/{pid}/cwd").exists()]
        await server.start()
        assert await value(server, "SELECT a FROM kept") == 1


async def test_its_directory_stays_closed_to_others(tmp_path: Path):
    tmp_path.chmod(0o700)
    home = tmp_path / "pg"

    async with EmbeddedPostgres(home) as server:
        assert await value(server, "SELECT 1") == 1

    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path, home, home / "data", home / "password")}
    assert modes == {tmp_path: 0o700, home: 0o700, home / "data": 0o700, home / "password": 0o600}


async def test_stopping_removes_the_socket_directory_and_keeps_the_cluster(tmp_path: Path):
    server = EmbeddedPostgres(tmp_path / "pg")
    await server.start()
    sockets, pid = server.socket_directory, server.pid

    await server.close()

    assert not sockets.exists()
    assert not Path(f"/proc/{pid}").exists()
    async with EmbeddedPostgres(tmp_path / "pg") as again:
        assert await value(again, "SELECT 1") == 1


async def test_a_server_left_over_by_a_killed_run_is_ended_first(tmp_path: Path):
    left_over = EmbeddedPostgres(tmp_path / "pg")
    await left_over.start()
    sockets = left_over.socket_directory

    async with EmbeddedPostgres(tmp_path / "pg") as server:
        assert await value(server, "SELECT 1") == 1
        assert not sockets.exists()

    await left_over.close()


@pytest.mark.parametrize("mode", list(StopMode))
async def test_every_way_to_stop_ends_it(tmp_path: Path, mode: StopMode):
    server = EmbeddedPostgres(tmp_path / "pg")
    await server.start()
    pid = server.pid

    await server.stop(mode)

    assert not Path(f"/proc/{pid}").exists()
    await server.close()


async def test_a_copy_of_a_database_has_its_rows(postgres: EmbeddedPostgres):
    await postgres.create_database("original")
    connection = await asyncpg.connect(postgres.dsn("original"))
    await connection.execute("CREATE TABLE kept (a integer); INSERT INTO kept VALUES (7)")
    await connection.close()

    await postgres.create_database("copied", template="original")

    connection = await asyncpg.connect(postgres.dsn("copied"))
    assert await connection.fetchval("SELECT a FROM kept") == 7
    await connection.close()
    for name in ("original", "copied"):
        await postgres.drop_database(name)


def test_a_cluster_is_made_with_checksums_and_passwords():
    command = initdb_command(find_programs())

    assert {"--data-checksums", "--auth=scram-sha-256", "--encoding=UTF8"} <= set(command)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user to run as")
async def test_as_root_no_directory_is_opened_up_for_the_server(tmp_path: Path):
    tmp_path.chmod(0o700)

    async with EmbeddedPostgres(tmp_path / "pg") as server:
        assert Path(f"/proc/{server.pid}").stat().st_uid == (tmp_path / "pg" / "data").stat().st_uid

    assert tmp_path.stat().st_uid == 0
