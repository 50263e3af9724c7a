"""The ports of one demo: chosen once and held, so that nobody else takes one between choosing and use."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.terminal.failures import CommandError
from gateway.terminal.terminal import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The ports of one run, held until it ends, so that nobody else takes one between choosing and use."""

    api: int
    admin: int
    municipal: int

    @classmethod
    @contextlib.contextmanager
    def take(cls, first: int) -> Iterator[Ports]:
        """Hold the gateway's two ports; the platform binds its own."""
        with contextlib.ExitStack() as stack:
            wanted = (first, first + 1) if first else (0, 0)
            api, admin = (_hold_port(port, stack) for port in wanted)
            yield cls(api=api, admin=admin, municipal=first + 2 if first else 0)


def _hold_port(port: int, stack: contextlib.ExitStack) -> int:
    """Bind without listening: the gateway, of the same user, may bind it too (SO_REUSEPORT) and gets all connections."""
    sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        sock.bind((HOST, port))
    except OSError as exc:
        raise CommandError(Exit.CONFLICT, "cannot_listen", where=f"{HOST}:{port}", why=exc.strerror or "") from exc
    return int(sock.getsockname()[1])
