"""``docs/what-is-proven.md`` promises nothing that no test shows: each sentence names its tests, in both languages the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "docs" / name for name in ("what-is-proven.md", "what-is-proven.zh.md")]
SENTENCE = re.compile(r"^\* (?P<text>.+?) <!-- (?P<tests>[^>]+) -->$", re.MULTILINE)
BULLET = re.compile(r"^\* ", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_sentence_names_tests_that_exist(page: Path):
    text = page.read_text(encoding="utf-8")
    sentences = SENTENCE.findall(text)

    assert len(sentences) == len(BULLET.findall(text)) > 25
    missing = [test for _text, tests in sentences for test in tests.split() if not exists(test)]
    assert missing == []


def test_both_languages_say_the_same_things_in_the_same_order():
    english, chinese = (
        [tests for _text, tests in SENTENCE.findall(page.read_text(encoding="utf-8"))] for page in PAGES
    )

    assert english == chinese


def test_no_test_of_the_page_is_forgotten():
    """The tests that were written for the page alone stand on it."""
    file = "tests/e2e/test_what_is_proven.py"
    named = set(re.findall(rf"{re.escape(file)}::(\w+)", PAGES[0].read_text(encoding="utf-8")))

    assert named == functions(ROOT / file)


def exists(test: str) -> bool:
    file, _, name = test.partition("::")
    return (ROOT / file).exists() and name in functions(ROOT / file)


def functions(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }
