"""The guardian extends and signs only what this host has proven, whatever the rows say."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass, field

import pytest

from gateway.audit.batch_mac import ClaimedTree, TreePoint
from gateway.audit.guard import Doubt
from gateway.audit.guardian import LogGuardian
from gateway.audit.merkle import EMPTY_FRONTIER, Appended, Frontier, leaf_hash
from gateway.audit.ports import Batch, Head, StoreFailed
from gateway.audit.readers import StoredHead
from gateway.audit.tiles import StoredTree
from gateway.base.errors import ErrorKind, GatewayError
from tests.fakes.guard import EMPTY, Doubts, MemoryGuard, make_batch_mac, make_guardian
from tests.fakes.memory_log import MemoryLog, make_leaves

MOMENT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
OTHERS_MAC = make_batch_mac(99)


@dataclass
class Town:
    """One log, one host with one or more guardians over the same guard."""

    log: MemoryLog = field(default_factory=MemoryLog)
    guard: MemoryGuard = field(default_factory=MemoryGuard)
    doubts: Doubts = field(default_factory=Doubts)
    heads: list[Head] = field(default_factory=lambda: [Head(EMPTY_FRONTIER, EMPTY.root, MOMENT)])

    def process(self) -> LogGuardian:
        return make_guardian(self.guard, self.log, self.doubts)

    @property
    def head(self) -> Head:
        return self.heads[-1]

    def commit(self, count: int = 1) -> Batch:
        """Append a batch as a host does, MAC and all, without signing it."""
        first = self.log.frontier.size
        appended = self.log.append(make_leaves(count, first))
        batch = batch_of(self.head, appended)
        self.heads.append(head_after(self.head, appended))
        return batch

    async def answer(self, guardian: LogGuardian, count: int = 1) -> Batch:
        """Admit, commit and prove one batch."""
        await guardian.admit(self.head, self.guard.state.last, self.log)
        batch = self.commit(count)
        await guardian.prove(batch)
        return batch


def point_of(frontier: Frontier) -> TreePoint:
    return TreePoint(frontier.size, frontier.root)


def batch_of(head: Head, appended: Appended) -> Batch:
    mac = make_batch_mac().make(point_of(head.frontier), point_of(appended.frontier))
    return Batch(head=head, growth=appended.growth, entries=(), tiles=appended.tiles, mac=mac, writer="test")


def head_after(head: Head, appended: Appended) -> Head:
    before = point_of(head.frontier)
    mac = make_batch_mac().make(before, point_of(appended.frontier))
    return Head(appended.frontier, appended.root, MOMENT, before, mac)


def claim(head: Head) -> ClaimedTree:
    return ClaimedTree(TreePoint(head.frontier.size, head.root), head.before, head.mac)


def stored(head: Head, *, closed: bool = False) -> StoredHead:
    frontier = head.frontier
    return StoredHead(frontier.size, head.root, frontier.to_bytes(), MOMENT, head.before, head.mac, closed)


async def refused(work) -> str:
    with pytest.raises(GatewayError) as caught:
        await work
    assert caught.value.kind is ErrorKind.STORE_UNAVAILABLE
    return caught.value.reason


# What is right ------------------------------------------------------------------------------------------------------


async def test_a_lone_process_extends_and_signs_without_reading_a_row():
    town = Town()
    guardian = town.process()

    for count in (1, 3, 254, 1, 300):
        await town.answer(guardian, count)

    assert town.guard.state.last == point_of(town.log.frontier)
    assert town.log.tile_reads == []


async def test_two_processes_of_a_host_need_no_rows_in_whatever_order_they_sign():
    town = Town()
    one, two = town.process(), town.process()
    await one.admit(town.head, town.guard.state.last, town.log)
    first = town.commit(5)
    await two.admit(town.head, town.guard.state.last, town.log)
    second = town.commit(7)

    await two.prove(second)
    proofs = await one.prove(first)

    assert len(proofs) == 5
    assert town.guard.state.last.size == 12
    assert town.log.tile_reads == []
    assert town.doubts.said == []


@pytest.mark.parametrize("between", [1, 2, 3, 300])
async def test_batches_of_another_host_in_between_are_proven_from_the_rows(between: int):
    town = Town()
    guardian = town.process()
    await town.answer(guardian, 3)
    for _ in range(between):
        town.commit(2)  # another host, with the same MAC key and a guard of its own

    await town.answer(guardian, 1)

    assert town.guard.state.last == point_of(town.log.frontier)
    assert bool(town.log.tile_reads) is (between > 1)  # one batch in between is tied by its MAC


async def test_an_earlier_tree_is_signed_once_it_is_proven_to_be_the_past():
    town = Town()
    guardian = town.process()
    batches = [await town.answer(guardian, 20) for _ in range(40)]
    late = make_guardian(MemoryGuard(town.guard.state.last), town.log, town.doubts)
    past = point_of(batches[3].growth.after)

    text = await late.checkpoint(ClaimedTree(past))
    reads = len(town.log.tile_reads)
    again = await late.checkpoint(ClaimedTree(past))

    assert text == again
    assert f"\n{past.size}\n" in text
    assert len(town.log.tile_reads) == reads > 0


async def test_a_size_at_which_no_batch_ended_is_the_past_too():
    town = Town()
    guardian = town.process()
    await town.answer(guardian, 100)

    assert "\n37\n" in await guardian.checkpoint(ClaimedTree(TreePoint(37, await StoredTree(town.log, 100).root(37))))


async def test_the_head_of_another_host_is_vouched_for_and_remembered():
    town = Town()
    guardian = town.process()
    await town.answer(guardian, 3)
    town.commit(4)
    town.commit(4)

    await guardian.compare(stored(town.head), guardian.trusted())

    assert town.guard.state.last.size == 11


async def test_a_lost_compare_and_swap_is_tried_again():
    town = Town()
    guardian = town.process()
    town.guard.contended = 3

    await town.answer(guardian)

    assert (town.guard.contended, town.guard.state.last.size) == (0, 1)


async def test_a_guard_that_is_never_won_refuses_and_doubts_nothing():
    town = Town()
    guardian = town.process()
    guardian.patience_s = 0.02
    town.guard.contended = 10**9

    assert await refused(town.answer(guardian)) == "guard_contended"
    assert town.doubts.said == []


# What the owner of the database can do ------------------------------------------------------------------------------


@pytest.fixture
async def town() -> Town:
    made = Town()
    guardian = made.process()
    for count in (5, 250, 40):
        await made.answer(guardian, count)
    return made


def forked(town: Town, *, at: int, mac=None) -> Head:
    """Return the head of a fork that leaves the log after some batches and has a batch of the owner's own."""
    fork = MemoryLog()
    heads = [Head(EMPTY_FRONTIER, EMPTY.root, MOMENT)]
    for head in town.heads[1 : at + 1]:
        appended = fork.append(make_leaves(head.frontier.size - fork.frontier.size, fork.frontier.size))
        heads.append(head_after(heads[-1], appended))
    appended = fork.append([b"never logged %d" % n for n in range(400)])
    town.log = fork
    honest = head_after(heads[-1], appended)
    return honest if mac is None else Head(honest.frontier, honest.root, MOMENT, honest.before, mac)


async def test_an_older_copy_is_not_extended(town: Town):
    assert await refused(town.process().admit(town.heads[-2], town.guard.state.last, town.log)) == Doubt.ROLLED_BACK
    assert town.doubts.said == [Doubt.ROLLED_BACK]


async def test_a_head_that_others_have_left_behind_since_is_no_doubt(town: Town):
    """This process did not run for a while: the server ended its transaction, another process answered and signed."""
    slow, quick = town.process(), town.process()
    trusted, head = slow.trusted(), town.head
    await town.answer(quick)

    with pytest.raises(StoreFailed, match="head_lock_lost"):
        await slow.admit(head, trusted, town.log)

    assert town.doubts.said == []
    await town.answer(slow)


async def test_an_empty_log_in_its_place_is_not_extended(town: Town):
    assert await refused(town.process().admit(town.heads[0], town.guard.state.last, town.log)) == Doubt.ROLLED_BACK


async def test_another_root_of_the_same_size_is_not_extended(town: Town):
    fork = MemoryLog()
    appended = fork.append([b"other %d" % n for n in range(town.head.frontier.size)])
    head = head_after(town.heads[0], appended)

    assert await refused(town.process().admit(head, town.guard.state.last, fork)) == Doubt.FORKED


@pytest.mark.parametrize("mac", [None, b"\x00" * 32, b"", OTHERS_MAC.make(EMPTY, EMPTY)])
async def test_leaves_appended_by_the_owner_are_not_extended(town: Town, mac: bytes | None):
    """The tree is consistent; what is missing is a host that appended it."""
    honest = town.head
    town.commit(1)
    head = Head(town.head.frontier, town.head.root, MOMENT, point_of(honest.frontier), mac)

    assert await refused(town.process().admit(head, town.guard.state.last, town.log)) == Doubt.UNAUTHENTICATED


async def test_the_mac_of_another_batch_authenticates_nothing(town: Town):
    honest = town.head
    town.commit(1)
    head = Head(town.head.frontier, town.head.root, MOMENT, point_of(honest.frontier), honest.mac)

    assert await refused(town.process().admit(head, town.guard.state.last, town.log)) == Doubt.UNAUTHENTICATED


async def test_a_genuine_mac_after_a_batch_that_was_exchanged_is_not_enough(town: Town):
    """A host appended to the fork, deceived (it has no guard of this log); this host signed the other branch."""
    head = forked(town, at=1)

    assert await refused(town.process().admit(head, town.guard.state.last, town.log)) == Doubt.FORKED


async def test_a_frontier_that_does_not_make_the_root_is_not_extended(town: Town):
    frontier = town.head.frontier
    changed = Frontier(frontier.size, (bytes(32), *frontier.peaks[1:]))
    head = Head(changed, town.head.root, MOMENT, town.head.before, town.head.mac)

    assert await refused(town.process().admit(head, town.guard.state.last, town.log)) == Doubt.CONTRADICTS_HEAD


async def test_rows_that_are_missing_for_the_proof_are_a_contradiction(town: Town):
    guardian = town.process()
    town.commit(2)
    town.commit(2)
    town.log.tile_rows[0].clear()

    assert await refused(guardian.admit(town.head, town.guard.state.last, town.log)) == Doubt.CONTRADICTS_HEAD


async def test_a_head_row_put_there_for_a_second_is_not_signed(town: Town):
    """A tree of one leaf that nobody logged; a receipt of it would verify."""
    fake = MemoryLog()
    appended = fake.append([b"never logged"])
    guardian = make_guardian(town.guard, fake, town.doubts)

    assert await refused(guardian.compare(stored(head_after(town.heads[0], appended)), guardian.trusted())) == (
        Doubt.ROLLED_BACK
    )


async def test_a_root_that_was_exchanged_in_a_batch_row_is_not_signed(town: Town):
    """What an answer read again is proven against comes from rows too."""
    size = town.heads[1].frontier.size
    fresh = make_guardian(MemoryGuard(town.guard.state.last), town.log, town.doubts)

    assert await refused(fresh.checkpoint(ClaimedTree(TreePoint(size, bytes(32))))) == Doubt.FORKED


async def test_a_fork_signed_by_another_process_meanwhile_stops_this_one(town: Town):
    """A second writer on a copy of the data directory: whoever signs first wins, the other finds out before it signs."""
    one, two = town.process(), town.process()
    await one.admit(town.head, town.guard.state.last, town.log)
    await two.admit(town.head, town.guard.state.last, town.log)
    copy = MemoryLog()
    for head in town.heads[1:]:
        copy.append(make_leaves(head.frontier.size - copy.frontier.size, copy.frontier.size))
    on_copy = batch_of(town.head, copy.append([b"only on the copy", b"this too"]))
    on_log = town.commit(2)

    await one.prove(on_log)

    assert await refused(two.prove(on_copy)) == Doubt.FORKED


async def test_a_tree_signed_inside_our_batch_is_a_fork(town: Town):
    one, two = town.process(), town.process()
    await one.admit(town.head, town.guard.state.last, town.log)
    await two.admit(town.head, town.guard.state.last, town.log)
    copy = MemoryLog()
    for head in town.heads[1:]:
        copy.append(make_leaves(head.frontier.size - copy.frontier.size, copy.frontier.size))
    short = batch_of(town.head, copy.append([b"shorter"]))
    long = town.commit(5)

    await two.prove(short)

    assert await refused(one.prove(long)) == Doubt.FORKED


async def test_a_log_that_was_closed_for_its_successor_is_not_signed(town: Town):
    guardian = town.process()

    assert await refused(guardian.compare(stored(town.head, closed=True), guardian.trusted())) == Doubt.CLOSED


# A doubt -------------------------------------------------------------------------------------------------------------


async def test_a_doubt_stays_and_is_said_once(town: Town):
    guardian, other = town.process(), town.process()
    await refused(guardian.admit(town.heads[-2], town.guard.state.last, town.log))

    assert await refused(guardian.admit(town.head, town.guard.state.last, town.log)) == Doubt.ROLLED_BACK
    assert await refused(other.checkpoint(claim(town.head))) == Doubt.ROLLED_BACK
    assert await refused(other.compare(stored(town.head), EMPTY)) == Doubt.ROLLED_BACK
    with pytest.raises(GatewayError):
        other.trusted()
    assert other.state().doubt is Doubt.ROLLED_BACK
    assert town.doubts.said == [Doubt.ROLLED_BACK]


async def test_a_doubt_between_commit_and_signature_lets_no_answer_leave(town: Town):
    guardian = town.process()
    await guardian.admit(town.head, town.guard.state.last, town.log)
    batch = town.commit(3)
    town.guard.doubt(Doubt.FORKED)

    assert await refused(guardian.prove(batch)) == Doubt.FORKED


async def test_what_readers_find_contradictory_is_a_doubt_too(town: Town):
    town.log.tile_rows.clear()
    guardian = town.process()

    with pytest.raises(GatewayError) as caught, guardian.noticing_contradictions():
        await StoredTree(town.log, town.head.frontier.size).inclusion(0, town.head.frontier.size)

    assert caught.value.reason == Doubt.CONTRADICTS_HEAD
    assert town.guard.state.doubt is Doubt.CONTRADICTS_HEAD


async def test_another_refusal_of_a_reader_is_none(town: Town):
    guardian = town.process()

    with pytest.raises(GatewayError) as caught, guardian.noticing_contradictions():
        await StoredTree(town.log, 1).inclusion(7, 8)

    assert caught.value.kind is ErrorKind.NOT_FOUND
    assert town.guard.state.doubt is None


async def test_many_processes_at_once_sign_one_history():
    """Four guardians over one guard, committing in turn and proving in any order."""
    town = Town()
    processes = [town.process() for _ in range(4)]
    waiting: list[asyncio.Task] = []

    for turn in range(40):
        guardian = processes[turn % 4]
        await guardian.admit(town.head, town.guard.state.last, town.log)
        batch = town.commit(1 + turn % 3)
        waiting.append(asyncio.create_task(guardian.prove(batch)))
        if turn % 7 == 6:
            waiting.reverse()
            await asyncio.gather(*waiting)
            waiting.clear()
    await asyncio.gather(*waiting)

    assert town.doubts.said == []
    assert town.guard.state.last == point_of(town.log.frontier)
    leaves = [leaf_hash(row.leaf) for row in town.log.entry_rows]
    assert len(leaves) == town.log.frontier.size
