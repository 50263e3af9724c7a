"""One file of digests: what every row of the replica must be, in SQLite.

For: ``keeper``. A snapshot makes a new file, a delta changes the file in one transaction; the version that the digests are of stands
in the same file, so they cannot disagree. Blocking: call it in a thread where a loop runs. Not for: which file is the current one.

Why SQLite: it comes with Python, its transactions survive a power cut, its memory is bounded by its page cache, and nothing here is
on the path of a request. Rejected: sorted files by hash bucket (a delta would rewrite whole buckets, and a second crash-safe format
would be ours to keep), a set in memory (20 million rows are 4 GB).
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from gateway.credit.replica_row import DigestsOf, Part, RowDigest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

FORM: Final = 1
"""Of the file, and of what a digest is taken over. A file of another form counts as none."""
BUSY_S: Final = 5.0
"""How long a writer waits for a reader of another process, which holds the file for one page."""
_CACHE: Final = "PRAGMA cache_size = -65536;"
"""64 MiB, of which a page of rows touches little: the bound of its memory."""
_BROKEN: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
"""Not a file of ours any more; ``SQLITE_ERROR`` is how a missing table shows. Busy, full and unreadable are not among them."""
_TABLES: Final = """
CREATE TABLE entry (
    part INTEGER NOT NULL, key TEXT NOT NULL, subject TEXT, digest BLOB NOT NULL, any_subject INTEGER,
    PRIMARY KEY (part, key)
) WITHOUT ROWID;
CREATE TABLE stand (form INTEGER NOT NULL, version INTEGER NOT NULL, manifest BLOB NOT NULL, entries INTEGER NOT NULL);
"""
_PUT: Final = "INSERT INTO entry VALUES (?, ?, ?, ?, ?)"
_REMOVE: Final = "DELETE FROM entry WHERE part = ? AND key = ?"


class DigestFile:
    """An open file. One thread at a time."""

    def __init__(self, connection: sqlite3.Connection, path: Path, entries: int) -> None:
        self._connection: Final = connection
        self.path: Final = path
        self._entries = entries  # kept along: to count 20 million rows at each delta would read them all

    @classmethod
    def create(cls, path: Path) -> DigestFile:
        """Begin a new file, unprotected while it is filled: nobody knows it before ``finish`` has made it durable."""
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        connection = _connect(path)
        connection.executescript(_CACHE + "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _TABLES)
        connection.execute("BEGIN")
        return cls(connection, path, 0)

    @classmethod
    def open(cls, path: Path) -> DigestFile | None:
        """Open a file, rolling back what a crash left half done; ``None`` if it is not there or of another form."""
        if not path.exists():
            return None
        connection = _connect(path)
        try:
            connection.executescript(_CACHE + "PRAGMA synchronous = FULL;")
            found = connection.execute("SELECT form, entries FROM stand").fetchall()
        except sqlite3.DatabaseError as exc:
            connection.close()
            if not is_broken(exc):
                raise
            return None  # as if it were not there, so it is made anew
        if len(found) != 1 or found[0][0] != FORM:
            connection.close()
            return None
        return cls(connection, path, found[0][1])

    def begin(self) -> None:
        """Begin the one transaction of a delta."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._entries = self.stand().entries

    def close(self) -> None:
        """Close; what was not committed never happened."""
        self._connection.close()

    def stand(self) -> DigestsOf:
        """Return what the digests are of."""
        return DigestsOf(*self._connection.execute("SELECT version, manifest, entries FROM stand").fetchone())

    def add(self, rows: Sequence[RowDigest]) -> None:
        """Insert rows that are not there yet; ``sqlite3.IntegrityError`` if one is."""
        self._connection.executemany(
            _PUT, [(row.part, row.key, row.subject, row.digest, 1 if row.any_subject else None) for row in rows]
        )
        self._entries += len(rows)

    def put(self, rows: Sequence[RowDigest]) -> None:
        """Insert or replace rows."""
        for row in rows:
            self.remove(row.part, (row.key,))
        self.add(rows)

    def remove(self, part: Part, keys: Iterable[str]) -> None:
        """Remove rows that may be there."""
        self._entries -= self._connection.executemany(_REMOVE, [(part, key) for key in keys]).rowcount

    def find(self, part: Part, keys: Iterable[str]) -> dict[str, RowDigest]:
        """Return by key the rows that are there."""
        found: dict[str, RowDigest] = {}
        for key in keys:
            row = self._connection.execute(
                "SELECT part, key, subject, digest, any_subject FROM entry WHERE part = ? AND key = ?", (part, key)
            ).fetchone()
            if row is not None:
                found[key] = _row(row)
        return found

    def page(self, after: tuple[int, str], limit: int) -> Sequence[RowDigest]:
        """Return the next rows in the order of part and key."""
        rows = self._connection.execute(
            "SELECT part, key, subject, digest, any_subject FROM entry WHERE (part, key) > (?, ?) ORDER BY part, key LIMIT ?",
            (*after, limit),
        )
        return [_row(row) for row in rows]

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """Let several readings see one version."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")

    def commit(self, version: int, manifest: bytes) -> None:
        """Say what the digests are of now, and commit both together."""
        connection = self._connection
        connection.execute("DELETE FROM stand")
        connection.execute("INSERT INTO stand VALUES (?, ?, ?, ?)", (FORM, version, manifest, self._entries))
        connection.execute("COMMIT")

    def rollback(self) -> None:
        """Undo what was not committed."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def is_broken(failure: sqlite3.DatabaseError) -> bool:
    """Tell whether a failure means that the file is no file of digests any more."""
    return getattr(failure, "sqlite_errorcode", 0) & 0xFF in _BROKEN  # the low byte of an extended code


def flush(path: Path) -> None:
    """Make a finished new file durable; it was written without."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _connect(path: Path) -> sqlite3.Connection:
    # Used by one thread after another, never by two at once: the keeper holds that.
    return sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)


def _row(row: tuple[int, str, str | None, bytes, int | None]) -> RowDigest:
    part, key, subject, digest, any_subject = row
    return RowDigest(Part(part), key, subject, digest, any_subject is not None)
