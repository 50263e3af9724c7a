"""The members of a feed line, with their types and bounds, as they may arrive.

For: the shapes that ``feed`` reads; old spellings of the double-publicity fields stand beside the spelling of 2021.
Not for: anything that is kept. Members with a personal identifier (CF_FR_ZJHM, CF_FR_SFZH, CF_XDR_ZJHM, CF_XDR_SFZ, a legal
representative's name) appear in no type here: they are dropped unread.
Source: the 2021 double-publicity standard of administrative licences and penalties; lower-case members are this project's own.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final, TypeAlias, get_type_hints

import msgspec

from gateway.credit.record import Area, Decision, PersonRole, Procedure, RemovalReason, Tier

Code: TypeAlias = Annotated[str, msgspec.Meta(max_length=64)]
Word: TypeAlias = Annotated[str, msgspec.Meta(max_length=256)]
Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=4000)]
Day: TypeAlias = Annotated[str, msgspec.Meta(max_length=19)]
Amount: TypeAlias = Annotated[str, msgspec.Meta(max_length=24)] | int


class RegistrationLine(msgspec.Struct, frozen=True):
    """A registration as it arrives."""

    uscc: Code
    name: Word
    status: Word
    reg_no: Code | None = None
    established: Day | None = None


class LifecycleLine(msgspec.Struct, frozen=True, kw_only=True):
    """What may have happened to a penalty or list entry; days as ``YYYY-MM-DD``."""

    published_on: dt.date | None = None
    conduct_ended_on: dt.date | None = None
    objection_since: dt.date | None = None
    observation_from: dt.date | None = None
    observation_to: dt.date | None = None
    shielded_from: dt.date | None = None
    shielded_to: dt.date | None = None
    tier: Tier | None = None
    publication_basis: Word | None = None


class PenaltyLine(LifecycleLine, frozen=True, kw_only=True):
    """A penalty as it arrives, its fields in the spelling of 2021 (see ``OLD_SPELLINGS``)."""

    CF_XDR_MC: Word = ""
    CF_XDR_LB: Word | None = None
    CF_XDR_SHXYM: Code | None = None
    CF_XDR_GSZC: Code | None = None
    CF_XDR_ZZJG: Code | None = None
    CF_WSH: Word = ""
    CF_WFXW: Text | None = None
    CF_YJ: Text | None = None
    CF_CFLB: Word | None = None
    CF_NR: Text | None = None
    CF_NR_FK: Amount | None = None
    CF_NR_WFFF: Amount | None = None
    CF_NR_ZKDX: Word | None = None
    CF_JDRQ: Day = ""
    CF_QX: Day | None = None
    CF_GSJZQ: Day | None = None
    CF_CFJG: Word | None = None
    CF_CFJGDM: Code | None = None
    CF_SJLY: Word | None = None
    CF_SJLYDM: Code | None = None
    CF_ZT: Code | int | None = None
    procedure: Procedure = Procedure.ORDINARY
    decision: Decision = Decision.PENALTY
    area: Area | None = None
    repaired_on: dt.date | None = None
    revoked_on: dt.date | None = None
    corrected_on: dt.date | None = None


class PersonLine(msgspec.Struct, frozen=True, kw_only=True):
    """The listed person; only the role and a masked name are kept, an identity number beside them is dropped unread."""

    role: PersonRole
    name: Word


class EntryLine(LifecycleLine, frozen=True, kw_only=True):
    """A list entry as it arrives."""

    list_code: Code
    name: Word
    document_no: Word
    decided_on: dt.date
    authority: Word
    authority_code: Code
    uscc: Code | None = None
    reg_no: Code | None = None
    grounds: Text | None = None
    valid_to: dt.date | None = None
    removed_on: dt.date | None = None
    removal_reason: RemovalReason | None = None
    person: PersonLine | None = None


CALENDAR_DAYS: Final[dict[type[LifecycleLine], tuple[str, ...]]] = {
    shape: tuple(name for name, hint in get_type_hints(shape).items() if hint in (dt.date, dt.date | None))
    for shape in (PenaltyLine, EntryLine)
}
"""The members that are read as ``dt.date`` and still have to be bounded: the types know their form only."""

OLD_SPELLINGS: Final = {
    "CF_XDR_GSDJ": "CF_XDR_GSZC",
    "CF_XDR_ZDM": "CF_XDR_ZZJG",
    "CF_CFLB1": "CF_CFLB",
    "CF_CFLB2": "CF_CFLB",
    "CF_JG": "CF_NR",
    "CF_YXQ": "CF_QX",
    "CF_XZJG": "CF_CFJG",
}
"""Spellings before 2021 and the one they are read as."""

ENVELOPE: Final = frozenset({"op", "kind", "id", "secrecy", "BZ"})
DROPPED: Final = frozenset({"legal_representative"})
"""Accepted so that a publisher may send it, and not kept: no answer needs it."""

OWN_MEMBERS: Final = {
    kind: ENVELOPE | DROPPED | frozenset(shape.__struct_fields__)
    for kind, shape in (("registration", RegistrationLine), ("penalty", PenaltyLine), ("list_entry", EntryLine))
}
"""What a line of each kind may hold. A lower-case member outside is refused: a misspelt one of ours may mean "lifted"
or "not yet". An upper-case one is a local column of the publisher, and ignored."""
