"""Everything at once on this machine: database, simulated municipal platform, gateway, one registered partner.

For: ``credit-gateway demo``. Every part is the real one, except that the data is synthetic; the gateway runs as a child process
with ``environment = demo``, which alone permits http on loopback and this database. Not for: production.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gateway import wiring
from gateway.base.clock import SystemClock
from gateway.base.errors import ErrorKind, GatewayError
from gateway.base.host_keys import create_host_keys
from gateway.base.ids import new_id
from gateway.base.secret import Secret
from gateway.base.settings import Settings, load_settings
from gateway.demo.home import DemoHome, hold, render_json, write_whole
from gateway.demo.ports import HOST, Ports
from gateway.demo.process import DemoProcess, start_process
from gateway.demo.screen import DemoScreen
from gateway.identity.grants import Scope
from gateway.identity.key_policy import parse_submitted_key
from gateway.identity.metadata import TOKEN_PATH, WELL_KNOWN_PATH
from gateway.identity.partner import Partner, PartnerState
from gateway.identity.signing_key import SigningKey
from gateway.postgres.binaries import NoServerError
from gateway.postgres.embedded import EmbeddedPostgres
from gateway.postgres.migrate import OWNER, ensure_log, migrate
from gateway.postgres.pool import Target, connect
from gateway.terminal.failures import CommandError
from gateway.terminal.hangup import hung_up, outlive, stop_on_signals
from gateway.terminal.terminal import Exit, Terminal
from gateway.verification.question import Purpose

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATABASE: Final = "gateway"
LOG_ORIGIN: Final = "demo.credit-gateway.example/log1"
CLIENT_ID: Final = "demo-partner"
KID: Final = "demo-2026"
_ROLES: Final = (OWNER, "gateway_api", "gateway_feed", "gateway_admin", "gateway_audit")
_CITY_DEADLINE_S: Final = 300.0
_READY_DEADLINE_S: Final = 300.0
_DRAIN_S: Final = 10
_WATCH_S: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What was asked for. ``port`` 0 lets the system choose all ports; otherwise the next two are used as well."""

    data_dir: Path
    port: int
    fresh: bool
    size: int
    workers: int
    ready_file: Path | None


async def run_demo(options: DemoOptions, terminal: Terminal) -> int:
    """Start everything, say what to do next, stay until told to stop, and leave nothing but the data directory.

    What was started is stopped here, in the opposite order: gateway, platform, database. This task is never cancelled, so neither a
    second signal nor one in the middle of the start leaves a part of it out.
    """
    stopping = asyncio.Event()
    stop_on_signals(stopping)
    outlive(terminal)
    with hold(options.data_dir, fresh=options.fresh) as home, Ports.take(options.port) as ports:
        async with contextlib.AsyncExitStack() as stack:
            demo = _Demo(options=options, terminal=terminal, home=home, ports=ports, stack=stack)
            staying = asyncio.create_task(_start_and_stay(demo, stopping), name="demo")
            asked = asyncio.create_task(stopping.wait(), name="stop signal")
            await asyncio.wait([staying, asked], return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            staying.cancel()
            await asyncio.wait([staying])
            if stopping.is_set():
                terminal.tell("demo_stopping")
        failure = None if staying.cancelled() else staying.exception()
        if failure is not None and not stopping.is_set():
            raise failure  # it stays until it is told to stop: what ended it is said after all is down
        terminal.tell("demo_stopped", dir=str(options.data_dir))
    return Exit.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class _Demo:
    """One run. Each part goes on ``stack`` when it is started, so that it is stopped whatever comes after."""

    options: DemoOptions
    terminal: Terminal
    home: DemoHome
    ports: Ports
    stack: contextlib.AsyncExitStack


async def _start_and_stay(demo: _Demo, stopping: asyncio.Event) -> None:
    """Start everything and watch it.

    1. Database. 2. Schema. 3. Simulated platform. 4. Keys and partner. 5. Gateway. 6. Tell. 7. Stay.
    """
    home, options, screen = demo.home, demo.options, DemoScreen(demo.terminal)
    with screen.step("demo_step_database"):  # 1
        server = await _server(demo)
    with screen.step("demo_step_schema"):  # 2
        await _prepare_database(server)
    with screen.step("demo_step_city", size=options.size):  # 3
        platform, feed = await _platform(demo)
    with screen.step("demo_step_keys"):  # 4
        settings = _write_settings(home, _settings_of(demo, server, feed))
        await _register(home, settings)
    with screen.step("demo_step_gateway", workers=options.workers):  # 5
        gateway = _gateway(demo)
    with screen.step("demo_step_feed"):
        await gateway.until_ok(f"http://{settings.admin_bind}/readyz", _READY_DEADLINE_S)
        await gateway.until_ok(settings.issuer + WELL_KNOWN_PATH, _READY_DEADLINE_S)
    ready = _ready(home, settings)
    home.write(home.profile, render_json(ready))
    if options.ready_file is not None:  # 6
        demo.stack.callback(options.ready_file.unlink, missing_ok=True)
        write_whole(options.ready_file, render_json(ready))
    screen.ready(ready, settings, home)
    while not stopping.is_set():  # 7
        for process in (platform, gateway):
            process.check()
        if hung_up() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            stopping.set()  # a terminal that closed without a signal to us
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_WATCH_S):
                await stopping.wait()


async def _server(demo: _Demo) -> EmbeddedPostgres:
    try:
        server = EmbeddedPostgres(demo.home.postgres)
        demo.stack.push_async_callback(server.close)
        await server.start()
    except (NoServerError, OSError) as exc:
        raise CommandError(Exit.UNHEALTHY, "demo_no_server", why=str(exc)) from exc
    return server


async def _prepare_database(server: EmbeddedPostgres) -> None:
    """Make the database on first use, bring it to this version's schema, let the roles in and open the log."""
    connection = await connect(_as_superuser(server.dsn()))
    try:
        exists = await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", DATABASE)
    finally:
        await connection.close()
    if not exists:
        await server.create_database(DATABASE)
    await migrate(server.dsn(DATABASE), roles=True)
    await server.let_in(*_ROLES)
    connection = await connect(_as_superuser(server.dsn(DATABASE, OWNER)))
    try:
        await ensure_log(connection, 1, LOG_ORIGIN)
    finally:
        await connection.close()


def _as_superuser(dsn: str) -> Target:
    return Target(dsn=Secret(dsn.encode()), application_name="credit-gateway demo")


async def _platform(demo: _Demo) -> tuple[DemoProcess, dict[str, Any]]:
    home, options, ports, stack = demo.home, demo.options, demo.ports, demo.stack
    home.municipal_ready.unlink(missing_ok=True)
    arguments = [
        "gateway.sandbox.platform", "--environment", "demo", "--directory", str(home.municipal), "--port",
        str(ports.municipal), "--ready-file", str(home.municipal_ready), "--size", str(options.size), "--parent",
        str(os.getpid()),
    ]  # fmt: skip
    process = start_process("municipal", arguments, home.log("municipal"))
    stack.callback(home.municipal_ready.unlink, missing_ok=True)
    stack.push_async_callback(process.stop, _DRAIN_S)
    feed = await process.until_file(home.municipal_ready, _CITY_DEADLINE_S)
    return process, feed


def _settings_of(demo: _Demo, server: EmbeddedPostgres, feed: dict[str, Any]) -> dict[str, str | int]:
    home, options, ports = demo.home, demo.options, demo.ports
    home.write(home.platform_keys, str(feed["keys"]).encode())
    return {
        "environment": "demo",
        "issuer": f"http://{HOST}:{ports.api}",
        "database_dsn": server.dsn(DATABASE, "gateway_api"),
        "feed_database_dsn": server.dsn(DATABASE, "gateway_feed"),
        "operator_database_dsn": server.dsn(DATABASE, "gateway_admin"),
        "bind": f"{HOST}:{ports.api}",
        "admin_bind": f"{HOST}:{ports.admin}",
        "workers": options.workers,
        "keys_dir": str(home.host_keys),
        "log_origin": LOG_ORIGIN,
        "host_name": "demo",
        "feed_url": str(feed["url"]),
        "feed_name": str(feed["feed"]),
        "feed_keys_file": str(home.platform_keys),
        "feed_poll_s": 5,
        "drain_s": _DRAIN_S,
    }


def _write_settings(home: DemoHome, members: dict[str, str | int]) -> Settings:
    """Write the settings file, so that every operator command works on the demo with ``--config``, and read it back."""
    lines = [f"{name} = {value if isinstance(value, int) else _toml_text(value)}" for name, value in members.items()]
    home.write(home.settings, ("\n".join(lines) + "\n").encode())
    return load_settings({}, home.settings)


def _toml_text(text: str) -> str:
    """Return a TOML basic string; ours hold neither quotation marks nor control characters, but a path may."""
    return (
        '"'
        + "".join(char if char.isprintable() and char not in '"\\' else f"\\U{ord(char):08x}" for char in text)
        + '"'
    )


async def _register(home: DemoHome, settings: Settings) -> None:
    """Make the keys that are not there yet, and register partner and key, each with its leaf, unless they are."""
    create_host_keys(home.host_keys)
    if not home.partner_key.exists():
        home.write(home.partner_key, SigningKey.generate().to_pem().reveal())
    key = SigningKey.from_pem(Secret(home.partner_key.read_bytes()))
    now = SystemClock().now_ms()
    partner = Partner(
        partner_id=new_id("prt", now),
        client_id=CLIENT_ID,
        name="演示网络货运平台",
        sector="network_freight",
        scopes=frozenset({Scope.VERIFICATIONS.value}),
        purposes=frozenset(purpose.value for purpose in Purpose),
        state=PartnerState.ACTIVE,
    )
    submitted = parse_submitted_key(render_json({**key.public.jwk, "kid": KID}))
    async with wiring.open_operator(settings) as operator:
        with _unless_there():
            await operator.add_partner(partner)
        with _unless_there():
            await operator.add_key(CLIENT_ID, submitted, now)
        home.write(home.log_policy, (await operator.log_policy()).encode())


@contextlib.contextmanager
def _unless_there() -> Iterator[None]:
    """Pass over what an earlier run of the demo has registered already."""
    try:
        yield
    except GatewayError as exc:
        if exc.kind is not ErrorKind.CONFLICT:
            raise


def _gateway(demo: _Demo) -> DemoProcess:
    """Start the gateway. It holds one end of a pipe and ends when the other end, ours, is gone."""
    home, stack = demo.home, demo.stack
    theirs, ours = os.pipe()
    stack.callback(os.close, ours)
    arguments = ["gateway", "serve", "--config", str(home.settings), "--until-eof", str(theirs)]
    try:
        process = start_process("gateway", arguments, home.log("gateway"), inherit=(theirs,))
    finally:
        os.close(theirs)
    stack.push_async_callback(process.stop, _DRAIN_S * 2)
    return process


def _ready(home: DemoHome, settings: Settings) -> dict[str, Any]:
    return {
        "api": settings.issuer,
        "issuer": settings.issuer,
        "token_endpoint": settings.issuer + TOKEN_PATH,
        "client_id": CLIENT_ID,
        "kid": KID,
        "private_key_file": str(home.partner_key),
        "log_policy_file": str(home.log_policy),
        "municipal": settings.feed_url,
        "admin": f"http://{settings.admin_bind}",
        "config_file": str(home.settings),
        "data_dir": str(home.root),
        "pid": os.getpid(),
    }
