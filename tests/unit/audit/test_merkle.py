import itertools
import json
from pathlib import Path

import pytest

from gateway.audit.merkle import (
    EMPTY_FRONTIER,
    EMPTY_ROOT,
    MAX_SIZE,
    Frontier,
    HashRange,
    bag,
    grow,
    leaf_hash,
    perfect_root,
)
from gateway.base.errors import ErrorKind, GatewayError
from tests.fakes.memory_log import MemoryLog, make_leaves
from tests.fakes.reference_tree import mth, path

VECTORS = Path(__file__).parents[2] / "vectors" / "audit"
HASHES = [leaf_hash(leaf) for leaf in make_leaves(1200)]


def test_published_roots():
    """The tree hash is the one of RFC 6962, byte for byte."""
    vector = json.loads((VECTORS / "rfc6962_tree.json").read_text())
    leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in vector["leaves"]]

    roots = [grow(EMPTY_FRONTIER, leaves[:size]).root.hex() for size in range(9)]

    assert [[root[:8], root[-4:]] for root in roots] == vector["roots"]


def test_every_batch_below_forty_equals_the_recursive_definition():
    """From the frontier alone, a batch gives the root and all paths that the definition gives."""
    for before, after in itertools.combinations(range(40), 2):
        growth = grow(grow(EMPTY_FRONTIER, HASHES[:before]).after, HASHES[before:after])

        assert growth.root == mth(HASHES[:after])
        assert growth.hash_paths() == [tuple(path(index, HASHES[:after])) for index in range(before, after)]


@pytest.mark.parametrize("before", [0, 1, 255, 256, 257, 511, 512])
@pytest.mark.parametrize("after", [256, 257, 511, 512, 513, 767, 768, 1100])
def test_batches_at_tile_boundaries_equal_the_recursive_definition(before, after):
    if before >= after:
        return
    log = MemoryLog()
    for size in filter(None, [before // 2, before - before // 2]):
        log.append(make_leaves(size, log.frontier.size))

    appended = log.append(make_leaves(after - before, before))

    assert appended.root == mth(HASHES[:after])
    assert appended.growth.hash_paths()[-1] == tuple(path(after - 1, HASHES[:after]))
    for tile in appended.tiles:
        assert tile.hashes == b"".join(HASHES[tile.index * 256 : (tile.index + 1) * 256])
        assert tile.root == mth(HASHES[tile.index * 256 : (tile.index + 1) * 256])
    assert [tile.index for tile in appended.tiles] == list(range(before // 256, after // 256))


def test_a_batch_that_ends_at_a_boundary_completes_its_tile_at_once():
    appended = grow_log(255).append(make_leaves(1, 255))

    assert [(tile.level, tile.index) for tile in appended.tiles] == [(0, 0)]


def grow_log(size: int) -> MemoryLog:
    log = MemoryLog()
    if size:
        log.append(make_leaves(size))
    return log


def test_a_level_one_tile_is_made_of_the_roots_below():
    """65,536 leaves complete the first tile of level 1, whichever batch sizes lead there."""
    log = MemoryLog()
    for size in [1000] * 65 + [535]:
        log.append(make_leaves(size, log.frontier.size))

    appended = log.append(make_leaves(3, 65_535))

    level_0 = [row.root for row in log.tile_rows[0]]
    assert [(tile.level, tile.index) for tile in appended.tiles] == [(0, 255), (1, 0)]
    assert appended.tiles[1].hashes == b"".join(level_0)
    assert appended.tiles[1].root == perfect_root(level_0)
    assert appended.root == bag([perfect_root(level_0), *appended.frontier.peaks[1:]])


@pytest.mark.parametrize(
    ("size", "count", "missing"),
    [
        (0, 255, ()),
        (0, 256, ()),
        (10, 245, ()),
        (10, 246, (HashRange(0, 0, 10),)),
        (256, 256, ()),
        (300, 300, (HashRange(0, 256, 44),)),
        (65_535, 1, (HashRange(0, 65_280, 255), HashRange(1, 0, 255))),
        (65_280, 256, (HashRange(1, 0, 255),)),
        (16_777_215, 1, (HashRange(0, 16_776_960, 255), HashRange(1, 65_280, 255), HashRange(2, 0, 255))),
    ],
)
def test_a_plan_asks_only_for_what_completes_a_tile_begun_earlier(size, count, missing):
    frontier = Frontier.from_bytes(size, bytes(32 * size.bit_count()))

    assert frontier.plan(count).missing == missing


@pytest.mark.parametrize(
    "earlier", [[[*HASHES[:199], HASHES[0]]], [HASHES[:199]], []], ids=["changed", "short", "none"]
)
def test_an_append_refuses_earlier_hashes_that_contradict_the_head(earlier):
    """A store that lost or changed a leaf hash must not get a tile, a head or a signature out of us."""
    plan = grow(EMPTY_FRONTIER, HASHES[:200]).after.plan(56)

    with pytest.raises(GatewayError) as refused:
        plan.append(HASHES[200:256], earlier)

    assert (refused.value.kind, refused.value.reason) == (ErrorKind.INTERNAL, "log_contradicts_head")


def test_a_plan_refuses_an_empty_batch_and_a_log_past_64_bits():
    full = Frontier.from_bytes(MAX_SIZE, bytes(32 * 63))

    with pytest.raises(ValueError, match="at least one leaf"):
        EMPTY_FRONTIER.plan(0)
    with pytest.raises(ValueError, match="at least one leaf"):
        full.plan(1)


def test_a_frontier_is_stored_largest_subtree_first():
    frontier = grow(EMPTY_FRONTIER, HASHES[:7]).after

    raw = frontier.to_bytes()

    assert raw == mth(HASHES[:4]) + mth(HASHES[4:6]) + HASHES[6]
    assert Frontier.from_bytes(7, raw) == frontier
    assert frontier.root == mth(HASHES[:7])
    assert EMPTY_FRONTIER.root == EMPTY_ROOT


@pytest.mark.parametrize(("size", "length"), [(7, 64), (7, 128), (8, 0), (0, 32), (-1, 0), (2**63, 32), (1, 31)])
def test_a_frontier_that_does_not_fit_its_size_is_refused(size, length):
    with pytest.raises(ValueError, match="one 32-byte peak"):
        Frontier.from_bytes(size, bytes(length))
