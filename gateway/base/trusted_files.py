"""Who else could change a file or folder that the gateway believes: judged on the way to it, name by name, from the root down.

For: keys, settings, files of secrets, the platform's public keys, and any folder that is trusted. Not for: what they hold.

Whoever may write a folder may exchange what lies in it, and whoever owns it may give himself that right; so every folder on the
way counts, and every symbolic link with all that its target passes through (path_resolution(7)). The walk is made by descriptors
that follow no link by themselves (``openat(2)``, ``O_NOFOLLOW``), and a file is read from the very descriptor that was judged:
between the look and the reading nothing can be exchanged.

A folder that anybody may write is refused even with the sticky bit (``/tmp``, mode 1777). There a stranger cannot exchange our
file, but what is deleted, cleaned away or not there yet after a restart, he may make in its place. One such folder passes: root's, as
the root of a file system of its own that is mounted read-only here. So Kubernetes mounts a secret, and nobody here can make anything
in it; should somebody beyond the mount, it is his, and refused as such.

The group's bits of a file with an access list are the list's mask (acl(5)): a right to write that a list gives to anybody shows.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections import deque
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT_UID: Final = 0
MAX_FILE_BYTES: Final = 1 << 20
"""More than any settings, key, certificate or secret needs."""
MAX_LINKS: Final = 40
"""As the kernel has it (path_resolution(7)); more are a circle."""
_CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_OTHERS_ANY: Final = stat.S_IRWXG | stat.S_IRWXO
_LOOK: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe with no writer must not stop us


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whom the gateway runs as. ``credentials`` is the folder that systemd hands over (``LoadCredential=``), if it does."""

    uid: int
    groups: frozenset[int]
    credentials: Path | None = None

    @classmethod
    def current(cls, variables: Mapping[str, str]) -> Self:
        """Return the account of this process, whose variables those are."""
        handed_over = variables.get(_CREDENTIALS)
        return cls(
            uid=os.geteuid(),
            groups=frozenset({os.getegid(), *os.getgroups()}),
            credentials=Path(handed_over).resolve() if handed_over else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PathFault:
    """One place on the way to something trusted that somebody else rules; ``code`` names a sentence about settings."""

    code: str
    place: str
    mode: int
    owner: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedFile:
    """What a file holds and who else could change it. ``exposed`` tells whether others may read it; ``mode`` are its bits."""

    content: bytes
    mode: int
    exposed: bool
    faults: tuple[PathFault, ...]


def read_trusted(file: Path, account: Account, *, most_bytes: int = MAX_FILE_BYTES) -> TrustedFile:
    """Read at most ``most_bytes`` of a regular file and judge the way to it; ``OSError`` if there is no such file to be read."""
    with contextlib.ExitStack() as stack:
        way = _walk(file, account, stack)
        handle = os.open(way.name, _READ, dir_fd=way.folder)
        stack.callback(os.close, handle)
        seen = os.fstat(handle)
        if not stat.S_ISREG(seen.st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(file))
        with os.fdopen(handle, "rb", closefd=False) as stream:
            content = stream.read(most_bytes)
    return TrustedFile(
        content=content,
        mode=stat.S_IMODE(seen.st_mode),
        exposed=bool(seen.st_mode & _unexpected_readers(seen, way.place, account)),
        faults=(*way.faults, *_judge(seen, way.place, account)),
    )


def judge_path(path: Path, account: Account) -> tuple[PathFault, ...]:
    """Return every place on the way to a file or folder, itself included, that somebody else rules; ``OSError`` if it is not there."""
    with contextlib.ExitStack() as stack:
        way = _walk(path, account, stack)
        handle = os.open(way.name, _LOOK, dir_fd=way.folder)
        stack.callback(os.close, handle)
        seen = os.fstat(handle)
        mounted = seen.st_dev != os.fstat(way.folder).st_dev and _read_only(handle)
        return (*way.faults, *_judge(seen, way.place, account, mounted_read_only=mounted))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """Where a path leads once no link is left in it: a descriptor of the last folder, and the name in it."""

    folder: int
    name: str
    place: PurePosixPath
    faults: tuple[PathFault, ...]


def _walk(path: Path, account: Account, stack: contextlib.ExitStack) -> _Way:
    """Go from the root to the folder that holds the path's end, through every link. The end itself is not judged here.

    1. The root. 2. One name after another. 3. A link is judged as itself, then its target is walked in its stead.
    """
    faults: list[PathFault] = []
    names = deque(path.absolute().parts[1:] or (".",))
    here = _open_root(stack)
    place = PurePosixPath("/")
    seen = os.fstat(here)
    faults += _judge(seen, place, account)  # 1
    device = seen.st_dev
    links = 0
    while True:
        name = names.popleft()
        child = os.open(name, _LOOK, dir_fd=here)  # 2
        stack.callback(os.close, child)
        seen = os.fstat(child)
        step = place.parent if name == ".." else place / name
        if stat.S_ISLNK(seen.st_mode):  # 3
            links += 1
            if links > MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
            faults += _judge(seen, step, account)
            target = PurePosixPath(os.readlink("", dir_fd=child))
            if target.is_absolute():
                here, place = _open_root(stack), PurePosixPath("/")
                device = os.fstat(here).st_dev
            names.extendleft(reversed([part for part in target.parts if not part.startswith("/")] or ["."]))
        elif names:
            mounted = seen.st_dev != device and _read_only(child)
            faults += _judge(seen, step, account, mounted_read_only=mounted)
            here, place, device = child, step, seen.st_dev
        else:
            return _Way(folder=here, name=name, place=step, faults=tuple(dict.fromkeys(faults)))


def _open_root(stack: contextlib.ExitStack) -> int:
    root = os.open("/", _LOOK | os.O_DIRECTORY)
    stack.callback(os.close, root)
    return root


def _read_only(folder: int) -> bool:
    return bool(os.fstatvfs(folder).f_flag & os.ST_RDONLY)


def _judge(
    seen: os.stat_result, place: PurePosixPath, account: Account, *, mounted_read_only: bool = False
) -> tuple[PathFault, ...]:
    """Return what is wrong with one place. A link's bits mean nothing (symlink(7)), but who owns it has put it there."""
    found = []
    mode = stat.S_IMODE(seen.st_mode)
    sticky = stat.S_ISDIR(seen.st_mode) and bool(mode & stat.S_ISVTX)
    if seen.st_uid not in {ROOT_UID, account.uid}:
        found.append("path_owner")
    if mode & _OTHERS_WRITE and not stat.S_ISLNK(seen.st_mode):
        closed = sticky and mounted_read_only and seen.st_uid == ROOT_UID
        found += [] if closed else ["path_sticky" if sticky else "path_writable"]
    return tuple(PathFault(code=code, place=str(place), mode=mode, owner=seen.st_uid) for code in found)


def _unexpected_readers(seen: os.stat_result, place: PurePosixPath, account: Account) -> int:
    """Return the bits that would let somebody read a secret who has no business with it.

    Two ways of handing a secret to a service show as a right of the group to read, and are meant:

    * systemd lets the service read its credentials by an access list, whose mask shows in the group's bits though no group may read.
    * A file of root's that our own group may read: as Kubernetes mounts a secret with ``fsGroup``. Only if we are not root, who
      needs no group.
    """
    if account.credentials is not None and place.is_relative_to(account.credentials):
        return stat.S_IRWXO
    if seen.st_uid == ROOT_UID != account.uid and seen.st_gid in account.groups:
        return _OTHERS_ANY & ~stat.S_IRGRP
    return _OTHERS_ANY
