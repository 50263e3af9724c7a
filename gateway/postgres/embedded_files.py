"""Around an embedded PostgreSQL: its password, the directory of its socket, and the signals that stop it.

For: ``gateway.postgres.embedded``. Not for: the cluster itself, which initdb makes.
"""

from __future__ import annotations

import secrets
import signal
import tempfile
from enum import IntEnum
from pathlib import Path
from typing import Final

from gateway.postgres.processes import SOCKET_PREFIX

_MAX_SOCKET_DIR: Final = 80
"""Leaves room for ``/.s.PGSQL.5432.lock`` below the 107 bytes that the path of a socket may have (unix(7))."""


class StopMode(IntEnum):
    """How to stop a server, as the signal that says so (PostgreSQL manual, "Shutting Down the Server")."""

    SMART = signal.SIGTERM
    FAST = signal.SIGINT
    IMMEDIATE = signal.SIGQUIT


def new_socket_directory() -> Path:
    """Make a private directory for the socket below the temporary directory, or below ``/tmp`` where that is too long a way."""
    base = tempfile.gettempdir() if len(tempfile.gettempdir()) <= _MAX_SOCKET_DIR else "/tmp"  # noqa: S108 - mkdtemp
    return Path(tempfile.mkdtemp(prefix=SOCKET_PREFIX, dir=base))


def kept_password(file: Path, *, fresh: bool) -> str:
    """Return the cluster's password: new for a new cluster, otherwise the one made then."""
    if not fresh:
        return file.read_text(encoding="ascii")
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(secrets.token_urlsafe(32), encoding="ascii")
    return file.read_text(encoding="ascii")
