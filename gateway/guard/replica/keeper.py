"""The guard of one feed on one host: ``gateway.worker.ports.FeedGuard`` on files.

For: the feed process and operator commands. Not for: workers, which only look at the small files (``files``).

The database is committed first and the digests after it, so after a crash between the two the digests are of the version before: known,
and brought up again from the signed files (``gateway.worker.proving``). Digests of a snapshot become the current ones by one rename of
``stand.json``, those of a delta by one SQLite transaction; what was half done is rolled back or swept away by the next owner.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import msgspec

from gateway.base.errors import ErrorKind, GatewayError
from gateway.base.log import get_logger
from gateway.credit.feed_version import ProvenStand, ReplicaState, VerifiedManifest
from gateway.credit.replica_row import DigestsOf, Finding, Part, RowDigest
from gateway.guard.replica.digest_file import DigestFile, is_broken
from gateway.guard.replica.drafting import FAILURES, Draft, open_current, sweep
from gateway.guard.replica.files import Doubt, GuardFiles, NotedDifference, Stand, stand_as_of

MAX_NOTED: Final = 20
"""Differences that the marker names; ``feed verify`` names the others."""
PATIENCE_S: Final = 5.0
"""How long an operator's command, or the feed process, waits for the other's poll; one that applies a version takes longer."""
LOOK_AGAIN_S: Final = 0.05
_LOCK: Final = "lock"

_log: Final = get_logger()
T = TypeVar("T")


class KeptGuard:
    """``gateway.worker.ports.FeedGuard``. Calls must not overlap within a process; ``own`` keeps other processes out."""

    def __init__(self, files: GuardFiles, *, patience_s: float = PATIENCE_S) -> None:
        self._files: Final = files
        self._patience_s: Final = patience_s

    @asynccontextmanager
    async def own(self) -> AsyncIterator[bool]:
        """Be the one writer of this host, or be told ``False`` if another process is and stays so."""
        handle = await _in_thread(self._lock)
        if handle is None:
            handle = await self._wait()
        try:
            yield handle is not None
        finally:
            if handle is not None:
                os.close(handle)

    async def stand(self) -> ProvenStand | None:
        """Return what was proven last on this host."""
        stand = await _in_thread(self._files.stand)
        if stand is None or stand.version == 0:
            return None
        return ProvenStand(
            version=stand.version, digest=bytes.fromhex(stand.manifest_sha256), as_of_ms=stand_as_of(stand)
        )

    async def prove(self, proven: ProvenStand) -> None:
        """Record what stands in the database and was signed. Never a lower version, never an earlier instant for the same one."""
        await _in_thread(self._prove, proven)

    async def digests(self) -> DigestsOf | None:
        """Return what the digests are of, ``None`` if there are none."""
        return await _in_thread(self._read, DigestFile.stand)

    async def page(self, after: tuple[int, str], limit: int) -> tuple[DigestsOf, Sequence[RowDigest]] | None:
        """Return the next digests and what they are of; ``None`` if there are none."""
        return await _in_thread(self._read, lambda file: (file.stand(), file.page(after, limit)))

    async def find(self, part: Part, keys: Sequence[str]) -> tuple[DigestsOf, dict[str, RowDigest]] | None:
        """Return the digests of some keys and what they are of; ``None`` if there are none."""
        return await _in_thread(self._read, lambda file: (file.stand(), file.find(part, keys)))

    @asynccontextmanager
    async def draft(self, manifest: VerifiedManifest, base: ReplicaState | None) -> AsyncIterator[Draft]:
        """Take down the digests of a version while its lines are read; nothing of it stands before ``Draft.keep``.

        ``base``: what the database stands on before it, ``None`` where somebody else applied it and nobody here knows on what.
        Whatever fails here fails the digests alone, with one line in the log: the version is not held up by them.
        """
        draft = Draft(self._files)
        await draft.begin(manifest, base)
        try:
            yield draft
        finally:
            await draft.abandon()

    async def raise_doubt(self, finding: Finding, now_ms: int) -> bool:
        """Set the marker that stops the answers of this host, unless one stands; tell whether it is new."""
        noted = [
            NotedDifference(
                kind=one.kind.value,
                part=None if one.part is None else one.part.name.lower(),
                key=one.key,
                subject=one.subject,
            )
            for one in finding.differences[:MAX_NOTED]
        ]
        doubt = Doubt(found_ms=now_ms, version=finding.version, count=finding.count, differences=noted)
        return await _in_thread(self._files.raise_doubt, doubt)

    async def resolve_doubt(self) -> bool:
        """Take the marker away; only after everything was compared and found right."""
        return await _in_thread(self._files.resolve_doubt)

    async def doubted(self) -> bool:
        """Tell whether a marker stands."""
        return await _in_thread(self._files.doubt) is not None

    async def _wait(self) -> int | None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience_s):
                while True:
                    await asyncio.sleep(LOOK_AGAIN_S)  # flock(2) can wait, but not be told to stop waiting
                    handle = self._lock()  # two system calls, and no thread that could be granted it after we gave up
                    if handle is not None:
                        return handle
        return None

    def _read(self, work: Callable[[DigestFile], T]) -> T | None:
        """Read the current digests at one moment. A file that turns out to be broken is given up, so that it is made anew."""
        file = open_current(self._files)
        if file is None:
            return None
        try:
            with file.one_moment():
                return work(file)
        except sqlite3.DatabaseError as exc:
            if not is_broken(exc):
                raise
            _log.error("feed_digests_failed", error=type(exc).__name__)
            file.path.unlink(missing_ok=True)
            return None
        finally:
            file.close()

    def _lock(self) -> int | None:
        self._files.make_folder()
        handle = os.open(self._files.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        sweep(self._files)
        return handle

    def _prove(self, proven: ProvenStand) -> None:
        stand = self._files.stand() or Stand()
        if proven.version < stand.version:
            return
        as_of = max(proven.as_of_ms, stand.as_of_ms)
        found = msgspec.structs.replace(
            stand, version=proven.version, manifest_sha256=proven.digest.hex(), as_of_ms=as_of
        )
        if found != stand:
            self._files.keep_stand(found)


async def _in_thread(work: Callable[..., T], *values: object) -> T:
    """Run blocking work, and name what may fail about the folder."""
    try:
        return await asyncio.to_thread(work, *values)
    except FAILURES as exc:
        raise GatewayError(
            ErrorKind.STORE_UNAVAILABLE, reason="guard_unavailable", facts={"cause": type(exc).__name__}
        ) from exc
