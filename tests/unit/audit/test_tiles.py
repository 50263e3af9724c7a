import functools

import pytest

from gateway.audit.merkle import EMPTY_ROOT, leaf_hash
from gateway.audit.proofs import verify_consistency, verify_inclusion
from gateway.audit.readers import StoredTile
from gateway.audit.tiles import StoredTree, TileAddress, TilePathError, parse_tile_path, tiles_of_size
from gateway.base.errors import ErrorKind, GatewayError
from tests.fakes.memory_log import MemoryLog, make_leaves
from tests.fakes.reference_tree import mth, path, proof

SIZE = 70_000


@functools.cache
def log_of_70_000():
    log = MemoryLog()
    for size in [1] * 10 + [253] * 200 + [9_695] * 2:
        log.append(make_leaves(size, log.frontier.size))
    assert log.frontier.size == SIZE
    return log


@functools.cache
def hashes():
    return [leaf_hash(leaf) for leaf in make_leaves(SIZE)]


@pytest.mark.parametrize(
    ("path_text", "address"),
    [
        ("tile/0/x001/x234/067", TileAddress(0, 1_234_067)),
        ("tile/0/000", TileAddress(0, 0)),
        ("tile/63/999.p/255", TileAddress(63, 999, 255)),
        ("tile/1/x001/000.p/1", TileAddress(1, 1000, 1)),
    ],
)
def test_published_paths(path_text, address):
    assert parse_tile_path(path_text) == address
    assert str(address) == path_text


def test_no_second_spelling_of_a_tile_path_gets_through():
    bad = [
        *("", "tile", "tile/0", "tile/0/", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/0/1234"),
        *("tile/00/000", "tile/01/000", "tile/64/000", "tile/-1/000", "tile/+1/000", "tile/a/000", "tile//000"),
        *("tile/0/x000/000", "tile/0/x000/x001/000", "tile/0/001/000", "tile/0/x001", "tile/0/X001/000"),
        *("tile/0/x001/x002", "tile/0/x0001/000", "tile/0/x001//000", "tile/0/" + "x001/" * 7 + "000"),
        *("tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/0", "tile/0/000.p/01", "tile/0/000.p/256", "tile/0/000.p/999"),
        *("tile/0/000.p/1/", "tile/0/000.P/1", "tile/0/000p/1", "tile/0/000.p/1000", "tile/0/000.p/-1", "/tile/0/000"),
        *(
            "tile/0/000/",
            "tile/0/000\n",
            " tile/0/000",
            "tile/0/٠٠٠",
            "tile/entries/000",
            "tile/0/%30%30%30",
            "tile/0/../0",
        ),
        "tile/0/x999/x999/x999/x999/x999/x999/999",
    ]

    got_through = []
    for text in bad:
        try:
            parse_tile_path(text)
            got_through.append(text)
        except TilePathError:
            pass

    assert got_through == []


def test_the_tiles_of_70_000_leaves():
    """The example of c2sp.org/tlog-tiles."""
    log = log_of_70_000()

    assert {level: len(rows) for level, rows in log.tile_rows.items()} == {0: 273, 1: 1}
    assert tiles_of_size(SIZE) == [TileAddress(0, 273, 112), TileAddress(1, 1, 17), TileAddress(2, 0, 1)]


def test_the_tiles_of_256_leaves():
    assert tiles_of_size(256) == [TileAddress(0, 0), TileAddress(1, 0, 1)]
    assert tiles_of_size(0) == []


async def test_full_and_partial_tiles_are_the_hashes_of_their_level():
    tree = StoredTree(log_of_70_000(), SIZE)
    below = [mth(hashes()[at * 256 : (at + 1) * 256]) for at in range(273)]

    assert await tree.tile(TileAddress(0, 5)) == b"".join(hashes()[1280:1536])
    assert await tree.tile(TileAddress(0, 5, 7)) == b"".join(hashes()[1280:1287])
    assert await tree.tile(TileAddress(0, 273, 112)) == b"".join(hashes()[69_888:])
    assert await tree.tile(TileAddress(1, 0)) == b"".join(below[:256])
    assert await tree.tile(TileAddress(1, 1, 17)) == b"".join(below[256:])
    assert await tree.tile(TileAddress(2, 0, 1)) == mth(hashes()[:65_536])


@pytest.mark.parametrize(
    "address",
    [
        TileAddress(0, 273, 113),
        TileAddress(0, 273),
        TileAddress(0, 274, 1),
        TileAddress(1, 1, 18),
        TileAddress(2, 0, 2),
        TileAddress(3, 0, 1),
        TileAddress(8, 0, 1),
        TileAddress(63, 0, 1),
        TileAddress(0, 2**60, 1),
    ],
)
async def test_a_tile_that_the_log_has_not_grown_to_is_not_found(address):
    with pytest.raises(GatewayError) as refused:
        await StoredTree(log_of_70_000(), SIZE).tile(address)

    assert (refused.value.kind, refused.value.reason) == (ErrorKind.NOT_FOUND, "no_such_tile")


SIZES = [1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, SIZE]


@pytest.mark.parametrize("size", SIZES)
async def test_inclusion_proofs_at_earlier_sizes(size):
    tree = StoredTree(log_of_70_000(), SIZE)
    root = await tree.root(size)
    assert root == mth(hashes()[:size])

    for index in {0, size // 3, size // 2, size - 1, max(0, size - 257)}:
        found = await tree.inclusion(index, size)
        verify_inclusion(leaf_hash=hashes()[index], index=index, size=size, path=found, root=root)

    assert await tree.inclusion(size // 2, size) == path(size // 2, hashes()[:size])


@pytest.mark.parametrize("old", SIZES)
async def test_consistency_proofs_between_earlier_sizes(old):
    tree = StoredTree(log_of_70_000(), SIZE)
    old_root = await tree.root(old)

    for new in (size for size in SIZES if size >= old):
        found = await tree.consistency(old, new)
        verify_consistency(old_size=old, old_root=old_root, new_size=new, new_root=await tree.root(new), path=found)

    assert await tree.consistency(old, SIZE) == proof(old, hashes())


async def test_every_proof_of_small_logs_that_kept_growing():
    """Sizes below the head need hashes of tiles that have been completed since."""
    tree = StoredTree(log_of_70_000(), SIZE)

    for size in (5, 300):
        for index in range(0, size, 7):
            assert await tree.inclusion(index, size) == path(index, hashes()[:size])


async def test_a_proof_reads_few_levels():
    """At most two reads a level, and no more levels than the tree is high: three for ten million leaves."""
    log = log_of_70_000()
    log.tile_reads.clear()

    await StoredTree(log, SIZE).inclusion(12_345, SIZE)

    levels = [level for _, level in log.tile_reads]
    assert sorted(set(levels)) == [0, 1]
    assert max(levels.count(level) for level in levels) <= 2


async def test_the_empty_tree_has_a_root_and_no_proofs():
    tree = StoredTree(MemoryLog(), 0)

    assert await tree.root(0) == EMPTY_ROOT
    assert await tree.consistency(0, 0) == []
    with pytest.raises(GatewayError, match="no_such_leaf"):
        await tree.inclusion(0, 0)


async def test_from_size_zero_there_is_nothing_to_prove():
    assert await StoredTree(log_of_70_000(), SIZE).consistency(0, 70) == []


@pytest.mark.parametrize(("index", "size"), [(5, 5), (-1, 5), (0, SIZE + 1), (SIZE, SIZE)])
async def test_there_is_no_inclusion_proof_outside_the_log(index, size):
    with pytest.raises(GatewayError) as refused:
        await StoredTree(log_of_70_000(), SIZE).inclusion(index, size)

    assert refused.value.kind is ErrorKind.NOT_FOUND


@pytest.mark.parametrize(("old", "new"), [(6, 5), (-1, 5), (1, SIZE + 1)])
async def test_there_is_no_consistency_proof_outside_the_log(old, new):
    with pytest.raises(GatewayError) as refused:
        await StoredTree(log_of_70_000(), SIZE).consistency(old, new)

    assert refused.value.kind is ErrorKind.NOT_FOUND


@pytest.mark.parametrize("spoil", ["tile missing", "tile cut", "entries missing", "roots missing"])
async def test_a_store_that_lost_hashes_gives_no_proof(spoil):
    log = MemoryLog()
    log.append(make_leaves(700))
    first = log.tile_rows[0][0]
    match spoil:
        case "tile missing":
            log.tile_rows[0] = []
        case "tile cut":
            log.tile_rows[0][0] = StoredTile(0, first.hashes[:-32], first.root)
        case "entries missing":
            del log.entry_rows[-1]
        case "roots missing":
            del log.tile_rows[0][1]

    with pytest.raises(GatewayError) as refused:
        await StoredTree(log, 700).inclusion(3, 700)

    assert (refused.value.kind, refused.value.reason) == (ErrorKind.INTERNAL, "log_contradicts_head")
