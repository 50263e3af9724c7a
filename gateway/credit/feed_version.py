"""One version of the municipal feed, as values: what a signed manifest and a signed head say, and why one is refused.

For: the words that the municipal client, the feed loop and the replica share. Not for: reading signatures and files
(``gateway.municipal``), deciding what to apply (``gateway.worker.decide``), storing (``gateway.postgres.replica_store``).
Source: the shape follows RFC 8182 (RRDP: a notification names the newest state, a snapshot and deltas), with a signed chain as in
The Update Framework 1.0 section 5.3 (rollback and freeze attacks) instead of a session id.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.base.clock import Millis
    from gateway.credit.feed import FeedLine


MAX_VERSION: Final = 2**53 - 1
"""Exact in every JSON reader."""


class VersionKind(StrEnum):
    """What the file of a version holds."""

    SNAPSHOT = "snapshot"
    DELTA = "delta"


class FeedReason(StrEnum):
    """Why a head or a version was refused. Stable: the label of the alarm metric and the ``reason`` of the event row."""

    # the signed envelope
    NOT_AN_ENVELOPE = "not_an_envelope"
    SIGNATURE_MISSING = "signature_missing"
    SIGNATURE_WRONG = "signature_wrong"
    KEY_UNKNOWN = "key_unknown"
    DOCUMENT_MALFORMED = "document_malformed"
    WRONG_FEED = "wrong_feed"
    # time and order
    ISSUED_IN_FUTURE = "issued_in_future"
    HEAD_ROLLBACK = "head_rollback"
    EQUIVOCATION = "equivocation"
    VERSION_DIFFERS = "version_differs"
    VERSION_REPLAYED = "version_replayed"
    VERSION_GAP = "version_gap"
    CHAIN_BROKEN = "chain_broken"
    NO_SNAPSHOT = "no_snapshot"
    # the transfer
    DOCUMENT_TOO_LARGE = "document_too_large"
    FILE_TOO_LARGE = "file_too_large"
    FILE_TRUNCATED = "file_truncated"
    LENGTH_DIFFERS = "length_differs"
    DIGEST_DIFFERS = "digest_differs"
    CONTENT_ENCODED = "content_encoded"
    NOT_GZIP = "not_gzip"
    UNCOMPRESSED_SIZE_DIFFERS = "uncompressed_size_differs"
    # the content
    EMPTY = "empty"
    LINE_TOO_LONG = "line_too_long"
    COUNT_DIFFERS = "count_differs"
    DUPLICATE_RECORD = "duplicate_record"
    MASS_DELETION = "mass_deletion"
    TOO_MANY_QUARANTINED = "too_many_quarantined"
    TOO_MANY_UNATTRIBUTED = "too_many_unattributed"
    DELTA_TOO_LARGE = "delta_too_large"


class FeedRefused(Exception):  # noqa: N818 - named for what it says
    """Something the platform served is not believed. The last good version stays; ``detail`` is for our log only."""

    def __init__(self, reason: FeedReason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason: Final = reason
        self.detail: Final = detail


class FeedUnreachable(Exception):  # noqa: N818 - named for what it says
    """The platform gave no answer, or an error instead of one. ``args[0]`` is a short machine word."""


class ApplyConflict(Exception):  # noqa: N818 - named for what it says
    """Another process applies, or has applied since we looked. Nothing was changed; look again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many lines a version has; ``kinds`` by kind of record, deletions included."""

    lines: int
    puts: int
    deletes: int
    kinds: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedFile:
    """The gzip NDJSON file of a version: ``sha256`` and ``size_bytes`` are of the compressed file."""

    name: str
    size_bytes: int
    sha256: bytes
    uncompressed_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedManifest:
    """A manifest whose signature verified. ``digest`` is the SHA-256 of its payload: the next version must repeat it."""

    feed: str
    kind: VersionKind
    version: int
    predecessor: int | None
    predecessor_digest: bytes | None
    issued_ms: Millis
    counts: Counts
    file: FeedFile
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedHead:
    """The platform's signed word on what is newest at ``issued_ms``.

    ``digest`` is the manifest digest of ``version``; ``snapshot`` is the newest snapshot at or below it, and ``snapshot_digest``
    the digest of that manifest.
    """

    feed: str
    version: int
    digest: bytes
    snapshot: int
    snapshot_digest: bytes
    issued_ms: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaState:
    """What the replica stands on. ``version`` 0 means that nothing was ever applied."""

    slot: int
    version: int
    digest: bytes
    as_of_ms: Millis
    record_count: int
    """Registrations and records together."""
    quarantined: int
    """Lines of all versions that are still unread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenStand:
    """What this host has seen applied, in the platform's signed words: never read back from the database."""

    version: int
    digest: bytes
    as_of_ms: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What was counted while a version was read. ``kinds`` counts good lines; ``removed`` what the replica held and would lose."""

    puts: int
    deletes: int
    kinds: Mapping[str, int]
    quarantined: int
    unattributed: int
    """Of those, lines that name no subject that could be made out."""
    removed: Mapping[str, int]
    held: Mapping[str, int]
    """What the replica held before, by kind: the measure for ``removed``."""


class EventResult(StrEnum):
    """How an attempt ended, as operators and the alarm metric see it."""

    APPLIED = "applied"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEvent:
    """A row for operators: which version was looked at, and what became of it."""

    at_ms: Millis
    result: EventResult
    version: int | None = None
    reason: str | None = None
    records: int | None = None
    quarantined: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BadLine:
    """A line that could not be read. ``number`` counts from 1; ``digest`` is the SHA-256 of its bytes, for the dispute."""

    number: int
    record_id: str | None
    subject_key: str | None
    reason: str
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LineBatch:
    """Some consecutive lines of a version, read."""

    lines: Sequence[FeedLine]
    bad: Sequence[BadLine]
