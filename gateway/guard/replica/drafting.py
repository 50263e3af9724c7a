"""The digests of one version, being taken down beside the writing of its rows.

For: ``KeptGuard.draft``. Not for: what a row's digest is (``gateway.credit.replica_row``), nor which rows a line makes (``draft``).
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import msgspec

from gateway.base.log import get_logger
from gateway.credit.feed_version import LineBatch, ReplicaState, VerifiedManifest, VersionKind
from gateway.guard.replica.digest_file import DigestFile, flush
from gateway.guard.replica.draft import DraftDigests
from gateway.guard.replica.files import GuardFiles, GuardUnreadable, Stand, flush_folder

FAILURES: Final = (OSError, sqlite3.Error, GuardUnreadable)
"""What the guard's folder and its files may raise."""
_FILES: Final = "digests-*"

_log: Final = get_logger()


class Draft:
    """The digests of one version, being taken down beside the writing of its rows. Made by ``KeptGuard.draft``."""

    def __init__(self, files: GuardFiles) -> None:
        self._files: Final = files
        self._digests: DraftDigests | None = None
        self._file: DigestFile | None = None
        self._before: DigestFile | None = None
        self._path: Path | None = None  # of a new file that is not the current one yet
        self._taking: asyncio.Task[LineBatch] | None = None

    @property
    def fits(self) -> bool:
        """Whether the digests can be kept: they rest on those of the version before, and nothing has failed."""
        return self._digests is not None

    async def begin(self, manifest: VerifiedManifest, base: ReplicaState | None) -> None:
        """Open what the version goes into."""
        try:
            await asyncio.to_thread(self._begin, manifest, base)
        except FAILURES as exc:
            await self._give_up(exc)

    async def through(self, batches: AsyncIterator[LineBatch]) -> AsyncIterator[LineBatch]:
        """Pass batches on, each taken down first; the bad lines come out with the subjects that this host can prove."""
        async for batch in batches:
            yield await self.take(batch)

    async def take(self, batch: LineBatch) -> LineBatch:
        """Take one batch down."""
        digests = self._digests
        if digests is None:
            return batch
        self._taking = asyncio.create_task(asyncio.to_thread(digests.take, batch), name="feed-digests")
        try:
            # Shielded: a thread cannot be cancelled, and the file it works on may not be closed under it.
            return await asyncio.shield(self._taking)
        except FAILURES as exc:
            await self._give_up(exc)
            return batch

    async def keep(self) -> bool:
        """Make the digests the current ones; call it when the rows are committed. Tells whether it was done."""
        if self._digests is None:
            return False
        try:
            await asyncio.to_thread(self._keep)
        except FAILURES as exc:
            await self._give_up(exc)
            return False
        self._digests = None
        return True

    async def abandon(self) -> None:
        """Undo whatever was not kept."""
        if self._taking is not None:
            await asyncio.wait({self._taking})
        await asyncio.to_thread(self._close)

    def _begin(self, manifest: VerifiedManifest, base: ReplicaState | None) -> None:
        current = open_current(self._files)
        if manifest.kind is VersionKind.DELTA:
            if current is None or current.stand()[:2] != (manifest.predecessor, manifest.predecessor_digest):
                _close(current)
                return
            self._file = current
            current.begin()
            self._digests = DraftDigests(current, current, manifest, complete=True)
            return
        known = base is not None and current is not None and current.stand()[:2] == (base.version, base.digest)
        if not known:
            _close(current)
            current = None
        self._before = current
        self._path = self._files.folder / f"digests-{manifest.version}-{secrets.token_hex(4)}.sqlite"
        self._file = DigestFile.create(self._path)
        first = base is not None and base.version == 0
        self._digests = DraftDigests(self._file, current, manifest, complete=known or first)

    def _keep(self) -> None:
        """A new file: 1 finish it, 2 make it and its name durable, 3 name it in ``stand.json``. Before 3 the old digests stand."""
        if self._digests is None or self._file is None:
            return
        self._digests.commit()
        if self._path is None:
            return
        self._file.close()
        flush(self._path)
        flush_folder(self._path.parent)
        stand = self._files.stand() or Stand()
        self._files.keep_stand(msgspec.structs.replace(stand, digests=self._path.name))
        _close(self._before)
        self._file = self._before = self._path = None
        sweep(self._files)

    def _close(self) -> None:
        if self._file is not None and self._path is None:
            self._file.rollback()
        _close(self._file)
        _close(self._before)
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        self._file = self._before = self._path = self._digests = None

    async def _give_up(self, failure: Exception) -> None:
        _log.error("feed_digests_failed", error=type(failure).__name__)
        await asyncio.to_thread(self._close)


def open_current(files: GuardFiles) -> DigestFile | None:
    """Open the current digests, ``None`` if there are none."""
    stand = files.stand()
    if stand is None or stand.digests is None:
        return None
    return DigestFile.open(files.folder / Path(stand.digests).name)


def sweep(files: GuardFiles) -> None:
    """Remove what a crash left behind, and digests that were replaced."""
    stand = files.stand()
    current = None if stand is None else stand.digests
    for path in files.folder.glob(_FILES):
        # SQLite's journal of the current file begins with its name, and is needed to roll back.
        if current is None or not path.name.startswith(current):
            path.unlink(missing_ok=True)


def _close(file: DigestFile | None) -> None:
    if file is not None:
        file.close()
