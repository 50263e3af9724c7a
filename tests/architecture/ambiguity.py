"""Whether a regular expression can cost more than its input is long, decided from its parse tree.

For: the test that holds every pattern of the package to linear time. Not for: patterns whose work is bounded by their own length, and
not for what a match means.

A backtracking matcher that fails has walked every path of its automaton that the text allows, so its work is the number of such
paths. That number grows faster than the text exactly if the automaton has, on one word w (Weber and Seidl 1991, theorem 4.1; for
matchers: Weideman et al. 2016, "Analyzing Matching Time Behavior of Backtracking Regular Expression Matchers by Using Ambiguity of
NFA"):

* two ways round from a state to itself (the work doubles with each round: exponential), or
* ways p -w-> p, p -w-> q and q -w-> q between two states (the work is a power of the length).

The automaton is Glushkov's: a state for each character set of the pattern, and an edge as often as the pattern gives it. What is
approximated is approximated upwards: possessive and atomic parts count as ordinary ones, a repetition of more than ``EXPAND`` as an
unbounded one. So what passes is linear, and a pattern that is linear for a reason unknown here must be written more plainly.
``search``, ``sub`` and the like begin anew at every character: they count as a loop over all characters in front, and there the second
case is harmless where each way from ``q`` to ``q`` passes an end of the pattern, because the search then succeeds and goes on behind.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import product
from re import _constants as op
from re import _parser as sre
from typing import Any

EXPAND = 20
"""Repetitions up to here are written out, so that ``[0-9]{16}`` is no loop."""
_EXOTIC = "\u00a0\u00ad\u0130\u017f\u0660\u1680\u2028\u2060\u212a\u3000\u4e00\uff11\ufeff\U0001f600\U00010400"
_UNBOUNDED = int(op.MAXREPEAT)


class Refused(Exception):  # noqa: N818 - says what it says
    """The pattern is ambiguous, or holds something whose work this analysis cannot bound; ``args[0]`` says what."""


CharSet = Callable[[int], bool]


@dataclass
class _Part:
    """A sub-pattern: may it be empty, where it begins, where it ends."""

    nullable: bool = True
    first: Counter[int] = field(default_factory=Counter)
    last: Counter[int] = field(default_factory=Counter)


@dataclass
class Automaton:
    """States are numbers; ``sets`` says what each consumes, ``edges`` how often the pattern leads from one to another."""

    sets: list[CharSet] = field(default_factory=list)
    edges: dict[int, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    final: set[int] = field(default_factory=set)
    samples: set[int] = field(default_factory=lambda: {*range(256), *map(ord, _EXOTIC)})

    def state(self, chars: CharSet) -> _Part:
        """Add a state; return it as a part."""
        self.sets.append(chars)
        one = Counter({len(self.sets) - 1: 1})
        return _Part(nullable=False, first=one, last=Counter(one))

    def join(self, one: _Part, other: _Part) -> _Part:
        """One part after the other."""
        self.lead(one.last, other.first)
        first = one.first + other.first if one.nullable else one.first
        last = other.last + one.last if other.nullable else other.last
        return _Part(one.nullable and other.nullable, first, last)

    def lead(self, sources: Counter[int], targets: Counter[int]) -> None:
        """Add the edges from each source to each target, as often as there are ways."""
        for (source, ways), (target, more) in product(sources.items(), targets.items()):
            self.edges[source][target] += ways * more


class _Builder:
    """From the parse tree of a pattern to its automaton."""

    def __init__(self, flags: int, *, of_bytes: bool) -> None:
        self.automaton = Automaton()
        self.conditional = False  # whether reaching the end is enough to match
        self._flags = flags
        self._of_bytes = of_bytes

    def sequence(self, items: Iterable[tuple[Any, Any]]) -> _Part:
        part = _Part()
        for code, argument in items:
            part = self.automaton.join(part, self.item(code, argument))
        return part

    def item(self, code: Any, argument: Any) -> _Part:
        if code in {op.AT, op.ASSERT, op.ASSERT_NOT}:
            return self._condition(code, argument)
        if code in {op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN}:
            return self.automaton.state(self._set(code, argument))
        if code is op.SUBPATTERN:
            return self._group(*argument)
        if code is op.ATOMIC_GROUP:
            return self.sequence(argument)
        if code is op.BRANCH:
            return self._branch(argument[1])
        if code in {op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT}:
            return self._repeat(*argument)
        raise Refused(str(code), "is not analysed")

    def _condition(self, code: Any, argument: Any) -> _Part:
        if code is not op.AT and argument[1].getwidth()[1] > 2 * EXPAND:
            raise Refused("a look-around of unbounded length")
        self.conditional = self.conditional or argument not in (op.AT_BEGINNING, op.AT_BEGINNING_STRING)
        return _Part()

    def _group(self, _number: Any, add: int, drop: int, body: Any) -> _Part:
        outer = self._flags
        self._flags = outer & ~drop | add
        part = self.sequence(body)
        self._flags = outer
        return part

    def _branch(self, branches: Iterable[Any]) -> _Part:
        whole = _Part(nullable=False)
        for branch in branches:
            part = self.sequence(branch)
            if whole.nullable and part.nullable:
                raise Refused("two alternatives that may be empty")
            whole = _Part(whole.nullable or part.nullable, whole.first + part.first, whole.last + part.last)
        return whole

    def _repeat(self, least: int, most: int, body: Any) -> _Part:
        if int(most) > EXPAND:
            least, most = min(int(least), EXPAND), _UNBOUNDED
        whole = _Part()
        for _ in range(int(least)):
            whole = self.automaton.join(whole, self.sequence(body))
        if int(most) == _UNBOUNDED:
            return self.automaton.join(whole, self._loop(body))
        optional = _Part()
        for _ in range(int(most) - int(least)):  # x{0,3} is (x(x(x)?)?)?
            optional = self.automaton.join(self.sequence(body), optional)
            if optional.nullable:
                raise Refused("an optional part that may be empty")
            optional.nullable = True
        return self.automaton.join(whole, optional)

    def _loop(self, body: Any) -> _Part:
        part = self.sequence(body)
        if part.nullable:
            raise Refused("a repeated part that may be empty")
        self.automaton.lead(part.last, part.first)
        return _Part(nullable=True, first=part.first, last=part.last)

    def _set(self, code: Any, argument: Any) -> CharSet:
        if code is op.ANY:
            dot_all = bool(self._flags & re.DOTALL)
            return lambda char: dot_all or char != ord("\n")
        if code is op.IN:
            negated = argument[0][0] is op.NEGATE
            members = [self._member(*item) for item in argument if item[0] is not op.NEGATE]
            return self._cased(lambda char: any(member(char) for member in members) is not negated)
        self._sample(argument)
        if code is op.NOT_LITERAL:
            return self._cased(lambda char: char != argument)
        return self._cased(lambda char: char == argument)

    def _member(self, code: Any, argument: Any) -> CharSet:
        if code is op.LITERAL:
            self._sample(argument)
            return lambda char: char == argument
        if code is op.RANGE:
            low, high = argument
            self._sample(low, high)
            return lambda char: low <= char <= high
        if code is op.CATEGORY:
            letter = {"DIGIT": "d", "SPACE": "s", "WORD": "w"}[str(argument).rpartition("_")[2]]
            pattern = re.compile(f"\\{letter}", re.ASCII if self._of_bytes or self._flags & re.ASCII else 0)
            negated = "NOT" in str(argument)
            return lambda char: (pattern.match(chr(char)) is None) is negated
        raise Refused(str(code), "is not analysed")

    def _sample(self, *chars: int) -> None:
        self.automaton.samples.update(max(char + step, 0) for char in chars for step in (-1, 0, 1))

    def _cased(self, inner: CharSet) -> CharSet:
        if not self._flags & re.IGNORECASE:  # as it is where the set stands
            return inner

        def either(char: int) -> bool:
            text = chr(char)
            return any(inner(ord(one)) for one in {text, text.lower(), text.upper()} if len(one) == 1)

        return either


def check(pattern: str | bytes, flags: int = 0, *, searched: bool) -> None:
    """Return if the work of a pattern is linear in its text; ``Refused`` says why it may not be."""
    tree = sre.parse(pattern, flags)
    items = list(tree)
    flags = tree.state.flags
    anchored = items[:1] == [(op.AT, op.AT_BEGINNING)] and not flags & re.MULTILINE
    builder = _Builder(flags, of_bytes=isinstance(pattern, bytes))
    automaton = builder.automaton
    front = _Part()
    prefix = None
    if searched and not anchored:
        front = automaton.state(lambda _char: True)
        automaton.lead(front.last, front.first)
        prefix = 0
        front.nullable = True
    whole = automaton.join(front, builder.sequence(items))
    automaton.final = set() if builder.conditional else set(whole.last)
    _refuse_ambiguity(automaton, prefix)


def _refuse_ambiguity(automaton: Automaton, prefix: int | None) -> None:
    reach = {state: _reach(automaton, state) for state in range(len(automaton.sets))}
    looping = [state for state, reached in reach.items() if state in reached]
    for state in looping:
        if any(ways > 1 and state in reach[target] for target, ways in automaton.edges[state].items()):
            raise Refused("a loop within a loop: exponential")
    kinds = {tuple(chars(char) for chars in automaton.sets) for char in automaton.samples}
    steps = [_Steps(automaton, kind) for kind in kinds]
    for state in looping:
        _refuse_two_ways_round(steps, state)
    for one, other in product(looping, looping):
        if one != other and other in reach[one]:
            _refuse_two_loops(steps, one, other, stop=automaton.final if one == prefix else set())


def _reach(automaton: Automaton, start: int) -> set[int]:
    """Return the states that one comes to from a state, itself only if it lies on a loop."""
    seen: set[int] = set()
    todo = [start]
    while todo:
        fresh = automaton.edges[todo.pop()].keys() - seen
        seen |= fresh
        todo.extend(fresh)
    return seen


class _Steps:
    """The edges that one kind of character may take: into states whose set holds it."""

    def __init__(self, automaton: Automaton, kind: tuple[bool, ...]) -> None:
        self._next = {
            state: tuple(target for target in targets if kind[target]) for state, targets in automaton.edges.items()
        }

    def __call__(self, state: int) -> tuple[int, ...]:
        return self._next.get(state, ())


def _refuse_two_ways_round(steps: list[_Steps], state: int) -> None:
    """Search the square of the automaton for a way from (s, s) through two different states back to (s, s)."""
    seen = {(state, state, False)}
    todo = list(seen)
    while todo:
        one, other, apart = todo.pop()
        for step in steps:
            for pair in product(step(one), step(other)):
                found = (*pair, apart or pair[0] != pair[1])
                if found == (state, state, True):
                    raise Refused("two ways round one loop: exponential")
                if found not in seen:
                    seen.add(found)
                    todo.append(found)


def _refuse_two_loops(steps: list[_Steps], p: int, q: int, stop: set[int]) -> None:
    """Search the cube of the automaton for a word that leads from (p, p, q) to (p, q, q), the last past no state of ``stop``."""
    seen = {(p, p, q)}
    todo = list(seen)
    while todo:
        now = todo.pop()
        for step in steps:
            for found in product(step(now[0]), step(now[1]), set(step(now[2])) - stop):
                if found == (p, q, q):
                    raise Refused("two loops on the same text: a power of its length")
                if found not in seen:
                    seen.add(found)
                    todo.append(found)
