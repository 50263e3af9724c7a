"""A PostgreSQL server of our own, for the demo and the tests: unprivileged, password, private socket, no TCP.

For: ``credit-gateway demo`` and ``tests/``: the real database with real durability (fsync, full pages, checksums).
Not for: production. Its ``cluster_name`` marks it, and ``gateway.postgres.preflight`` refuses it outside the demo.

As root the programs run as ``nobody``. That user gets the data directory as an open descriptor (``/proc/self/fd/N``),
so it needs no way through our directories: none is opened up.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote, urlencode

from asyncpg.exceptions import PostgresError

from gateway.base.secret import Secret
from gateway.postgres.binaries import (
    CONFIGURATION,
    NoServerError,
    Programs,
    copy_programs,
    find_programs,
    initdb_command,
    reachable,
    unprivileged_user,
)
from gateway.postgres.embedded_files import StopMode, kept_password, new_socket_directory
from gateway.postgres.pool import Target, connect
from gateway.postgres.processes import children, end_orphan, until_gone, with_parent

if TYPE_CHECKING:
    from types import TracebackType

SUPERUSER: Final = "embedded"
_START_DEADLINE_S: Final = 60.0
_STOP_DEADLINE_S: Final = 30.0
_STATEMENT_DEADLINE_S: Final = 60.0
_POLL_S: Final = 0.03
_ENV: Final = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}


class EmbeddedPostgres:
    """One server in one directory. Use as ``async with``; it leaves nothing running, whatever happens in the body.

    Start it from the main thread: the server ends with the thread that started it, even if ``close`` is never called.

    Args:
        home: where the cluster lives; made if absent, with mode 0700, readable to no one else.
        settings: server settings to add, name to value.
    """

    def __init__(self, home: Path, *, settings: dict[str, str] | None = None) -> None:
        self._home: Final = home
        self._settings: Final = dict(settings or {})
        self._user: Final = unprivileged_user()
        self._stack: Final = contextlib.ExitStack()
        self._programs: Programs | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._sockets: Path | None = None
        self._data_fd = -1
        self._password = ""
        self._preparing: asyncio.Task[None] | None = None
        self._initdb_process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def pid(self) -> int:
        """The postmaster's process id; ``NoServerError`` while the server is down."""
        return self._running().pid

    @property
    def socket_directory(self) -> Path:
        """The directory of the server's socket; stays the same over stop and start."""
        if self._sockets is None:
            msg = "the server was never started"
            raise NoServerError(msg)
        return self._sockets

    def program(self, name: str) -> str:
        """Return the path of one of the server's programs, e.g. ``pg_dump``."""
        if self._programs is None:
            self._programs = find_programs()
        return self._programs.path(name)

    def major(self) -> int:
        """Return the major version of the server's programs."""
        return (self._programs or find_programs()).major

    def dsn(self, database: str = "postgres", user: str = SUPERUSER) -> str:
        """Return the connection string of a user to a database. Every user of this server has the one password."""
        query = urlencode({"host": str(self.socket_directory)})
        return f"postgresql://{quote(user)}:{self._password}@/{quote(database)}?{query}"

    async def start(self) -> None:
        """Make the cluster on first use, end an orphan of an earlier run, start and wait until it answers.

        If this is cancelled or fails, ``close`` ends whatever has begun.
        """
        if self._process is not None:
            return
        self._preparing = asyncio.create_task(asyncio.to_thread(self._prepare), name="embedded PostgreSQL")
        await asyncio.shield(self._preparing)  # a thread cannot be cancelled: ``close`` waits for its end
        self._process = self._spawn_postmaster()
        try:
            await self._until_it_answers()
        except BaseException:
            await self.stop(StopMode.IMMEDIATE)
            raise

    async def stop(self, mode: StopMode = StopMode.FAST) -> None:
        """Stop and wait; a server that does not obey is killed. Does nothing when it is down."""
        process = self._process
        if process is None:
            return
        process.send_signal(mode)
        try:
            await asyncio.to_thread(process.wait, _STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            await self.kill()
        self._process = None

    async def kill(self) -> None:
        """SIGKILL the postmaster and its backends, as the kernel may when memory runs out; wait until they are gone."""
        process = self._process
        if process is None:
            return
        family = [process.pid, *children(process.pid)]
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(process.wait)
        await until_gone(family)
        self._process = None

    async def close(self) -> None:
        """Stop the server and remove its socket directory and any copy of the programs; the cluster stays."""
        try:
            await self._abandon_preparation()
            await self.stop(StopMode.FAST)
        finally:
            self._stack.close()
            self._sockets = None
            self._programs = None
            self._data_fd = -1

    async def _abandon_preparation(self) -> None:
        """Wait for the thread of a start that was cancelled; what it waits for itself is ended."""
        preparing = self._preparing
        if preparing is None or preparing.done():
            return
        if self._initdb_process is not None:
            self._initdb_process.terminate()
        await asyncio.wait([preparing])
        if not preparing.cancelled():
            preparing.exception()  # of a start that nobody wants any more

    async def create_database(self, name: str, template: str | None = None) -> None:
        """Create a database, as a copy of ``template`` if given (to which nobody may be connected)."""
        copy = "" if template is None else f' TEMPLATE "{template}"'
        await self._as_superuser(f'CREATE DATABASE "{name}"{copy}')

    async def drop_database(self, name: str) -> None:
        """Drop a database, ending the connections to it; no error if there is none."""
        await self._as_superuser(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    async def let_in(self, *users: str) -> None:
        """Give existing roles this server's password, so that ``dsn(user=...)`` works for them."""
        for user in users:
            await self._as_superuser(f"ALTER ROLE \"{user}\" LOGIN PASSWORD '{self._password}'")

    async def _as_superuser(self, statement: str) -> None:
        target = Target(dsn=Secret(self.dsn().encode()), application_name="embedded", settings={})
        connection = await connect(target)
        try:
            await connection.execute(statement, timeout=_STATEMENT_DEADLINE_S)
        finally:
            await connection.close(timeout=_STATEMENT_DEADLINE_S)

    def _prepare(self) -> None:
        """Blocking part of the start: directories, programs, password, cluster, and no orphan left over."""
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._sockets is None:
            self._sockets = self._private_directory()
        if self._programs is None:
            self._programs = self._runnable_programs()
        data = self._home / "data"
        fresh = not (data / "PG_VERSION").exists()
        if fresh:
            shutil.rmtree(data, ignore_errors=True)  # an initdb that was interrupted
            data.mkdir(mode=0o700)
            self._give(data)
        else:
            end_orphan(data)
        if self._data_fd < 0:
            self._data_fd = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
            self._stack.callback(os.close, self._data_fd)
        self._password = kept_password(self._home / "password", fresh=fresh)
        if fresh:
            self._initdb(data)

    def _private_directory(self) -> Path:
        made = new_socket_directory()
        self._stack.callback(shutil.rmtree, made, ignore_errors=True)
        self._give(made)
        return made

    def _runnable_programs(self) -> Programs:
        programs = find_programs()
        if reachable(programs, self._user):
            return programs
        copies = Path(tempfile.mkdtemp(prefix="cg-pg-programs-"))
        self._stack.callback(shutil.rmtree, copies, ignore_errors=True)
        copies.chmod(0o755)  # our own new directory with public programs in it, nothing else
        return copy_programs(programs, copies)

    def _give(self, path: Path) -> None:
        if self._user is not None:
            os.chown(path, self._user.uid, self._user.gid)

    def _data_path(self) -> str:
        """Return how the server's user names the data directory: by descriptor where it has no way through the path."""
        return str(self._home / "data") if self._user is None else f"/proc/self/fd/{self._data_fd}"

    def _initdb(self, data: Path) -> None:
        word = self.socket_directory / "word"
        word.touch(mode=0o600)
        word.write_text(self._password, encoding="ascii")
        self._give(word)
        programs = self._programs or find_programs()
        command = [*initdb_command(programs), "-D", self._data_path(), "-U", SUPERUSER, f"--pwfile={word}"]
        try:
            with (self._home / "server.log").open("ab") as log:
                self._initdb_process = self._spawn(command, log)
                subprocess.CompletedProcess("initdb", self._initdb_process.wait(_START_DEADLINE_S)).check_returncode()
            with (data / "postgresql.conf").open("a", encoding="utf-8") as configuration:
                configuration.write(CONFIGURATION)
        except subprocess.SubprocessError as exc:
            shutil.rmtree(data, ignore_errors=True)
            msg = f"initdb failed, see {self._home / 'server.log'}"
            raise NoServerError(msg) from exc
        finally:
            word.unlink()

    def _spawn_postmaster(self) -> subprocess.Popen[bytes]:
        command = [self.program("postgres"), "-D", self._data_path(), "-k", str(self.socket_directory)]
        for name, value in self._settings.items():
            command += ["-c", f"{name}={value}"]
        with (self._home / "server.log").open("ab") as log:
            return self._spawn(command, log)

    def _spawn(self, command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C is for the demo, which stops the server last. Killed, it takes the server with it (SIGINT: fast).
        identity: dict[str, Any] = {}
        if self._user is not None:
            identity = {"user": self._user.uid, "group": self._user.gid, "extra_groups": []}
        return subprocess.Popen(  # noqa: S603 - programs found by us, arguments made by us
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_ENV, cwd="/", umask=0o077,
            pass_fds=(self._data_fd,), start_new_session=True, **identity,
            preexec_fn=with_parent(signal.SIGINT),  # noqa: PLW1509 - two system calls, nothing that a thread could hold
        )  # fmt: skip

    async def _until_it_answers(self) -> None:
        process = self._running()
        deadline = time.monotonic() + _START_DEADLINE_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            with contextlib.suppress(OSError, PostgresError, TimeoutError):
                await self._as_superuser("SELECT 1")
                return
            await asyncio.sleep(_POLL_S)
        msg = f"the embedded PostgreSQL did not start, see {self._home / 'server.log'}"
        raise NoServerError(msg)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            msg = "the embedded PostgreSQL is down"
            raise NoServerError(msg)
        return self._process
