"""The stored facts about a subject: a registration, a penalty, a list entry.

For: what the replica keeps of the feed, as typed values and as the bytes of its ``body`` columns. A penalty is written with
the 2021 double-publicity field names (CF_), one spelling each, whatever spelling came in.
Not for: whether a fact is in force (``state``), nor for reading a stranger's line (``feed``, the only maker of these values).

No personal identifier exists in any of these types: no citizen id, no telephone, no full name of a person.
Days are calendar days of Asia/Shanghai. Amounts are integer fen.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Final, TypeAlias

import msgspec


class RegistrationStatus(StrEnum):
    """What the register says about the subject's existence: a fact, never a flag."""

    ACTIVE = "active"
    DORMANT = "dormant"
    REVOKED = "revoked"
    DEREGISTERED = "deregistered"
    CANCELLED = "cancelled"
    MOVED_OUT = "moved_out"


class Procedure(StrEnum):
    """How a penalty was decided (Administrative Penalty Law, chapter 5)."""

    ORDINARY = "ordinary"
    SIMPLE = "simple"


class Decision(StrEnum):
    """What was decided: a penalty, or not to punish (Administrative Penalty Law, article 33)."""

    PENALTY = "penalty"
    NO_PENALTY = "no_penalty"


class Tier(StrEnum):
    """How heavy a record is, in the three steps of NDRC Order 36."""

    MINOR = "minor"
    GENERAL = "general"
    SERIOUS = "serious"


class Area(StrEnum):
    """The fields in which NDRC Order 58 asked for a longer minimum publication."""

    FOOD = "food"
    DRUG = "drug"
    SPECIAL_EQUIPMENT = "special_equipment"
    WORK_SAFETY = "work_safety"
    FIRE = "fire"


class RemovalReason(StrEnum):
    """Why a list entry was taken off. ``REVOKED`` and ``CORRECTED`` say that the entry was wrong."""

    EXPIRED = "expired"
    REPAIRED = "repaired"
    FULFILLED = "fulfilled"
    REVOKED = "revoked"
    CORRECTED = "corrected"


class PersonRole(StrEnum):
    """What a listed person is to the enterprise."""

    LEGAL_REPRESENTATIVE = "legal_representative"
    RESPONSIBLE_PERSON = "responsible_person"


class Registration(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="registration", omit_defaults=True):
    """One organisation as registered. ``reg_no`` is its old 15-digit number, by which older records name it."""

    uscc: str
    name: str
    status: RegistrationStatus
    reg_no: str | None = None
    established: dt.date | None = None


class Lifecycle(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What may happen to a record after it was decided. A day means: from the beginning of that day.

    ``shielded_to``, ``observation_to`` and end dates mean the end of their day. ``tier`` is the authority's own finding and
    goes before the tier derived from kinds of penalty. ``publication_basis`` is why a minor item is published nevertheless.
    """

    published_on: dt.date | None = None
    conduct_ended_on: dt.date | None = None
    objection_since: dt.date | None = None
    observation_from: dt.date | None = None
    observation_to: dt.date | None = None
    shielded_from: dt.date | None = None
    shielded_to: dt.date | None = None
    tier: Tier | None = None
    publication_basis: str | None = None


_CF_NAMES: Final = {
    "name": "CF_XDR_MC",
    "uscc": "CF_XDR_SHXYM",
    "reg_no": "CF_XDR_GSZC",
    "document_no": "CF_WSH",
    "conduct": "CF_WFXW",
    "basis": "CF_YJ",
    "types": "CF_CFLB",
    "content": "CF_NR",
    "fine_fen": "CF_NR_FK_FEN",
    "confiscated_fen": "CF_NR_WFFF_FEN",
    "licence": "CF_NR_ZKDX",
    "decided_on": "CF_JDRQ",
    "ban_until": "CF_QX",
    "publish_until": "CF_GSJZQ",
    "authority": "CF_CFJG",
    "authority_code": "CF_CFJGDM",
    "origin": "CF_SJLY",
    "origin_code": "CF_SJLYDM",
}


class Penalty(
    Lifecycle, frozen=True, kw_only=True, tag_field="kind", tag="penalty", omit_defaults=True, rename=_CF_NAMES
):
    """One administrative penalty decision.

    ``types`` are the kinds of penalty joined by ``;``. ``fine_fen`` and ``confiscated_fen`` come from fields in units of
    10,000 yuan. ``ban_until`` is the last day of a temporary penalty, ``publish_until`` the last day its authority publishes it.
    """

    record_id: str
    name: str
    document_no: str
    types: str
    decided_on: dt.date
    authority: str
    authority_code: str
    uscc: str | None = None
    reg_no: str | None = None
    conduct: str | None = None
    basis: str | None = None
    content: str | None = None
    licence: str | None = None
    fine_fen: int | None = None
    confiscated_fen: int | None = None
    ban_until: dt.date | None = None
    publish_until: dt.date | None = None
    origin: str | None = None
    origin_code: str | None = None
    procedure: Procedure = Procedure.ORDINARY
    decision: Decision = Decision.PENALTY
    area: Area | None = None
    repaired_on: dt.date | None = None
    revoked_on: dt.date | None = None
    corrected_on: dt.date | None = None


class ListEntry(Lifecycle, frozen=True, kw_only=True, tag_field="kind", tag="list_entry", omit_defaults=True):
    """One entry in a list of the catalogue.

    With ``person_role`` set it is a person who is listed, not the enterprise: a linked notice, never a flag;
    ``person_name`` is already masked.
    """

    record_id: str
    list_code: str
    name: str
    document_no: str
    decided_on: dt.date
    authority: str
    authority_code: str
    uscc: str | None = None
    reg_no: str | None = None
    grounds: str | None = None
    valid_to: dt.date | None = None
    removed_on: dt.date | None = None
    removal_reason: RemovalReason | None = None
    person_role: PersonRole | None = None
    person_name: str | None = None


Record: TypeAlias = Penalty | ListEntry
Value: TypeAlias = Registration | Penalty | ListEntry

_ENCODER: Final = msgspec.json.Encoder()
_DECODE_REGISTRATION: Final = msgspec.json.Decoder(Registration)
_DECODE_RECORD: Final[msgspec.json.Decoder[Penalty | ListEntry]] = msgspec.json.Decoder(Penalty | ListEntry)


def encode_value(value: Value) -> bytes:
    """Return the bytes of a ``body`` column: JSON, so that an operator can read the table."""
    return _ENCODER.encode(value)


def decode_registration(body: bytes) -> Registration:
    """Read a registration back; ``msgspec.DecodeError`` for bytes that ``encode_value`` did not write."""
    return _DECODE_REGISTRATION.decode(body)


def decode_record(body: bytes) -> Record:
    """Read a penalty or list entry back; ``msgspec.DecodeError`` for bytes that ``encode_value`` did not write."""
    return _DECODE_RECORD.decode(body)
