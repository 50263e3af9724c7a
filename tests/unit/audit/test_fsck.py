"""The check of the log: each way of changing what is stored is found, under its own name."""

import dataclasses
import datetime as dt
import hashlib

import pytest

from gateway.audit.entry import Committed, LeafKind, decode_leaf, seal
from gateway.audit.erasure import ERASE, render_erasure
from gateway.audit.fsck import Checks, fsck
from gateway.audit.fsck_report import FaultCode, Faults, LogFault
from gateway.audit.fsck_requests import RequestCheck
from gateway.audit.fsck_tree import TreeWalk
from gateway.audit.merkle import EMPTY_ROOT, bag, leaf_hash
from gateway.audit.plaintext import render_plaintext
from gateway.audit.readers import (
    Deviation,
    StoredBatch,
    StoredHead,
    StoredIdempotency,
    StoredRequest,
    StoredTile,
    Stray,
)
from gateway.base.canonical import canonical_json
from gateway.base.messages.fsck import FAULTS
from gateway.base.sealing import Sealer
from gateway.base.secret import Secret
from gateway.verification.registrations import RULES
from tests.fakes.entries import ORIGIN, SEALER, make_leaf
from tests.fakes.guard import make_batch_mac
from tests.fakes.memory_log import BEGAN, MemoryLog, make_calls, salt_of

SIZES = [1, 3, 200, 60, 500, 17, 243, 256, 9]
DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)
TODAY = BEGAN.date()


def make_log(sizes=SIZES):
    log = MemoryLog()
    for size in sizes:
        log.append(make_calls(size, log.frontier.size))
    return log


async def check(log, *, today=TODAY, sealer=SEALER, shallow=False, against=(), **options):
    """Check a log as its own host does."""
    checks = Checks(
        origin=ORIGIN,
        batch_mac=make_batch_mac(),
        sealer=sealer,
        today=today,
        shallow=shallow,
        against=against,
        holders=RULES,
    )
    return await fsck(log, checks, **options)


async def test_a_good_log_is_clean():
    log = make_log()

    report = await check(log)

    assert report.faults == ()
    assert report.clean
    assert (report.leaves, report.batches, report.tiles) == (sum(SIZES), len(SIZES) + 1, sum(SIZES) // 256)
    assert (report.secrets, report.unopened, report.requests) == (sum(SIZES), 0, sum(SIZES))
    assert report.root == log.frontier.root


async def test_the_empty_log_is_clean():
    report = await check(MemoryLog())

    assert (report.clean, report.leaves, report.root) == (True, 0, EMPTY_ROOT)


async def test_two_levels_of_tiles_are_compared():
    log = make_log([9000] * 8)
    walk = TreeWalk(reader=log, head=await log.head(), faults=Faults(), mac=make_batch_mac())

    async def nothing_beside(_page):
        pass

    await walk.walk(nothing_beside, lambda _leaves: None)

    assert (walk.faults.found, walk.tiles_seen) == ([], 281 + 1)


def flip(raw: bytes, at: int = 0) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def change(rows, at, **parts):
    rows[at] = dataclasses.replace(rows[at], **parts)


def rebuild(log, at, /, **members):
    """Build the log anew with one leaf that says something else: what only hosts can do."""
    rebuild_as(log, at, make_leaf(at, **members))


def rebuild_as(log, at, leaf):
    fresh = MemoryLog()
    leaves = [row.leaf for row in log.entry_rows]
    leaves[at] = leaf
    first = 0
    for size in SIZES:
        fresh.append(leaves[first : first + size])
        first += size
    for name in ("frontier", "entry_rows", "batch_rows", "tile_rows", "leaves"):
        setattr(log, name, getattr(fresh, name))
    lost = {row.req_id for row in log.request_rows} - {row.req_id for row in fresh.request_rows}
    log.request_rows = [row for row in log.request_rows if row.req_id not in lost]


def spoil_leaf(log):
    change(log.entry_rows, 300, leaf=flip(log.entry_rows[300].leaf))


def spoil_leaf_hash(log):
    change(log.entry_rows, 300, leaf_hash=flip(log.entry_rows[300].leaf_hash))


def replace_leaf_and_hash(log):
    change(log.entry_rows, 300, leaf=(other := make_leaf(300, n=7)), leaf_hash=leaf_hash(other))


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
    log.batch_rows.append(StoredBatch(size=2000, prev_size=1289, root=bytes(32), ts=log.now, writer="gw/x", mac=None))


def spoil_head_root(log):
    log.stored_head = StoredHead(log.frontier.size, bytes(32), log.frontier.to_bytes(), log.now)


def spoil_head_frontier(log):
    log.stored_head = StoredHead(log.frontier.size, log.frontier.root, flip(log.frontier.to_bytes()), log.now)


def cut_head_frontier(log):
    log.stored_head = StoredHead(log.frontier.size, log.frontier.root, log.frontier.to_bytes()[:-32], log.now)


def roll_back_head(log):
    """The head shows an earlier size than the last batch: what a restored backup of one row looks like."""
    log.stored_head = StoredHead(1024, bag(log.frontier.peaks[:1]), log.frontier.peaks[0], log.now)


def add_entry_of_the_same_index(log):
    log.entry_rows.insert(300, log.entry_rows[300])


def spoil_head_time(log):
    head = StoredHead(log.frontier.size, log.frontier.root, log.frontier.to_bytes(), BEGAN)
    log.stored_head = head


def leaf_of_another_log(log):
    rebuild(log, 300, log="other.example/log")


def no_leaf_at_all(log):
    rebuild_as(log, 300, b"not a leaf")


# Batches ------------------------------------------------------------------------------------------------------------


def mend_batch_chain(log):
    """A batch taken away, its neighbours tied together again."""
    del log.batch_rows[4]
    change(log.batch_rows, 4, prev_size=log.batch_rows[3].size)


def spoil_mac(log):
    change(log.batch_rows, 4, mac=flip(log.batch_rows[4].mac))


def drop_mac(log):
    change(log.batch_rows, 4, mac=None)


def exchange_macs(log):
    one, other = log.batch_rows[4].mac, log.batch_rows[5].mac
    change(log.batch_rows, 4, mac=other)
    change(log.batch_rows, 5, mac=one)


def batch_goes_back(log):
    change(log.batch_rows, 4, ts=log.batch_rows[2].ts)


def batch_goes_forward(log):
    change(log.batch_rows, 4, ts=log.batch_rows[6].ts)


def entry_goes_forward(log):
    change(log.entry_rows, 300, logged_at=log.entry_rows[300].logged_at + HOUR)


# Columns ------------------------------------------------------------------------------------------------------------


def column(**parts):
    def spoil(log):
        change(log.entry_rows, 300, columns=dataclasses.replace(log.entry_rows[300].columns, **parts))

    spoil.__name__ = "column_" + next(iter(parts))
    return spoil


# Secrets ------------------------------------------------------------------------------------------------------------


def drop_secret(log):
    log.secret_rows[300] = None


def drop_secrets(log):
    log.secret_rows |= dict.fromkeys(range(300, 310))


def secret(**parts):
    def spoil(log):
        log.secret_rows[300] = dataclasses.replace(log.secret_of(300), **parts)

    spoil.__name__ = "secret_" + next(iter(parts))
    return spoil


def exchange_secrets(log):
    log.secret_rows[300] = dataclasses.replace(log.secret_of(301), leaf_index=300)


def exchange_sealed_texts(log):
    log.secret_rows[300] = dataclasses.replace(log.secret_of(300), sealed=log.secret_of(301).sealed)


def seal_something_else(log):
    """Only who holds the sealing key can: the text opens, and is not what the leaf commits to."""
    log.plaintexts[300] = render_plaintext(answer=b'{"a":1}', arguments=None)


def seal_no_json(log):
    log.plaintexts[300] = b"nothing of ours"


# One-time ids -------------------------------------------------------------------------------------------------------


def drop_request(log):
    del log.request_rows[300]


def add_request(log):
    log.request_rows.append(StoredRequest(b"\xab" * 16, BEGAN.date()))


def repeat_request(log):
    log.days.append(BEGAN.date() + DAY)
    log.request_rows.append(StoredRequest(log.request_rows[300].req_id, BEGAN.date() + DAY))


def move_request(log):
    log.days.append(BEGAN.date() + DAY)
    log.request_rows[300] = StoredRequest(log.request_rows[300].req_id, BEGAN.date() + DAY)


def drop_todays_partition(log):
    log.request_rows.clear()
    log.days.clear()


def drop_a_partition_among_others(log):
    log.request_rows.clear()
    log.days[:] = [BEGAN.date() - DAY, BEGAN.date() + DAY]


def accept_twice(log):
    rebuild(log, 301, req_id=log.request_rows[300].req_id.hex())


@pytest.mark.parametrize(
    ("spoil", "faults"),
    [
        (spoil_leaf, ["leaf_hash 300"]),
        (spoil_leaf_hash, ["leaf_hash 300", "tile_hashes 0/1"]),
        (replace_leaf_and_hash, ["secret_changed 300", "tile_hashes 0/1"]),
        (swap_leaves, ["entry_verification 300", "secret_changed 300", "entry_verification 301"]),
        (leaf_of_another_log, ["leaf_log 300"]),
        (no_leaf_at_all, ["leaf_form 300"]),
        (drop_entry, ["index_gap 300"]),
        (drop_last_entry, ["index_gap 1288"]),
        (drop_all_entries, ["index_gap 0"]),
        (add_entry_of_the_same_index, ["entry_repeated 300"]),
        (spoil_tile, ["tile_hashes 0/2"]),
        (spoil_tile_root, ["tile_root 0/2"]),
        (drop_tile, ["tile_missing 0/2"]),
        (drop_last_tile, ["tile_missing 0/4"]),
        (add_tile, ["tile_beyond_head 0/5"]),
        (add_upper_tile, ["tile_beyond_head 1/0"]),
        (spoil_batch_root, ["batch_root 264"]),
        (break_batch_chain, ["batch_chain 264"]),
        (drop_batch, ["batch_chain 764"]),
        (drop_last_batch, ["head_not_a_batch 1289"]),
        (drop_first_batch, ["batch_chain 1"]),
        (add_batch, ["batch_beyond_head 2000"]),
        (mend_batch_chain, ["batch_mac 764"]),
        (spoil_mac, ["batch_mac 264"]),
        (drop_mac, ["batch_mac 264"]),
        (exchange_macs, ["batch_mac 264", "batch_mac 764"]),
        (batch_goes_back, ["batch_time 264"]),
        (batch_goes_forward, ["batch_time 264"]),
        (entry_goes_forward, ["entry_time 300"]),
        (spoil_head_root, ["head_root 1289"]),
        (spoil_head_frontier, ["head_frontier 1289"]),
        (cut_head_frontier, ["head_frontier 1289"]),
        (spoil_head_time, ["head_time 1289"]),
        (roll_back_head, ["batch_beyond_head 1280"]),
        (column(kind="deny"), ["entry_kind 300"]),
        (column(partner_id="prt_2"), ["entry_partner 300"]),
        (column(partner_id=None), ["entry_partner 300"]),
        (column(operation="other"), ["entry_operation 300"]),
        (column(purpose=None), ["entry_purpose 300"]),
        (column(decision="allow:restricted"), ["entry_decision 300"]),
        (column(subject_index=bytes(16)), ["entry_subject 300"]),
        (column(verification_id="ver_301"), ["entry_verification 300"]),
        (drop_secret, ["secret_missing 300"]),
        (drop_secrets, ["secret_missing 300-309"]),
        (secret(salt=bytes(32)), ["secret_changed 300"]),
        (secret(key_id=2), ["secret_changed 300"]),
        (secret(key_id=-1), ["secret_changed 300"]),
        (secret(sealed=bytes(28)), ["secret_changed 300"]),
        (secret(sealed=b""), ["secret_changed 300"]),
        (exchange_secrets, ["secret_changed 300"]),
        (exchange_sealed_texts, ["secret_changed 300"]),
        (seal_something_else, ["secret_commitment 300"]),
        (seal_no_json, ["secret_commitment 300"]),
        (drop_request, ["request_missing 300"]),
        (add_request, ["request_extra 2026-01-01 " + "ab" * 16]),
        (repeat_request, ["request_repeated "]),
        (move_request, ["request_day 300"]),
        (drop_todays_partition, ["request_partition 2026-01-01"]),
        (drop_a_partition_among_others, ["request_partition 2026-01-01"]),
        (accept_twice, ["request_twice 301"]),
    ],
    ids=lambda part: getattr(part, "__name__", ""),
)
async def test_every_contradiction_is_found(spoil, faults):
    """Each way of changing what is stored has its own code, and what is beside it stays quiet."""
    log = make_log()
    spoil(log)

    report = await check(log)

    told = [f"{fault.code} {fault.where}" for fault in report.faults]
    assert [said[: len(wanted)] for said, wanted in zip(told, faults, strict=False)] == faults
    assert not report.clean
    assert len(told) == len(faults) or spoil in MANY, told


MANY = {spoil_leaf_hash, replace_leaf_and_hash, swap_leaves, drop_all_entries, roll_back_head}
"""After these the tree above differs too, or all the rest of the log is missing."""


async def test_a_flipped_bit_in_a_leaf_is_one_fault_not_thousands():
    log = make_log()
    spoil_leaf(log)

    assert len((await check(log)).faults) == 1


async def test_faults_are_bounded():
    log = make_log()
    for at in range(500):
        change(log.entry_rows, at, leaf=b"x")

    report = await check(log, max_faults=7)

    assert (len(report.faults), report.complete, report.clean) == (7, False, False)


async def test_a_log_that_grows_meanwhile_is_clean_up_to_where_it_was():
    """The writer commits a batch while the pass is under way; its one-time ids are no extra ones."""
    log = make_log()

    def commit_another(_leaves):
        log.append(make_calls(600, log.frontier.size))

    report = await check(log, progress=commit_another)

    assert (report.clean, report.leaves) == (True, sum(SIZES))
    assert log.frontier.size > sum(SIZES)


async def test_progress_is_told_page_by_page():
    told = []

    await check(make_log([4500] * 2), progress=told.append)

    assert told == [4096, 8192, 9000]


# Erasures -----------------------------------------------------------------------------------------------------------


def mark(log, arguments: bytes, **members) -> int:
    """Append the mark of an erasure, and keep what it says; return its index."""
    index = log.frontier.size
    commitment = seal(salt_of(index), Committed.ARGS, arguments).commitment
    values = {"kind": LeafKind.ERASURE, "op": ERASE, "partner": None, "id": None, "req_id": None, "purpose": None}
    log.append([make_leaf(index, args_c=commitment, **(values | members))])
    log.plaintexts[index] = render_plaintext(answer=None, arguments=arguments)
    return index


async def test_an_erasure_that_is_on_record_is_no_fault():
    """The mark decides, in several ranges, and with a mark of another day."""
    log = make_log()
    log.secret_rows |= dict.fromkeys([5, *range(300, 310), 700])
    mark(log, render_erasure([(5, 5), (300, 304)]))
    mark(log, render_erasure([(305, 309), (700, 700)]))

    assert (await check(log)).clean


@pytest.mark.parametrize(
    ("missing", "erased", "faults"),
    [
        (range(300, 310), [(300, 308)], ["secret_missing 309"]),
        (range(300, 310), [(301, 309)], ["secret_missing 300"]),
        (
            range(300, 310),
            [(302, 303), (306, 307)],
            ["secret_missing 300-301", "secret_missing 304-305", "secret_missing 308-309"],
        ),
        (range(300, 305), [(299, 306)], ["secret_not_erased 299", "secret_not_erased 305-306"]),
        ([], [(7, 9)], ["secret_not_erased 7-9"]),
    ],
)
async def test_an_erasure_explains_what_it_names_and_nothing_else(missing, erased, faults):
    log = make_log()
    log.secret_rows |= dict.fromkeys(missing)
    mark(log, render_erasure(erased))

    report = await check(log)

    assert [f"{fault.code} {fault.where}" for fault in report.faults] == faults


@pytest.mark.parametrize(
    ("arguments", "members"),
    [
        (b'{"leaves":[[300,299]]}', {}),
        (b'{"leaves":[[300,301],[301,302]]}', {}),
        (b'{"leaves":[]}', {}),
        (b'{"leaves":[[300,5000]]}', {}),  # of leaves that were not there yet
        (b'{"leaves":"all"}', {}),
        (b"[]", {}),
    ],
)
async def test_a_mark_that_says_nothing_clear_excuses_nothing(arguments, members):
    log = make_log()
    log.secret_rows[300] = None
    index = mark(log, arguments, **members)

    report = await check(log)

    assert report.faults == (
        LogFault(FaultCode.ERASURE_UNREADABLE, str(index)),
        LogFault(FaultCode.SECRET_MISSING, "300"),
    )


async def test_a_partner_cannot_excuse_a_missing_secret():
    """Neither the operation's name in a partner's leaf nor a mark whose own secret is gone counts."""
    log = make_log()
    log.secret_rows[300] = None
    index = mark(log, render_erasure([(300, 300)]), kind=LeafKind.QUERY)
    gone = mark(log, render_erasure([(300, 300)]))
    log.secret_rows[gone] = None

    told = [f"{fault.code} {fault.where}" for fault in (await check(log)).faults]

    assert index < gone
    assert told == [f"erasure_unreadable {gone}", "secret_missing 300", f"secret_missing {gone}"]


# What this host cannot open -----------------------------------------------------------------------------------------


async def test_another_sealing_key_is_one_fault_that_says_so():
    log = make_log()
    other = Sealer({1: Secret(b"\x09" * 32)}, current=1)

    report = await check(log, sealer=other)

    assert report.faults == (LogFault(FaultCode.SEALING_KEY, "1"),)
    assert (report.secrets, report.unopened) == (0, sum(SIZES))


async def test_a_shallow_pass_says_how_many_secrets_it_left_closed():
    report = await check(make_log(), shallow=True)

    assert (report.clean, report.secrets, report.unopened) == (True, 0, sum(SIZES))


async def test_a_key_that_was_destroyed_is_no_fault():
    """All that an earlier key sealed is erased with it; its number is one that this host has had."""
    log = make_log()
    later = Sealer({2: Secret(b"\x05" * 32)}, current=2)

    report = await check(log, sealer=later)

    assert (report.clean, report.unopened) == (True, sum(SIZES))


# Days of one-time ids -----------------------------------------------------------------------------------------------


async def test_a_day_that_is_over_may_be_gone():
    """Partitions end by their clock, oldest first: what they held is not missed."""
    log = make_log()
    log.request_rows.clear()
    log.days[:] = [BEGAN.date() + DAY, BEGAN.date() + 2 * DAY, BEGAN.date() + 3 * DAY]

    assert (await check(log, today=BEGAN.date() + 3 * DAY)).clean


async def test_more_ids_than_fit_at_once_are_compared_in_parts():
    log = make_log([3000])
    check_ids = RequestCheck(reader=log, faults=Faults(), today=TODAY, ids_at_once=50)
    for row in log.entry_rows:
        check_ids.saw(row.leaf_index, decode_leaf(row.leaf), None)
    drop_request(log)
    add_request(log)

    await check_ids.compare(3000)
    check_ids.close()

    assert [fault.code for fault in check_ids.faults.found] == [FaultCode.REQUEST_MISSING, FaultCode.REQUEST_EXTRA]
    assert check_ids.compared == 3000


async def test_the_id_of_an_assertion_is_claimed_too():
    log = make_log()
    log.append([make_leaf(9000, assert_id="cd" * 16)])
    log.request_rows = [row for row in log.request_rows if row.req_id != b"\xcd" * 16]

    assert (await check(log)).faults == (LogFault(FaultCode.REQUEST_MISSING, str(sum(SIZES))),)


# Partners, keys, idempotency keys -----------------------------------------------------------------------------------

THUMB = "k" * 43
PARTNER = {
    "client_id": "one",
    "name": "一",
    "partner_id": "prt_1",
    "purposes": ["risk"],
    "scopes": ["verifications"],
    "sector": "s",
    "state": "active",
}
KEY = {
    "alg": "ES256",
    "created_ms": 1,
    "jwk": {"kty": "EC"},
    "kid": "mine",
    "not_before_ms": 1,
    "partner_id": "prt_1",
    "purpose": "client-auth",
    "retire_at_ms": None,
    "revoked_ms": None,
    "state": "active",
    "thumbprint": THUMB,
}
ENDED = {"revoked_ms": 9, "state": "compromised"}


def act(log, operation: str, said: dict | None, **members) -> None:
    """Append an operator's act with its plaintext."""
    index = log.frontier.size
    arguments = canonical_json(said)
    commitment = seal(salt_of(index), Committed.ARGS, arguments).commitment
    kind = LeafKind.PARTNER if operation == "partner.add" else LeafKind.KEY
    values = {"kind": kind, "op": operation, "id": None, "req_id": None, "purpose": None}
    values["cred"] = None if said is None else said.get("thumbprint")
    log.append([make_leaf(index, args_c=commitment, **(values | members))])
    log.plaintexts[index] = render_plaintext(answer=None, arguments=arguments)


def call(log, cred=THUMB, **members) -> None:
    log.append([make_leaf(log.frontier.size, cred=cred, **members)])


@pytest.fixture
def town() -> MemoryLog:
    """A log with a partner, its key and two calls: leaves 0 to 3."""
    log = MemoryLog()
    act(log, "partner.add", PARTNER)
    act(log, "key.add", KEY)
    salt = salt_of(2)
    commitments = {
        "ans_c": seal(salt, Committed.ANS, b"{}").commitment,
        "args_c": seal(salt, Committed.ARGS, b"{}").commitment,
        "idem_c": seal(salt, Committed.IDEM, KEY_HASH).commitment,
    }
    call(log, **commitments)
    log.plaintexts[2] = render_plaintext(answer=b"{}", arguments=b"{}")
    call(log)
    log.partner_rows, log.key_rows = {"prt_1": PARTNER}, {THUMB: KEY}
    return log


def revoke(log) -> None:
    act(log, "key.revoke", KEY | ENDED)


async def test_partners_and_keys_that_were_brought_on_are_clean(town):
    revoke(town)
    call(town, kind=LeafKind.DENY, decision="deny:revoked", id=None, req_id=None)
    town.key_rows[THUMB] = KEY | ENDED

    assert (await check(town)).faults == ()


async def test_an_operator_at_work_meanwhile_is_no_fault(town):
    """Rows change with their leaves while the log is read: before the walk a key is live, after it ended, or brought on."""

    def work(_leaves):
        revoke(town)
        town.key_rows[THUMB] = KEY | ENDED
        other = KEY | {"thumbprint": "y" * 43, "kid": "other"}
        act(town, "key.add", other)
        town.key_rows["y" * 43] = other

    assert (await check(town, progress=work)).faults == ()


def add_partner(log):
    log.partner_rows["prt_2"] = PARTNER | {"partner_id": "prt_2", "client_id": "two"}


def drop_partner(log):
    log.partner_rows.clear()


def partner_column(**changes):
    def spoil(log):
        log.partner_rows["prt_1"] = PARTNER | changes

    spoil.__name__ = "partner_" + next(iter(changes))
    return spoil


def key_column(**changes):
    def spoil(log):
        log.key_rows[THUMB] = KEY | changes

    spoil.__name__ = "key_" + next(iter(changes))
    return spoil


def add_key(log):
    log.key_rows["x" * 43] = KEY | {"thumbprint": "x" * 43}


def drop_key(log):
    log.key_rows.clear()


def use_unknown_key(log):
    call(log, cred="x" * 43)


def use_ended_key(log):
    revoke(log)
    log.key_rows[THUMB] = KEY | ENDED
    call(log)


def use_key_before_it_is_registered(log):
    other = KEY | {"thumbprint": "x" * 43}
    call(log, cred="x" * 43)
    act(log, "key.add", other)
    log.key_rows["x" * 43] = other


def hide_what_an_act_said(log):
    """The sealed text of a registration is empty: only who holds the sealing key can."""
    log.plaintexts[1] = b""


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (add_partner, "partner_unregistered prt_2"),
        (drop_partner, "partner_missing prt_1"),
        (partner_column(purposes=["complaint", "risk"]), "partner_row prt_1 purposes"),
        (partner_column(name="二"), "partner_row prt_1 name"),
        (partner_column(state="suspended"), "partner_row prt_1 state"),
        (add_key, "key_unregistered " + "x" * 43),
        (drop_key, f"key_missing {THUMB}"),
        (key_column(partner_id="prt_2"), f"key_row {THUMB} partner_id"),
        (key_column(jwk={"kty": "OKP"}), f"key_row {THUMB} jwk"),
        (key_column(jwk=None), f"key_row {THUMB} jwk"),
        (key_column(state="retired"), f"key_row {THUMB} state"),
        (revoke, f"key_row {THUMB} revoked_ms state"),
        (use_unknown_key, "credential_unregistered 4"),
        (use_ended_key, "credential_revoked 5"),
        (use_key_before_it_is_registered, "credential_unregistered 4"),
        (hide_what_an_act_said, "act_unreadable 1"),
    ],
    ids=lambda part: getattr(part, "__name__", ""),
)
async def test_partners_and_keys_come_from_their_leaves(town, spoil, fault):
    spoil(town)

    report = await check(town)

    assert [f"{one.code} {one.where}" for one in report.faults] == [fault]


KEY_HASH = b"\x01" * 32


def keep_key(log, **changes) -> None:
    """Add an idempotency key of leaf 2."""
    values = {
        "partner_id": "prt_1",
        "operation": "verify",
        "key_hash": KEY_HASH,
        "body_hash": hashlib.sha256(b"{}").digest(),
        "verification_id": "ver_2",
        "created_ms": 1_767_268_800_000,
        "leaf": log.entry_rows[2].leaf,
    }
    secret_row = log.secret_of(2, log.plaintexts.get(2, b""))
    found = {"salt": secret_row.salt, "key_id": 1, "sealed": secret_row.sealed}
    log.idempotency_rows.append(StoredIdempotency(**(values | found | changes)))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"leaf": None, "salt": None}, "idempotency_leaf"),
        ({"partner_id": "prt_2"}, "idempotency_leaf"),
        ({"operation": "other"}, "idempotency_leaf"),
        ({"verification_id": "ver_3"}, "idempotency_leaf"),
        ({"created_ms": 1_767_268_800_001}, "idempotency_leaf"),
        ({"key_hash": b"\x02" * 32}, "idempotency_leaf"),
        ({"body_hash": b"\x02" * 32}, "idempotency_body"),
    ],
)
async def test_an_idempotency_key_is_of_its_leaf(town, changes, code):
    keep_key(town, **changes)

    report = await check(town)

    assert [fault.code for fault in report.faults] == ([] if code is None else [code])


async def test_what_guards_the_tables_is_reported():
    log = make_log()
    log.deviation_rows = [(deviation, deviation.value) for deviation in Deviation]
    log.stray_rows = [(Stray.ENTRY, 5000), (Stray.SECRET, -1)]

    told = [f"{fault.code} {fault.where}" for fault in (await check(log)).faults]

    assert told == [
        "safeguard_changed changed",
        "safeguard_missing missing",
        "safeguard_unknown unknown",
        "triggers_off triggers_off",
        "entry_stray 5000",
        "secret_stray -1",
    ]


def test_every_fault_has_its_sentence():
    assert set(FAULTS) == {code.value for code in FaultCode}
