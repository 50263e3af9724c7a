"""``keys init``: this host's own secret files. ``log-policy``: what partners must trust to check its receipts."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gateway.base.host_keys import create_host_keys
from gateway.cli.common import CommonOptions, given, run
from gateway.cli.open import operating
from gateway.terminal.failures import CommandError
from gateway.terminal.terminal import Exit


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
        terminal.file(policy)
    return Exit.OK
