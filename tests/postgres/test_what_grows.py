"""The page that says what grows and what ends names every table of the schema, once, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import Database

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "operations.md", DOCS / "operations.zh.md"]
TABLES = """
SELECT n.nspname || '.' || c.relname
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""
ROW = re.compile(r"^\| (`[^|]+`) \|", re.MULTILINE)
NAME = re.compile(r"`([a-z_]+\.[a-z_]+)`")


def listed(page: Path) -> list[list[str]]:
    """The tables in the first column of each section's table: those that grow, those that end, the others."""
    sections = page.read_text(encoding="utf-8").split("\n## ")[1:]
    return [[name for cell in ROW.findall(section) for name in NAME.findall(cell)] for section in sections]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
async def test_every_table_is_on_the_page(database: Database, page: Path) -> None:
    """A new table says on the day it is made how fast it grows and what ends it."""
    connection = await database.connect()
    tables = [row[0] for row in await connection.fetch(TABLES)]
    await connection.close()

    sections = listed(page)

    assert len(sections) == 3
    assert sorted(name for section in sections for name in section) == sorted(tables)


def test_both_languages_say_the_same_of_the_same_tables() -> None:
    assert listed(PAGES[0]) == listed(PAGES[1])
