"""A strict in-memory guard, and a guardian around it."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.audit.batch_mac import BatchMac, TreePoint
from gateway.audit.guard import Doubt, GuardState
from gateway.audit.guardian import LogGuardian
from gateway.audit.merkle import EMPTY_ROOT
from gateway.audit.readers import TileReader
from gateway.base.secret import Secret
from tests.fakes.entries import ORIGIN, make_signer

EMPTY = TreePoint(0, EMPTY_ROOT)


def make_batch_mac(seed: int = 2) -> BatchMac:
    return BatchMac(Secret(bytes([seed]) * 32), ORIGIN)


class MemoryGuard:
    """``gateway.audit.guard.Guard`` in memory; may be shared by several guardians, as processes of a host share the file."""

    def __init__(self, *points: TreePoint) -> None:
        self.state = GuardState(points or (EMPTY,))
        self.contended = 0  # how many compare-and-swaps to lose, as if another process had been faster

    def read(self) -> GuardState:
        return self.state

    def advance(self, seen: TreePoint, *points: TreePoint) -> bool:
        if self.contended:
            self.contended -= 1
            return False
        if self.state.doubt is not None or self.state.last != seen:
            return False
        fresh = tuple(point for point in points if point.size > seen.size)
        assert list(fresh) == sorted(fresh, key=lambda point: point.size), "points grow"
        self.state = GuardState((*self.state.points, *fresh))
        return True

    def doubt(self, doubt: Doubt) -> bool:
        first = self.state.doubt is None
        if first:
            self.state = GuardState(self.state.points, doubt)
        return first


class Doubts:
    """Remembers what was said of doubts."""

    def __init__(self) -> None:
        self.said: list[Doubt] = []
        self.seen: list[TreePoint | None] = []

    def log_doubted(self, doubt: Doubt, seen: TreePoint | None, kept: Sequence[TreePoint]) -> None:
        assert kept
        self.said.append(doubt)
        self.seen.append(seen)


class NoTiles:
    """Reads nothing: what these tests do needs no proof from rows."""

    async def full_tile(self, level: int, index: int) -> bytes:
        raise AssertionError((level, index))

    async def leaf_hashes(self, first: int, count: int) -> Sequence[bytes]:
        raise AssertionError((first, count))

    async def tile_roots(self, level: int, first: int, count: int) -> Sequence[bytes]:
        raise AssertionError((level, first, count))


def make_guardian(
    guard: MemoryGuard | None = None, tiles: TileReader | None = None, doubts: Doubts | None = None
) -> LogGuardian:
    return LogGuardian(make_signer(), make_batch_mac(), guard or MemoryGuard(), tiles or NoTiles(), doubts or Doubts())
