"""From an error to one clear sentence and an exit code: the command line's only mapping.

For: ``gateway.cli.main``, which catches everything once. Not for: recovering from anything.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final

from gateway.audit.guard import Doubt
from gateway.base.errors import ErrorKind, GatewayError
from gateway.base.messages import say
from gateway.base.messages import settings as setting_messages
from gateway.base.messages.cli import WORDS
from gateway.base.messages.problems import PROBLEMS
from gateway.base.printable import printable
from gateway.base.setting_faults import SettingsError
from gateway.postgres.preflight import PreflightError
from gateway.postgres.schema import MigrateError
from gateway.terminal.terminal import Exit, Terminal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gateway.base.setting_faults import SettingFault

_EXITS: Final = {
    ErrorKind.UNAUTHENTICATED: Exit.AUTHENTICATION,
    ErrorKind.INVALID_TOKEN: Exit.AUTHENTICATION,
    ErrorKind.INVALID_DPOP_PROOF: Exit.AUTHENTICATION,
    ErrorKind.USE_DPOP_NONCE: Exit.AUTHENTICATION,
    ErrorKind.INSUFFICIENT_SCOPE: Exit.AUTHENTICATION,
    ErrorKind.PURPOSE_NOT_ALLOWED: Exit.AUTHENTICATION,
    ErrorKind.NOT_FOUND: Exit.NOT_FOUND,
    ErrorKind.CONFLICT: Exit.CONFLICT,
    ErrorKind.IDEMPOTENCY_IN_PROGRESS: Exit.CONFLICT,
    ErrorKind.IDEMPOTENCY_KEY_REUSED: Exit.CONFLICT,
    ErrorKind.OVERLOADED: Exit.UNHEALTHY,
    ErrorKind.STORE_UNAVAILABLE: Exit.UNHEALTHY,
    ErrorKind.REQUEST_TIMEOUT: Exit.UNHEALTHY,
    ErrorKind.INTERNAL: Exit.UNHEALTHY,
    ErrorKind.VALIDATION_FAILED: Exit.USAGE,
    ErrorKind.INVALID_REQUEST: Exit.USAGE,
}
"""What is not named here ends with ``FAILED``."""


_DOUBTS: Final = frozenset(Doubt)


class CommandError(Exception):
    """A command cannot do what was asked; ``code`` names a sentence of ``messages.cli``, ``details`` follow it, a line each."""

    def __init__(self, exit_code: Exit, code: str, /, details: Sequence[str] = (), **blanks: str | int) -> None:
        super().__init__(code)
        self.exit_code = exit_code
        self.code = code
        self.details = details
        self.blanks: Mapping[str, str | int] = blanks


def explain(error: Exception, terminal: Terminal) -> Exit:
    """Say what went wrong, in one sentence a line, and return the exit code."""
    match error:
        case CommandError():
            _report(terminal, terminal.word(error.code, **error.blanks), error.details)
            return error.exit_code
        case SettingsError():
            _report(
                terminal,
                terminal.word("settings_faulty", count=len(error.faults)),
                [f"{fault.name} {_setting_fault(fault, terminal)}" for fault in error.faults],
            )
            return Exit.CONFIGURATION
        case PreflightError():
            unfit = [terminal.word(fault.code, **fault.params) for fault in error.faults]
            _report(terminal, terminal.word("database_unfit"), unfit)
            return Exit.CONFIGURATION
        case MigrateError():
            terminal.complain(terminal.word("migrate_failed", why=str(error.args[0])))
            return Exit.FAILED
        case GatewayError():
            terminal.complain(_sentence(error, terminal))
            return Exit.INTEGRITY if error.reason in _DOUBTS else exit_of(error.kind)
        case _:
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
            terminal.complain(terminal.word("unexpected", error=type(error).__name__, place=place))
            return Exit.FAILED


def _report(terminal: Terminal, sentence: str, details: Iterable[str]) -> None:
    terminal.complain(sentence)
    for detail in details:
        terminal.complain(f"  {printable(detail)}")


def _setting_fault(fault: SettingFault, terminal: Terminal) -> str:
    return say(setting_messages.FAULTS, fault.code, terminal.lang, **fault.params)


def exit_of(kind: ErrorKind) -> Exit:
    """Return the exit code of a kind of refusal."""
    return _EXITS.get(kind, Exit.FAILED)


def _sentence(error: GatewayError, terminal: Terminal) -> str:
    """Return the most telling sentence there is: of the reason, else of the kind."""
    if error.faults:
        said = [terminal.word(fault.code, **fault.params) for fault in error.faults if fault.code in WORDS]
        return terminal.word("key_refused", faults="; ".join(said))
    if error.reason in WORDS:
        return terminal.word(error.reason)
    return terminal.pick(PROBLEMS[error.kind].detail)
