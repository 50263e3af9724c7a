"""``credit-gateway``: parses the command line, runs one command, turns every error into a sentence and an exit code.

For: people at a terminal and scripts. Not for: what commands do (``gateway.cli.commands``).
"""

from __future__ import annotations

import os
import sys
from itertools import pairwise
from typing import TYPE_CHECKING

from cyclopts import CycloptsError

from gateway.base.log import configure_command_logging
from gateway.base.messages import Lang
from gateway.cli.common import language_of_environment
from gateway.cli.tree import COMMAND, build_app
from gateway.terminal.failures import explain
from gateway.terminal.terminal import Exit, Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    lang = _language(given)
    configure_command_logging()  # what serves configures its own
    terminal = Terminal(lang=lang)
    try:
        result = build_app(lang)(given, exit_on_error=False, print_error=False)
    except CycloptsError as exc:
        terminal.complain(terminal.word("usage", why=str(exc).splitlines()[0], command=COMMAND))
        return Exit.USAGE
    except BrokenPipeError:
        # The reader of our output is gone (`| head`). Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except KeyboardInterrupt:
        return 130
    except Exception as exc:  # noqa: BLE001 - the one place that turns whatever happened into a sentence
        return explain(exc, terminal)
    return result if isinstance(result, int) else Exit.OK


def _language(arguments: Sequence[str]) -> Lang:
    """Return the language asked for on the command line, which also decides the language of its errors and help."""
    wanted = [value for name, value in pairwise(arguments) if name == "--lang"]
    wanted += [argument.partition("=")[2] for argument in arguments if argument.startswith("--lang=")]
    known = [Lang(value) for value in wanted if value in {lang.value for lang in Lang}]
    return known[-1] if known else language_of_environment()
