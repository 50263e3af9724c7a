"""Publishing a feed: files, manifests and heads, signed, in a directory.

For: the simulated platform and the tests. Blocking (files, compression): call it in a thread where a loop runs.
Not for: serving over HTTP (``platform``), nor for reading a feed (``gateway.municipal``).
"""

from __future__ import annotations

import gzip
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gateway.base.codec import b64, parse_hex
from gateway.base.crypto import Ed25519Signer
from gateway.base.secret import Secret
from gateway.credit.feed_version import Counts, FeedFile, VerifiedHead, VerifiedManifest, VersionKind
from gateway.municipal.envelope import parse_platform_keys, seal_envelope
from gateway.municipal.manifest import render_head, render_manifest, verify_manifest
from gateway.sandbox.lines import Line, encode

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from gateway.base.clock import Clock

KEYID: Final = "sandbox-platform-1"
_KINDS: Final = frozenset({"registration", "penalty", "list_entry"})
_OTHER: Final = "other"


@dataclass(slots=True)
class _Count:
    lines: int = 0
    deletes: int = 0
    kinds: dict[str, int] = field(default_factory=dict)

    def add(self, line: Line | bytes) -> None:
        kind = _OTHER if isinstance(line, bytes) else line.get("kind")
        kind = kind if isinstance(kind, str) and kind in _KINDS else _OTHER
        self.lines += 1
        self.deletes += not isinstance(line, bytes) and line.get("op") == "delete"
        self.kinds[kind] = self.kinds.get(kind, 0) + 1


class Publisher:
    """A platform's publishing side. What it published before is found in the directory again, so the chain goes on.

    Args:
        directory: made if absent; ``manifests/``, ``files/``, the signing seed and ``platform-keys.txt`` lie in it.
        feed: the feed's name, part of every signed document.
    """

    def __init__(self, directory: Path, *, feed: str, clock: Clock) -> None:
        self._directory: Final = directory
        self._feed: Final = feed
        self._clock: Final = clock
        for part in ("manifests", "files"):
            (directory / part).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._signer: Final = Ed25519Signer(_kept_seed(directory / "platform-signing.key"))
        self.keys_text: Final = f"{KEYID} {b64(self._signer.public)}\n"
        (directory / "platform-keys.txt").write_text(self.keys_text, encoding="ascii")
        self._latest: VerifiedManifest | None = None
        self._snapshot: VerifiedManifest | None = None
        self._resume()

    @property
    def version(self) -> int:
        """The newest version, 0 before the first."""
        return 0 if self._latest is None else self._latest.version

    def publish(self, kind: VersionKind, lines: Iterable[Line | bytes]) -> VerifiedManifest:
        """Write and sign the next version; a line given as bytes goes out as it is, line feed added.

        The manifest is written last and under its final name at once: what is half done is not published.
        """
        version = self.version + 1
        issued_ms = self._clock.now_ms()
        name = f"{version:08d}-{kind.value}.ndjson.gz"
        counts, file = self._write_file(name, lines)
        latest = self._latest
        manifest = VerifiedManifest(
            feed=self._feed,
            kind=kind,
            version=version,
            predecessor=None if latest is None else latest.version,
            predecessor_digest=None if latest is None else latest.digest,
            issued_ms=issued_ms,
            counts=Counts(
                lines=counts.lines, puts=counts.lines - counts.deletes, deletes=counts.deletes, kinds=counts.kinds
            ),
            file=file,
            digest=b"",
        )
        return self.publish_manifest(manifest)

    def publish_manifest(self, manifest: VerifiedManifest) -> VerifiedManifest:
        """Sign and write a manifest as the newest version; its file must lie there already."""
        payload = render_manifest(manifest)
        path = self._directory / "manifests" / f"{manifest.version}.json"
        unfinished = path.with_suffix(".tmp")
        unfinished.write_bytes(self.seal(payload))
        unfinished.replace(path)
        return self._adopt(path)

    def head(self) -> bytes:
        """Return a fresh signed head. ``LookupError`` before the first version."""
        latest, snapshot = self._latest, self._snapshot
        if latest is None or snapshot is None:
            msg = "nothing was published yet"
            raise LookupError(msg)
        head = VerifiedHead(
            feed=self._feed,
            version=latest.version,
            digest=latest.digest,
            snapshot=snapshot.version,
            snapshot_digest=snapshot.digest,
            issued_ms=self._clock.now_ms(),
        )
        return self.seal(render_head(head))

    def seal(self, payload: bytes) -> bytes:
        """Return the signed envelope of a payload."""
        return seal_envelope(payload, KEYID, self._signer)

    def _write_file(self, name: str, lines: Iterable[Line | bytes]) -> tuple[_Count, FeedFile]:
        path = self._directory / "files" / name
        counts, size = _Count(), 0
        # mtime 0 and no name inside: the same lines give the same bytes.
        with (
            path.open("wb") as raw,
            gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=1, mtime=0) as out,
        ):
            for line in lines:
                encoded = line.rstrip(b"\n") + b"\n" if isinstance(line, bytes) else encode(line)
                size += len(encoded)
                counts.add(line)
                out.write(encoded)
        with path.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").digest()
        file = FeedFile(name=name, size_bytes=path.stat().st_size, sha256=digest, uncompressed_bytes=size)
        return counts, file

    def _adopt(self, path: Path) -> VerifiedManifest:
        manifest = verify_manifest(path.read_bytes(), parse_platform_keys(self.keys_text), self._feed)
        self._latest = manifest
        if manifest.kind is VersionKind.SNAPSHOT:
            self._snapshot = manifest
        return manifest

    def _resume(self) -> None:
        for path in sorted((self._directory / "manifests").glob("*.json"), key=lambda found: int(found.stem)):
            self._adopt(path)


def _kept_seed(path: Path) -> Secret:
    """Return the signing seed, made at the first start and readable by its owner only."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32), encoding="ascii")
    return Secret(parse_hex(path.read_text(encoding="ascii")))
