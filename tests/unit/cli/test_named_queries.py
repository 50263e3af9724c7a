"""Named SQL: every name is used, every use has a name, and no statement is built from text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.postgres.queries import Queries, QueryFileError, parse_queries

PACKAGE = Path(__file__).parents[3] / "gateway"
SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("name", sorted(Queries.load()))
def test_every_query_is_used(name: str):
    numbered = re.sub(r"_[01]$", "_{slot}", name)

    assert f'"{name}"' in SOURCES or f'"{numbered}"' in SOURCES


def test_every_query_lists_its_columns():
    starred = [name for name, sql in Queries.load().items() if re.search(r"(?i)select\s+(\w+\.)?\*", sql)]

    assert starred == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("SELECT 1;\n-- name: a\n-- x\nSELECT 1;", "text before the first name"),
        ("-- name: a\nSELECT 1;", "needs a line of purpose"),
        ("-- name: a\n-- purpose\nSELECT 1", "needs a line of purpose"),
        ("-- name: a\n-- x\nSELECT 1;\n-- name: a\n-- x\nSELECT 2;", "stands twice"),
    ],
)
def test_a_file_that_breaks_the_form_is_refused(text: str, why: str):
    with pytest.raises(QueryFileError, match=why):
        parse_queries(text, "bad.sql")
