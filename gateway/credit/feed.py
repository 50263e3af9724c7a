"""Reading one line of the municipal feed: strict JSON in, one typed fact out, or a reason.

For: the worker that applies a version and the simulator that publishes one. A line is ``put`` or ``delete`` of one record.
Not for: signatures, counts and order of lines (the worker's), nor for judging whether a record is in force (``state``).
Source: the 2021 double-publicity fields of penalties with their old spellings; GB/T 39443-2020 exchange by file.

A line that cannot be read raises ``LineError`` and nothing else. It names the subject wherever one can be made out, so that
the subject is answered ``partial``. Not kept, though sent: personal identifiers, legal representatives' names, the free
text of the facts (CF_SY). Identity numbers inside texts that are kept are masked.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from typing import Final

import msgspec

from gateway.base.canonical import Json, JsonError, parse_json_object
from gateway.credit.feed_wire import OWN_MEMBERS, EntryLine, PenaltyLine, RegistrationLine
from gateway.credit.identifiers import (
    IdentifierError,
    is_citizen_id,
    is_registration_number,
    is_uscc,
    mask_name,
    normalise_code,
)
from gateway.credit.record import (
    ListEntry,
    Penalty,
    Registration,
    RegistrationStatus,
    RemovalReason,
    Value,
)

MAX_LINE_BYTES: Final = 65_536
MAX_AMOUNT_WAN: Final = 100_000_000
"""A million million yuan: more is a slip of unit or keyboard."""
FEN_PER_WAN: Final = 1_000_000
OLD_NUMBER_PREFIX: Final = "R:"

_KINDS: Final = frozenset({"registration", "penalty", "list_entry"})
_RECORD_ID: Final = re.compile(r"[!-~]{1,128}", re.ASCII)
_AMOUNT: Final = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,10}))?", re.ASCII)
_DAY: Final = re.compile(r"([0-9]{4})[-/]?([0-9]{2})[-/]?([0-9]{2})(?:[ T]00:00:00)?", re.ASCII)
_SECRET: Final = re.compile("(?<![非不无])涉密|绝密|(?<![非])机密|(?<![非])秘密★")
_OPEN_SECRECY: Final = frozenset({"", "none", "非涉密", "无"})
_PERSON_NUMBER: Final = re.compile(r"[1-9][0-9]{16}[0-9Xx]", re.ASCII)
_CONTROL: Final = re.compile("[\x00-\x1f\x7f]")
_SALVAGED_ID: Final = re.compile(rb'"id"\s*:\s*"([!#-\[\]-~]{1,128})"')
_SALVAGED_CODE: Final = re.compile(rb'"(?:uscc|CF_XDR_SHXYM)"\s*:\s*"([0-9A-Y]{18})"')
_TYPE_SEPARATOR: Final = re.compile("[;；,，、|]+")
_BAD_MEMBER: Final = re.compile(r"`\$\.([A-Za-z_.]+)`|field `([A-Za-z_]+)`")
_OBJECTION_STATE: Final = "2"
_REVOKED_STATE: Final = "1"

_STATUS: Final = {
    **{status.value: status for status in RegistrationStatus},
    **dict.fromkeys(("存续", "在营", "开业", "在业", "正常"), RegistrationStatus.ACTIVE),
    **{"歇业": RegistrationStatus.DORMANT, "吊销": RegistrationStatus.REVOKED, "注销": RegistrationStatus.DEREGISTERED},
    **{"撤销": RegistrationStatus.CANCELLED, "迁出": RegistrationStatus.MOVED_OUT},
}


class LineError(ValueError):
    """A line that cannot become a fact. ``reason`` is a short machine word, with the member after a colon where one is at fault."""

    def __init__(self, reason: str, record_id: str | None = None, subject_key: str | None = None) -> None:
        super().__init__(reason)
        self.reason: Final = reason
        self.record_id: Final = record_id
        self.subject_key: Final = subject_key


class FeedLine(msgspec.Struct, frozen=True):
    """One change. ``value`` is set for ``put``; ``subject_key`` too, and for the deletion of a registration (its code)."""

    op: str
    kind: str
    record_id: str
    subject_key: str | None
    value: Value | None


class _Refused(Exception):  # noqa: N818 - carries a reason up to the one place that knows record and subject
    pass


def old_number_key(reg_no: str) -> str:
    """Return the subject key of records that name their subject by an old 15-digit registration number only."""
    return OLD_NUMBER_PREFIX + reg_no


def parse_line(raw: bytes) -> FeedLine:
    """Read one line, without or with its line feed.

    Steps: 1 bound and parse; 2 the envelope; 3 the subject; 4 what may not come in; 5 the members of its kind.
    Raises ``LineError`` for whatever is wrong with any bytes.
    """
    # 1
    if len(raw) > MAX_LINE_BYTES:
        raise LineError("line_too_long", *_salvage(raw[:MAX_LINE_BYTES]))
    try:
        members = parse_json_object(raw)
    except JsonError as exc:
        raise LineError(str(exc), *_salvage(raw)) from exc
    # 2
    kind, record_id = members.get("kind"), members.get("id")
    if not isinstance(record_id, str) or _RECORD_ID.fullmatch(record_id) is None:
        raise LineError("bad_id", None, _readable_subject(members))
    if not isinstance(kind, str) or kind not in _KINDS:
        raise LineError("bad_kind", record_id, _readable_subject(members))
    op = members.get("op")
    if op == "delete":
        return _deletion(kind, record_id)
    # 3
    key = _readable_subject(members)
    try:
        if op != "put":
            raise _Refused("bad_op")
        # 4
        _refuse_secret(members)
        if not members.keys() <= OWN_MEMBERS[kind]:
            _refuse_unknown(kind, members)
        # 5
        return FeedLine("put", kind, record_id, *_value(kind, record_id, key, members, escaped=b"\\" in raw))
    except msgspec.ValidationError as exc:
        raise LineError(_member_reason(exc), record_id, key) from exc
    except _Refused as exc:
        raise LineError(exc.args[0], record_id, key) from exc


def _value(kind: str, record_id: str, key: str | None, members: dict[str, Json], *, escaped: bool) -> tuple[str, Value]:
    if escaped:
        # Strict JSON lets a control character in only through an escape, so most lines need no look at all.
        _refuse_control(members)
    if kind == "registration":
        return _registration(record_id, members)
    if key is None:
        raise _Refused("no_subject_code")
    if kind == "penalty":
        return key, _penalty(record_id, key, msgspec.convert(members, PenaltyLine))
    return key, _entry(record_id, key, msgspec.convert(members, EntryLine))


def _deletion(kind: str, record_id: str) -> FeedLine:
    if kind == "registration" and not is_uscc(record_id):
        raise LineError("id_is_not_the_code", record_id)
    return FeedLine("delete", kind, record_id, record_id if kind == "registration" else None, None)


def _readable_subject(members: dict[str, Json]) -> str | None:
    """Return the subject of a line that may be wrong in every other respect."""
    code = members.get("CF_XDR_SHXYM") or members.get("uscc")
    if isinstance(code, str):
        if is_uscc(code):
            return code
        try:
            code = normalise_code(code)
        except IdentifierError:
            code = ""
        if is_uscc(code):
            return code
    number = members.get("CF_XDR_GSZC") or members.get("CF_XDR_GSDJ") or members.get("reg_no")
    if isinstance(number, str) and is_registration_number(number.strip()):
        return old_number_key(number.strip())
    return None


def _refuse_secret(members: dict[str, Json]) -> None:
    """Refuse a record that carries a secrecy mark: state secrets never enter, not even their masked form."""
    mark, remark = members.get("secrecy"), members.get("BZ")
    if mark is not None and mark not in _OPEN_SECRECY:
        raise _Refused("secrecy_mark")
    if isinstance(remark, str) and _SECRET.search(remark):
        raise _Refused("secrecy_mark")


def _refuse_unknown(kind: str, members: dict[str, Json]) -> None:
    for name in members.keys() - OWN_MEMBERS[kind]:
        if name != name.upper():
            raise _Refused("unknown_member")


def _refuse_control(members: dict[str, Json]) -> None:
    for name, text in members.items():
        if isinstance(text, str) and _CONTROL.search(text.replace("\n", " ").replace("\r", " ").replace("\t", " ")):
            raise _Refused(f"control_character:{name[:32]}" if name in OWN_MEMBERS["penalty"] else "control_character")


def _registration(record_id: str, members: dict[str, Json]) -> tuple[str, Registration]:
    line = msgspec.convert(members, RegistrationLine)
    if not is_uscc(line.uscc):
        raise _Refused("bad_uscc")
    if record_id != line.uscc:
        raise _Refused("id_is_not_the_code")
    status = _STATUS.get(line.status)
    if status is None:
        raise _Refused("bad_status")
    if line.reg_no and not is_registration_number(line.reg_no):
        raise _Refused("bad_reg_no")
    registered = Registration(
        uscc=line.uscc,
        name=_required(line.name, "name"),
        status=status,
        reg_no=line.reg_no or None,
        established=_day(line.established),
    )
    return line.uscc, registered


def _penalty(record_id: str, key: str, line: PenaltyLine) -> Penalty:
    if line.CF_XDR_LB == "自然人":
        raise _Refused("natural_person")
    number = _agreed(line.CF_XDR_GSZC, line.CF_XDR_GSDJ, "CF_XDR_GSZC")
    _check_subject(key, line.CF_XDR_SHXYM, _agreed(line.CF_XDR_ZZJG, line.CF_XDR_ZDM, "CF_XDR_ZZJG"))
    decided_on = _day(line.CF_JDRQ)
    if decided_on is None:
        raise _Refused("missing:CF_JDRQ")
    return Penalty(
        record_id=record_id,
        name=_required(line.CF_XDR_MC, "CF_XDR_MC"),
        uscc=key if key[1] != ":" else None,
        reg_no=number,
        document_no=_required(line.CF_WSH, "CF_WSH"),
        conduct=_masked(line.CF_WFXW),
        basis=line.CF_YJ or None,
        types=_types(line.CF_CFLB, line.CF_CFLB1, line.CF_CFLB2),
        content=_masked(_agreed(line.CF_NR, line.CF_JG, "CF_NR")),
        licence=line.CF_NR_ZKDX or None,
        fine_fen=_fen(line.CF_NR_FK),
        confiscated_fen=_fen(line.CF_NR_WFFF),
        decided_on=decided_on,
        ban_until=_day(_agreed(line.CF_QX, line.CF_YXQ, "CF_QX")),
        publish_until=_day(line.CF_GSJZQ),
        authority=_required(_agreed(line.CF_CFJG, line.CF_XZJG, "CF_CFJG"), "CF_CFJG"),
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
        raise _Refused("revoked_without_day:CF_ZT")
    return decided_on if state == _OBJECTION_STATE else None


def _entry(record_id: str, key: str, line: EntryLine) -> ListEntry:
    _check_subject(key, line.uscc, None)
    if (line.removed_on is None) != (line.removal_reason is None):
        raise _Refused("removal_half_told")
    if line.valid_to is not None and line.valid_to < line.decided_on:
        raise _Refused("ends_before_decision:valid_to")
    person = line.person
    return ListEntry(
        record_id=record_id,
        list_code=_required(line.list_code, "list_code"),
        name=_required(line.name, "name"),
        uscc=key if key[1] != ":" else None,
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


def _check_subject(key: str, code: str | None, organisation: str | None) -> None:
    if code and key[1] == ":":
        raise _Refused("bad_uscc")  # the old number is right, the code beside it is not: whose record is it?
    if organisation and key[1] != ":" and organisation.replace("-", "").upper() != key[8:17]:
        raise _Refused("subject_codes_disagree")


def _required(text: str | None, member: str) -> str:
    stripped = text.strip() if text else ""
    if not stripped:
        raise _Refused(f"missing:{member}")
    return stripped


def _agreed(new: str | None, old: str | None, member: str) -> str | None:
    """Return the value of a field with two spellings; two different values are no value."""
    if old and new and old != new:
        raise _Refused(f"spellings_disagree:{member}")
    return new or old or None


def _authority(code: str | None, member: str) -> str:
    if not code:
        raise _Refused(f"missing:{member}")
    if not _known_authority(code):
        raise _Refused(f"bad_authority_code:{member}")
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
    if day is None or not 1949 <= day.year <= 2199:  # noqa: PLR2004 - no authority decided before, none plans beyond
        raise _Refused("bad_day")
    return None if day == dt.date(2099, 12, 31) else day


@lru_cache(maxsize=16_384)
def _fen(wan: str | int | None) -> int | None:
    """Turn an amount in units of 10,000 yuan into fen, exactly; more than six decimals are below one fen."""
    if wan is None or wan == "":
        return None
    match = _AMOUNT.fullmatch(str(wan).strip())
    if match is None:
        raise _Refused("bad_amount")
    decimals = (match[2] or "").rstrip("0")
    whole = int(match[1])
    if len(decimals) > 6 or whole > MAX_AMOUNT_WAN:  # noqa: PLR2004 - 10,000 yuan are 10**6 fen
        raise _Refused("bad_amount")
    return whole * FEN_PER_WAN + int(decimals.ljust(6, "0") or "0")


@lru_cache(maxsize=4096)
def _types(new: str | None, old1: str | None, old2: str | None) -> str:
    """Return the kinds of penalty, each once, joined by ``;``."""
    words = (word.strip() for part in (new, old1, old2) if part for word in _TYPE_SEPARATOR.split(part))
    kinds = dict.fromkeys(word for word in words if word)
    if not kinds:
        raise _Refused("missing:CF_CFLB")
    return ";".join(kinds)


def _masked(text: str | None) -> str | None:
    """Return a free text with identity numbers of persons masked; a code of an organisation stays."""
    if not text:
        return None
    return _PERSON_NUMBER.sub(_mask_number, text)


def _mask_number(match: re.Match[str]) -> str:
    number = match[0].upper()
    return number[:3] + "*" * 15 if is_citizen_id(number) else match[0]


def _member_reason(exc: msgspec.ValidationError) -> str:
    match = _BAD_MEMBER.search(str(exc))
    return f"bad_member:{match[1] or match[2]}" if match else "bad_member"


def _salvage(raw: bytes) -> tuple[str | None, str | None]:
    """Find record and subject in bytes that are not JSON: better a subject too many answered ``partial`` than one ``clear``."""
    found = _SALVAGED_ID.search(raw)
    code = _SALVAGED_CODE.search(raw)
    subject = code[1].decode("ascii") if code else None
    return found[1].decode("ascii") if found else None, subject if subject and is_uscc(subject) else None


__all__ = ["FeedLine", "LineError", "RemovalReason", "old_number_key", "parse_line"]
