"""What the documentation says and can be checked is true."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import CycloptsError

from gateway.base.messages import Lang
from gateway.cli.reference import EXITS, language_of, rewrite
from gateway.cli.tree import COMMAND, COMMANDS, build_app
from gateway.terminal.terminal import Exit

ROOT = Path(__file__).parents[3]
READMES = [ROOT / "README.md", ROOT / "README.zh.md"]
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")
TYPED = re.compile(rf"(?:^|[ /`]){COMMAND} ((?:[a-z]+(?:-[a-z]+)*)(?: [a-z]+)?)", re.MULTILINE)
SHELL = re.compile(r"^ *```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
MADE = re.compile(r"`make ([a-z]+)`|^make ([a-z]+)", re.MULTILINE)
TARGET = re.compile(r"^([a-z]+):", re.MULTILINE)
OPERATORS = frozenset("|&;<>()")


def typed_lines(file: Path) -> Iterator[list[str]]:
    """The words after the command's name in every line of a shell block that has it, up to a pipe or redirection."""
    for block in SHELL.findall(file.read_text(encoding="utf-8")):
        for line in block.splitlines():
            words = shlex.shlex(line, posix=True, punctuation_chars=True)
            words.whitespace_split = True
            command: list[str] | None = None
            for word in [*words, "|"]:
                if OPERATORS.issuperset(word):
                    if command is not None:
                        yield command
                    command = None
                elif command is not None:
                    command.append(word)
                elif word.rpartition("/")[2] == COMMAND:
                    command = []


@pytest.mark.parametrize("file", READMES, ids=lambda file: file.name)
def test_every_command_line_in_a_shell_block_is_understood(file: Path):
    """Commands, options and arguments as written: each is read by the application itself, and nothing is left over."""
    app = build_app(Lang.EN)
    paths = {command.path for command in COMMANDS}
    lines = list(typed_lines(file))

    assert len(lines) > 15
    for words in lines:
        assert words[0] in paths or " ".join(words[:2]) in paths, words
        app.parse_args(words, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("wrong", [["verify", "--porpoise", "x"], ["audit", "fsk"], ["status", "now"]])
def test_a_command_line_that_is_not_understood_would_be_found(wrong: list[str]):
    with pytest.raises(CycloptsError):
        build_app(Lang.EN).parse_args(wrong, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("file", READMES, ids=lambda file: file.name)
def test_every_make_target_that_is_named_exists(file: Path):
    targets = set(TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    named = {quoted or line for quoted, line in MADE.findall(file.read_text(encoding="utf-8"))}

    assert {"demo", "test"} <= named
    assert named <= targets


@pytest.mark.parametrize("file", READMES, ids=lambda file: file.name)
def test_no_table_shows_a_blank(file: Path):
    """A sentence with a blank is one of a request, not of a document."""
    rows = [line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]

    assert rows
    assert [row for row in rows if re.search(r"\{\w+\}", row)] == []


@pytest.mark.parametrize("file", READMES, ids=lambda file: file.name)
def test_every_table_is_what_the_code_says(file: Path):
    """``python -m gateway.cli.reference README.md README.zh.md`` writes them again."""
    text = file.read_text(encoding="utf-8")

    assert {"problems", "commands", "exits", "settings"} <= set(re.findall(r"<!-- ([a-z]+) -->", text))
    assert rewrite(text, language_of(file)) == text


@pytest.mark.parametrize("file", [*READMES, ROOT / "docs" / "architecture.md"], ids=lambda file: file.name)
def test_every_link_leads_somewhere(file: Path):
    for target in LINK.findall(file.read_text(encoding="utf-8")):
        assert (file.parent / target).exists(), target


@pytest.mark.parametrize("file", READMES, ids=lambda file: file.name)
def test_every_command_that_is_shown_exists(file: Path):
    paths = {command.path for command in COMMANDS}

    for typed in TYPED.findall(file.read_text(encoding="utf-8")):
        assert typed in paths or typed.split()[0] in paths, typed


def test_every_path_that_the_architecture_names_exists():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

    for named in re.findall(
        r"`((?:base|cli|credit|identity|audit|municipal|postgres|web|api|verification)/[a-z_/.]*)`", text
    ):
        path = ROOT / "gateway" / named
        assert path.exists() or path.with_suffix(".py").exists(), named


def test_every_exit_code_is_explained():
    assert set(EXITS) == set(Exit)
