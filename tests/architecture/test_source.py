"""What holds for the source as a whole, and what no single test can see: direction of imports, reasons, lengths, names that fit.

Each rule is a few lines of syntax tree; none of them imports what it looks at, but for the tables that must be complete.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from gateway.base.errors import ErrorKind
from gateway.base.messages.problems import PROBLEMS
from gateway.postgres.queries import Queries

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "gateway").rglob("*.py"))
SOURCES = [*MODULES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "bench").rglob("*.py"))]
MAX_LINES = 400
"""300 is the aim; a module that cannot be said in this is two modules."""
ADMINISTRATION = {
    "gateway/demo/run.py",
    "gateway/postgres/embedded.py",
    "gateway/postgres/migrate.py",
    "gateway/postgres/preflight.py",
    "gateway/postgres/schema.py",
}
"""Modules that look at a server or its migrations, before there is a schema."""
OTHER_DATABASE = {"gateway/guard/replica/digest_file.py"}
"""Keeps digests in a file of its own, with statements that PostgreSQL never sees."""
_SILENCED = re.compile(r"noqa\b|type:\s*ignore\b")
_REASONED = re.compile(
    r"#\s*(?:(?:ruff:\s*)?noqa:\s*[A-Z]+[0-9]+(?:,\s*[A-Z]+[0-9]+)*\s+-\s+\S|type:\s*ignore\[[a-z-]+(?:,\s*[a-z-]+)*\]\s*#\s*\S)"
)
_CHINESE = re.compile(r"[一-鿿]")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def comments(path: Path) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def test_imports_go_down_only():
    """The contracts of ``pyproject.toml``: layers, edges without adapters, rules without I/O."""
    linter = Path(sys.executable).with_name("lint-imports")

    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stdout[-2000:]


def test_jwts_are_decoded_in_one_place():
    """K5: one call of the library's decoder, in the module that pins the algorithm and the claims."""
    calls = [
        named(path)
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and node.attr == "decode" and isinstance(node.value, ast.Name)
        if node.value.id == "jwt"
    ]

    assert calls == ["gateway/identity/token.py"]


def test_the_command_line_writes_in_one_place():
    """So that no text of others can go round what makes it printable. Help is written by the parser, spinners by their library."""
    writing = {"print", "print_json", "file", "log", "rule", "write", "writelines"}
    places = {
        f"{named(path)}:{node.lineno}"
        for path in MODULES
        if path.relative_to(ROOT).parts[1] in {"cli", "demo", "terminal"}
        for node in ast.walk(tree_of(path))
        if (
            isinstance(node, ast.Attribute)
            and node.attr in writing
            and ast.unparse(node.value).endswith((".out", ".err"))
        )
        or (isinstance(node, ast.Call) and ast.unparse(node.func) in {"print", "sys.stdout.write", "sys.stderr.write"})
    }

    assert {place.partition(":")[0] for place in places} == {"gateway/terminal/terminal.py"}


def test_whatever_is_silenced_has_a_reason():
    """``noqa`` names its rule and, after a dash, its reason; ``type: ignore`` its code and, in a comment, its reason."""
    bare = [
        f"{named(path)}:{line}: {text}"
        for path in SOURCES
        for line, text in comments(path)
        if _SILENCED.search(text) and not _REASONED.search(text)
    ]

    assert bare == []


def test_no_module_is_long():
    """What does not fit is two modules."""
    lengths = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}

    assert {path: length for path, length in lengths.items() if length > MAX_LINES} == {}


def test_every_module_says_what_it_is_for():
    """Each opens with a docstring."""
    assert [named(path) for path in MODULES if path.stat().st_size and not ast.get_docstring(tree_of(path))] == []


def test_every_refusal_has_its_sentences():
    """Title, detail and advice of every kind, in Chinese and in English, and none for a kind that does not exist."""
    assert set(PROBLEMS) == set(ErrorKind)
    for kind, text in PROBLEMS.items():
        for sentence in text:
            assert _CHINESE.search(sentence.zh), kind
            assert sentence.en.strip(), kind
            assert not _CHINESE.search(sentence.en), kind


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_refusal_is_provoked_by_a_test(kind):
    """No kind is there for nothing: some test names it."""
    here = Path(__file__).parent
    word = re.compile(rf"""ErrorKind\.{kind.name}\b|["'b]{kind.value}["']""")

    assert any(
        word.search(path.read_text(encoding="utf-8"))
        for path in (ROOT / "tests").rglob("test_*.py")
        if here not in path.parents
    )


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_refusal_is_raised_somewhere(kind):
    """A code that is published can happen: some module makes a ``GatewayError`` of that kind."""
    assert any(
        isinstance(part, ast.Attribute) and part.attr == kind.name
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "GatewayError" and node.args
        for part in ast.walk(node.args[0])
    )


def strings_and_patterns() -> tuple[set[str], list[re.Pattern[str]]]:
    """All string constants of the program, and its formatted strings as patterns."""
    constants: set[str] = set()
    patterns: list[re.Pattern[str]] = []
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                constants.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = (re.escape(part.value) if isinstance(part, ast.Constant) else r"\w+" for part in node.values)
                patterns.append(re.compile("".join(parts)))
    return constants, [pattern for pattern in patterns if re.match(r"[a-z]+_", pattern.pattern)]


def test_every_named_query_is_used():
    """A statement that no module names is dead."""
    constants, patterns = strings_and_patterns()

    unused = [
        name
        for name in Queries.load()
        if name not in constants and not any(pattern.fullmatch(name) for pattern in patterns)
    ]
    assert unused == []


def test_every_query_that_is_named_exists():
    """A name in ``queries[...]`` is one of a statement."""
    known = set(Queries.load())
    asked = {
        (named(path), node.slice.value)
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
        if getattr(node.value, "id", getattr(node.value, "attr", "")) in {"queries", "_queries"}
    }

    assert asked
    assert {(path, name) for path, name in asked if name not in known} == set()


def test_no_sql_outside_the_query_files():
    """Statements have names; what is executed directly sets up a session or a transaction, or makes a database."""
    data = re.compile(r"\s*(?:--.*\n\s*)?(?:SELECT|INSERT|UPDATE|DELETE|WITH)\s", re.DOTALL)
    found = {
        named(path)
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and data.match(node.value)
    }

    assert found <= ADMINISTRATION | OTHER_DATABASE
