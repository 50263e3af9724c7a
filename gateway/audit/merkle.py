"""The Merkle tree of the log: hashing, and growing the tree from its right edge alone.

For: hashing leaves and nodes; appending a batch to a frontier with no read but the hashes of a tile that the batch
completes; the inclusion proofs of a fresh batch with no read at all.
Not for: verifying proofs (``proofs``), proofs of old leaves from stored tiles (``tiles``).
Source: RFC 6962 section 2.1 (the same tree as RFC 9162 section 2.1); tiles as in c2sp.org/tlog-tiles.

A node at height ``h`` and index ``i`` is the hash over the leaves ``[i << h, (i + 1) << h)``. A peak is a perfect
subtree at the right edge; a tree of ``size`` leaves has one at each height whose bit is set in ``size``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from gateway.base.errors import ErrorKind, GatewayError

HASH_BYTES: Final = 32
MAX_SIZE: Final = 2**63 - 1
"""Sizes and indexes are 64-bit signed in every store and in c2sp.org/tlog-witness."""
TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT

EMPTY_ROOT: Final = hashlib.sha256().digest()
LOG_CONTRADICTS_HEAD: Final = "log_contradicts_head"
"""Reason of the error when stored hashes do not make the tree that a head names."""

_sha256: Final = hashlib.sha256
# A path is either hashes or the lines of a tlog-proof: both are built by concatenation.
_Path = TypeVar("_Path", str, tuple[bytes, ...])


def leaf_hash(leaf: bytes) -> bytes:
    """Return the 32-byte hash of a leaf (RFC 6962 section 2.1: prefix 0x00)."""
    return _sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the 32-byte hash of a node over its two children (RFC 6962 section 2.1: prefix 0x01)."""
    return _sha256(b"\x01" + left + right).digest()


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """Return the root over a power of two of hashes of equal height."""
    nodes = hashes
    while len(nodes) > 1:
        nodes = _parents(nodes)
    return nodes[0]


def bag(peaks: Iterable[bytes]) -> bytes:
    """Return the hash over neighbouring perfect subtrees, given largest (leftmost) first.

    For none it is the root of the empty tree.
    """
    root = b""
    for peak in reversed(tuple(peaks)):
        root = node_hash(peak, root) if root else peak
    return root or EMPTY_ROOT


@dataclass(frozen=True, slots=True)
class HashRange:
    """``count`` neighbouring stored hashes at a tile level.

    Leaf hashes at level 0, at level n the roots of full tiles of level n-1.
    """

    level: int
    first: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FullTile:
    """A completed tile: 256 concatenated hashes (8,192 bytes) and the root over them."""

    level: int
    index: int
    hashes: bytes
    root: bytes


@dataclass(frozen=True, slots=True)
class Frontier:
    """The right edge of a tree: its size and its peaks, the largest (leftmost) subtree first."""

    size: int
    peaks: tuple[bytes, ...]

    @classmethod
    def from_bytes(cls, size: int, raw: bytes) -> Frontier:
        """Read the stored form: 32-byte peaks concatenated, largest subtree first.

        ``ValueError`` if it does not fit the size.
        """
        if not 0 <= size <= MAX_SIZE or len(raw) != HASH_BYTES * size.bit_count():
            msg = "a frontier holds one 32-byte peak for each bit set in its size"
            raise ValueError(msg)
        return cls(size, tuple(raw[at : at + HASH_BYTES] for at in range(0, len(raw), HASH_BYTES)))

    def to_bytes(self) -> bytes:
        """Return the stored form that ``from_bytes`` reads."""
        return b"".join(self.peaks)

    @property
    def root(self) -> bytes:
        """The root of the tree of this size."""
        return bag(self.peaks)

    def plan(self, count: int) -> AppendPlan:
        """Say which stored hashes an append of ``count`` leaves needs.

        There are none unless it completes a tile begun earlier.
        """
        if count < 1 or self.size + count > MAX_SIZE:
            msg = "a batch has at least one leaf and a log at most 2^63-1"
            raise ValueError(msg)
        return AppendPlan(self, count, tuple(_missing(self.size, self.size + count)))


EMPTY_FRONTIER: Final = Frontier(0, ())


@dataclass(frozen=True, slots=True)
class Growth:
    """What a batch adds to a tree: every node that is new, plus each old peak that became a left sibling of one.

    ``levels[h]`` holds the nodes of height ``h`` from index ``(before.size >> h) & ~1`` to the right edge.
    """

    before: Frontier
    after: Frontier
    root: bytes
    levels: tuple[Sequence[bytes], ...]

    def node(self, height: int, index: int) -> bytes:
        """Return a node that this batch completed."""
        return self.levels[height][index - _first(self.before.size, height)]

    def paths(self, encode: Callable[[bytes], _Path]) -> list[_Path]:
        """Return the inclusion path of each new leaf in the new tree, the leaf's sibling first.

        A path is the concatenation of ``encode(hash)``, where ``encode(b"")`` must be empty. Neighbours share what lies
        above them: each node's rest of the path is made once.
        """
        size = self.before.size
        tails = _tails(self.after, encode)
        above: list[_Path] = []
        for height in reversed(range(len(self.levels))):
            parts = [encode(node) for node in self.levels[height]]
            # Position, in the level above, of the parent of our first node.
            parent = (size >> (height + 1)) & 1
            here: list[_Path] = []
            for at in range(0, len(parts) - 1, 2):
                rest = above[parent + (at >> 1)]
                here += (parts[at + 1] + rest, parts[at] + rest)
            if len(parts) & 1:
                here.append(tails[height])
            above = here
        return above[1:] if size & 1 else above

    def hash_paths(self) -> list[tuple[bytes, ...]]:
        """Return the inclusion path of each new leaf as hashes."""
        return self.paths(lambda node: (node,) if node else ())


@dataclass(frozen=True, slots=True)
class Appended:
    """A batch that was appended in memory.

    The new edge, its root, the tiles to store, and the growth that makes its proofs.
    """

    frontier: Frontier
    root: bytes
    tiles: tuple[FullTile, ...]
    growth: Growth


@dataclass(frozen=True, slots=True)
class AppendPlan:
    """An append about to happen. Read ``missing`` in the same transaction that appends, then call ``append``."""

    before: Frontier
    count: int
    missing: tuple[HashRange, ...]

    def append(self, leaf_hashes: Sequence[bytes], earlier: Sequence[Sequence[bytes]]) -> Appended:
        """Append the leaves; ``earlier`` holds the hashes of each range of ``missing``, in its order.

        Raises:
            GatewayError: ``INTERNAL`` when the earlier hashes do not make the peaks of the frontier: what is stored
                contradicts the head, so nothing may be appended, let alone signed.
        """
        if len(leaf_hashes) != self.count or [len(hashes) for hashes in earlier] != [gap.count for gap in self.missing]:
            raise _contradiction("unexpected_count")
        growth = grow(self.before, leaf_hashes)
        stored = {gap.level: hashes for gap, hashes in zip(self.missing, earlier, strict=True)}
        tiles: list[FullTile] = []
        level = 0
        while growth.after.size >> (TILE_HEIGHT * (level + 1)) > self.before.size >> (TILE_HEIGHT * (level + 1)):
            tiles += _cut_tiles(growth, level, stored.get(level, ()))
            level += 1
        return Appended(growth.after, growth.root, tuple(tiles), growth)


def grow(before: Frontier, leaf_hashes: Sequence[bytes]) -> Growth:
    """Append leaf hashes to a frontier, keeping the nodes that their proofs need.

    HOT: two hashes a leaf, one list a level.
    """
    size = before.size
    old_peaks = dict(zip(_heights(size), before.peaks, strict=True))
    levels: list[Sequence[bytes]] = []
    nodes = list(leaf_hashes)
    while nodes:
        height = len(levels)
        if (size >> height) & 1:
            nodes.insert(0, old_peaks[height])
        levels.append(nodes)
        nodes = _parents(nodes)
    after_size = size + len(leaf_hashes)
    peaks = tuple(levels[height][-1] if height < len(levels) else old_peaks[height] for height in _heights(after_size))
    after = Frontier(after_size, peaks)
    return Growth(before, after, bag(peaks), tuple(levels))


def _parents(nodes: Sequence[bytes]) -> list[bytes]:
    """Return the nodes over each full pair; a last one without a sibling stays behind as a peak."""
    sides = iter(nodes)
    return [_sha256(b"\x01" + left + right).digest() for left, right in zip(sides, sides, strict=False)]


def _heights(size: int) -> list[int]:
    """Return the heights of the peaks of a tree, largest first."""
    return [height for height in reversed(range(size.bit_length())) if (size >> height) & 1]


def _first(size: int, height: int) -> int:
    """Return the index of the first node that ``Growth.levels`` holds at a height."""
    return (size >> height) & ~1


def _tails(after: Frontier, encode: Callable[[bytes], _Path]) -> dict[int, _Path]:
    """Return, by height of a peak, the end of the path of every leaf under it.

    The bag of what is right, then the peaks left.
    """
    heights = _heights(after.size)
    empty = encode(b"")
    # Paths of the peaks to the left, nearest (smallest) first.
    left: list[_Path] = [empty]
    for peak in after.peaks:
        left.append(encode(peak) + left[-1])
    tails: dict[int, _Path] = {}
    right = b""
    for at in reversed(range(len(heights))):
        tails[heights[at]] = (encode(right) if right else empty) + left[at]
        right = node_hash(after.peaks[at], right) if right else after.peaks[at]
    return tails


def _missing(before: int, after: int) -> Iterable[HashRange]:
    level = 0
    while after >> (TILE_HEIGHT * (level + 1)) > before >> (TILE_HEIGHT * (level + 1)):
        first = before >> (TILE_HEIGHT * (level + 1)) << TILE_HEIGHT
        count = (before >> (TILE_HEIGHT * level)) - first
        if count:
            yield HashRange(level, first, count)
        level += 1


def _cut_tiles(growth: Growth, level: int, earlier: Sequence[bytes]) -> Iterable[FullTile]:
    """Cut the completed tiles of one level.

    The first is checked against the frontier if a part of it was read from the store.
    """
    height = TILE_HEIGHT * level
    size = growth.before.size
    fresh = growth.levels[height][(size >> height) - _first(size, height) :]
    hashes = [*earlier, *fresh]
    first_tile = size >> (height + TILE_HEIGHT)
    for at in range(len(hashes) // TILE_WIDTH):
        chunk = hashes[at * TILE_WIDTH : (at + 1) * TILE_WIDTH]
        root = growth.node(height + TILE_HEIGHT, first_tile + at)
        if at == 0 and earlier and perfect_root(chunk) != root:
            raise _contradiction("stored_hashes")
        yield FullTile(level=level, index=first_tile + at, hashes=b"".join(chunk), root=root)


def _contradiction(what: str) -> GatewayError:
    return GatewayError(ErrorKind.INTERNAL, reason=LOG_CONTRADICTS_HEAD, facts={"contradiction": what})
