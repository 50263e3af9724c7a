"""A bounded cache by value that forgets what was not asked for longest.

For: results of pure functions of their key (a parsed key, a verified token), where a forgotten entry costs time and
nothing else.
Not for: anything that may change while the key stays; there is no expiry here.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Generic, TypeVar

V = TypeVar("V")


class LruCache(Generic[V]):
    """At most ``entries`` values by text. Not thread-safe: owner is one event loop."""

    __slots__ = ("_entries", "_limit")

    def __init__(self, entries: int) -> None:
        self._limit: Final = entries
        self._entries: Final[OrderedDict[str, V]] = OrderedDict()

    def get(self, key: str) -> V | None:
        """Return the value and mark it as used, or None."""
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: str, value: V) -> None:
        """Keep a value; the one that was used longest ago makes room."""
        self._entries[key] = value
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)

    def drop(self, key: str) -> None:
        """Forget a value, if it is there."""
        self._entries.pop(key, None)

    def __len__(self) -> int:
        return len(self._entries)
