"""A secret value that does not print itself.

For: key material and passwords from the moment they are read until the one place that uses them.
Not for: protection from code in this process; Python cannot wipe memory.
"""

from __future__ import annotations

from typing import Final


class Secret:
    """Bytes that appear in no repr, no log line and no traceback. ``reveal`` stands once, next to the use."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value: Final = value

    def reveal(self) -> bytes:
        """Return the bytes."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> str:
        msg = "a secret is not pickled"
        raise TypeError(msg)
