"""An answer as a card in the terminal: what was found, on which basis, until when, and what can be done.

For: ``credit-gateway verify``. The document is shown as the gateway sent it; nothing is judged here. Texts in it are data: each
passes ``base.printable`` where it enters a row, and nothing is read as markup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from gateway.base.clock import parse_rfc3339
from gateway.base.messages import Lang
from gateway.base.messages.cli import WORDS
from gateway.base.printable import printable
from gateway.terminal.terminal import NOTHING, Terminal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gateway.audit.receipt import VerifiedReceipt

_STYLES: Final = {
    "clear": "bold green",
    "restricted": "bold red",
    "partial": "bold yellow",
    "unavailable": "bold yellow",
    "unknown_subject": "bold",
}
_MAX_WIDTH: Final = 100
_LABEL_WIDTH: Final = 12
_Row: TypeAlias = tuple[str, *tuple[str, ...]]
"""The word for a fact, and its lines."""


def show_card(terminal: Terminal, answer: Mapping[str, Any], verified: VerifiedReceipt) -> None:
    """Print the card of an answer whose receipt was verified."""
    outcome = str(answer.get("outcome"))
    style = _STYLES.get(outcome, "bold")
    parts: list[RenderableType] = [_facts(terminal, _head_rows(terminal, answer))]
    for flag in answer.get("flags") or ():
        parts += [Rule(style="dim"), _facts(terminal, _flag_rows(terminal, flag))]
    for notice in answer.get("notices") or ():
        parts += [Rule(style="dim"), Text(printable(_told(terminal, notice.get("meaning"))))]
    parts += [Rule(style="dim"), _facts(terminal, _foot_rows(terminal, answer, verified))]
    verdict = terminal.word(f"outcome_{outcome}") if f"outcome_{outcome}" in WORDS else printable(outcome)
    width = min(_MAX_WIDTH, terminal.out.width)
    terminal.show(Panel(Group(*parts), title=Text(verdict, style), title_align="left", border_style=style, width=width))


def _facts(terminal: Terminal, rows: Iterable[_Row]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True, min_width=_LABEL_WIDTH)
    grid.add_column(overflow="fold")
    for word, *lines in rows:
        grid.add_row(terminal.word(word), Text("\n".join(map(printable, lines))))
    return grid


def _head_rows(terminal: Terminal, answer: Mapping[str, Any]) -> Iterable[_Row]:
    subject = answer.get("subject") or {}
    yield "subject", " ".join(str(subject[part]) for part in ("uscc", "name") if subject.get(part)) or NOTHING
    for candidate in answer.get("candidates") or ():
        yield "candidates", f"{candidate.get('uscc')} {candidate.get('name')}"
    for reason in answer.get("reasons") or ():
        yield "reasons", _told(terminal, reason)


def _flag_rows(terminal: Terminal, flag: Mapping[str, Any]) -> Iterable[_Row]:
    state = str(flag.get("state"))
    yield "flags", f"{_told(terminal, flag.get('name'))} [{terminal.word(state) if state in WORDS else state}]"
    measures = [_told(terminal, measure) for measure in flag.get("measures") or ()]
    if measures:
        yield "measures", *measures
    yield "basis", *(map(str, flag.get("basis") or (NOTHING,)))
    yield "authority", str(flag.get("authority") or NOTHING)
    yield "document", str(flag.get("document_no") or NOTHING)
    yield "from", str(flag.get("decided_on") or NOTHING)
    yield "until", str(flag.get("until") or _told(terminal, flag.get("end_condition")))
    yield "repair", _repair(terminal, flag.get("repair") or {})
    if flag.get("unverified"):
        yield "unverified_row", ", ".join(map(str, flag["unverified"]))


def _foot_rows(terminal: Terminal, answer: Mapping[str, Any], verified: VerifiedReceipt) -> Iterable[_Row]:
    yield "as_of", f"{_moment(terminal, answer.get('as_of'))} · {answer.get('feed')} {answer.get('feed_version')}"
    yield "catalogue", str(answer.get("catalogue_version"))
    yield "verification", str(answer.get("id"))
    log = verified.proven.checkpoint.origin
    yield "receipt", terminal.word("receipt_checked", log=log, index=verified.leaf_index)


def _repair(terminal: Terminal, repair: Mapping[str, Any]) -> str:
    earliest = repair.get("earliest")
    path = _told(terminal, repair)
    return f"{path} ({terminal.word('earliest')} {earliest})" if earliest else path


def _told(terminal: Terminal, words: object) -> str:
    """Return a text that the answer carries in both languages, in the reader's."""
    if not isinstance(words, dict):
        return NOTHING
    return str(words.get("zh" if terminal.lang is Lang.ZH else "en") or NOTHING)


def _moment(terminal: Terminal, text: object) -> str:
    try:
        return terminal.moment(parse_rfc3339(str(text)))
    except ValueError:
        return NOTHING
