"""The answer to one question about one subject: an outcome, the flags behind it, and why.

For: the one place where "clear" can be said. It is said only when a feed was applied, is fresh, knows the subject, and every
record about it could be read and interpreted. On every other path the outcome is another one.
Not for: looking anything up, who may ask, receipts. Pure: the same facts, catalogue and instant give the same bytes.

Precedence: ``unavailable`` (no source, stale, or from the future; then no flag is listed, since none is known to be in force) >
``partial`` (a record could not be read or interpreted; flags in force are listed) > ``restricted`` (a flag is listed, an
observation or objection included; also for a code that the register does not know) > ``unknown_subject`` > ``clear``.
Notices about linked persons and the register's status are facts beside the outcome; they never change it.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from gateway.base.clock import Millis, rfc3339, shanghai_date
from gateway.base.messages.credit import REASONS
from gateway.credit.catalogue import Catalogue, DayView
from gateway.credit.facts import Candidates, SourceState, SubjectFacts
from gateway.credit.flags import Flag, Notice, make_flag, make_notice
from gateway.credit.identifiers import Uscc, name_key, uscc_warnings
from gateway.credit.record import ListEntry, Penalty, Record, Registration, RegistrationStatus, Tier
from gateway.credit.state import VISIBLE, Standing, State, standing_of

FUTURE_TOLERANCE_MS: Final = 300_000
"""Clocks of two well-kept machines differ by less; a feed from further ahead cannot be judged fresh or stale."""

_TIER_ORDER: Final = {Tier.SERIOUS: 0, Tier.GENERAL: 1, Tier.MINOR: 2}


class Outcome(StrEnum):
    """What an answer comes to. Only ``clear`` says that nothing is in force."""

    CLEAR = "clear"
    RESTRICTED = "restricted"
    PARTIAL = "partial"
    UNKNOWN_SUBJECT = "unknown_subject"
    UNAVAILABLE = "unavailable"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked: a code, a name to compare with it, or a name alone."""

    uscc: Uscc | None
    name: str | None


class Reason(msgspec.Struct, frozen=True):
    """One sentence about the answer. ``field`` is a JSON Pointer into the request where it speaks of one field."""

    code: str
    zh: str
    en: str
    field: str | None = None


class Subject(msgspec.Struct, frozen=True):
    """The subject as registered. ``name_matches`` is set when a name was given and the code is registered."""

    uscc: str | None
    name: str | None
    status: RegistrationStatus | None
    established: dt.date | None
    name_matches: bool | None


class Candidate(msgspec.Struct, frozen=True):
    """A registered subject whose name begins as asked. It says nothing about its credit."""

    uscc: str
    name: str
    status: RegistrationStatus


class Answer(msgspec.Struct, frozen=True):
    """The answer as it is hashed and sent (without its receipt). Strings, integers, booleans and null only.

    ``as_of``: RFC 3339, when the facts were true; with ``feed`` and ``feed_version`` ``null`` only when there is no source.
    """

    id: str
    outcome: Outcome
    subject: Subject
    as_of: str | None
    feed: str | None
    feed_version: int | None
    catalogue_version: str
    flags: tuple[Flag, ...]
    notices: tuple[Notice, ...]
    candidates: tuple[Candidate, ...]
    reasons: tuple[Reason, ...]


def decide_answer(  # noqa: PLR0913 - the facts of one decision, each named
    asked: Asked,
    facts: SubjectFacts,
    catalogue: Catalogue,
    *,
    verification_id: str,
    at: Millis,
    max_stale_ms: int,
) -> Answer:
    """Decide what is said about a code at an instant. HOT.

    A question without a code gets no flag whatever the facts hold; ``decide_candidates`` answers it in full.
    """
    frame = _Frame(verification_id, facts.source, catalogue.version)
    uscc = asked.uscc
    doubt = _doubt(facts.source, at, max_stale_ms)
    if doubt is not None:
        return _answer(frame, Outcome.UNAVAILABLE, Subject(uscc, None, None, None, None), (doubt,))
    if uscc is None:
        return _answer(frame, Outcome.UNKNOWN_SUBJECT, _NOBODY, (_REASON["name_only"],))
    subject, remarks = _subject(asked, uscc, facts.registration)
    if facts.registration is not None and not facts.records and not facts.quarantined:
        return _answer(frame, Outcome.CLEAR, subject, (_NOTHING_IN_FORCE, *remarks))
    view = catalogue.on(shanghai_date(at))
    if facts.registration is None:
        remarks = tuple(_REASON[word] for word in ("not_registered", *uscc_warnings(uscc, view.uscc_tables)))
    return _judge(frame, subject, remarks, facts, view)


def decide_candidates(
    candidates: Candidates, catalogue: Catalogue, *, verification_id: str, at: Millis, max_stale_ms: int
) -> Answer:
    """Answer a question by name alone: candidates, never a flag, never ``clear``."""
    frame = _Frame(verification_id, candidates.source, catalogue.version)
    doubt = _doubt(candidates.source, at, max_stale_ms)
    if doubt is not None:
        return _answer(frame, Outcome.UNAVAILABLE, _NOBODY, (doubt,))
    rows = tuple(Candidate(row.uscc, row.name, row.status) for row in candidates.rows)
    reasons = (_REASON["name_only"],) if rows else (_REASON["name_only"], _REASON["no_candidates"])
    return _answer(frame, Outcome.UNKNOWN_SUBJECT, _NOBODY, reasons, candidates=rows)


class _Frame(NamedTuple):
    """What every answer says about itself."""

    verification_id: str
    source: SourceState | None
    catalogue_version: str


class _Found(NamedTuple):
    """What the records come to: ``doubts`` make the answer incomplete, ``remarks`` do not."""

    flags: list[Flag]
    notices: list[Notice]
    doubts: list[Reason]
    remarks: list[Reason]


def _judge(frame: _Frame, subject: Subject, remarks: tuple[Reason, ...], facts: SubjectFacts, view: DayView) -> Answer:
    found = _weigh(facts, view)
    flags, doubts = found.flags, found.doubts
    if facts.quarantined:
        doubts.insert(0, _reason("records_unreadable", count=facts.quarantined))
    outcome = _outcome(facts, flags=bool(flags), doubts=bool(doubts))
    said = [_NOTHING_IN_FORCE] if outcome is Outcome.CLEAR else []
    if flags:
        said.append(_reason("flags_in_force", count=len(flags)))
    if any(flag.unverified for flag in flags) or any(notice.unverified for notice in found.notices):
        said.append(_REASON["unverified_rows"])
    reasons = (*doubts, *said, *found.remarks, *remarks)
    return _answer(frame, outcome, subject, reasons, flags=tuple(flags), notices=tuple(found.notices))


def _outcome(facts: SubjectFacts, *, flags: bool, doubts: bool) -> Outcome:
    if doubts:
        return Outcome.PARTIAL
    if flags:
        return Outcome.RESTRICTED
    return Outcome.UNKNOWN_SUBJECT if facts.registration is None else Outcome.CLEAR


def _weigh(facts: SubjectFacts, view: DayView) -> _Found:
    """Sort the records into what is said about them, in an order that the facts alone decide."""
    flags, notices, doubts, remarks = list[Flag](), list[Notice](), list[Reason](), list[Reason]()
    for record in facts.records:
        standing = standing_of(record, view)
        if standing.state is State.UNREADABLE and isinstance(record, ListEntry):
            doubts.append(_reason("record_not_interpretable", code=record.list_code))
        elif standing.state not in VISIBLE:
            continue
        elif isinstance(record, ListEntry) and record.person_role is not None:
            notices.append(make_notice(record, standing, view))
        else:
            flags.append(make_flag(record, standing, view))
            remarks.extend(_remarks(record, standing))
    if len(flags) > 1:
        flags.sort(key=lambda flag: (_TIER_ORDER[flag.tier], -flag.decided_on.toordinal(), flag.record_id))
    notices.sort(key=lambda notice: notice.record_id)
    return _Found(flags, notices, _each_once(doubts), _each_once(remarks))


def _remarks(record: Record, standing: Standing) -> list[Reason]:
    remarks = [_reason("unknown_penalty_type", kind=kind) for kind in standing.unknown_types]
    if isinstance(record, Penalty) and standing.rule is None:
        remarks.append(_REASON["no_publication_rule"])
    return remarks


def _each_once(reasons: list[Reason]) -> list[Reason]:
    return sorted(dict.fromkeys(reasons), key=lambda reason: (reason.code, reason.en))


def _doubt(source: SourceState | None, at: Millis, max_stale_ms: int) -> Reason | None:
    """Return why no answer may rest on a source, or ``None``."""
    if source is None:
        return _NO_SOURCE
    if source.doubted:
        return _REASON["source_doubted"]
    age_ms = at - source.as_of_ms
    if age_ms > max_stale_ms:
        return _REASON["stale_source"]
    if age_ms < -FUTURE_TOLERANCE_MS:
        return _REASON["source_from_the_future"]
    return None


def _subject(asked: Asked, uscc: Uscc, registration: Registration | None) -> tuple[Subject, tuple[Reason, ...]]:
    if registration is None:
        return Subject(uscc, None, None, None, None), ()
    reasons: tuple[Reason, ...] = ()
    matches = None
    if asked.name is not None:
        matches = asked.name == registration.name or name_key(asked.name) == name_key(registration.name)
        if not matches:
            reasons = (_NAME_MISMATCH,)
    if registration.status is not RegistrationStatus.ACTIVE:
        reasons = (*reasons, _REASON[f"status_{registration.status}"])
    return Subject(uscc, registration.name, registration.status, registration.established, matches), reasons


def _answer(  # noqa: PLR0913 - the members of an answer
    frame: _Frame,
    outcome: Outcome,
    subject: Subject,
    reasons: tuple[Reason, ...],
    *,
    flags: tuple[Flag, ...] = (),
    notices: tuple[Notice, ...] = (),
    candidates: tuple[Candidate, ...] = (),
) -> Answer:
    source = frame.source
    return Answer(
        frame.verification_id,
        outcome,
        subject,
        None if source is None else _as_of(source.as_of_ms),
        None if source is None else source.feed,
        None if source is None else source.version,
        frame.catalogue_version,
        flags,
        notices,
        candidates,
        reasons,
    )


@lru_cache(maxsize=8)
def _as_of(instant: Millis) -> str:
    return rfc3339(instant)


def _reason(code: str, /, **blanks: str | int) -> Reason:
    sentence = REASONS[code]
    return Reason(code, sentence.zh.format(**blanks), sentence.en.format(**blanks))


_REASON: Final = {
    code: Reason(code, sentence.zh, sentence.en)
    for code, sentence in REASONS.items()
    if "{" not in sentence.zh and code != "name_mismatch"
}
_NOBODY: Final = Subject(None, None, None, None, None)
_NO_SOURCE: Final = _REASON["no_source"]
_NOTHING_IN_FORCE: Final = _REASON["nothing_in_force"]
_NAME_MISMATCH: Final = Reason("name_mismatch", *REASONS["name_mismatch"], field="/subject/name")
