"""Strict reading of a compact JWS: the form is checked here, before any signature or claim.

For: client assertions, proofs of possession and access tokens, each with its own rules for the header.
Not for: what the claims mean, and for signatures. What is returned is unverified and says so.
Source: RFC 7515 sections 3.1, 4 and 7.1; RFC 8725 sections 3.1, 3.7 and 3.11 (RFC 7519 libraries accept duplicate
members, foreign ``typ`` values and non-canonical base64url; here none of it passes).

Certificates in a header (``x5c``, ``x5t``, ``x5t#S256``) are ignored like every member we do not know (RFC 7515 section 4): keys come
from the register or from ``jwk``, never from there. Clients whose keys live in certificates send them without being asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from gateway.base.canonical import Json, JsonError, parse_json_object
from gateway.base.codec import parse_b64url
from gateway.identity.jwk import ALGORITHM_NAMES, Algorithm

MAX_JWS_CHARS: Final = 8192
"""Longest compact JWS we look at: an RSA-4096 proof with its key has about 2,100 characters."""
MAX_KID_CHARS: Final = 128

_NEVER: Final = frozenset({"crit", "b64", "jku", "x5u", "zip", "enc"})
"""Header members that change what is verified, or that ask us to fetch a key: never used, so never accepted."""
_MEDIA_TYPE_PREFIX: Final = "application/"


class JwsError(ValueError):
    """The text is not a JWS we read; ``reason`` is a short machine word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason: Final = reason


@dataclass(frozen=True, slots=True)
class _Rule:
    """``types`` in lower case and without ``application/``: what ``_short_type`` makes of a ``typ``."""

    types: frozenset[str | None]
    jwk: bool


class JwsKind(Enum):
    """The kinds of JWT we read; their header rules exclude each other (RFC 8725 section 3.12)."""

    CLIENT_ASSERTION = _Rule(frozenset({None, "jwt", "client-authentication+jwt"}), jwk=False)
    DPOP_PROOF = _Rule(frozenset({"dpop+jwt"}), jwk=True)
    ACCESS_TOKEN = _Rule(frozenset({"at+jwt"}), jwk=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedJws:
    """A well-formed JWS of one kind whose signature nobody has checked yet."""

    alg: Algorithm
    header: Mapping[str, Json]
    payload: Mapping[str, Json]
    signing_input: bytes
    signature: bytes

    @property
    def kid(self) -> str | None:
        """The key identifier of the header, if it has one."""
        kid = self.header.get("kid")
        return kid if isinstance(kid, str) else None


def split_compact(text: str) -> tuple[str, str, str]:
    """Return the three segments of a compact serialisation, not yet decoded; otherwise raise ``JwsError``."""
    if len(text) > MAX_JWS_CHARS:
        raise JwsError("too_long")
    segments = text.split(".", 3)
    if len(segments) != 3 or not text.isascii():  # noqa: PLR2004 - RFC 7515 section 7.1
        raise JwsError("not_compact")
    return segments[0], segments[1], segments[2]


def parse_compact(text: str, kind: JwsKind) -> UnverifiedJws:
    """Read a compact JWS of one kind, or raise ``JwsError``."""
    protected, payload, signature = split_compact(text)
    header = parse_header(protected, kind)
    return UnverifiedJws(
        alg=_algorithm(header),
        header=header,
        payload=parse_object(payload),
        signing_input=text[: len(protected) + 1 + len(payload)].encode("ascii"),
        signature=parse_segment(signature),
    )


def parse_header(protected: str, kind: JwsKind) -> dict[str, Json]:
    """Decode and check the protected header segment for one kind of JWT."""
    header = parse_object(protected)
    _algorithm(header)
    kid = header.get("kid", "")
    if not isinstance(kid, str) or len(kid) > MAX_KID_CHARS:
        raise JwsError("kid")
    if _short_type(header) not in kind.value.types:
        raise JwsError("typ")
    if not _NEVER.isdisjoint(header) or ("jwk" in header and not kind.value.jwk):
        raise JwsError("forbidden_header_member")
    return header


def _short_type(header: Mapping[str, Json]) -> str | None:
    """Return the ``typ`` of a header in its one short spelling, or None if there is none.

    It is a media type: read without regard to case, and ``application/`` may be left out (RFC 7515 section 4.1.9).
    """
    if "typ" not in header:
        return None
    typ = header["typ"]
    if not isinstance(typ, str) or not typ.isascii():  # ``null`` is not absent
        raise JwsError("typ")
    return typ.lower().removeprefix(_MEDIA_TYPE_PREFIX)


def parse_object(segment: str) -> dict[str, Json]:
    """Decode a segment that must be a strict JSON object beginning with its brace."""
    raw = parse_segment(segment)
    if raw[:1] != b"{":
        raise JwsError("not_an_object")
    try:
        return parse_json_object(raw)
    except JsonError as exc:
        raise JwsError("not_strict_json") from exc


def parse_segment(segment: str) -> bytes:
    """Decode canonical base64url without padding."""
    try:
        return parse_b64url(segment)
    except ValueError as exc:
        raise JwsError("not_base64url") from exc


def _algorithm(header: Mapping[str, Json]) -> Algorithm:
    name = header.get("alg")
    alg = ALGORITHM_NAMES.get(name) if isinstance(name, str) else None
    if alg is None:
        raise JwsError("alg")
    return alg
