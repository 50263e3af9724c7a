"""Comparing what PostgreSQL holds with the digests of what was signed, page by page, and naming whatever differs.

For: the feed process, which goes round slowly all the time, and ``feed verify``, which goes round once. Not for: mending
(``FeedLoop.reload``), nor for where the digests come from (``proving``).

Two sweeps, because each finds what the other cannot. The first goes along the digests and asks for those rows: missing, changed, moved.
The second goes along the keys in the database and asks for their digests: added. Both go by key, so a version applied between two pages
moves nothing past the reader, and each page is judged only if both sides are of one version. A hash over everything would say no more:
the database could not be trusted to compute it, so every row must travel anyway, and then its own digest names it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from gateway.credit.replica_row import Difference, DifferenceKind, DigestsOf, Finding, Part, RowDigest
from gateway.worker.decide import AS_OF_LEEWAY_MS, judge_stand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gateway.credit.feed_version import ReplicaState
    from gateway.worker.ports import FeedGuard, ReplicaPages

PAGE_ROWS: Final = 1000
"""About 1 MB of rows; a few milliseconds of the database's time."""
MAX_NAMED: Final = 1000
"""Differences that a round names; of more it gives the number. A slot exchanged whole would name 20 million."""
MAX_UNSETTLED: Final = 100
"""Pages tried again because a version was applied meanwhile, before a round gives up."""


class RoundResult(StrEnum):
    """How a round ended."""

    CLEAN = "clean"
    DIFFERS = "differs"
    UNKNOWN = "unknown"
    """There are no digests of the version that stands: nothing is proven and nothing contradicted."""


class Unsettled(Exception):  # noqa: N818 - named for what it says
    """The two sides are not of one version at this moment."""


@dataclass(slots=True, kw_only=True)
class Round:
    """What a round has found so far. ``counts`` has all differences by kind, ``named`` the first ``MAX_NAMED``."""

    named: list[Difference] = field(default_factory=list)
    counts: Counter[DifferenceKind] = field(default_factory=Counter)
    rows: int = 0
    """Rows compared."""
    version: int | None = None
    digests_version: int | None = None
    complete: bool = False

    @property
    def result(self) -> RoundResult:
        """How it ended; a difference found counts also in a round that was not finished."""
        if self.counts:
            return RoundResult.DIFFERS
        return RoundResult.CLEAN if self.complete else RoundResult.UNKNOWN

    @property
    def finding(self) -> Finding:
        """What was found, for the marker of doubt."""
        return Finding(version=self.version or 0, count=sum(self.counts.values()), differences=tuple(self.named))

    def note(self, differences: Sequence[Difference]) -> None:
        """Add what a page has shown."""
        for difference in differences:
            self.counts[difference.kind] += 1
            if len(self.named) < MAX_NAMED:
                self.named.append(difference)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedProof:
    """What a round found, and whether the answers of this host are stopped after it."""

    round: Round
    doubted: bool

    @property
    def sound(self) -> bool:
        """Whether nothing differs and nobody doubts."""
        return self.round.result is RoundResult.CLEAN and not self.doubted


class Comparison:
    """One round. ``page`` does a little of it; calls must not overlap."""

    def __init__(self, guard: FeedGuard, pages: ReplicaPages) -> None:
        self._guard: Final = guard
        self._pages: Final = pages
        self._after: tuple[int, str] | None = (0, "")  # where the first sweep stands; None once it is done
        self._parts: Final[Iterator[Part]] = iter(Part)
        self._part: Part = next(self._parts)  # where the second sweep stands
        self._key: str | None = None
        self.round: Final = Round()

    async def head(self) -> None:
        """Compare the head of the feed with what this host has proven; to be called before the first page."""
        state, _none = await self._pages.held(Part.REGISTRATION, ())
        self.round.version = state.version
        found = await self._guard.digests()
        self.round.digests_version = None if found is None else found.version
        proven = await self._guard.stand()
        kind = judge_stand(state, proven, None)
        if kind is None and proven is not None and state.as_of_ms > proven.as_of_ms + AS_OF_LEEWAY_MS:
            kind = DifferenceKind.AS_OF_AHEAD
        self.round.note([] if kind is None else [Difference(kind=kind)])

    async def page(self) -> bool:
        """Compare the next page; tell whether there is more. ``Unsettled``: not now, nothing was skipped."""
        if self._after is not None:
            await self._expected_page(self._after)
            return True
        return await self._held_page()

    async def _expected_page(self, after: tuple[int, str]) -> None:
        found = await self._guard.page(after, PAGE_ROWS)
        if found is None:
            raise Unsettled
        stand, expected = found
        for part in sorted({row.part for row in expected}):
            wanted = [row for row in expected if row.part is part]
            state, held = await self._pages.held(part, [row.key for row in wanted])
            self._check_same(stand, state)
            self.round.note(compare_rows(wanted, held))
        self.round.rows += len(expected)
        self._after = (expected[-1].part, expected[-1].key) if len(expected) == PAGE_ROWS else None

    async def _held_page(self) -> bool:
        state, keys = await self._pages.keys(self._part, self._key, PAGE_ROWS)
        found = await self._guard.find(self._part, keys)
        if found is None:
            raise Unsettled
        stand, expected = found
        self._check_same(stand, state)
        self.round.note(
            [Difference(kind=DifferenceKind.ADDED, part=self._part, key=key) for key in keys if key not in expected]
        )
        if len(keys) == PAGE_ROWS:
            self._key = keys[-1]
            return True
        part = next(self._parts, None)
        if part is None:
            self.round.complete = True
            return False
        self._part, self._key = part, None
        return True

    def _check_same(self, stand: DigestsOf, state: ReplicaState) -> None:
        self.round.version, self.round.digests_version = state.version, stand.version
        if stand[:2] != (state.version, state.digest):
            raise Unsettled


async def compare_all(
    comparison: Comparison, progress: Callable[[int], None], *, pause_s: float = 0.5, patience: int = MAX_UNSETTLED
) -> Round:
    """Go round once without pausing; wait for versions that are being applied, and give up as unknown if that does not end."""
    found = comparison.round
    await comparison.head()
    more, unsettled = True, 0
    while more:
        try:
            more = await comparison.page()
            unsettled = 0
        except Unsettled:
            unsettled += 1
            if unsettled > patience:
                return found
            await asyncio.sleep(pause_s)
        progress(found.rows)
    return found


def compare_rows(expected: Sequence[RowDigest], held: Sequence[RowDigest]) -> list[Difference]:
    """Return how some rows differ from what they must be; both of one part."""
    rows = dict[str, RowDigest]()
    differences = list[Difference]()
    for row in held:
        if row.key in rows:  # the same key twice: the database has lost its primary key
            differences.append(
                Difference(kind=DifferenceKind.ADDED, part=row.part, key=row.key, subject=subject_of(row))
            )
        rows[row.key] = row
    for wanted in expected:
        kind = _difference(wanted, rows.get(wanted.key))
        if kind is not None:
            differences.append(Difference(kind=kind, part=wanted.part, key=wanted.key, subject=subject_of(wanted)))
    return differences


def subject_of(row: RowDigest) -> str | None:
    """Return whom a row is about."""
    return row.key if row.part is Part.REGISTRATION else row.subject


def _difference(wanted: RowDigest, row: RowDigest | None) -> DifferenceKind | None:
    if row is None:
        return DifferenceKind.MISSING
    if row.digest != wanted.digest:
        return DifferenceKind.CHANGED
    if row.subject != wanted.subject and not wanted.any_subject:
        return DifferenceKind.MOVED
    return None
