"""What the documentation says and can be checked is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.cli.reference import EXITS, language_of, rewrite
from gateway.cli.terminal import Exit
from gateway.cli.tree import COMMAND, COMMANDS

ROOT = Path(__file__).parents[3]
READMES = [ROOT / "README.md", ROOT / "README.zh.md"]
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")
TYPED = re.compile(rf"(?:^|[ /`]){COMMAND} ((?:[a-z]+(?:-[a-z]+)*)(?: [a-z]+)?)", re.MULTILINE)


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
