"""From the bytes of a verification request to a ``Question``, or to everything that is wrong with them. HOT.

For: the one parser of ``POST /v1/verifications``. The structs below are also where the OpenAPI document takes its schema from.
A good body is checked once, by msgspec against the types; a bad one is walked a second time, because msgspec stops at the first
fault and a person wants to see all.
Source: RFC 8259 and RFC 7493 by ``gateway.base.canonical``; RFC 6901 for paths; draft-ietf-httpapi-idempotency-key-header-07 for the
key, which is a string of RFC 9651; as others do, the text without quotation marks is accepted too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.base.canonical import Json, JsonError, canonical_json, parse_json
from gateway.base.errors import ErrorKind, Fault, GatewayError
from gateway.credit.identifiers import IdentifierError, Uscc, name_key, parse_uscc
from gateway.verification.question import Purpose, Question, Relation
from gateway.web.problem import MAX_FAULTS

MAX_USCC_CHARS: Final = 64
"""What may be typed around a code of 18 characters: spaces, full-width forms."""
MAX_NAME_CHARS: Final = 200
MAX_REF_CHARS: Final = 128
MAX_KEY_CHARS: Final = 255
MAX_SHOWN_CHARS: Final = 64
"""How much of an unknown member's name is repeated to its sender."""

NO_CONTROLS: Final = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]+$"
"""Text of one line: no control characters, which would end in logs, terminals and database errors (table row G16)."""
REFERENCE: Final = "^[ -~\\u3001-\\u303f\\u3400-\\u4dbf\\u4e00-\\u9fff\\uff01-\\uff5e]+$"
"""Printable ASCII, Chinese characters and their punctuation: what contracts are numbered with.

Both patterns are for the schema only: msgspec would search with them, and in Python ``$`` also matches before a final newline.
"""

UsccText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_USCC_CHARS,
        description="统一社会信用代码 / unified social credit code (GB 32100). Spaces around it and full-width forms are accepted.",
        examples=["919900000000000192"],
        extra_json_schema={"format": "uscc", "pattern": NO_CONTROLS},
    ),
]
NameText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_NAME_CHARS,
        description="名称 / name as registered. Alone it gives candidates, never a flag.",
        examples=["沙箱测试商户01有限公司"],
        extra_json_schema={"format": "party-name", "pattern": NO_CONTROLS},
    ),
]
ReferenceText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_REF_CHARS,
        description="业务编号 / your own reference of the business this question belongs to.",
        examples=["C-2026-118"],
        extra_json_schema={"pattern": REFERENCE},
    ),
]


class AskedSubject(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Whom the question is about: a code, a name, or both."""

    uscc: UsccText | UnsetType = UNSET
    name: NameText | UnsetType = UNSET


class VerificationRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of ``POST /v1/verifications``."""

    subject: AskedSubject
    purpose: Purpose
    business_ref: ReferenceText
    relation: Relation


_NO_CONTROLS: Final = re.compile(NO_CONTROLS[1:-1])
_REFERENCE: Final = re.compile(REFERENCE[1:-1])
_KEY: Final = re.compile(r"[\x21\x23-\x7e][\x20-\x7e]{0,254}", re.ASCII)
_QUOTED_KEY: Final = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])+)"', re.ASCII)
_ESCAPE: Final = re.compile(r"\\(.)")
_IDENTIFIER_CODES: Final = {"bad_length": "length", "bad_character": "alphabet", "bad_check_character": "checksum"}
_MEMBERS: Final = ("subject", "purpose", "business_ref", "relation")
_CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "purpose": tuple(choice.value for choice in Purpose),
    "relation": tuple(choice.value for choice in Relation),
}


def parse_question(raw: bytes, idempotency_key: str | None) -> Question:
    """Return the question that a body asks.

    Raises:
        GatewayError: ``MALFORMED_JSON`` for bytes that are not strict JSON; ``VALIDATION_FAILED`` with every fault there is.
    """
    try:
        value = parse_json(raw)
    except JsonError as exc:
        code = str(exc.args[0]) if raw else "empty_body"
        raise GatewayError(ErrorKind.MALFORMED_JSON, reason=code, faults=(Fault(path="", code=code),)) from exc
    try:
        body = msgspec.convert(value, VerificationRequest)
        subject = body.subject
        uscc = None if subject.uscc is UNSET else _read_uscc(subject.uscc)
    except (msgspec.ValidationError, IdentifierError) as exc:
        raise _validation_failed(value) from exc
    name = None if subject.name is UNSET else subject.name
    if uscc is None and name is None:
        raise _validation_failed(value)
    if name is not None and (_NO_CONTROLS.fullmatch(name) is None or not name_key(name)):
        raise _validation_failed(value)
    if _REFERENCE.fullmatch(body.business_ref) is None:
        raise _validation_failed(value)
    return Question(
        uscc=uscc,
        name=name,
        purpose=body.purpose,
        business_ref=body.business_ref,
        relation=body.relation,
        idempotency_key=idempotency_key,
        canonical_body=canonical_json(value),
    )


def _read_uscc(text: str) -> Uscc:
    if _NO_CONTROLS.fullmatch(text) is None:
        raise IdentifierError("control_character")  # trimming would let a line break through
    return parse_uscc(text)


def parse_idempotency_key(values: Sequence[str]) -> str | None:
    """Return the key, or ``None`` where none was sent; raise ``INVALID_REQUEST`` for a malformed or repeated one."""
    if not values:
        return None
    code = "repeated"
    if len(values) == 1:
        text = values[0]
        quoted = _QUOTED_KEY.fullmatch(text)
        key = text if quoted is None else _ESCAPE.sub(r"\1", quoted[1])
        if len(key) <= MAX_KEY_CHARS and (quoted is not None or _KEY.fullmatch(key) is not None):
            return key
        code = "idempotency_key"
    fault = Fault(path="/header/Idempotency-Key", code=code)
    raise GatewayError(ErrorKind.INVALID_REQUEST, reason="idempotency_key", faults=(fault,))


def _validation_failed(value: Json) -> GatewayError:
    """Walk a body that is known to be bad and name everything wrong with it, as far as is told."""
    if not isinstance(value, dict):
        faults: tuple[Fault, ...] = (Fault(path="", code="not_an_object"),)
    else:
        # One more than is told, so that it can be said that there are more; then no further look, whatever was sent.
        faults = tuple(islice(_body_faults(value), MAX_FAULTS + 1))
    # Should the second look find nothing, the types know a rule that this walk does not: refuse all the same.
    return GatewayError(ErrorKind.VALIDATION_FAILED, faults=faults or (Fault(path="", code="invalid"),))


def _body_faults(body: dict[str, Json]) -> Iterator[Fault]:
    yield from _unknown(body, _MEMBERS, "")
    yield from _subject_faults(body)
    for name, allowed in _CHOICES.items():
        yield from _choice_faults(body, name, allowed)
    yield from _text_faults(body, "business_ref", "", MAX_REF_CHARS, required=True)


def _subject_faults(body: dict[str, Json]) -> Iterator[Fault]:
    if "subject" not in body:
        yield Fault(path="/subject", code="required")
        return
    subject = body["subject"]
    if not isinstance(subject, dict):
        yield Fault(path="/subject", code="type", params={"expected": "object"})
        return
    yield from _unknown(subject, ("uscc", "name"), "/subject")
    if "uscc" not in subject and "name" not in subject:
        yield Fault(path="/subject", code="subject_missing")
    name_faults = list(_text_faults(subject, "name", "/subject", MAX_NAME_CHARS, required=False))
    name = subject.get("name")
    if not name_faults and isinstance(name, str) and not name_key(name):
        name_faults.append(Fault(path="/subject/name", code="empty"))
    uscc_faults = list(_text_faults(subject, "uscc", "/subject", MAX_USCC_CHARS, required=False))
    if not uscc_faults and "uscc" in subject:
        uscc_faults = list(_uscc_faults(str(subject["uscc"])))
    yield from uscc_faults
    yield from name_faults


def _uscc_faults(text: str) -> Iterator[Fault]:
    try:
        parse_uscc(text)
    except IdentifierError as exc:
        params: dict[str, str | int] = {}
        if exc.position is not None:
            params["position"] = exc.position
        if exc.expected is not None:
            params["expected"] = exc.expected
        if exc.suggestions:
            params["suggestions"] = " / ".join(exc.suggestions)
        yield Fault(path="/subject/uscc", code=_IDENTIFIER_CODES.get(exc.code, "invalid"), params=params)


def _choice_faults(body: dict[str, Json], name: str, allowed: tuple[str, ...]) -> Iterator[Fault]:
    path = f"/{name}"
    if name not in body:
        yield Fault(path=path, code="required", allowed=allowed)
    elif not isinstance(body[name], str):
        yield Fault(path=path, code="type", params={"expected": "string"}, allowed=allowed)
    elif body[name] not in allowed:
        yield Fault(path=path, code="enum", allowed=allowed)


def _text_faults(holder: dict[str, Json], name: str, parent: str, max_chars: int, *, required: bool) -> Iterator[Fault]:
    path = f"{parent}/{name}"
    if name not in holder:
        if required:
            yield Fault(path=path, code="required")
        return
    text = holder[name]
    if not isinstance(text, str):
        yield Fault(path=path, code="type", params={"expected": "string"})
    elif not text:
        yield Fault(path=path, code="empty")
    elif len(text) > max_chars:
        yield Fault(path=path, code="too_long", params={"max": max_chars})
    elif _NO_CONTROLS.fullmatch(text) is None:
        yield Fault(path=path, code="control_character")
    elif name == "business_ref" and _REFERENCE.fullmatch(text) is None:
        yield Fault(path=path, code="not_printable")


def _unknown(holder: dict[str, Json], known: Sequence[str], parent: str) -> Iterator[Fault]:
    for name in holder:
        if name not in known:
            shown = name[:MAX_SHOWN_CHARS].replace("~", "~0").replace("/", "~1")
            yield Fault(path=f"{parent}/{shown}", code="unknown_member", allowed=tuple(known))
