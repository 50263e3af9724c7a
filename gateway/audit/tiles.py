"""Tiles: their addresses, and what can be read out of stored ones.

For: tile paths; partial tiles; the root of any earlier size; the inclusion proof of any leaf and the consistency
proof of any two sizes.
Not for: proofs of a fresh batch (``merkle``), entry bundles (they hold leaves, which are not public here).
Source: c2sp.org/tlog-tiles. Only full tiles are stored; what is right of them is read from the level below.

A proof in a tree of 256^n leaves reads n levels, at each the tile on the leaf's path and the tile at the right edge.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.audit.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    LOG_CONTRADICTS_HEAD,
    MAX_SIZE,
    TILE_HEIGHT,
    TILE_WIDTH,
    bag,
    perfect_root,
)
from gateway.audit.proofs import LeafRange, consistency_ranges, inclusion_ranges
from gateway.audit.readers import TileReader
from gateway.base.errors import ErrorKind, GatewayError

_PATH: Final = re.compile(
    r"tile/(?P<level>[0-9]|[1-5][0-9]|6[0-3])/(?P<index>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


class TilePathError(ValueError):
    """A text is not the path of a tile; ``args[0]`` is a short machine word."""


@dataclass(frozen=True, slots=True)
class TileAddress:
    """One tile: its level, its index there, and its width in hashes, 256 for a full tile."""

    level: int
    index: int
    width: int = TILE_WIDTH

    def __str__(self) -> str:
        groups = [f"{self.index % 1000:03d}"]
        rest = self.index // 1000
        while rest:
            groups.insert(0, f"x{rest % 1000:03d}")
            rest //= 1000
        suffix = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{self.level}/{'/'.join(groups)}{suffix}"


def parse_tile_path(path: str) -> TileAddress:
    """Read ``tile/<level>/<index>[.p/<width>]``; ``TilePathError`` for anything but the one spelling of an address."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise TilePathError("tile_path")
    index = int(match["index"].replace("x", "").replace("/", ""))
    width = int(match["width"]) if match["width"] else TILE_WIDTH
    if index > MAX_SIZE or (match["width"] and width >= TILE_WIDTH):
        raise TilePathError("tile_path")
    address = TileAddress(level=int(match["level"]), index=index, width=width)
    if str(address) != path:  # a leading group of zeros
        raise TilePathError("tile_path")
    return address


def tiles_of_size(size: int) -> list[TileAddress]:
    """Return the rightmost tile of each level of a tree.

    The partial ones, and the full one where a level ends in a full tile.
    """
    addresses: list[TileAddress] = []
    level = 0
    while count := size >> (TILE_HEIGHT * level):
        width = count % TILE_WIDTH
        addresses.append(TileAddress(level=level, index=(count - 1) // TILE_WIDTH, width=width or TILE_WIDTH))
        level += 1
    return addresses


@dataclass(frozen=True, slots=True, order=True)
class _Node:
    """A complete node: the hash over the leaves ``[index << height, (index + 1) << height)``."""

    height: int
    index: int

    @property
    def level(self) -> int:
        return self.height // TILE_HEIGHT

    @property
    def span(self) -> range:
        """The hashes of its tile level that it stands for."""
        inner = self.height % TILE_HEIGHT
        return range(self.index << inner, (self.index + 1) << inner)

    @property
    def tile(self) -> tuple[int, int]:
        return self.level, self.span.start // TILE_WIDTH


class StoredTree:
    """A log as its stored hashes show it, up to a size that the caller has read from the head."""

    def __init__(self, reader: TileReader, size: int) -> None:
        self._reader: Final = reader
        self._size: Final = size

    async def root(self, size: int) -> bytes:
        """Return the root at an earlier size; ``NOT_FOUND`` beyond the head."""
        if not 0 <= size <= self._size:
            raise _not_found("size")
        if size == 0:
            return EMPTY_ROOT
        return (await self._hashes([LeafRange(0, size)]))[0]

    async def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the inclusion path of a leaf in the tree of an earlier size.

        ``NOT_FOUND`` if there is no such leaf or size.
        """
        if not 0 <= index < size <= self._size:
            raise _not_found("leaf")
        return await self._hashes(inclusion_ranges(index, size))

    async def consistency(self, old: int, new: int) -> list[bytes]:
        """Return the consistency proof of two sizes; empty from size 0, where there is nothing to prove.

        ``NOT_FOUND`` as above.
        """
        if not 0 <= old <= new <= self._size:
            raise _not_found("size")
        return await self._hashes(consistency_ranges(old, new)) if old else []

    async def tile(self, address: TileAddress) -> bytes:
        """Return the hashes of a full or partial tile; ``NOT_FOUND`` if the log has not grown to it.

        A partial tile stays readable when the tile has been completed: it is the beginning of the full one.
        """
        first = address.index * TILE_WIDTH
        if address.level >= TILE_HEIGHT or first + address.width > self._size >> (TILE_HEIGHT * address.level):
            raise _not_found("tile")
        base, hashes = await self._read(address.level, address.index, range(first, first + address.width))
        return b"".join(hashes[first - base : first - base + address.width])

    async def _hashes(self, ranges: Sequence[LeafRange]) -> list[bytes]:
        """Return the hash over each range, reading each tile once."""
        parts = [_nodes(part) for part in ranges]
        by_tile: defaultdict[tuple[int, int], list[_Node]] = defaultdict(list)
        for node in sorted(node for part in parts for node in part):
            by_tile[node.tile].append(node)
        known: dict[_Node, bytes] = {}
        for (level, index), nodes in by_tile.items():
            wanted = range(min(node.span.start for node in nodes), max(node.span.stop for node in nodes))
            base, hashes = await self._read(level, index, wanted)
            for node in nodes:
                known[node] = perfect_root(hashes[node.span.start - base : node.span.stop - base])
        return [bag(known[node] for node in part) for part in parts]

    async def _read(self, level: int, index: int, wanted: range) -> tuple[int, Sequence[bytes]]:
        """Return at least the wanted hashes of one tile, and the index of the first one returned.

        They come from the tile if it is full, else from what lies below it.
        """
        if (index + 1) * TILE_WIDTH <= self._size >> (TILE_HEIGHT * level):
            tile = await self._reader.full_tile(level, index)
            found: Sequence[bytes] = [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]
            wanted = range(index * TILE_WIDTH, (index + 1) * TILE_WIDTH)
        elif level == 0:
            found = await self._reader.leaf_hashes(wanted.start, len(wanted))
        else:
            found = await self._reader.tile_roots(level - 1, wanted.start, len(wanted))
        if len(found) != len(wanted):
            raise GatewayError(ErrorKind.INTERNAL, reason=LOG_CONTRADICTS_HEAD, facts={"level": level, "tile": index})
        return wanted.start, found


def _nodes(part: LeafRange) -> Iterable[_Node]:
    """Split a range of leaves into complete nodes, largest (leftmost) first.

    The ranges of proofs begin at a multiple of the largest power of two in their length, so this is the binary form
    of the length.
    """
    nodes: list[_Node] = []
    at = part.first
    while at < part.end:
        height = (part.end - at).bit_length() - 1
        nodes.append(_Node(height, at >> height))
        at += 1 << height
    return nodes


def _not_found(what: str) -> GatewayError:
    return GatewayError(ErrorKind.NOT_FOUND, reason=f"no_such_{what}")
