"""What the replica knows at one moment about one subject.

For: the input of ``decide_answer``, read by the store in one consistent look. Not for: any judgement.
"""

from __future__ import annotations

import msgspec

from gateway.base.clock import Millis
from gateway.credit.record import Record, Registration


class SourceState(msgspec.Struct, frozen=True):
    """Which version of which feed the facts rest on. ``as_of_ms``: the instant the feed says its facts were true."""

    feed: str
    version: int
    as_of_ms: Millis
    slot: int


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
