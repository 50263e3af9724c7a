"""A strict reader of ``application/x-www-form-urlencoded``.

For: the token endpoint. Lenient readers turn ``%ff`` into a replacement character and keep ``%zz`` as it is, so that two programs
disagree about what was sent; here both are refused.
Source: WHATWG URL section 5.1 for the format, without its tolerance; table rows G01 to G03 and G18 of the security design.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from gateway.base.errors import ErrorKind, GatewayError

MAX_FIELDS: Final = 50
"""A token request has five."""
_TEXT: Final = re.compile(rb"(?:[!-$'-~]|%[0-9A-Fa-f]{2})*+")
"""Printable ASCII but ``%`` and ``&``; or a percent-encoded byte. A space arrives as ``+``. Possessive: there is no way back to take, so
none is remembered (some hundred bytes a character)."""


def parse_form(raw: bytes) -> list[tuple[str, str]]:
    """Return the fields in order, doubles included; an empty body has none.

    Raises:
        GatewayError: ``MALFORMED_REQUEST`` for bytes outside the format, encodings that are not UTF-8, NUL, or too many fields.
    """
    if not raw:
        return []
    parts = raw.split(b"&", MAX_FIELDS)
    if len(parts) > MAX_FIELDS:
        raise GatewayError(ErrorKind.MALFORMED_REQUEST, reason="too_many_fields")
    return [_field(part) for part in parts if part]


def _field(part: bytes) -> tuple[str, str]:
    name, _, value = part.partition(b"=")
    return _text(name), _text(value)


def _text(encoded: bytes) -> str:
    if _TEXT.fullmatch(encoded) is None:
        raise GatewayError(ErrorKind.MALFORMED_REQUEST, reason="form_encoding")
    try:
        text = unquote_to_bytes(encoded.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError as exc:
        raise GatewayError(ErrorKind.MALFORMED_REQUEST, reason="form_not_utf8") from exc
    if "\x00" in text:
        raise GatewayError(ErrorKind.MALFORMED_REQUEST, reason="form_nul")
    return text
