"""What one row of the replica must be, as a digest; and how a row, or the head, may differ from that.

For: whoever compares what PostgreSQL holds with what the platform signed (``gateway.worker.compare``), on both sides of the comparison.
Not for: storing either (``gateway.postgres``, ``gateway.guard.replica``).
Source: SHA-256 (FIPS 180-4), cut to 16 bytes: to pass off another row under a given digest is a second pre-image, about 2^104 tries
even with all of 20 million rows to choose from. The digest needs no key: whoever owns the database gains nothing by computing it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple

from gateway.base.crypto import sha256
from gateway.credit.feed_version import BadLine
from gateway.credit.identifiers import is_uscc, name_key
from gateway.credit.record import Registration, Value, encode_value

DIGEST_BYTES: Final = 16
_DOMAIN: Final = b"credit-gateway replica row v1\n"
_ABSENT: Final = b"\xff\xff\xff\xff"
"""No field is this long, so an absent one cannot be taken for an empty one."""
_length: Final = struct.Struct(">I").pack


class Part(IntEnum):
    """Where a row stands. The numbers are kept in files: never change one."""

    REGISTRATION = 1
    RECORD = 2
    UNREAD = 3
    """A line that could not be read, in quarantine."""


class RowDigest(NamedTuple):
    """One row: its key within its part, the subject it is found under, and the digest of everything else an answer may rest on.

    ``subject`` is ``None`` for a registration, whose key is its subject, and for an unread line that names nobody. ``any_subject``:
    whose line it is was taken from versions that this host has not read, so no subject contradicts it.
    """

    part: Part
    key: str
    subject: str | None
    digest: bytes
    any_subject: bool = False


class DigestsOf(NamedTuple):
    """Which version the digests are of, by number and manifest, and how many there are."""

    version: int
    manifest: bytes
    entries: int


class DifferenceKind(StrEnum):
    """How the database contradicts what was signed. Stable: shown to operators and kept in the marker of doubt."""

    MISSING = "missing"
    CHANGED = "changed"
    MOVED = "moved"
    """The contents are right and stand under another subject."""
    ADDED = "added"
    ROLLED_BACK = "feed_rolled_back"
    """The head names an older version than this host has seen there."""
    MANIFEST_DIFFERS = "manifest_differs"
    VERSION_AHEAD = "version_ahead"
    """The head names a version that a later word of the platform does not know."""
    AS_OF_AHEAD = "as_of_ahead"
    """The head says fresher than the platform ever did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One contradiction. ``part``, ``key`` and ``subject`` are ``None`` where it is about the head of the feed."""

    kind: DifferenceKind
    part: Part | None = None
    key: str | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Contradictions found at one version: ``count`` of all, of which ``differences`` are the first."""

    version: int
    count: int
    differences: tuple[Difference, ...]

    @classmethod
    def of_head(cls, kind: DifferenceKind, version: int) -> Finding:
        """Return a finding about the head of the feed alone."""
        return cls(version=version, count=1, differences=(Difference(kind=kind),))


def digest_value(record_id: str, subject: str | None, value: Value) -> RowDigest:
    """Return what the row of a ``put`` must be."""
    body = encode_value(value)
    if isinstance(value, Registration):
        return digest_registration(value.uscc, value.reg_no, value.name, name_key(value.name), body)
    return digest_record(record_id, subject, value.__struct_config__.tag, body)


def digest_registration(uscc: str, reg_no: str | None, name: str, key_of_name: str, body: bytes) -> RowDigest:
    """Return the digest of a row of ``replica.subject``."""
    return RowDigest(Part.REGISTRATION, uscc, None, _digest(Part.REGISTRATION, uscc, reg_no, name, key_of_name, body))


def digest_record(record_id: str, subject: str | None, kind: object, body: bytes) -> RowDigest:
    """Return the digest of a row of ``replica.record``."""
    return RowDigest(Part.RECORD, record_id, subject, _digest(Part.RECORD, record_id, str(kind), body))


def digest_unread(record_id: str, subject: str | None, place: tuple[int, int], reason: str, line: bytes) -> RowDigest:
    """Return the digest of a row of ``replica.quarantine``; ``place`` is version and line, ``line`` the SHA-256 of its bytes."""
    version, number = place
    digest = _digest(Part.UNREAD, record_id, str(version), str(number), reason, line)
    return RowDigest(Part.UNREAD, record_id, subject, digest)


def name_unread(line: BadLine, version: int) -> tuple[str, str | None]:
    """Return key and subject of a bad line; without an id it gets one that no publisher's id can equal (ids have no space)."""
    record_id = line.record_id or f"line {version} {line.number}"
    subject = line.subject_key
    if subject is None and is_uscc(record_id):
        subject = record_id  # the id of a registration is its code
    return record_id, subject


def _digest(part: Part, *fields: str | bytes | None) -> bytes:
    pieces = [_DOMAIN, bytes((part,))]
    for field in fields:
        if field is None:
            pieces.append(_ABSENT)
            continue
        content = field.encode() if isinstance(field, str) else field
        pieces += (_length(len(content)), content)
    return sha256(b"".join(pieces))[:DIGEST_BYTES]
