"""sd_notify(3): telling systemd that the service is ready or stopping, where it asked for it."""

from __future__ import annotations

import contextlib
import socket

from gateway.base.settings import environment_variables


def notify_systemd(state: str) -> None:
    """Send one state to ``NOTIFY_SOCKET``; does nothing without it. Failing to tell is no reason to stop serving."""
    address = environment_variables().get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
        sock.sendall(state.encode())
