"""``serve``, and the two hidden commands its children are started with."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import uvloop
from asyncpg.exceptions import PostgresError
from cyclopts import Parameter
from cyclopts.validators import Number

from gateway import wiring
from gateway.base.log import configure_logging, get_logger
from gateway.base.settings import Settings
from gateway.cli.common import Common, CommonOptions, given
from gateway.cli.open import fit_host
from gateway.postgres.pool import Target, connect
from gateway.postgres.preflight import PreflightError, check_database
from gateway.supervision.heartbeat import lifeline
from gateway.supervision.supervisor import Plan, supervise
from gateway.terminal.failures import CommandError
from gateway.terminal.terminal import Exit

_log = get_logger()


def serve(
    *,
    workers: Annotated[
        int | None, Parameter(validator=Number(gte=1, lte=64), help="工作进程数 · worker processes")
    ] = None,
    until_eof: Annotated[int | None, Parameter(show=False)] = None,
    common: CommonOptions = None,
) -> int:
    """Run the gateway until SIGTERM: workers on one port, one feed process, the admin port."""
    options = given(common)
    settings = _configured(options)
    plan = Plan(settings=settings, workers=workers or settings.workers, config=options.config, until_eof=until_eof)
    try:
        return asyncio.run(_checked(plan))
    except OSError as exc:
        addresses = f"{settings.bind}, {settings.admin_bind}"
        raise CommandError(Exit.UNHEALTHY, "cannot_listen", where=addresses, why=exc.strerror or "") from exc


async def _checked(plan: Plan) -> int:
    """Refuse to start on an unfit database; a database that is down may come back while the workers wait for it."""
    try:
        connection = await connect(Target(dsn=plan.settings.database_dsn, application_name="credit-gateway start"))
    except (OSError, TimeoutError):
        return await supervise(plan)
    try:
        await check_database(connection, production=plan.settings.production)
    finally:
        await connection.close()
    return await supervise(plan)


def serve_worker(*, slot: int, fd: int, heartbeat_fd: int, common: CommonOptions = None) -> int:
    """Run one worker on an inherited socket. Started by ``serve``."""
    settings = _configured(given(common))

    async def work() -> None:
        with socket.socket(fileno=fd) as sock:
            async with lifeline(heartbeat_fd) as line:
                await wiring.run_worker(settings, sock, slot, line)

    return _live(work)


def feed_worker(*, heartbeat_fd: int, common: CommonOptions = None) -> int:
    """Run the feed process. Started by ``serve``."""
    settings = _configured(given(common))

    async def work() -> None:
        async with lifeline(heartbeat_fd) as line:
            await wiring.run_feed(settings, line)

    return _live(work)


def _live(work: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Run a child. What the database is like now may be another tomorrow (a failover), so that is worth a restart."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work())
    except PreflightError as exc:
        for fault in exc.faults:
            _log.error("database_unfit", fault=fault.code)
        return Exit.UNHEALTHY
    except (OSError, TimeoutError, PostgresError) as exc:
        _log.error("process_failed", exc_info=exc)
        return Exit.UNHEALTHY
    return Exit.OK


def _configured(options: Common) -> Settings:
    """Return the settings with keys and trusted files checked and logging set up, or raise with every fault there is."""
    settings = fit_host(options)
    configure_logging(settings.log_level, settings.log_format)
    return settings
