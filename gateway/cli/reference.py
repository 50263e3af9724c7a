"""``python -m gateway.cli.reference README.md …``: writes the reference tables of the documentation from the code.

For: what can be checked is checked: a test compares each table in the files with what this module renders.
A table stands between ``<!-- name -->`` and ``<!-- /name -->``; the language follows from the file's name.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.base.errors import ErrorKind
from gateway.base.messages import Lang, Sentence
from gateway.base.messages.help import HELP
from gateway.base.messages.problems import PROBLEMS
from gateway.base.messages.settings import MEANINGS
from gateway.base.settings import OPTIONS
from gateway.cli.tree import COMMAND, COMMANDS
from gateway.terminal.terminal import Exit
from gateway.web.problem import status_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_BLOCK: Final = re.compile(r"(?P<start><!-- (?P<name>[a-z]+) -->\n).*?(?P<end><!-- /(?P=name) -->)", re.DOTALL)
EXITS: Final = {
    Exit.OK: Sentence("成功", "done"),
    Exit.FAILED: Sentence("未完成", "failed"),
    Exit.USAGE: Sentence("用法或输入有误", "wrong usage or input"),
    Exit.AUTHENTICATION: Sentence("认证或授权未通过", "not authenticated or not permitted"),
    Exit.NOT_FOUND: Sentence("不存在", "not found"),
    Exit.CONFLICT: Sentence("与现状冲突", "conflict with what is there"),
    Exit.RATE_LIMITED: Sentence("请求过于频繁", "rate-limited"),
    Exit.UNHEALTHY: Sentence("服务不可用", "not available or not healthy"),
    Exit.INTEGRITY: Sentence("完整性核验未通过", "integrity failure"),
    Exit.CONFIGURATION: Sentence("设置有误,未启动", "wrong settings; nothing was started"),
}

_WITHOUT_BLANKS: Final = {
    ErrorKind.VALIDATION_FAILED: Sentence(
        "请求正文需要修改，errors 逐条列出。", "The body must be changed; `errors` names each place."
    ),
}
"""Instead of details that say something of one request, such as a count."""


def render_table(name: str, lang: Lang) -> str:
    """Return one table in Markdown; ``KeyError`` for a name that is none."""
    return {"settings": _settings, "commands": _commands, "problems": _problems, "exits": _exits}[name](lang)


def rewrite(text: str, lang: Lang) -> str:
    """Return a document with every table rendered again."""
    return _BLOCK.sub(lambda block: block["start"] + render_table(block["name"], lang) + block["end"], text)


def language_of(file: Path) -> Lang:
    """Return the language of a document by its name."""
    return Lang.ZH if ".zh." in file.name else Lang.EN


def _settings(lang: Lang) -> str:
    heads = Sentence("变量|缺省|说明", "variable|default|meaning")
    rows = []
    for option in OPTIONS:
        default = "—" if option.default is None or option.name == "host_name" else f"`{option.default}`"
        twin = " (`…_FILE`)" if option.secret else ""
        required = _pick(Sentence("**必填**", "**required**"), lang) if option.required else default
        rows.append((f"`{option.variable}`{twin}", required, _pick(MEANINGS[option.name], lang)))
    return _table(heads, rows, lang)


def _commands(lang: Lang) -> str:
    shown = [command for command in COMMANDS if command.examples]
    heads = Sentence("命令|作用|示例", "command|what it does|example")
    rows = [(f"`{c.path}`", _pick(HELP[c.path], lang), f"`{COMMAND} {c.examples[0]}`") for c in shown]
    return _table(heads, rows, lang)


def _problems(lang: Lang) -> str:
    meanings = {kind: _WITHOUT_BLANKS.get(kind, PROBLEMS[kind].detail) for kind in ErrorKind}
    rows = [(f"`{kind.value}`", str(status_of(kind)), _pick(meanings[kind], lang)) for kind in ErrorKind]
    return _table(Sentence("代码|状态|含义", "code|status|meaning"), rows, lang)


def _exits(lang: Lang) -> str:
    rows = [(str(int(code)), _pick(meaning, lang)) for code, meaning in EXITS.items()]
    return _table(Sentence("退出码|含义", "exit code|meaning"), rows, lang)


def _table(heads: Sentence, rows: Iterable[Sequence[str]], lang: Lang) -> str:
    names = _pick(heads, lang).split("|")
    cells = [names, ["---"] * len(names), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def _pick(sentence: Sentence, lang: Lang) -> str:
    return sentence.zh if lang is Lang.ZH else sentence.en


def main(names: Sequence[str]) -> int:
    """Rewrite the named files."""
    for file in map(Path, names):
        file.write_text(rewrite(file.read_text(encoding="utf-8"), language_of(file)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
