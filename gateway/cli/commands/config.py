"""``config check | show | schema``: what a gateway is told, before it is started."""

from typing import Annotated

from cyclopts import Parameter

from gateway.base.crypto import sha256
from gateway.base.messages.settings import MEANINGS
from gateway.base.secret import Secret
from gateway.base.settings import OPTIONS, Settings
from gateway.cli.common import CommonOptions, given, run
from gateway.cli.open import fit_host
from gateway.postgres.pool import Target, connect
from gateway.postgres.preflight import check_database
from gateway.terminal.terminal import NOTHING, Exit


def check(
    *,
    database: Annotated[bool, Parameter(negative="", help="同时检查数据库 · also check the database")] = False,
    common: CommonOptions = None,
) -> int:
    """Check settings, keys and trusted files, all faults at once, without starting anything."""
    options = given(common)
    terminal = options.terminal()
    settings = fit_host(options)
    if database:
        run(_check_database(settings))
    if terminal.json:
        terminal.document({"ok": True, "database_checked": database})
    terminal.tell("config_ok")
    if database:
        terminal.tell("database_ok")
    return Exit.OK


async def _check_database(settings: Settings) -> None:
    connection = await connect(Target(dsn=settings.database_dsn, application_name="credit-gateway config check"))
    try:
        await check_database(connection, production=settings.production)
    finally:
        await connection.close()


def show(*, common: CommonOptions = None) -> int:
    """Show every setting in force and where it is from; secrets as fingerprints."""
    options = given(common)
    terminal = options.terminal()
    settings = options.settings()
    rows = [
        (option.variable, _shown(getattr(settings, option.name)), settings.sources.get(option.name, "default"))
        for option in OPTIONS
    ]
    if terminal.json:
        terminal.document([{"variable": name, "value": value, "source": source} for name, value, source in rows])
        return Exit.OK
    terminal.table(("setting", "value", "source"), rows)
    return Exit.OK


def schema(
    *,
    markdown: Annotated[bool, Parameter(negative="", help="输出 Markdown 表格 · as a Markdown table")] = False,
    common: CommonOptions = None,
) -> int:
    """List every setting, its default and its meaning."""
    terminal = given(common).terminal()
    rows = [
        (
            option.variable + (" / _FILE" if option.secret else ""),
            option.default if option.default is not None and option.name != "host_name" else NOTHING,
            terminal.pick(MEANINGS[option.name]),
        )
        for option in OPTIONS
    ]
    if terminal.json:
        terminal.document(
            [
                {
                    "variable": option.variable,
                    "required": option.required,
                    "secret": option.secret,
                    "default": option.default,
                    "meaning": MEANINGS[option.name]._asdict(),
                }
                for option in OPTIONS
            ]
        )
    elif markdown:
        heading = [terminal.word(code) for code in ("setting", "default", "meaning")]
        lines = [
            heading,
            ["---"] * len(heading),
            *([f"`{name}`", f"`{default}`", text] for name, default, text in rows),
        ]
        terminal.file("".join(f"| {' | '.join(cells)} |\n" for cells in lines))
    else:
        terminal.table(("setting", "default", "meaning"), rows)
    return Exit.OK


def _shown(value: object) -> str:
    """Return a value as text; of a secret only eight digits of its SHA-256, to compare two hosts with."""
    if isinstance(value, Secret):
        return f"sha256:{sha256(value.reveal()).hex()[:8]}"
    return str(value)
