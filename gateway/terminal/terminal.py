"""How commands speak: one object that knows the language and whether a person or a machine reads.

For: results on stdout (a table, a card, or with ``--json`` one JSON document and nothing else), everything else on stderr.
The one place of the command line that writes, so that every text passes ``base.printable``: blanks of a sentence and cells of a table
as one line each, a document with escapes. Nothing is read as markup.
Not for: deciding anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

import msgspec
from rich.console import Console, RenderableType
from rich.highlighter import JSONHighlighter
from rich.table import Table
from rich.text import Text

from gateway.base.clock import SHANGHAI, Millis, to_datetime
from gateway.base.messages import Lang, Sentence, say
from gateway.base.messages.cli import WORDS
from gateway.base.printable import printable, printable_json, printable_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_ENCODER: Final = msgspec.json.Encoder()
_PIPE_WIDTH: Final = 400
"""Lines of a table that goes into a pipe are not folded at 80 characters."""
NOTHING: Final = "—"
"""Shown where a value does not apply."""


class Exit(IntEnum):
    """Exit codes of every command; documented in the README."""

    OK = 0
    FAILED = 1
    USAGE = 2
    AUTHENTICATION = 3
    NOT_FOUND = 4
    CONFLICT = 5
    RATE_LIMITED = 6
    UNHEALTHY = 7
    INTEGRITY = 8
    CONFIGURATION = 78


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    return console


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """Where a command writes. ``out`` carries results, ``err`` everything a pipe must not see."""

    lang: Lang
    json: bool = False
    out: Console = field(default_factory=lambda: _console(stderr=False))
    err: Console = field(default_factory=lambda: _console(stderr=True))

    def word(self, code: str, /, **blanks: str | int) -> str:
        """Return a sentence of ``messages.cli`` in the reader's language. What fills its blanks cannot begin a line of its own."""
        filled = {name: printable(value) if isinstance(value, str) else value for name, value in blanks.items()}
        return say(WORDS, code, self.lang, **filled)

    def pick(self, sentence: Sentence) -> str:
        """Return a sentence of another table in the reader's language."""
        return sentence.zh if self.lang is Lang.ZH else sentence.en

    def tell(self, code: str, /, **blanks: str | int) -> None:
        """Say something to a person; a machine is told nothing but the document."""
        if not self.json:
            self.line(self.word(code, **blanks))

    def line(self, text: str = "", style: str = "") -> None:
        """Write a text of ours to stdout."""
        self.out.print(Text(printable_lines(text), style))

    def complain(self, text: str) -> None:
        """Say on stderr what went wrong."""
        self.err.print(Text(printable_lines(text)))

    def document(self, value: Any) -> None:  # noqa: ANN401 - any tree that msgspec encodes
        """Write the one JSON document of a ``--json`` command."""
        self.received(_ENCODER.encode(value))

    def received(self, document: bytes) -> None:
        """Write a JSON document that is known to be one: the same members and values, blanks and escapes as we write them."""
        self.out.file.write(_laid_out(document) + "\n")

    def tree(self, value: Any) -> None:  # noqa: ANN401 - any tree that msgspec encodes
        """Show a tree to a person, as JSON in colours."""
        self.out.print(JSONHighlighter()(Text(_laid_out(_ENCODER.encode(value)))))

    def file(self, text: str) -> None:
        """Write what is meant for a file, line by line as it is: a policy, SQL, Markdown."""
        self.out.file.write(printable_lines(text))

    def show(self, parts: RenderableType) -> None:
        """Show something composed, whose texts the caller has passed through ``printable``."""
        self.out.print(parts, soft_wrap=False)

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Write a table; ``headings`` are codes of ``messages.cli``. Cells are shown as they are, never as markup."""
        table = Table(box=None, pad_edge=False)
        for code in headings:
            table.add_column(self.word(code), overflow="fold")  # an identifier cut short identifies nothing
        for row in rows:
            table.add_row(*(Text(NOTHING if cell is None else printable(str(cell))) for cell in row))
        self.out.print(table, soft_wrap=False)

    def moment(self, instant: Millis | None) -> str:
        """Return an instant in Asia/Shanghai with its offset."""
        if instant is None:
            return NOTHING
        return to_datetime(instant, SHANGHAI).isoformat(sep=" ", timespec="seconds")


def _laid_out(document: bytes) -> str:
    return printable_json(msgspec.json.format(document, indent=2).decode())
