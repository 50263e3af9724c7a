"""The demo's directory: who may use it, what lies where in it, and how it is emptied.

For: ``gateway.demo.run``. One demo at a time holds a directory, by a lock that ends with its process (flock(2)).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from gateway.base.settings import environment_variables
from gateway.terminal.failures import CommandError
from gateway.terminal.terminal import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROFILE_FILE: Final = "profile.json"
_LOCK: Final = "demo.lock"
_MAX_PID_CHARS: Final = 20


@dataclass(frozen=True, slots=True)
class DemoHome:
    """Where everything of one demo lies. Held by one process at a time."""

    root: Path

    @property
    def postgres(self) -> Path:
        """The embedded server's home."""
        return self.root / "postgres"

    @property
    def municipal(self) -> Path:
        """The simulated platform's feed."""
        return self.root / "municipal"

    @property
    def municipal_ready(self) -> Path:
        """What the simulated platform writes when it answers."""
        return self.root / "municipal-ready.json"

    @property
    def platform_keys(self) -> Path:
        """The platform's public keys, as the gateway trusts them."""
        return self.root / "platform-keys.txt"

    @property
    def host_keys(self) -> Path:
        """The gateway's own keys."""
        return self.root / "keys"

    @property
    def settings(self) -> Path:
        """The gateway's settings file."""
        return self.root / "gateway.toml"

    @property
    def partner_key(self) -> Path:
        """The demo partner's private key."""
        return self.root / "partner.pem"

    @property
    def log_policy(self) -> Path:
        """What the demo partner trusts."""
        return self.root / "log-policy.txt"

    @property
    def profile(self) -> Path:
        """The demo partner's profile."""
        return self.root / PROFILE_FILE

    def log(self, name: str) -> Path:
        """The log file of one process."""
        return self.root / f"{name}.log"

    def write(self, file: Path, content: bytes) -> None:
        """Write a file that only its owner reads, complete or not at all."""
        write_whole(file, content)


def write_whole(file: Path, content: bytes) -> None:
    """Write a file of mode 0600 that appears complete or not at all."""
    unfinished = file.with_name(f".{file.name}.new")
    unfinished.unlink(missing_ok=True)
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
    unfinished.replace(file)


def render_json(members: Mapping[str, object]) -> bytes:
    """Return a JSON object for people and programs to read."""
    return msgspec.json.format(msgspec.json.encode(members), indent=2) + b"\n"


def default_demo_directory() -> Path:
    """Return where the demo keeps its data: the service directory for root, else the user's data home (XDG base directories)."""
    if os.geteuid() == 0:
        return Path("/var/lib/credit-gateway/demo")
    return _data_home(environment_variables()) / "credit-gateway" / "demo"


def _data_home(variables: Mapping[str, str]) -> Path:
    named = variables.get("XDG_DATA_HOME", "")
    return Path(named) if named.startswith("/") else Path.home() / ".local" / "share"


@contextlib.contextmanager
def hold(root: Path, *, fresh: bool) -> Iterator[DemoHome]:
    """Hold a directory for one demo, emptied first if ``fresh``; refuse if another demo holds it.

    Only a directory that a demo made (it has the lock file), or an empty one, is ever emptied.
    """
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        ours = (root / _LOCK).exists() or not any(root.iterdir())
        lock = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise CommandError(Exit.FAILED, "file_unwritable", file=str(root)) from exc
    with os.fdopen(lock, "r+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            pid = stream.read(_MAX_PID_CHARS).strip() or "?"
            raise CommandError(Exit.CONFLICT, "demo_running", dir=str(root), pid=pid) from exc
        if fresh:
            _empty(root, ours=ours)
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield DemoHome(root.absolute())


def _empty(root: Path, *, ours: bool) -> None:
    if not ours:
        raise CommandError(Exit.CONFLICT, "demo_not_ours", dir=str(root))
    for entry in root.iterdir():
        if entry.name == _LOCK:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
