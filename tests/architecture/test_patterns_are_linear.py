"""No regular expression of the package can be made to work longer than its text is long."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.api.edge import partner_routes
from gateway.web.routes import RouteTable
from tests.architecture.ambiguity import Refused, check
from tests.fakes.use_cases import World

ROOT = Path(__file__).parents[2]
SEARCHING = {"search", "sub", "subn", "split", "findall", "finditer"}
MATCHING = {"match", "fullmatch"}
BUILT = {"gateway/web/routes.py"}
"""Where patterns are made from templates of ours: see the test of the routes."""
OWN_FILES = {
    "gateway/postgres/dump.py:_NOISE": "reads what our own pg_dump has written",
    "gateway/cli/reference.py:_BLOCK": "reads our own README",
}
OLD_ADDRESS = (
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{0,5}))?"
    r"(?P<path>(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*)"
    r"(?:\?[\x21-\x7e]*)?(?:#[\x21-\x7e]*)?"
)
"""The pattern of ``htu`` as it once was: a query could hold the sign that begins a fragment."""


@dataclass(frozen=True)
class Found:
    """A pattern of the package and how it is used."""

    place: str
    pattern: str | bytes
    flags: int
    searched: bool


def is_re(call: ast.Call, names: set[str]) -> bool:
    function = call.func
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id == "re"
        and function.attr in names
    )


def imports(tree: ast.Module, module: str, name: str) -> bool:
    """Tell whether a module takes a name from another."""
    return any(
        isinstance(node, ast.ImportFrom) and node.module == module and name in {alias.name for alias in node.names}
        for node in ast.walk(tree)
    )


def uses_of(name: str, trees: dict[Path, ast.Module]) -> set[str]:
    """The methods that are called on a name, or one of ``SEARCHING`` if it is handed on to somewhere else."""
    calls, loads = set(), 0
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name:
                calls.add(node.attr)
                loads -= 1
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
                loads += 1
    return calls if not loads else calls | {"search"}


def patterns() -> Iterator[Found]:
    """Every pattern: compiled as a constant of a module, given to ``re`` in place, or to a type that msgspec checks."""
    trees = {path: ast.parse(path.read_text()) for path in sorted((ROOT / "gateway").rglob("*.py"))}
    for path, tree in trees.items():
        place = str(path.relative_to(ROOT))
        constants = 0
        for node in tree.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Call) and is_re(node.value, {"compile"}):
                constants += 1
                name = node.target.id
                module = importlib.import_module(place.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
                compiled = getattr(module, name)
                uses = uses_of(
                    name, {at: one for at, one in trees.items() if at == path or imports(one, module.__name__, name)}
                )
                assert uses & (SEARCHING | MATCHING), f"{place}:{name} is not used"
                yield Found(f"{place}:{name}", compiled.pattern, compiled.flags, bool(uses - MATCHING))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            if is_re(node, SEARCHING | MATCHING):
                yield Found(f"{place}:{node.lineno}", ast.literal_eval(node.args[0]), 0, searched=True)
            constants -= is_re(node, {"compile"})
            yield from (
                Found(f"{place}:{node.lineno}", ast.literal_eval(keyword.value), 0, searched=True)
                for keyword in node.keywords
                if keyword.arg == "pattern" and isinstance(keyword.value, ast.Constant)
            )
        assert constants == 0 or place in BUILT, f"{place} compiles a pattern that is no constant of the module"


PATTERNS = list(patterns())


def test_the_patterns_are_found():
    """Those of the addresses, headers, forms and texts that strangers send are among them."""
    places = {found.place for found in PATTERNS}

    assert {"gateway/identity/htu.py:_URI", "gateway/web/form.py:_TEXT", "gateway/api/wire.py:_QUOTED_KEY"} <= places
    assert len(places) > 50


@pytest.mark.parametrize("found", PATTERNS, ids=lambda found: found.place)
def test_every_pattern_is_linear(found):
    """Or reads nothing but files of our own, and is named above; what is named and would pass need not be."""
    if found.place in OWN_FILES:
        with pytest.raises(Refused):
            check(found.pattern, found.flags, searched=found.searched)
        return
    check(found.pattern, found.flags, searched=found.searched)


def test_what_is_excused_is_there():
    assert OWN_FILES.keys() <= {found.place for found in PATTERNS}


def test_the_patterns_of_the_routes_are_linear():
    """They are made from templates; the table tries each of them on a path that names nothing."""
    made = [pattern for pattern, _methods in RouteTable(partner_routes(World().needs()))._variable]

    assert made
    for pattern in made:
        check(pattern.pattern, pattern.flags, searched=False)


def test_the_pattern_that_was_quadratic_is_refused():
    """2,048 characters cost two million steps before anybody had said who asks."""
    with pytest.raises(Refused, match="two loops"):
        check(OLD_ADDRESS, searched=False)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a*)*b",
        r"(a+)+b",
        r"(?:a|a)*b",
        r"(?:a|aa)*b",
        r"(?:a?b?)*c",
        r"(?:(?:a|b)+c?)+d",
        r"a*a*b",
        r"a*x?a*b",
        r"\d+\w*z",
        r".*=.*;",
        r"[a-z]{0,100}[a-z0-9]{0,100}!",
        r"(?:/[^?]*)*",
        r"(?i:[a-z]+)K*\d",
        r"(?:a*)?b",
        r"(?=.*x).*",
        r"(.)\1*",
    ],
)
def test_ambiguous_patterns_are_refused(pattern):
    with pytest.raises(Refused):
        check(pattern, searched=False)


@pytest.mark.parametrize("pattern", [r"a+b", r"\s+$", r"(?:ab)+(?!c)", r"a(?:.*x)?", r"<.*>", r"[^,]*,"])
def test_patterns_that_are_quadratic_only_when_searched_are_refused_there(pattern):
    """The search begins anew at every character of a run that leads nowhere."""
    check(pattern, searched=False)
    with pytest.raises(Refused):
        check(pattern, searched=True)


@pytest.mark.parametrize("pattern", [r"a+", r"(?:ab)+", r"[1-9][0-9]{16}[0-9X]", r"x|y", r"^a*b", r"\s*"])
def test_what_is_linear_passes(pattern):
    check(pattern, searched=True)
