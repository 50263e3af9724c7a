"""What a host remembers of the log outside the database: the trees it has vouched for, and whether it still trusts what it reads.

For: ``gateway.audit.guardian``, which signs nothing that contradicts it. Not for: how it is kept (``gateway.guard``).

The last point is the largest tree that this host has signed or proven to grow out of one it signed. A few points before it are kept as
well, each a prefix of the next, so that processes of one host that sign each other's neighbours need no proof for it.
A doubt is sticky: whoever finds the log behind, beside or without what this host has signed says so here, every process of the host sees
it before it signs anything, and it stays until an operator has resolved it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gateway.audit.batch_mac import TreePoint
from gateway.base.errors import ErrorKind, GatewayError

RETRY_AFTER_S = 30
"""A doubt takes a person to resolve."""


class Doubt(StrEnum):
    """Why a host does not extend or sign the log: stable words for readiness, metrics and operators."""

    ROLLED_BACK = "log_rolled_back"
    """The log is smaller than what this host has signed: an older copy, or rows were taken away."""
    FORKED = "log_forked"
    """The log does not grow out of what this host has signed."""
    UNAUTHENTICATED = "log_unauthenticated"
    """The log's last batch was appended by no host: its MAC is missing or wrong."""
    CONTRADICTS_HEAD = "log_contradicts_head"
    """Stored hashes do not make the tree that the head names."""
    GUARD_MISSING = "guard_missing"
    """The log has leaves, and this host has no record of what it signed."""
    GUARD_UNUSABLE = "guard_unusable"
    """The record cannot be read or written, or is another log's."""
    CLOSED = "log_closed"
    """A successor log was opened; this one is history."""


@dataclass(frozen=True, slots=True)
class GuardState:
    """What the guard holds: points from old to new, never none, and the doubt if there is one."""

    points: tuple[TreePoint, ...]
    doubt: Doubt | None = None

    @property
    def last(self) -> TreePoint:
        """The largest tree that this host has vouched for."""
        return self.points[-1]


class Guard(Protocol):
    """Keeps one host's guard of one log, shared by all processes of the host.

    Consistency: what one process has advanced, every other sees at its next read. Durability: what was advanced survives the end of every
    process at once, and a power cut after some 100 ms at most; the log itself is durable before it is signed, so a guard that lost its last
    moments is behind the log, never beside it. Concurrency: ``advance`` is a compare-and-swap that waits for nobody.
    """

    def read(self) -> GuardState:
        """Return the present state; what cannot be read is a state with the doubt that says so. Never raises."""
        ...

    def advance(self, seen: TreePoint, *points: TreePoint) -> bool:
        """Append points if ``seen`` still is the last one and nothing is doubted; tell whether it was done.

        It is not done either while another process is at it: read again and try again.
        """
        ...

    def doubt(self, doubt: Doubt) -> bool:
        """Keep a doubt unless there is one already; tell whether it is the first."""
        ...


class ScratchGuard:
    """A guard in memory, for trying what the guardian would say without moving anything."""

    def __init__(self, point: TreePoint) -> None:
        self._state = GuardState((point,))

    def read(self) -> GuardState:
        """Return the present state."""
        return self._state

    def advance(self, seen: TreePoint, *points: TreePoint) -> bool:
        """Append points."""
        if self._state.doubt is not None or self._state.last != seen:
            return False
        self._state = GuardState((*self._state.points, *points))
        return True

    def doubt(self, doubt: Doubt) -> bool:
        """Keep the first doubt."""
        if self._state.doubt is not None:
            return False
        self._state = GuardState(self._state.points, doubt)
        return True


class DoubtObserver(Protocol):
    """Where a doubt becomes visible beside the refusals it causes."""

    def log_doubted(self, doubt: Doubt, seen: TreePoint | None, kept: Sequence[TreePoint]) -> None:
        """A doubt was found: ``seen`` is what the database shows, ``kept`` what the guard holds."""
        ...


def refuse(doubt: Doubt) -> GatewayError:
    """Return the refusal that a doubt causes: nothing may be answered while what is signed is uncertain."""
    return GatewayError(ErrorKind.STORE_UNAVAILABLE, reason=doubt, retry_after_s=RETRY_AFTER_S)
