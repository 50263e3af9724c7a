"""Deadlines of requests, kept by one timer for all of them. HOT.

For: the middleware. ``asyncio.timeout`` makes and cancels a timer for each request, which an answer of some 250 µs notices: with uvloop a
timer is a handle of its own that is opened and closed. Here a request only enters its name in a book, and one look each tenth of a second
finds those that are late. So a deadline may be missed by that tenth, never by more. Not for: anything that is not once a request.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Final

LOOK_S: Final = 0.1
"""Between two looks for late requests."""


class Deadlines:
    """The book of one server's requests and when each must end. Owned by the event loop's thread."""

    __slots__ = ("_book", "_seconds", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds: Final = seconds
        self._book: Final[dict[RequestDeadline, float]] = {}  # in the order of their ends: all have the same time
        self._timer: asyncio.TimerHandle | None = None

    def of(self, task: asyncio.Task[Any]) -> RequestDeadline:
        """Return the deadline of a request that begins now; enter it in ``task``, which must be the running one."""
        return RequestDeadline(self, task)

    def enter(self, deadline: RequestDeadline, loop: asyncio.AbstractEventLoop) -> None:
        """Note a request."""
        self._book[deadline] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_later(min(LOOK_S, self._seconds), self._look, loop)

    def leave(self, deadline: RequestDeadline) -> None:
        """Forget a request that has ended."""
        self._book.pop(deadline, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for deadline, end in list(self._book.items()):
            if end > now:
                break
            del self._book[deadline]
            deadline.expire()
        self._timer = loop.call_later(LOOK_S, self._look, loop) if self._book else None


class DeadlinePassed(TimeoutError):  # noqa: N818 - a statement about what happened
    """The request's own time is up. Its own type: any other ``TimeoutError`` out of a handler is a defect of ours."""


class RequestDeadline:
    """Cancels its task when time is up, and turns that cancellation into ``DeadlinePassed``."""

    __slots__ = ("_deadlines", "_expired", "_task")

    def __init__(self, deadlines: Deadlines, task: asyncio.Task[Any]) -> None:
        self._deadlines: Final = deadlines
        self._task: Final = task
        self._expired = False

    def __enter__(self) -> None:
        self._deadlines.enter(self, self._task.get_loop())

    def __exit__(self, _kind: object, error: BaseException | None, _trace: TracebackType | None) -> None:
        self._deadlines.leave(self)
        # A cancellation from elsewhere that arrived as well must go on: uncancel() then leaves one to be honoured.
        if self._expired and isinstance(error, asyncio.CancelledError):
            if self._task.uncancel() > 0:
                return
            raise DeadlinePassed from error

    def expire(self) -> None:
        """Time is up."""
        self._expired = True
        self._task.cancel()
