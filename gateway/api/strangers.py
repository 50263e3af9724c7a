"""What those may take of a process who have not said who they are.

For: the bounds of the routes that anyone may call and that wait for something. They are small and apart from those of the partners
(``max_in_flight``, body room, database connections), so that a flood here is felt here alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.web.body import BodyLimits
from gateway.web.lane import BodyRoom, Lane

TOKEN_BODY_BYTES: Final = 16_384
"""A token request has some 1,500 bytes, with the largest key allowed some 3,000."""
TOKEN_BODY_S: Final = 3.0
"""A body follows its head within a round trip."""
TOKEN_BODIES: Final = 256
"""Token requests without their body; with ``TOKEN_BODY_BYTES`` at most 4 MB of them."""
TOKEN_REQUESTS: Final = 128
"""Token requests being decided: as many as half a second's work for the two connections they share."""
PUBLIC_READS: Final = 64
"""Readings of the public log and of the status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrangerBounds:
    """``token_bodies`` bounds what is read before anybody is known; the lanes bound what waits for the database and the commit."""

    token_bodies: BodyLimits
    token_requests: Lane
    public_reads: Lane


def make_stranger_bounds(partners: BodyLimits) -> StrangerBounds:
    """Return the bounds of one process; none is wider than what partners may send."""
    return StrangerBounds(
        token_bodies=BodyLimits(
            max_bytes=min(TOKEN_BODY_BYTES, partners.max_bytes),
            receive_s=min(TOKEN_BODY_S, partners.receive_s),
            room=BodyRoom(TOKEN_BODIES),
        ),
        token_requests=Lane(TOKEN_REQUESTS, reason="token_requests"),
        public_reads=Lane(PUBLIC_READS, reason="public_reads"),
    )
