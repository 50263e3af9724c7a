"""Every step of the audit commit fails in both forms: it failed, and it failed after it happened."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from gateway.audit.merkle import EMPTY_FRONTIER, grow
from gateway.audit.ports import Committed, PendingEntry, Refusal, Refused
from gateway.audit.proofs import verify_inclusion
from gateway.audit.tlog_proof import parse_tlog_proof
from gateway.base.codec import parse_b64
from tests.fakes.entries import make_entry, running
from tests.fakes.guard import make_guardian
from tests.fakes.log_store import MemoryLogStore, Once

STEPS = ("begin", "enter", "append", "commit", "settle")
START_SIZES = (0, 3, 254, 255, 256)


def assert_sound(store: MemoryLogStore, answered: list[tuple[PendingEntry, Committed]]) -> None:
    """Re-derive the whole log from the stored leaves, and check each answer that was given against it."""
    hashes = [entry.leaf_hash for entry in store.entries]
    roots = {0: EMPTY_FRONTIER.root} | {
        size: grow(EMPTY_FRONTIER, hashes[:size]).root for size, _ in store.batches if size
    }
    assert dict(store.batches) == roots
    assert len({entry.leaf for entry in store.entries}) == len(store.entries)
    for entry, outcome in answered:
        assert store.entries[outcome.leaf_index].leaf == entry.leaf
        proof = parse_tlog_proof(outcome.proof.encode())
        root = parse_b64(proof.checkpoint.decode().split("\n")[2])
        assert root == roots[outcome.tree_size]
        verify_inclusion(
            leaf_hash=entry.leaf_hash, index=outcome.leaf_index, size=outcome.tree_size, path=proof.path, root=root
        )


@pytest.mark.parametrize("form", ["failed", "failed_after_happening"])
@pytest.mark.parametrize(("step", "size"), list(itertools.product(STEPS, START_SIZES)))
async def test_a_fault_at_any_step_loses_no_answer_and_answers_nothing_twice(step: str, size: int, form: str) -> None:
    """Four entries meet one fault; all are answered in the end, each with exactly one leaf, and the log is whole."""
    store = MemoryLogStore()
    async with running(store, make_guardian()) as committer:
        if size:
            await asyncio.gather(*(committer.submit(make_entry()) for _ in range(size)))
        fault = Once("commit" if step == "settle" else step)
        if form == "failed":
            store.before = fault
        else:
            store.after = fault
        entries = [make_entry() for _ in range(4)]
        outcomes = await asyncio.gather(*(committer.submit(entry) for entry in entries))
        last = make_entry()
        after = await committer.submit(last)

    assert all(isinstance(outcome, Committed) for outcome in outcomes)
    assert len(store.entries) == size + 5
    assert_sound(store, [*zip(entries, outcomes, strict=True), (last, after)])


async def test_a_lost_commit_reply_does_not_free_the_one_time_id() -> None:
    """COMMIT happened, its reply was lost: the answer leaves once, and the same proof is a replay afterwards."""
    store = MemoryLogStore()
    store.after = Once("commit")
    claim = b"p" * 16

    async with running(store, make_guardian()) as committer:
        first = await committer.submit(make_entry(claim=claim))
        second = await committer.submit(make_entry(claim=claim))

    assert isinstance(first, Committed)
    assert isinstance(second, Refused)
    assert second.reason is Refusal.REPLAYED
    assert len(store.entries) == 1


async def test_a_poisoned_entry_fails_alone() -> None:
    """The store refuses any batch that holds one bad entry: only that one fails, the others are committed."""
    store = MemoryLogStore()
    bad = make_entry()
    entries = [make_entry() for _ in range(9)]
    entries.insert(4, bad)

    store.poison.add(bad.leaf)

    async with running(store, make_guardian()) as committer:
        outcomes = await asyncio.gather(*(committer.submit(entry) for entry in entries), return_exceptions=True)

    assert [isinstance(outcome, Committed) for outcome in outcomes] == [entry is not bad for entry in entries]
    assert len(store.entries) == 9
