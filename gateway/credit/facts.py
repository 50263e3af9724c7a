"""What the replica knows at one moment about one subject.

For: the input of ``decide_answer``, read by the store in one consistent look. Not for: any judgement.
"""

from __future__ import annotations

import msgspec

from gateway.base.clock import Millis
from gateway.credit.record import Record, Registration


class SourceState(msgspec.Struct, frozen=True):
    """Which version of which feed the facts rest on. ``as_of_ms``: the instant the feed says its facts were true.

    ``doubted``: this host has found that the replica contradicts what the platform signed, so nothing may be answered from it.
    """

    feed: str
    version: int
    as_of_ms: Millis
    slot: int
    doubted: bool = False


class SourceBounds(msgspec.Struct, frozen=True):
    """What this host has proven about the replica by itself, outside the database; the defaults bound nothing.

    ``min_version``: an older one has been rolled back. ``max_as_of_ms``: the platform never vouched for a later instant.
    """

    doubted: bool = False
    min_version: int = 0
    max_as_of_ms: Millis | None = None

    def bound(self, state: SourceState) -> SourceState:
        """Return the state as far as it can be believed."""
        as_of_ms = state.as_of_ms
        if self.max_as_of_ms is not None and as_of_ms > self.max_as_of_ms:
            as_of_ms = self.max_as_of_ms
        doubted = self.doubted or state.version < self.min_version
        return SourceState(state.feed, state.version, as_of_ms, state.slot, doubted)


class SubjectFacts(msgspec.Struct, frozen=True):
    """All facts about one code, and about the old registration number of the same firm.

    ``source`` is ``None`` when no feed was ever applied. ``quarantined`` counts the lines about this subject, under its code or
    its old number, that could not be read.
    """

    source: SourceState | None
    registration: Registration | None
    records: tuple[Record, ...]
    quarantined: int


class Candidates(msgspec.Struct, frozen=True):
    """Registrations whose name begins like the name asked for, in a stable order; never more than asked for."""

    source: SourceState | None
    rows: tuple[Registration, ...]
