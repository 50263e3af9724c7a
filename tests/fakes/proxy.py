"""A proxy before PostgreSQL's UNIX socket that loses the COMMIT or its reply, cuts, freezes and refuses.

For: the faults of a network between a gateway and its database, provoked at the byte. It knows two things of the protocol: how a simple
query ``COMMIT`` looks and how the server says that it is ready again.
Source: PostgreSQL manual, "Message Formats" (``Query``, ``ReadyForQuery``).
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote

from tests.conftest import Database

SOCKET_NAME = ".s.PGSQL.5432"
_COMMIT = b"Q\0\0\0\x0bCOMMIT\0"
_READY = b"Z\0\0\0\x05"
_CHUNK = 65_536


class AtCommit(StrEnum):
    """What happens to a COMMIT, in the two forms of every fault and one more."""

    PASS = "pass"
    CUT_BEFORE = "cut_before"
    """It never reaches the server: the transaction did not happen."""
    CUT_AFTER = "cut_after"
    """The server executed it and said so, but nobody heard: the transaction did happen."""
    MUTE = "mute"
    """The server executed it; its reply waits here until ``thaw``."""


class Link:
    """One client's connection through the proxy."""

    def __init__(
        self, proxy: Proxy, client: asyncio.StreamWriter, server: asyncio.StreamWriter, answers: asyncio.StreamReader
    ) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._answers = answers
        self._commit: AtCommit = AtCommit.PASS

    async def carry_questions(self, questions: asyncio.StreamReader) -> None:
        """Carry what the client says until the link ends."""
        while chunk := await questions.read(_CHUNK):
            await self._proxy.flowing.wait()
            if _COMMIT in chunk:
                self._commit = self._proxy.next_commit()
                if self._commit is AtCommit.CUT_BEFORE:
                    self.cut()
                    return
            self._server.write(chunk)
            await self._server.drain()

    async def carry_answers(self) -> None:
        """Carry what the server says until the link ends; a reply to a doomed COMMIT is read to its end first."""
        while chunk := await self._answers.read(_CHUNK):
            if self._commit is not AtCommit.PASS and _READY in chunk:
                fate, self._commit = self._commit, AtCommit.PASS
                self._proxy.done(fate)
                if fate is AtCommit.CUT_AFTER:
                    self.cut()
                    return
            await self._proxy.flowing.wait()
            self._client.write(chunk)
            await self._client.drain()

    def cut(self) -> None:
        """End both sides at once."""
        self._client.transport.abort()
        self._server.transport.abort()


class Proxy:
    """The proxy of one database server. Faults are set on it while connections live."""

    def __init__(self, upstream: Path, directory: Path) -> None:
        self.directory = directory
        self.commits: list[AtCommit] = []
        """The fates of the COMMITs to come, one after another; then ``PASS``."""
        self.every_commit = AtCommit.PASS
        """The fate of each COMMIT beyond the list."""
        self.refusing = False
        """Whether new connections end at once, as if nobody listened."""
        self.refuse_after_fault = False
        """Whether the first fault at a COMMIT makes the server unreachable."""
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.faults = 0
        """How many COMMITs met a fault."""
        self.fault_seen = asyncio.Event()
        self._upstream = upstream / SOCKET_NAME
        self._links: set[Link] = set()

    def dsn(self, database: Database, role: str = "gateway_api") -> str:
        """Return the connection string of a role through this proxy."""
        return database.dsn_of(role).partition("?")[0] + f"?host={quote(str(self.directory), safe='')}"

    def next_commit(self) -> AtCommit:
        """Return the fate of a COMMIT that has come."""
        fate = self.commits.pop(0) if self.commits else self.every_commit
        if fate is not AtCommit.PASS:
            self.faults += 1
            if self.refuse_after_fault:
                self.refusing = True
            if fate is AtCommit.CUT_BEFORE:
                self.fault_seen.set()
        return fate

    def done(self, fate: AtCommit) -> None:
        """Note that the server has executed a COMMIT of this fate."""
        if fate is AtCommit.MUTE:
            self.freeze()
        self.fault_seen.set()

    def freeze(self) -> None:
        """Let nothing through in either direction, without ending anything: a cable that was pulled."""
        self.flowing.clear()

    def thaw(self) -> None:
        """Let everything through again."""
        self.flowing.set()

    def cut(self) -> None:
        """End every connection."""
        for link in list(self._links):
            link.cut()

    async def accept(self, questions: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """Serve one client."""
        if self.refusing:
            client.transport.abort()
            return
        answers, server = await asyncio.open_unix_connection(str(self._upstream))
        link = Link(self, client, server, answers)
        self._links.add(link)
        try:
            async with asyncio.TaskGroup() as group:
                both = [group.create_task(link.carry_questions(questions)), group.create_task(link.carry_answers())]
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                link.cut()
        except* (OSError, asyncio.IncompleteReadError):
            pass  # the other side ended the link: what this proxy is for
        finally:
            link.cut()
            self._links.discard(link)


@asynccontextmanager
async def proxied(database: Database) -> AsyncIterator[Proxy]:
    """Run a proxy before the database's server; connect with ``Proxy.dsn``."""
    directory = Path(tempfile.mkdtemp(prefix="cg-px-"))
    proxy = Proxy(database.server.socket_directory, directory)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(proxy.accept(reader, writer), name="proxy")
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_unix_server(connected, str(directory / SOCKET_NAME))
    try:
        yield proxy
    finally:
        server.close()
        proxy.thaw()
        proxy.cut()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5.0):
                await asyncio.gather(*tasks, return_exceptions=True)
        shutil.rmtree(directory, ignore_errors=True)
