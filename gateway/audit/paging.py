"""One row at a time from a store that gives pages.

For: walking long tables side by side with flat memory. Not for: rows that change while they are walked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

Row = TypeVar("Row")


class Rows(Generic[Row]):
    """A cursor over pages. ``fetch`` takes the last row it gave (None at the start) and returns what follows it.

    A page shorter than ``page_size`` is the last one.
    """

    __slots__ = ("_fetch", "_last", "_page", "_page_size", "_short")

    def __init__(self, fetch: Callable[[Row | None], Awaitable[Sequence[Row]]], page_size: int) -> None:
        self._fetch: Final = fetch
        self._page_size: Final = page_size
        self._page: Final[deque[Row]] = deque()
        self._last: Row | None = None
        self._short = False

    async def peek(self) -> Row | None:
        """Return the next row without taking it; None at the end."""
        if not self._page and not self._short:
            page = await self._fetch(self._last)
            self._short = len(page) < self._page_size
            self._page.extend(page)
            if page:
                self._last = page[-1]
        return self._page[0] if self._page else None

    def take(self) -> None:
        """Go past the row that ``peek`` returned."""
        self._page.popleft()
