"""What the demo shows: a spinner a step on a terminal, plain lines elsewhere, and in the end what to type next."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from gateway.demo.home import default_demo_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gateway.base.settings import Settings
    from gateway.demo.home import DemoHome
    from gateway.terminal.terminal import Terminal

EXAMPLE_SUBJECT: Final = "91990000000000035P"


class DemoScreen:
    """Shows progress to people; with ``--json`` only the final document is written."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal: Final = terminal

    @contextlib.contextmanager
    def step(self, code: str, **blanks: str | int) -> Iterator[None]:
        """Show one step while it runs, and how long it took."""
        text = self._terminal.word(code, **blanks)
        started = perf_counter()
        if self._terminal.json:
            yield
            return
        if self._terminal.out.is_terminal:
            with self._terminal.out.status(Text(f"{text} …")):
                yield
        else:
            self._terminal.line(f"… {text}")
            yield
        self._terminal.line(f"✔ {text} ({perf_counter() - started:.1f} s)")

    def ready(self, ready: Mapping[str, Any], settings: Settings, home: DemoHome) -> None:
        """Say where everything is and what to type next."""
        terminal = self._terminal
        if terminal.json:
            terminal.document(ready)
            return
        lines = [
            ("api", ready["api"]),
            ("municipal", ready["municipal"]),
            ("admin", f"http://{settings.admin_bind}/readyz"),
            ("profile", home.profile),
            ("policy", home.log_policy),
        ]
        terminal.line()
        for word, value in lines:
            terminal.line(f"  {terminal.word(word)}: {value}")
        terminal.line()
        terminal.line(terminal.word("demo_ready"))
        terminal.line(terminal.word("demo_next"))
        terminal.line(f"\n  {next_command(home)}\n", "bold")


PROGRAM: Final = "credit-gateway"


def this_program() -> str:
    """Return how this program is called: by its name where the shell finds it, else by its path, short if it is below here."""
    installed = Path(sys.executable).with_name(PROGRAM)
    found = shutil.which(PROGRAM)
    if not installed.exists() or (found is not None and Path(found).resolve() == installed.resolve()):
        return PROGRAM
    here = Path.cwd()
    return str(installed.relative_to(here)) if installed.is_relative_to(here) else str(installed)


def next_command(home: DemoHome) -> str:
    """Return the command to type next, as it must be typed: this very program, and the profile where it is not the default one."""
    command = f"{shlex.quote(this_program())} verify {EXAMPLE_SUBJECT} --purpose onboarding --business-ref C-1"
    if home.root == default_demo_directory():
        return command
    return f"{command} --profile {shlex.quote(str(home.profile))}"
