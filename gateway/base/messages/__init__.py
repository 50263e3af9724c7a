"""What the gateway says to people, in Chinese and English, by stable code.

For: problem documents, field faults, reasons in answers, the command line. Each subject has its own table in this package.
Not for: log lines (English, constant event names).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Lang(StrEnum):
    """The two languages. Chinese is the default everywhere."""

    ZH = "zh"
    EN = "en"


class Sentence(NamedTuple):
    """One message in both languages; blanks are ``str.format`` fields such as ``{expected}``."""

    zh: str
    en: str


def say(table: Mapping[str, Sentence], code: str, lang: Lang, **blanks: str | int) -> str:
    """Return the sentence of a code in a language with its blanks filled; ``KeyError`` for an unknown code."""
    sentence = table[code]
    return (sentence.zh if lang is Lang.ZH else sentence.en).format(**blanks)
