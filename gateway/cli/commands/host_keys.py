"""``keys init``: this host's own secret files. ``log-policy``: what partners must trust to check its receipts."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from gateway.base.host_keys import create_host_keys
from gateway.base.messages import Lang
from gateway.cli.common import CommonOptions, given, group, help_text, run
from gateway.cli.failures import CommandError
from gateway.cli.open import operating
from gateway.cli.terminal import Exit


def register(app: App, lang: Lang) -> None:
    """Add the commands of this noun."""
    noun = group(app, lang, "keys")
    noun.command(
        init, name="init", help=help_text(lang, "keys init", "credit-gateway keys init /etc/credit-gateway/keys")
    )
    app.command(
        log_policy, name="log-policy", help=help_text(lang, "log-policy", "credit-gateway log-policy > log-policy.txt")
    )


def init(
    directory: Annotated[Path, Parameter(help="目录,权限 0700 · directory, mode 0700")], *, common: CommonOptions = None
) -> int:
    """Make the key files that are not there yet; existing ones are never touched."""
    terminal = given(common).terminal()
    try:
        made = create_host_keys(directory)
    except OSError as exc:
        raise CommandError(Exit.FAILED, "file_unwritable", file=str(directory)) from exc
    if terminal.json:
        terminal.document({"directory": str(directory), "made": [file.name for file in made]})
    for file in made:
        terminal.tell("host_keys_made", file=str(file))
    if not made:
        terminal.tell("host_keys_kept")
    return Exit.OK


def log_policy(*, common: CommonOptions = None) -> int:
    """Print the C2SP tlog-policy that trusts this host's log key."""
    options = given(common)
    terminal = options.terminal()

    async def work() -> str:
        async with operating(options.settings()) as operator:
            return await operator.log_policy()

    policy = run(work())
    if terminal.json:
        terminal.document({"policy": policy})
    else:
        terminal.out.file.write(policy)
    return Exit.OK
