import dataclasses

import pytest

from gateway.audit.fsck import FaultCode, LogFault, fsck
from gateway.audit.merkle import EMPTY_ROOT, bag, leaf_hash
from gateway.audit.readers import StoredBatch, StoredHead, StoredTile
from tests.fakes.memory_log import MemoryLog, make_leaves

SIZES = [1, 3, 200, 60, 500, 17, 243, 256, 9]


def make_log(sizes=SIZES):
    log = MemoryLog()
    for size in sizes:
        log.append(make_leaves(size, log.frontier.size))
    return log


async def test_a_good_log_is_clean():
    log = make_log()

    report = await fsck(log)

    assert report.clean
    assert report.faults == ()
    assert (report.leaves, report.batches, report.tiles) == (sum(SIZES), len(SIZES) + 1, sum(SIZES) // 256)
    assert report.root == log.frontier.root


async def test_the_empty_log_is_clean():
    report = await fsck(MemoryLog())

    assert (report.clean, report.leaves, report.root) == (True, 0, EMPTY_ROOT)


async def test_two_levels_of_tiles_are_compared():
    log = make_log([9000] * 8)

    report = await fsck(log)

    assert report.clean
    assert report.tiles == 281 + 1


def flip(raw: bytes, at: int = 0) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def change(rows, at, **parts):
    rows[at] = dataclasses.replace(rows[at], **parts)


def spoil_leaf(log):
    change(log.entry_rows, 300, leaf=flip(log.entry_rows[300].leaf))


def spoil_leaf_hash(log):
    change(log.entry_rows, 300, leaf_hash=flip(log.entry_rows[300].leaf_hash))


def replace_leaf_and_hash(log):
    change(log.entry_rows, 300, leaf=b"another", leaf_hash=leaf_hash(b"another"))


def swap_leaves(log):
    first, second = log.entry_rows[300], log.entry_rows[301]
    change(log.entry_rows, 300, leaf=second.leaf, leaf_hash=second.leaf_hash)
    change(log.entry_rows, 301, leaf=first.leaf, leaf_hash=first.leaf_hash)


def drop_entry(log):
    del log.entry_rows[300]


def drop_last_entry(log):
    del log.entry_rows[-1]


def drop_all_entries(log):
    log.entry_rows.clear()


def spoil_tile(log):
    change(log.tile_rows[0], 2, hashes=flip(log.tile_rows[0][2].hashes, 4000))


def spoil_tile_root(log):
    change(log.tile_rows[0], 2, root=flip(log.tile_rows[0][2].root))


def drop_tile(log):
    del log.tile_rows[0][2]


def drop_last_tile(log):
    del log.tile_rows[0][-1]


def add_tile(log):
    log.tile_rows[0].append(StoredTile(5, bytes(8192), bytes(32)))


def add_upper_tile(log):
    log.tile_rows[1] = [StoredTile(0, bytes(8192), bytes(32))]


def spoil_batch_root(log):
    change(log.batch_rows, 4, root=flip(log.batch_rows[4].root))


def break_batch_chain(log):
    change(log.batch_rows, 4, prev_size=203)


def drop_batch(log):
    del log.batch_rows[4]


def drop_last_batch(log):
    del log.batch_rows[-1]


def drop_first_batch(log):
    del log.batch_rows[0]


def add_batch(log):
    log.batch_rows.append(StoredBatch(2000, 1289, bytes(32)))


def spoil_head_root(log):
    log.stored_head = StoredHead(log.frontier.size, bytes(32), log.frontier.to_bytes())


def spoil_head_frontier(log):
    log.stored_head = StoredHead(log.frontier.size, log.frontier.root, flip(log.frontier.to_bytes()))


def cut_head_frontier(log):
    log.stored_head = StoredHead(log.frontier.size, log.frontier.root, log.frontier.to_bytes()[:-32])


def roll_back_head(log):
    """The head shows an earlier size than the last batch: what a restored backup of one row looks like."""
    log.stored_head = StoredHead(1024, bag(log.frontier.peaks[:1]), log.frontier.peaks[0])


def repeat_request(log):
    log.repeated.append("ab" * 16)


@pytest.mark.parametrize(
    ("spoil", "first_fault"),
    [
        (spoil_leaf, LogFault(FaultCode.LEAF_HASH, "300")),
        (spoil_leaf_hash, LogFault(FaultCode.LEAF_HASH, "300")),
        (replace_leaf_and_hash, LogFault(FaultCode.TILE_HASHES, "0/1")),
        (swap_leaves, LogFault(FaultCode.TILE_HASHES, "0/1")),
        (drop_entry, LogFault(FaultCode.INDEX_GAP, "300")),
        (drop_last_entry, LogFault(FaultCode.INDEX_GAP, "1288")),
        (drop_all_entries, LogFault(FaultCode.INDEX_GAP, "0")),
        (spoil_tile, LogFault(FaultCode.TILE_HASHES, "0/2")),
        (spoil_tile_root, LogFault(FaultCode.TILE_ROOT, "0/2")),
        (drop_tile, LogFault(FaultCode.TILE_MISSING, "0/2")),
        (drop_last_tile, LogFault(FaultCode.TILE_MISSING, "0/4")),
        (add_tile, LogFault(FaultCode.TILE_BEYOND_HEAD, "0/5")),
        (add_upper_tile, LogFault(FaultCode.TILE_BEYOND_HEAD, "1/0")),
        (spoil_batch_root, LogFault(FaultCode.BATCH_ROOT, "264")),
        (break_batch_chain, LogFault(FaultCode.BATCH_CHAIN, "264")),
        (drop_batch, LogFault(FaultCode.BATCH_CHAIN, "764")),
        (drop_last_batch, LogFault(FaultCode.HEAD_NOT_A_BATCH, "1289")),
        (drop_first_batch, LogFault(FaultCode.BATCH_CHAIN, "1")),
        (add_batch, LogFault(FaultCode.BATCH_BEYOND_HEAD, "2000")),
        (spoil_head_root, LogFault(FaultCode.HEAD_ROOT, "1289")),
        (spoil_head_frontier, LogFault(FaultCode.HEAD_FRONTIER, "1289")),
        (cut_head_frontier, LogFault(FaultCode.HEAD_FRONTIER, "1289")),
        (roll_back_head, LogFault(FaultCode.BATCH_BEYOND_HEAD, "1280")),
        (repeat_request, LogFault(FaultCode.REQUEST_REPEATED, "ab" * 16)),
    ],
    ids=lambda part: getattr(part, "__name__", ""),
)
async def test_every_contradiction_is_found(spoil, first_fault):
    log = make_log()
    spoil(log)

    report = await fsck(log)

    assert report.faults[0] == first_fault
    assert not report.clean


async def test_a_flipped_bit_in_a_leaf_is_one_fault_not_thousands():
    log = make_log()
    spoil_leaf(log)

    assert len((await fsck(log)).faults) == 1


async def test_faults_are_bounded():
    log = make_log()
    for at in range(500):
        change(log.entry_rows, at, leaf=b"x")

    report = await fsck(log, max_faults=7)

    assert (len(report.faults), report.complete, report.clean) == (7, False, False)


async def test_a_log_that_grows_meanwhile_is_clean_up_to_where_it_was():
    """The writer commits a batch while the pass is under way."""
    log = make_log()

    def commit_another(_leaves):
        log.append(make_leaves(600, log.frontier.size))

    report = await fsck(log, progress=commit_another)

    assert (report.clean, report.leaves) == (True, sum(SIZES))
    assert log.frontier.size > sum(SIZES)


async def test_progress_is_told_page_by_page():
    told = []

    await fsck(make_log([9000] * 2), progress=told.append)

    assert told == [8192, 16_384, 18_000]
