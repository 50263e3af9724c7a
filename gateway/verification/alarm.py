"""The alarm: what is stored contradicts the log.

For: saying it to operators, once for each record and column at level ``error``, and counting it each time. Whoever found it refuses.
Not for: what a stranger is told, which is decided where the request is.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Protocol

MAX_NOTED: Final = 4096
"""Contradictions remembered so that each is logged once; past this the memory starts anew, and with it the lines."""


class Record(StrEnum):
    """What kind of stored record contradicts the log."""

    ANSWER = "answer"
    IDEMPOTENCY = "idempotency"
    REGISTRATION = "registration"


class ContradictionLog(Protocol):
    """Where the line goes (``gateway.base.log``)."""

    def error(self, event: str, **fields: object) -> None:
        """Write a line of level ``error``."""
        ...


class ContradictionMetrics(Protocol):
    """Where contradictions are counted."""

    def record_contradicted(self, record: str, column: str) -> None:
        """Count one; both words come from closed sets of ours."""
        ...


class Alarm:
    """Raises the alarm. One for a process."""

    def __init__(self, log: ContradictionLog, metrics: ContradictionMetrics) -> None:
        self._log: Final = log
        self._metrics: Final = metrics
        self._noted: Final[set[tuple[Record, str, str | int | None]]] = set()  # owned by the event loop's thread

    def entry(self, record: Record, column: str, leaf_index: int | None, *, partner_id: str) -> None:
        """Say that a stored record differs from its leaf in a column. ``partner_id`` is who asked."""
        self._metrics.record_contradicted(record.value, column)
        if self._first(record, column, leaf_index):
            self._log.error(
                "record_contradicted",
                record=record.value,
                column=column,
                leaf_index=leaf_index,
                partner_id=partner_id,
            )

    def key(self, thumbprint: str, column: str, leaf_index: int | None) -> None:
        """Say that the rows of a key, or of its partner, are not what the log says."""
        self._metrics.record_contradicted(Record.REGISTRATION.value, column)
        if self._first(Record.REGISTRATION, column, thumbprint):
            self._log.error(
                "record_contradicted",
                record=Record.REGISTRATION.value,
                column=column,
                leaf_index=leaf_index,
                thumbprint=thumbprint,
            )

    def _first(self, record: Record, column: str, which: str | int | None) -> bool:
        told = (record, column, which)
        if told in self._noted:
            return False
        if len(self._noted) >= MAX_NOTED:
            self._noted.clear()
        self._noted.add(told)
        return True
