"""The two small files of a feed's guard folder: ``stand.json``, what this host has proven last, and ``doubt.json``, why it doubts.

For: the feed process, which writes them, and every worker of the host, which looks at them once a second. Both lie outside the
database on purpose: whoever owns that one cannot write here. Not for: the digests themselves (``digest_file``).
Each file is replaced whole (written beside, flushed, renamed), so a reader sees the one before or the one after, also after a crash.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from gateway.base.clock import Millis
from gateway.credit.feed_version import MAX_VERSION

if TYPE_CHECKING:
    from pathlib import Path

FOLDER_MODE: Final = 0o700
MAX_FILE_BYTES: Final = 64 * 1024
"""Of either file; the marker names at most a few differences."""
_STAND: Final = "stand.json"
_DOUBT: Final = "doubt.json"


class GuardUnreadable(Exception):  # noqa: N818 - named for what it says
    """A file of the guard is there and cannot be read. Nothing is believed on top of it; ``args[0]`` is the file's name."""


class Stand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What this host has seen applied and what the platform has signed for it.

    ``version`` never falls. ``as_of_ms`` is from a signed head or manifest, never from the database. ``digests`` names the file of
    the digests beside this one, or is ``None`` when there are none.
    """

    version: int = msgspec.field(default=0)
    manifest_sha256: str = ""
    as_of_ms: int = 0
    digests: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.version <= MAX_VERSION or self.as_of_ms < 0:
            msg = "out of range"
            raise ValueError(msg)


class NotedDifference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One difference as the marker keeps it."""

    kind: str
    part: str | None = None
    key: str | None = None
    subject: str | None = None


class Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """Why answers from this replica are refused on this host. ``count`` is of all, ``differences`` are the first few."""

    found_ms: int
    version: int
    count: int
    differences: list[NotedDifference]


_File = TypeVar("_File", Stand, Doubt)


@dataclass(frozen=True, slots=True)
class GuardFiles:
    """The small files of one feed's folder. Every method blocks for a moment: call it in a thread where a loop runs."""

    folder: Path

    @classmethod
    def of(cls, guard_dir: Path, feed: str) -> GuardFiles:
        """Return the files of a feed; ``feed`` is a name of our settings, never a stranger's."""
        return cls(guard_dir / f"feed-{feed}")

    def make_folder(self) -> None:
        """Make the folder if it is not there, for its owner alone."""
        self.folder.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        self.folder.mkdir(mode=FOLDER_MODE, exist_ok=True)

    def stand(self) -> Stand | None:
        """Return what was proven last; ``None`` before the first time."""
        return _read(self.folder / _STAND, Stand)

    def doubt(self) -> Doubt | None:
        """Return the marker, ``None`` if there is none."""
        return _read(self.folder / _DOUBT, Doubt)

    def keep_stand(self, stand: Stand) -> None:
        """Replace what was proven last."""
        replace_file(self.folder / _STAND, msgspec.json.encode(stand))

    def raise_doubt(self, doubt: Doubt) -> bool:
        """Set the marker unless one stands, and tell whether it is new: the first reason is the one to look into."""
        self.make_folder()
        if (self.folder / _DOUBT).exists():
            return False
        replace_file(self.folder / _DOUBT, msgspec.json.encode(doubt))
        return True

    def resolve_doubt(self) -> bool:
        """Take the marker away, and tell whether there was one."""
        try:
            (self.folder / _DOUBT).unlink()
        except FileNotFoundError:
            return False
        flush_folder(self.folder)
        return True


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole. When this returns it survives a power cut; if it does not return, the old one stands."""
    beside = path.with_suffix(f".{os.getpid()}.tmp")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(path)
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Make renames and removals in a folder durable (fsync(2): the file's own flush does not cover its name)."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def stand_as_of(stand: Stand) -> Millis:
    """Return the instant up to which the platform vouched for what this host has seen applied."""
    return Millis(stand.as_of_ms)


def _read(path: Path, form: type[_File]) -> _File | None:
    try:
        with path.open("rb") as stream:
            return msgspec.json.decode(stream.read(MAX_FILE_BYTES), type=form)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as exc:
        raise GuardUnreadable(path.name) from exc
