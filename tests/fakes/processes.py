"""The gateway as it is run: ``python -m gateway serve`` with its children as real processes, fed by a platform of ours.

For: faults that only processes have: SIGKILL, SIGSTOP, SIGTERM. Not for: what one event loop can show (``tests.fakes.gateway``).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from gateway.audit.policy import Policy
from gateway.base.canonical import canonical_json
from gateway.base.clock import SystemClock
from gateway.base.secret import Secret
from gateway.base.settings import OPTIONS, Settings
from gateway.credit.feed_version import VersionKind
from gateway.identity.key_policy import parse_submitted_key
from gateway.identity.partner import Partner, PartnerState
from gateway.identity.signing_key import SigningKey
from gateway.postgres.processes import alive, children
from gateway.sandbox.city import City
from gateway.sandbox.platform import FEED
from gateway.sandbox.publisher import Publisher
from gateway.wiring import open_operator
from tests.conftest import Database
from tests.fakes.gateway import TODAY, PartnerClient, make_settings, policy_of
from tests.fakes.municipal import FakeMunicipal, serving

HOST = "127.0.0.1"
READY_S = 60.0
"""A bound, not an expectation: the machine may be busy."""
_POLL_S = 0.02
_END_S = 30.0


async def until(met: Callable[[], object], what: str, within_s: float = READY_S) -> None:
    """Wait until a condition of the outside world holds."""
    try:
        async with asyncio.timeout(within_s):
            while not met():  # noqa: ASYNC110 - the outside world sends no events
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        msg = f"not within {within_s} s: {what}"
        raise AssertionError(msg) from None


@contextlib.contextmanager
def held_port() -> Iterator[int]:
    """Hold a free port without listening: the gateway, of the same user, may bind it too and gets all connections."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((HOST, 0))
        yield sock.getsockname()[1]


def variables_of(settings: Settings) -> dict[str, str]:
    """Return the environment that says these settings."""
    values = {option.variable: getattr(settings, option.name) for option in OPTIONS}
    return {
        name: value.reveal().decode() if isinstance(value, Secret) else str(value) for name, value in values.items()
    }


@dataclass
class Served:
    """A running ``serve`` with all its processes."""

    settings: Settings
    database: Database
    platform: FakeMunicipal
    publisher: Publisher
    policy: Policy
    log: Path
    process: subprocess.Popen[bytes]
    sessions: list[aiohttp.ClientSession] = field(default_factory=list)

    @property
    def base(self) -> str:
        """The address partners use."""
        return self.settings.issuer

    def child(self, *words: str) -> int | None:
        """Return the process id of the child whose command line holds these words next to each other."""
        wanted = "\0".join(("", *words, "")).encode()
        for pid in children(self.process.pid):
            with contextlib.suppress(OSError):
                if wanted in Path(f"/proc/{pid}/cmdline").read_bytes() and alive(pid):
                    return pid
        return None

    def worker(self, slot: int) -> int:
        """Return the process id of a worker."""
        pid = self.child("serve-worker", "--slot", str(slot))
        assert pid is not None, self.tail()
        return pid

    def feed(self) -> int:
        """Return the process id of the feed process."""
        pid = self.child("feed-worker")
        assert pid is not None, self.tail()
        return pid

    def tail(self) -> str:
        """Return the end of what the processes wrote, for a failing test."""
        return self.log.read_text(errors="replace")[-3000:]

    async def kill(self, pid: int) -> None:
        """SIGKILL one process and wait until it is gone."""
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not alive(pid), f"end of {pid}")

    async def admin(self, path: str) -> tuple[int, str]:
        """Ask the admin port."""
        async with aiohttp.ClientSession() as session, session.get(f"http://{self.settings.admin_bind}{path}") as got:
            return got.status, await got.text()

    async def until_ready(self, within_s: float = READY_S) -> None:
        """Wait until the supervisor and every child say that they are ready."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    assert self.process.poll() is None, self.tail()
                    with contextlib.suppress(aiohttp.ClientError):
                        if (await self.admin("/readyz"))[0] == 200:
                            return
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise AssertionError(self.tail()) from None

    async def until_replaced(self, slot: int, dead: int) -> None:
        """Wait until another process serves a worker's slot."""
        await until(
            lambda: self.child("serve-worker", "--slot", str(slot)) not in {None, dead}, f"successor of worker {slot}"
        )
        await self.until_ready()

    async def ended(self, within_s: float = _END_S) -> int:
        """Wait for the end of ``serve``; return its exit code."""
        return await asyncio.to_thread(self.process.wait, within_s)

    async def partner(self, client_id: str = "partner-one") -> PartnerClient:
        """Bring a partner on through the operator's way and sign it in."""
        key = SigningKey.generate()
        async with open_operator(self.settings) as operator:
            await operator.add_partner(
                Partner(
                    partner_id=f"prt_{secrets.token_hex(13).upper()}",
                    client_id=client_id,
                    name="测试平台",
                    sector="network_freight",
                    scopes=frozenset({"verifications"}),
                    purposes=frozenset({"onboarding", "risk"}),
                    state=PartnerState.ACTIVE,
                )
            )
            submitted = parse_submitted_key(canonical_json(dict(key.public.jwk)))
            await operator.add_key(client_id, submitted, SystemClock().now_ms())
        client = self.client(client_id, key)
        await client.sign_in()
        return client

    def client(self, client_id: str, key: SigningKey) -> PartnerClient:
        """Return another process of the same partner: a session, a connection and a proof key of its own."""
        timeout = aiohttp.ClientTimeout(total=READY_S)
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1), timeout=timeout)
        self.sessions.append(session)
        return PartnerClient(session, self.base, self.base, client_id, key)

    async def crowd(self, size: int, client_id: str = "partner-one") -> list[PartnerClient]:
        """Return signed-in clients of one new partner, each with one connection."""
        first = await self.partner(client_id)
        others = [self.client(client_id, first.key) for _ in range(size - 1)]
        for other in others:
            await other.sign_in()
        return [first, *others]


@asynccontextmanager
async def serve(database: Database, folder: Path, *, workers: int = 2, **changes: str) -> AsyncIterator[Served]:
    """Publish a small city and run ``serve`` until the block ends; nothing of it is left over."""
    publisher = Publisher(folder / "platform", feed=FEED, clock=SystemClock())
    await asyncio.to_thread(publisher.publish, VersionKind.SNAPSHOT, City(size=60, seed=7, today=TODAY).lines())
    (folder / "feed-keys.txt").write_text(publisher.keys_text)
    with held_port() as port, held_port() as admin:
        async with serving(publisher, folder / "platform") as platform:
            settings = make_settings(
                database,
                folder,
                f"http://{HOST}:{port}",
                **{
                    "bind": f"{HOST}:{port}",
                    "admin_bind": f"{HOST}:{admin}",
                    "workers": str(workers),
                    "feed_url": platform.url,
                    "feed_poll_s": "1",
                    "drain_s": "8",
                    **changes,
                },
            )
            log = folder / "serve.log"
            served = Served(settings, database, platform, publisher, policy_of(settings), log, _start(settings, log))
            try:
                await served.until_ready()
                yield served
            finally:
                for session in served.sessions:
                    await session.close()
                await _end(served)


def _start(settings: Settings, log: Path) -> subprocess.Popen[bytes]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    with log.open("wb") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "gateway", "serve"],
            stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True,
            env=inherited | variables_of(settings) | {"PYTHONDONTWRITEBYTECODE": "1"},
            cwd=Path(__file__).parents[2],
        )  # fmt: skip


async def _end(served: Served) -> None:
    """Ask it to stop; whatever does not is killed, by the process ids of our own family."""
    family = [served.process.pid, *children(served.process.pid)]
    if served.process.poll() is None:
        for pid in family[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        served.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            await served.ended()
    for pid in family:
        if alive(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    served.process.wait()
