"""Named SQL: every statement of the gateway stands in a ``.sql`` file here, under a name and one line of purpose.

For: loading them once at start. Not for: building SQL; statements take parameters, never text.
A file is a sequence of ``-- name: xyz``, one or more comment lines that say what for, and one statement ended by ``;``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent
_NAME: Final = re.compile(r"^-- name: (?P<name>[a-z][a-z0-9_]*)\n", re.MULTILINE)


class QueryFileError(ValueError):
    """A query file is not as it must be; ``args[0]`` names file and query."""


class Queries(Mapping[str, str]):
    """Statements by name. An unknown name is a ``KeyError`` at the first use, so stores look all theirs up at start."""

    __slots__ = ("_statements",)

    def __init__(self, statements: Mapping[str, str]) -> None:
        self._statements: Final = dict(statements)

    @classmethod
    def load(cls, *subjects: str) -> Queries:
        """Read the files of some subjects (``"audit"`` is ``audit.sql``), or of all; a name twice is refused."""
        files = [_HERE / f"{subject}.sql" for subject in subjects] or sorted(_HERE.glob("*.sql"))
        statements: dict[str, str] = {}
        for file in files:
            for name, sql in parse_queries(file.read_text(encoding="utf-8"), file.name).items():
                if name in statements:
                    msg = f"{file.name}: {name} stands twice"
                    raise QueryFileError(msg)
                statements[name] = sql
        return cls(statements)

    def __getitem__(self, name: str) -> str:
        return self._statements[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._statements)

    def __len__(self) -> int:
        return len(self._statements)


def parse_queries(text: str, file: str) -> dict[str, str]:
    """Split a file into its statements, without their names and without the last semicolon."""
    pieces = _NAME.split(text)
    if pieces[0].strip() and not all(line.startswith("--") for line in pieces[0].strip().splitlines()):
        msg = f"{file}: text before the first name"
        raise QueryFileError(msg)
    statements: dict[str, str] = {}
    for name, body in zip(pieces[1::2], pieces[2::2], strict=True):
        sql = body.strip()
        if name in statements:
            msg = f"{file}: {name} stands twice"
            raise QueryFileError(msg)
        if not sql.startswith("-- ") or not sql.endswith(";"):
            msg = f"{file}: {name} needs a line of purpose and a statement that ends with a semicolon"
            raise QueryFileError(msg)
        statements[name] = sql.removesuffix(";")
    return statements
