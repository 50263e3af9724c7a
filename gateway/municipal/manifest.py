"""The documents of the feed: the head, and the manifest of each version. The format is written down here.

For: a verified payload to values, and values to the payload (the simulated platform signs with the same code).
Not for: signatures (``envelope``), transfer (``client``), the lines of a file (``lines``).
Source: own format; JSON Schemas in ``schemas/feed/``. Strict JSON (RFC 8259, RFC 7493): integers and strings only.

What the platform serves under one base address, all of it static files:

``head.json``               envelope of the head, renewed even when nothing changes: it proves freshness
``manifests/{version}.json``  envelope of the manifest of one version
``files/{name}``            the gzip file of NDJSON lines that a manifest names (``gateway.credit.feed`` reads a line)

Head: ``v`` 1, ``kind`` "head", ``feed``, ``version`` (newest), ``manifest_sha256`` (of the payload of that version's manifest),
``snapshot`` (the newest version that is a snapshot), ``snapshot_sha256`` (of its manifest's payload), ``issued_at``.

Manifest: ``v`` 1, ``kind`` "snapshot" or "delta", ``feed``, ``version``, ``predecessor`` and ``predecessor_sha256`` (of the payload of
the version before; both null in the first), ``issued_at``, ``counts`` {``lines``, ``puts``, ``deletes``, ``kinds`` {kind: lines}},
``file`` {``name``, ``bytes``, ``sha256`` of the compressed file, ``uncompressed_bytes``}.

Versions are numbered without gaps and form one chain; a snapshot is a link of it like any other. Who stands below the newest
snapshot takes that snapshot; everyone else takes the deltas in order. Unknown members are refused: what is signed is understood.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from gateway.base.canonical import JsonError, canonical_json, parse_json_object
from gateway.base.clock import Millis, parse_rfc3339, rfc3339
from gateway.base.codec import parse_hex
from gateway.base.crypto import sha256
from gateway.credit.feed_version import (
    MAX_VERSION,
    Counts,
    FeedFile,
    FeedReason,
    FeedRefused,
    VerifiedHead,
    VerifiedManifest,
    VersionKind,
)
from gateway.municipal.envelope import PlatformKeys, open_envelope

MAX_FILE_BYTES: Final = 4 * 1024**3
MAX_UNCOMPRESSED_BYTES: Final = 32 * 1024**3
"""20 million subjects at about 1 kB, with room."""

_Version = Annotated[int, Meta(ge=1, le=MAX_VERSION)]
_Count = Annotated[int, Meta(ge=0, le=2**40)]
_Digest = Annotated[str, Meta(min_length=64, max_length=64, pattern="^[0-9a-f]{64}$")]
_Time = Annotated[str, Meta(max_length=40, extra_json_schema={"format": "date-time"})]
_Feed = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,62}$")]
_FileName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,127}$(?!\n)")]  # Python's $ lets one LF pass
_Kind = Annotated[str, Meta(pattern="^[a-z][a-z_]{0,31}$")]


class HeadDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The payload of ``head.json``, not yet believed."""

    v: Literal[1]
    kind: Literal["head"]
    feed: _Feed
    version: _Version
    manifest_sha256: _Digest
    snapshot: _Version
    snapshot_sha256: _Digest
    issued_at: _Time


class CountsDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``counts`` of a manifest."""

    lines: _Count
    puts: _Count
    deletes: _Count
    kinds: Annotated[dict[_Kind, _Count], Meta(max_length=16)]


class FileDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``file`` of a manifest."""

    name: _FileName
    bytes: Annotated[int, Meta(ge=1, le=MAX_FILE_BYTES)]
    sha256: _Digest
    uncompressed_bytes: Annotated[int, Meta(ge=0, le=MAX_UNCOMPRESSED_BYTES)]


class ManifestDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The payload of ``manifests/{version}.json``, not yet believed."""

    v: Literal[1]
    kind: Literal["snapshot", "delta"]
    feed: _Feed
    version: _Version
    predecessor: _Version | None
    predecessor_sha256: _Digest | None
    issued_at: _Time
    counts: CountsDocument
    file: FileDocument


_Document = TypeVar("_Document", HeadDocument, ManifestDocument)


def verify_head(raw: bytes, keys: PlatformKeys, feed: str) -> VerifiedHead:
    """Return the head that a registered key signed for this feed; ``FeedRefused`` otherwise."""
    document = _read(open_envelope(raw, keys), HeadDocument, feed)
    same = document.snapshot == document.version
    if document.snapshot > document.version or (same and document.snapshot_sha256 != document.manifest_sha256):
        raise FeedRefused(FeedReason.DOCUMENT_MALFORMED, "snapshot")
    return VerifiedHead(
        feed=document.feed,
        version=document.version,
        digest=parse_hex(document.manifest_sha256),
        snapshot=document.snapshot,
        snapshot_digest=parse_hex(document.snapshot_sha256),
        issued_ms=_time(document.issued_at),
    )


def verify_manifest(raw: bytes, keys: PlatformKeys, feed: str) -> VerifiedManifest:
    """Return the manifest that a registered key signed for this feed; ``FeedRefused`` otherwise."""
    payload = open_envelope(raw, keys)
    document = _read(payload, ManifestDocument, feed)
    _check_manifest(document)
    counts, file = document.counts, document.file
    before = document.predecessor_sha256
    return VerifiedManifest(
        feed=document.feed,
        kind=VersionKind(document.kind),
        version=document.version,
        predecessor=document.predecessor,
        predecessor_digest=None if before is None else parse_hex(before),
        issued_ms=_time(document.issued_at),
        counts=Counts(lines=counts.lines, puts=counts.puts, deletes=counts.deletes, kinds=counts.kinds),
        file=FeedFile(
            name=file.name,
            size_bytes=file.bytes,
            sha256=parse_hex(file.sha256),
            uncompressed_bytes=file.uncompressed_bytes,
        ),
        digest=sha256(payload),
    )


def render_head(head: VerifiedHead) -> bytes:
    """Return the payload of a head, as a platform signs it."""
    return canonical_json(
        HeadDocument(
            v=1,
            kind="head",
            feed=head.feed,
            version=head.version,
            manifest_sha256=head.digest.hex(),
            snapshot=head.snapshot,
            snapshot_sha256=head.snapshot_digest.hex(),
            issued_at=rfc3339(head.issued_ms),
        )
    )


def render_manifest(manifest: VerifiedManifest) -> bytes:
    """Return the payload of a manifest, as a platform signs it; its own ``digest`` is not part of it."""
    counts, file = manifest.counts, manifest.file
    before = manifest.predecessor_digest
    return canonical_json(
        ManifestDocument(
            v=1,
            kind=manifest.kind.value,
            feed=manifest.feed,
            version=manifest.version,
            predecessor=manifest.predecessor,
            predecessor_sha256=None if before is None else before.hex(),
            issued_at=rfc3339(manifest.issued_ms),
            counts=CountsDocument(
                lines=counts.lines, puts=counts.puts, deletes=counts.deletes, kinds=dict(counts.kinds)
            ),
            file=FileDocument(
                name=file.name,
                bytes=file.size_bytes,
                sha256=file.sha256.hex(),
                uncompressed_bytes=file.uncompressed_bytes,
            ),
        )
    )


def _read(payload: bytes, form: type[_Document], feed: str) -> _Document:
    try:
        document = msgspec.convert(parse_json_object(payload, max_depth=4), form)
    except JsonError as exc:
        raise FeedRefused(FeedReason.DOCUMENT_MALFORMED, str(exc)) from exc
    except msgspec.ValidationError as exc:
        # Only where the fault is: the rest of the sentence may repeat what was sent.
        _, _, place = str(exc).partition(" - at ")
        raise FeedRefused(FeedReason.DOCUMENT_MALFORMED, place) from exc
    if document.feed != feed:
        raise FeedRefused(FeedReason.WRONG_FEED)
    return document


def _check_manifest(document: ManifestDocument) -> None:
    """Refuse a manifest that contradicts itself; ``FeedRefused`` names the member."""
    counts = document.counts
    chained = document.predecessor is not None
    if chained != (document.predecessor_sha256 is not None) or chained == (document.version == 1):
        raise FeedRefused(FeedReason.DOCUMENT_MALFORMED, "predecessor")
    if document.predecessor is not None and document.predecessor != document.version - 1:
        raise FeedRefused(FeedReason.VERSION_GAP, "predecessor is not the version before")
    if counts.puts + counts.deletes != counts.lines or sum(counts.kinds.values()) != counts.lines:
        raise FeedRefused(FeedReason.COUNT_DIFFERS, "counts do not add up")
    if document.kind == "snapshot" and counts.deletes:
        raise FeedRefused(FeedReason.DOCUMENT_MALFORMED, "a snapshot deletes nothing")
    if document.kind == "delta" and not chained:
        raise FeedRefused(FeedReason.NO_SNAPSHOT, "the first version is a snapshot")


def _time(text: str) -> Millis:
    try:
        return parse_rfc3339(text)
    except ValueError as exc:
        raise FeedRefused(FeedReason.DOCUMENT_MALFORMED, "issued_at") from exc
