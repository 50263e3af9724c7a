"""``migrate``: an empty or older database becomes one that this version serves from."""

from typing import Annotated

from cyclopts import Parameter

from gateway.base.secret import Secret
from gateway.base.settings import Settings
from gateway.cli.common import CommonOptions, given, run
from gateway.postgres.migrate import OWNER, Migrated, ensure_log, migrate, plan
from gateway.postgres.pool import Connection, Target, connect
from gateway.postgres.schema import current
from gateway.terminal.terminal import Exit


def migrate_(
    *,
    roles: Annotated[
        bool, Parameter(negative="", help="同时建立角色与权限,需超级用户 · also roles and grants; needs a superuser")
    ] = False,
    plan_only: Annotated[
        bool, Parameter(name="--plan", negative="", help="只打印将执行的 SQL · only print the SQL that would run")
    ] = False,
    common: CommonOptions = None,
) -> int:
    """Bring the schema to this version, open the log and make its coming partitions."""
    options = given(common)
    terminal = options.terminal()
    settings = options.settings()
    if plan_only:
        sql = run(_plan(settings))
        terminal.document({"sql": sql}) if terminal.json else terminal.file(sql)
        return Exit.OK
    done = run(_migrate(settings, roles=roles))
    if terminal.json:
        terminal.document(
            {"before": done.before, "after": done.after, "log_id": settings.log_id, "log_origin": settings.log_origin}
        )
    if done.before == done.after:
        terminal.tell("migrated_already", after=done.after)
    else:
        terminal.tell("migrated", before=done.before or "-", after=done.after)
    terminal.tell("log_open", log_id=settings.log_id, origin=settings.log_origin)
    return Exit.OK


async def _migrate(settings: Settings, *, roles: bool) -> Migrated:
    done = await migrate(settings.database_dsn.reveal().decode(), roles=roles)
    connection = await _connect(settings.database_dsn)
    try:
        if roles:
            await connection.execute(f"SET ROLE {OWNER}")
        await ensure_log(connection, settings.log_id, settings.log_origin)
    finally:
        await connection.close()
    return done


async def _plan(settings: Settings) -> str:
    connection = await _connect(settings.database_dsn)
    try:
        return plan(await current(connection))
    finally:
        await connection.close()


async def _connect(dsn: Secret) -> Connection:
    return await connect(Target(dsn=dsn, application_name="credit-gateway migrate"))
