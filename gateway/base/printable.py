"""Texts of others, made harmless for a terminal: the one place that says which characters may reach it.

For: every text that the command line shows and did not write itself: answers and problems of a server, header fields, names,
file names, records of a database.
Not for: what is stored, hashed or sent on, which stays as it came; nor markup (the terminal reads none, see ``cli.terminal``).

A stranger's text must not move the cursor, set a clipboard or title, forge a line, reverse the reading order, or differ from what
is seen. So whatever is a control, format or default-ignorable character, or no character at all, is shown as U+FFFD, and in JSON as
an escape, which loses nothing.
Source: Unicode UAX 44 (general category, Default_Ignorable_Code_Point); ECMA-48 (C0, C1, control sequences); UTR 36 section 2.5.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

REPLACEMENT: Final = "\ufffd"
MAX_SHOWN_CHARS: Final = 4096
"""Of one text. No sentence of ours is as long; a server may send a mebibyte in one member."""
_CUT: Final = "…"

_REFUSED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control, format, surrogate, private, unassigned, line and paragraph separator."""
# Default_Ignorable_Code_Point outside those categories: they are letters or marks by name, and nothing is seen of them.
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
# The planes of ideographs. Names use characters that are younger than the tables of this Python, which calls them unassigned.
_IDEOGRAPHS: Final = re.compile("[\U00020000-\U0002fffd\U00030000-\U0003fffd]")


def printable(text: str) -> str:
    """Return a text as one line that may be shown: harmful characters, line ends included, replaced; cut where it is too long."""
    if len(text) > MAX_SHOWN_CHARS:
        text = text[:MAX_SHOWN_CHARS] + _CUT
    if text.isascii() and text.isprintable():
        return text
    return "".join(REPLACEMENT if _is_harmful(char) else char for char in text)


def printable_lines(text: str) -> str:
    """Return a text of our own making whose line ends are meant; all else as in ``printable``."""
    return "\n".join(printable(line) for line in text.split("\n"))


def printable_json(document: str) -> str:
    r"""Return a JSON text, whose only blanks are spaces and line ends, with harmful characters as ``\u`` escapes: the same values.

    In JSON such characters can stand in strings alone, where an escape means the same.
    """
    if document.isascii() and "\x7f" not in document:
        return document
    return "".join(_escape(char) if char != "\n" and _is_harmful(char) else char for char in document)


def _escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{int.from_bytes(units[at : at + 2], 'big'):04x}" for at in range(0, len(units), 2))


@lru_cache(maxsize=4096)
def _is_harmful(char: str) -> bool:
    if _IDEOGRAPHS.match(char) is not None:
        return False
    return unicodedata.category(char) in _REFUSED_CATEGORIES or _INVISIBLE.match(char) is not None
