"""What one connection may cost us, and how many there may be.

For: ``gateway.web.connection`` and ``gateway.web.server``. Not for: what one request may cost (``gateway.web.middleware.FrontPolicy``,
``gateway.web.body.BodyLimits``).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """The bounds.

    ``max_line_bytes`` and ``max_field_bytes`` must differ: the parser's error tells only the limit that was exceeded.
    ``receive_s`` is the time for a complete head. ``write_s`` is how long a reader may leave us with bytes it does not take: an answer is
    3 kB, and whoever cannot take it in that time could as well be gone. ``keepalive_s`` is the idle time after an answer; let it be longer
    than that of the proxy in front. ``linger_s`` is how long we read on after a refusal, so that it can be received.
    ``max_connections`` are for one process, ``max_connections_of_address`` for one address of these, or None behind a proxy.
    """

    max_line_bytes: int = 4094
    max_field_bytes: int = 8190
    max_fields: int = 64
    receive_s: float = 10.0
    write_s: float = 10.0
    keepalive_s: float = 75.0
    linger_s: float = 2.0
    max_connections: int = 2048
    max_connections_of_address: int | None = None

    def __post_init__(self) -> None:
        if self.max_line_bytes == self.max_field_bytes:
            msg = "the limits of line and field must differ"
            raise ValueError(msg)
