"""The digests of one version on their way into a file, from the same batches that go into the database.

For: ``keeper``. The rules are those by which the rows themselves come about (``gateway.postgres.replica_rows``), so that both sides of a
comparison are made from the signed lines and not from each other. Not for: files and their names.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from gateway.credit.feed_version import BadLine, LineBatch, VerifiedManifest, VersionKind
from gateway.credit.replica_row import Part, RowDigest, digest_unread, digest_value, name_unread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.credit.feed import FeedLine
    from gateway.guard.replica.digest_file import DigestFile

_REGISTRATION: Final = "registration"


class DraftDigests:
    """The digests of one version, not committed.

    Args:
        file: a new file for a snapshot, the current one, in its transaction, for a delta.
        before: the digests that the database stood on before a snapshot; ``None`` if they are not known. For a delta: ``file``.
        complete: whether ``before`` is all that was there, so that a record it lacks was nobody's.
    """

    def __init__(
        self, file: DigestFile, before: DigestFile | None, manifest: VerifiedManifest, *, complete: bool
    ) -> None:
        self._file: Final = file
        self._before: Final = before
        self._manifest: Final = manifest
        self._complete: Final = complete

    def take(self, batch: LineBatch) -> LineBatch:
        """Take a batch, and return it with the subjects of nameless bad lines filled in from what this host has proven.

        In the order of the writer: 1 puts, 2 deletions, 3 good lines release what could not be read, 4 the bad lines.
        """
        if self._manifest.kind is VersionKind.SNAPSHOT:
            self._file.add(_puts(batch.lines))
        else:
            self._file.put(_puts(batch.lines))  # 1
            self._remove(batch.lines)  # 2
            self._file.remove(Part.UNREAD, [line.record_id for line in batch.lines])  # 3
        if not batch.bad:
            return batch
        bad = self._attributed(batch.bad)  # 4
        self._file.put([self._unread(line, attributed=line.subject_key is not None) for line in bad])
        return LineBatch(lines=batch.lines, bad=bad)

    def commit(self) -> None:
        """Commit the rows together with the version they are of."""
        self._file.commit(self._manifest.version, self._manifest.digest)

    def _remove(self, lines: Sequence[FeedLine]) -> None:
        gone = [line for line in lines if line.op != "put"]
        self._file.remove(Part.REGISTRATION, [line.record_id for line in gone if line.kind == _REGISTRATION])
        self._file.remove(Part.RECORD, [line.record_id for line in gone if line.kind != _REGISTRATION])

    def _attributed(self, bad: Sequence[BadLine]) -> list[BadLine]:
        """Name the subject of lines that do not: that of the record they would have replaced, or of an earlier unread line."""
        named = [(line, *name_unread(line, self._manifest.version)) for line in bad]
        open_keys = [key for _line, key, subject in named if subject is None]
        known = dict[str, str]()
        for file in (self._before, self._file):
            for part in (Part.UNREAD, Part.RECORD):
                found = file.find(part, open_keys) if file is not None and open_keys else {}
                known |= {key: row.subject for key, row in found.items() if row.subject is not None}
        return [
            dataclasses.replace(line, subject_key=known[key]) if subject is None and key in known else line
            for line, key, subject in named
        ]

    def _unread(self, line: BadLine, *, attributed: bool) -> RowDigest:
        version = self._manifest.version
        key, subject = name_unread(line, version)
        row = digest_unread(key, subject, (version, line.number), line.reason, line.digest)
        unsure = subject is None and not attributed and line.record_id is not None and not self._is_nobodys(key)
        return row._replace(any_subject=True) if unsure else row

    def _is_nobodys(self, key: str) -> bool:
        """Tell whether it is certain that no record of this key was there before."""
        if not self._complete or self._before is None:
            return self._complete
        found = self._before.find(Part.UNREAD, (key,)).get(key)
        return found is None or not found.any_subject


def _puts(lines: Sequence[FeedLine]) -> list[RowDigest]:
    return [digest_value(line.record_id, line.subject_key, line.value) for line in lines if line.value is not None]
