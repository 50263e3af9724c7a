"""Reading one line of the municipal feed: strict JSON in, one typed fact out, or a reason.

For: the worker that applies a version and the simulator that publishes one. A line is ``put`` or ``delete`` of one record.
Not for: signatures, counts and order of lines (the worker's), nor for judging whether a record is in force (``state``).
Source: the 2021 double-publicity fields of penalties with their old spellings; GB/T 39443-2020 exchange by file.

A line that cannot be read raises ``LineError`` and nothing else. It names the subject wherever one can be made out, so
that the subject is answered ``partial``. Not kept, though sent: personal identifiers, legal representatives' names, the
free text of the facts (CF_SY). Identity numbers inside texts that are kept are masked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.base.canonical import Json, JsonError, parse_json_object
from gateway.credit.feed_values import (
    OLD_NUMBER_PREFIX,
    Refused,
    make_entry,
    make_penalty,
    make_registration,
    spell_anew,
)
from gateway.credit.feed_wire import OLD_SPELLINGS, OWN_MEMBERS, EntryLine, PenaltyLine, RegistrationLine
from gateway.credit.identifiers import IdentifierError, is_registration_number, is_uscc, normalise_code
from gateway.credit.record import Value

MAX_LINE_BYTES: Final = 65_536

_RECORD_ID: Final = re.compile(r"[!-~]{1,128}", re.ASCII)
_SECRET: Final = re.compile("(?<![非不无])涉密|绝密|(?<!非)机密|(?<!非)秘密★")
_OPEN_SECRECY: Final = frozenset({"", "none", "非涉密", "无"})
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SALVAGED_ID: Final = re.compile(rb'"id"\s*:\s*"([!#-\[\]-~]{1,128})"')
_SALVAGED_CODE: Final = re.compile(rb'"(?:uscc|CF_XDR_SHXYM)"\s*:\s*"([0-9A-Y]{18})"')
_MEMBER_PATH: Final = re.compile(r"at `\$\.([A-Za-z_.]+)`")
_MISSING_MEMBER: Final = re.compile(r"required field `([A-Za-z_]+)`")

_STRINGS: Final = msgspec.json.Decoder(dict[str, str | None])


class LineError(ValueError):
    """A line that cannot become a fact. ``reason``: a machine word, and after a colon the member at fault."""

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


def old_number_key(reg_no: str) -> str:
    """Return the subject key of records that name their subject by an old 15-digit registration number only."""
    return OLD_NUMBER_PREFIX + reg_no


def parse_line(raw: bytes) -> FeedLine:
    """Read one line, without or with its line feed. HOT: a snapshot has a million.

    Steps: 1 bound and parse; 2 who and about whom; 3 what may not come in; 4 the members of its kind.
    Raises ``LineError`` for whatever is wrong with any bytes.
    """
    # 1
    if len(raw) > MAX_LINE_BYTES:
        raise LineError("line_too_long", *_salvage(raw[:MAX_LINE_BYTES]))
    try:
        members = _parse_members(raw)
    except JsonError as exc:
        raise LineError(str(exc), *_salvage(raw)) from exc
    # 2
    record_id = members.get("id")
    key = _readable_subject(members)
    if not isinstance(record_id, str) or _RECORD_ID.fullmatch(record_id) is None:
        raise LineError("bad_id", None, key)
    try:
        kind = _kind(members)
        if members.get("op") == "delete":
            return _deletion(kind, record_id)
        # 3
        _refuse_foreign(kind, members, escaped=b"\\" in raw)
        # 4
        return _put(kind, record_id, key, members)
    except msgspec.ValidationError as exc:
        raise LineError(_member_reason(exc), record_id, key) from exc
    except Refused as exc:
        raise LineError(exc.args[0], record_id, key) from exc


def _parse_members(raw: bytes) -> Mapping[str, Json]:
    """Return the members of a line, by the strict parser or by a faster way to the same result.

    Most lines hold only strings and null, and no escape. Then every quotation mark stands around a name or a string; if
    there are no more than the distinct names and their strings need, no name stands twice, which the fast decoder alone
    would not notice. Whatever it refuses or leaves in doubt goes to the strict parser, which alone names a reason.
    """
    if b"\\" not in raw:
        try:
            members = _STRINGS.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return parse_json_object(raw)
        strings = 2 * len(members) - list(members.values()).count(None)
        if raw.count(b'"') == 2 * strings:
            return members
    return parse_json_object(raw)


def _kind(members: Mapping[str, Json]) -> str:
    kind = members.get("kind")
    if not isinstance(kind, str) or kind not in OWN_MEMBERS:
        raise Refused("bad_kind")
    if members.get("op") not in ("put", "delete"):
        raise Refused("bad_op")
    return kind


def _deletion(kind: str, record_id: str) -> FeedLine:
    if kind != "registration":
        return FeedLine("delete", kind, record_id, None, None)
    if not is_uscc(record_id):
        raise Refused("id_is_not_the_code")
    return FeedLine("delete", kind, record_id, record_id, None)


def _put(kind: str, record_id: str, key: str | None, members: Mapping[str, Json]) -> FeedLine:
    if kind == "registration":
        registration = make_registration(record_id, msgspec.convert(members, RegistrationLine))
        return FeedLine("put", kind, record_id, registration.uscc, registration)
    if key is None:
        raise Refused("no_subject_code")
    if kind == "penalty":
        if not OLD_SPELLINGS.keys().isdisjoint(members):
            members = spell_anew(members)
        penalty = make_penalty(record_id, key, msgspec.convert(members, PenaltyLine))
        return FeedLine("put", kind, record_id, key, penalty)
    entry = make_entry(record_id, key, msgspec.convert(members, EntryLine))
    return FeedLine("put", kind, record_id, key, entry)


def _readable_subject(members: Mapping[str, Json]) -> str | None:
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


def _refuse_foreign(kind: str, members: Mapping[str, Json], *, escaped: bool) -> None:
    """Refuse what may not come in: secrecy marks, misspelt members of ours, control characters.

    State secrets never enter, in no form. Strict JSON lets a control character in only through an escape.
    """
    mark, remark = members.get("secrecy"), members.get("BZ")
    if mark is not None and mark not in _OPEN_SECRECY:
        raise Refused("secrecy_mark")
    if remark and isinstance(remark, str) and _SECRET.search(remark):
        raise Refused("secrecy_mark")
    if not members.keys() <= OWN_MEMBERS[kind]:
        _refuse_misspelt(kind, members)
    if escaped and any(isinstance(text, str) and _CONTROL.search(text) for text in members.values()):
        raise Refused("control_character")


def _refuse_misspelt(kind: str, members: Mapping[str, Json]) -> None:
    for name in members.keys() - OWN_MEMBERS[kind]:
        if name != name.upper():
            raise Refused("unknown_member")


def _member_reason(exc: msgspec.ValidationError) -> str:
    match = _MEMBER_PATH.search(str(exc)) or _MISSING_MEMBER.search(str(exc))
    return f"bad_member:{match[1]}" if match else "bad_member"


def _salvage(raw: bytes) -> tuple[str | None, str | None]:
    """Find record and subject in bytes that are not JSON: rather a subject too many ``partial`` than one ``clear``."""
    found = _SALVAGED_ID.search(raw)
    code = _SALVAGED_CODE.search(raw)
    subject = code[1].decode("ascii") if code else None
    return found[1].decode("ascii") if found else None, subject if subject and is_uscc(subject) else None
