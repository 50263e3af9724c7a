"""From the members of a feed line to a stored value: fields agreed, days and amounts read, personal numbers masked.

For: ``feed``, which has parsed the line and knows its subject. Not for: JSON, the envelope, or whether a record is in force.
Source: the 2021 double-publicity standard; amounts in units of 10,000 yuan become integer fen.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from gateway.base.canonical import Json
from gateway.base.clock import FIRST_DAY, LAST_DAY
from gateway.credit.feed_wire import (
    CALENDAR_DAYS,
    OLD_SPELLINGS,
    EntryLine,
    LifecycleLine,
    PenaltyLine,
    RegistrationLine,
)
from gateway.credit.identifiers import is_citizen_id, is_registration_number, is_uscc, mask_name
from gateway.credit.record import ListEntry, Penalty, Registration, RegistrationStatus

MAX_AMOUNT_WAN: Final = 100_000_000
"""A million million yuan: more is a slip of unit or keyboard."""
FEN_PER_WAN: Final = 1_000_000
OLD_NUMBER_PREFIX: Final = "R:"

_AMOUNT: Final = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,10}))?", re.ASCII)
_DAY: Final = re.compile(r"([0-9]{4})[-/]?([0-9]{2})[-/]?([0-9]{2})(?:[ T]00:00:00)?", re.ASCII)
_OPEN_END: Final = dt.date(2099, 12, 31)
_PERSON_NUMBER: Final = re.compile(r"[1-9][0-9]{16}[0-9Xx]", re.ASCII)
_PERSON_NUMBER_LENGTH: Final = 18
_TYPE_SEPARATOR: Final = re.compile("[;；,，、|]+")
_REVOKED_STATE: Final = "1"
_OBJECTION_STATE: Final = "2"

_STATUS: Final = {
    **{status.value: status for status in RegistrationStatus},
    **dict.fromkeys(("存续", "在营", "开业", "在业", "正常"), RegistrationStatus.ACTIVE),
    "歇业": RegistrationStatus.DORMANT,
    "吊销": RegistrationStatus.REVOKED,
    "注销": RegistrationStatus.DEREGISTERED,
    "撤销": RegistrationStatus.CANCELLED,
    "迁出": RegistrationStatus.MOVED_OUT,
}


class Refused(Exception):  # noqa: N818 - a reason on its way to the one place that knows record and subject
    """A line that cannot become a value; ``args[0]`` is the reason."""

    def __init__(self, reason: str, member: str = "") -> None:
        super().__init__(f"{reason}:{member}" if member else reason)


def spell_anew(members: Mapping[str, Json]) -> dict[str, Json]:
    """Return the members of a penalty with old spellings turned into those of 2021.

    Kinds of penalty add up. Of any other field two different values are no value: ``Refused``.
    """
    spelt = dict(members)
    for old, new in OLD_SPELLINGS.items():
        value, present = spelt.pop(old, None), spelt.get(new)
        if value in (None, ""):
            continue
        if new == "CF_CFLB":
            spelt[new] = f"{present};{value}" if present else value
        elif present not in (None, "", value):
            raise Refused("spellings_disagree", new)
        else:
            spelt[new] = value
    return spelt


def make_registration(record_id: str, line: RegistrationLine) -> Registration:
    """Return a registration; its code must be right as it stands, and its record id be the code."""
    if not is_uscc(line.uscc):
        raise Refused("bad_uscc")
    if record_id != line.uscc:
        raise Refused("id_is_not_the_code")
    status = _STATUS.get(line.status)
    if status is None:
        raise Refused("bad_status")
    if line.reg_no and not is_registration_number(line.reg_no):
        raise Refused("bad_reg_no")
    return Registration(
        uscc=line.uscc,
        name=_required(line.name, "name"),
        status=status,
        reg_no=line.reg_no or None,
        established=_day(line.established),
    )


def make_penalty(record_id: str, key: str, line: PenaltyLine) -> Penalty:
    """Return a penalty of a subject; of two spellings of a field the one of 2021 is kept."""
    _check_lifecycle(line)
    if line.CF_XDR_LB == "自然人":
        raise Refused("natural_person")  # a person's record needs the person's separate consent; none is kept here
    _check_subject(key, line.CF_XDR_SHXYM, line.CF_XDR_ZZJG)
    decided_on = _day(line.CF_JDRQ)
    if decided_on is None:
        raise Refused("missing", "CF_JDRQ")
    return Penalty(
        record_id=record_id,
        name=_required(line.CF_XDR_MC, "CF_XDR_MC"),
        uscc=None if key.startswith(OLD_NUMBER_PREFIX) else key,
        reg_no=line.CF_XDR_GSZC or None,
        document_no=_required(line.CF_WSH, "CF_WSH"),
        conduct=_masked(line.CF_WFXW),
        basis=line.CF_YJ or None,
        types=_types(line.CF_CFLB),
        content=_masked(line.CF_NR),
        licence=line.CF_NR_ZKDX or None,
        fine_fen=_fen(line.CF_NR_FK),
        confiscated_fen=_fen(line.CF_NR_WFFF),
        decided_on=decided_on,
        ban_until=_day(line.CF_QX),
        publish_until=_day(line.CF_GSJZQ),
        authority=_required(line.CF_CFJG, "CF_CFJG"),
        authority_code=_authority(line.CF_CFJGDM, "CF_CFJGDM"),
        origin=line.CF_SJLY or None,
        origin_code=line.CF_SJLYDM or None,
        procedure=line.procedure,
        decision=line.decision,
        area=line.area,
        repaired_on=line.repaired_on,
        revoked_on=line.revoked_on,
        corrected_on=line.corrected_on,
        published_on=line.published_on,
        conduct_ended_on=line.conduct_ended_on,
        objection_since=line.objection_since or _old_state(line, decided_on),
        observation_from=line.observation_from,
        observation_to=line.observation_to,
        shielded_from=line.shielded_from,
        shielded_to=line.shielded_to,
        tier=line.tier,
        publication_basis=line.publication_basis,
    )


def _old_state(line: PenaltyLine, decided_on: dt.date) -> dt.date | None:
    """Translate the old status field: an objection is shown from the start; "revoked" without its day is unreadable.

    The meaning of the numbers is not confirmed (0 normal, 1 revoked, 2 objection, 3 other), so none of them may hide a record.
    """
    state = str(line.CF_ZT) if line.CF_ZT is not None else ""
    if state == _REVOKED_STATE and line.revoked_on is None:
        raise Refused("revoked_without_day", "CF_ZT")
    return decided_on if state == _OBJECTION_STATE else None


def make_entry(record_id: str, key: str, line: EntryLine) -> ListEntry:
    """Return a list entry; without document number and authority there is none (认定 needs both)."""
    _check_lifecycle(line)
    _check_subject(key, line.uscc, None)
    if (line.removed_on is None) != (line.removal_reason is None):
        raise Refused("removal_half_told")
    if line.valid_to is not None and line.valid_to < line.decided_on:
        raise Refused("ends_before_decision", "valid_to")
    person = line.person
    return ListEntry(
        record_id=record_id,
        list_code=_required(line.list_code, "list_code"),
        name=_required(line.name, "name"),
        uscc=None if key.startswith(OLD_NUMBER_PREFIX) else key,
        reg_no=line.reg_no or None,
        grounds=_masked(line.grounds),
        document_no=_required(line.document_no, "document_no"),
        decided_on=line.decided_on,
        valid_to=line.valid_to,
        authority=_required(line.authority, "authority"),
        authority_code=_authority(line.authority_code, "authority_code"),
        removed_on=line.removed_on,
        removal_reason=line.removal_reason,
        person_role=None if person is None else person.role,
        person_name=None if person is None else mask_name(person.name),
        published_on=line.published_on,
        conduct_ended_on=line.conduct_ended_on,
        objection_since=line.objection_since,
        observation_from=line.observation_from,
        observation_to=line.observation_to,
        shielded_from=line.shielded_from,
        shielded_to=line.shielded_to,
        tier=line.tier,
        publication_basis=line.publication_basis,
    )


def _check_lifecycle(line: LifecycleLine) -> None:
    """Refuse days out of bounds, and half-told periods: what is in doubt must not soften or hide a record."""
    for name in CALENDAR_DAYS[type(line)]:
        day = getattr(line, name)
        if day is not None and not FIRST_DAY <= day <= LAST_DAY:
            raise Refused("bad_day", name)
    first, last = line.observation_from, line.observation_to
    if (first is None) != (last is None) or (first is not None and last is not None and last < first):
        raise Refused("period_half_told", "observation_from")
    first, last = line.shielded_from, line.shielded_to
    if last is not None and (first is None or last < first):
        raise Refused("period_half_told", "shielded_from")


def _check_subject(key: str, code: str | None, organisation: str | None) -> None:
    if key.startswith(OLD_NUMBER_PREFIX):
        if code:
            raise Refused("bad_uscc")  # the old number is right, the code beside it is not: whose record is it?
        return
    if organisation and organisation.replace("-", "").upper() != key[8:17]:
        raise Refused("subject_codes_disagree")


def _required(text: str | None, member: str) -> str:
    stripped = text.strip() if text else ""
    if not stripped:
        raise Refused("missing", member)
    return stripped


def _authority(code: str | None, member: str) -> str:
    if not code:
        raise Refused("missing", member)
    if not _known_authority(code):
        raise Refused("bad_authority_code", member)
    return code


@lru_cache(maxsize=4096)
def _known_authority(code: str) -> bool:
    return is_uscc(code)


@lru_cache(maxsize=16_384)
def _day(text: str | None) -> dt.date | None:
    """Read a day in the three spellings of the field; empty and the open-ended 2099-12-31 are no day."""
    if not text or not text.strip():
        return None
    match = _DAY.fullmatch(text.strip())
    try:
        day = dt.date(int(match[1]), int(match[2]), int(match[3])) if match else None
    except ValueError:
        day = None
    if day is None or not FIRST_DAY <= day <= LAST_DAY:
        raise Refused("bad_day")
    return None if day == _OPEN_END else day


@lru_cache(maxsize=16_384)
def _fen(wan: str | int | None) -> int | None:
    """Turn an amount in units of 10,000 yuan into fen, exactly; more than six decimals are below one fen."""
    if wan is None or wan == "":
        return None
    match = _AMOUNT.fullmatch(str(wan).strip())
    if match is None:
        raise Refused("bad_amount")
    decimals = (match[2] or "").rstrip("0")
    whole = int(match[1])
    if len(decimals) > 6 or whole > MAX_AMOUNT_WAN:  # noqa: PLR2004 - 10,000 yuan are 10**6 fen
        raise Refused("bad_amount")
    return whole * FEN_PER_WAN + int(decimals.ljust(6, "0") or "0")


@lru_cache(maxsize=4096)
def _types(text: str | None) -> str:
    """Return the kinds of penalty, each once, joined by ``;``."""
    kinds = dict.fromkeys(word.strip() for word in _TYPE_SEPARATOR.split(text or ""))
    kinds.pop("", None)
    if not kinds:
        raise Refused("missing", "CF_CFLB")
    return ";".join(kinds)


def _masked(text: str | None) -> str | None:
    """Return a free text with identity numbers of persons masked; a code of an organisation stays."""
    if not text:
        return None
    if len(text) < _PERSON_NUMBER_LENGTH:
        return text
    return _PERSON_NUMBER.sub(_mask_number, text)


def _mask_number(match: re.Match[str]) -> str:
    number = match[0].upper()
    return number[:3] + "*" * 15 if is_citizen_id(number) else match[0]
