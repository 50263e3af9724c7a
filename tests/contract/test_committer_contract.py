"""The audit commit keeps its promises on any store: the same suite on the strict fake and on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import msgspec
import pytest

from gateway.audit.merkle import EMPTY_FRONTIER, grow, leaf_hash
from gateway.audit.ports import Committed, LogStore, Refusal, Refused
from gateway.audit.proofs import verify_inclusion
from gateway.audit.tlog_proof import parse_tlog_proof
from gateway.base.codec import b64, parse_b64
from gateway.base.onetime import OneTimeId
from gateway.postgres.log_store import PostgresLogStore
from gateway.postgres.queries import Queries
from tests.conftest import LOG_ID, Database
from tests.fakes.entries import CREDENTIAL, DAY, ORIGIN, make_entry, running
from tests.fakes.guard import make_guardian
from tests.fakes.log_store import MemoryLogStore
from tests.fakes.partners import insert_live_key


@dataclass
class Bench:
    """A store, the way to make its credential live, and what it holds."""

    store: LogStore
    make_live: Callable[[str], Awaitable[None]]
    leaves: Callable[[], Awaitable[list[bytes]]]


@pytest.fixture
def fake_bench() -> Bench:
    fake = MemoryLogStore()

    async def live(thumbprint: str) -> None:
        fake.live.add(thumbprint)

    async def leaves() -> list[bytes]:
        return [entry.leaf for entry in fake.entries]

    return Bench(fake, live, leaves)


@pytest.fixture
async def postgres_bench(database: Database) -> AsyncIterator[Bench]:
    store = PostgresLogStore(lambda: database.connect("gateway_api"), Queries.load("audit"), log_id=LOG_ID)
    admin = await database.connect()

    async def live(thumbprint: str) -> None:
        await insert_live_key(admin, thumbprint)

    async def leaves() -> list[bytes]:
        rows = await admin.fetch("SELECT leaf FROM audit.entry ORDER BY leaf_index")
        return [row["leaf"] for row in rows]

    yield Bench(store, live, leaves)
    await store.close()
    await admin.close()


@pytest.fixture(params=["fake_bench", "postgres_bench"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return request.getfixturevalue(request.param)


async def test_every_committed_entry_has_a_proof_that_leads_to_the_signed_root(bench: Bench) -> None:
    """A receipt's proof verifies against the root of its own checkpoint, for batches that cross a tile boundary too."""
    entries = [make_entry() for _ in range(600)]

    async with running(bench.store, make_guardian()) as committer:
        outcomes = await asyncio.gather(*(committer.submit(entry) for entry in entries))

    assert sorted(outcome.leaf_index for outcome in outcomes) == list(range(600))
    for entry, outcome in zip(entries, outcomes, strict=True):
        proof = parse_tlog_proof(outcome.proof.encode())
        text = proof.checkpoint.decode().split("\n")
        assert (text[0], text[1]) == (ORIGIN, str(outcome.tree_size))
        root = parse_b64(text[2])
        verify_inclusion(
            leaf_hash=entry.leaf_hash, index=outcome.leaf_index, size=outcome.tree_size, path=proof.path, root=root
        )


async def test_the_head_is_the_root_over_all_leaves(bench: Bench) -> None:
    """Many batches from many submitters make one tree, in the order of the indexes."""
    async with running(bench.store, make_guardian()) as committer:
        for size in (1, 3, 254, 1, 1, 255, 2):
            await asyncio.gather(*(committer.submit(make_entry()) for _ in range(size)))
        last = await committer.submit(make_entry())

    leaves = await bench.leaves()
    whole = grow(EMPTY_FRONTIER, [leaf_hash(leaf) for leaf in leaves])
    assert len(leaves) == 518
    assert f"\n{last.tree_size}\n".encode() in last.proof.encode()
    assert b64(whole.root) in last.proof


async def test_the_same_one_time_id_is_taken_once(bench: Bench) -> None:
    """Fifty entries with one id, at once and over several batches: exactly one is committed."""
    claim = b"c" * 16

    async with running(bench.store, make_guardian()) as committer:
        first = await asyncio.gather(*(committer.submit(make_entry(claim=claim)) for _ in range(50)))
        later = await committer.submit(make_entry(claim=claim))

    committed = [outcome for outcome in first if isinstance(outcome, Committed)]
    refused = [outcome for outcome in first if isinstance(outcome, Refused)]
    assert len(committed) == 1
    assert {outcome.reason for outcome in refused} == {Refusal.REPLAYED}
    assert later == Refused(Refusal.REPLAYED, OneTimeId(DAY, claim))
    assert len(await bench.leaves()) == 1


async def test_a_dead_credential_is_refused_in_the_commit(bench: Bench) -> None:
    """An unknown, revoked or suspended credential leaves no leaf; a live one does."""
    await bench.make_live(CREDENTIAL)

    async with running(bench.store, make_guardian()) as committer:
        alive = await committer.submit(make_entry(credential=CREDENTIAL))
        dead = await committer.submit(make_entry(credential="d" * 43))

    assert isinstance(alive, Committed)
    assert dead == Refused(Refusal.REVOKED)
    assert len(await bench.leaves()) == 1


async def test_an_idempotency_key_is_reserved_once(bench: Bench) -> None:
    """Two entries with one key, in one batch or in two: the second is refused and leaves no leaf."""
    await bench.make_live(CREDENTIAL)

    async with running(bench.store, make_guardian()) as committer:
        together = await asyncio.gather(
            *(committer.submit(make_entry(credential=CREDENTIAL, idempotency="once")) for _ in range(2))
        )
        later = await committer.submit(make_entry(credential=CREDENTIAL, idempotency="once"))
        other = await committer.submit(make_entry(credential=CREDENTIAL, idempotency="other"))

    assert [type(outcome) for outcome in together] == [Committed, Refused]
    assert later == Refused(Refusal.IDEMPOTENCY_TAKEN)
    assert isinstance(other, Committed)
    assert len(await bench.leaves()) == 2


async def test_a_replayed_entry_reserves_no_idempotency_key(bench: Bench) -> None:
    """What is refused for replay must not leave a key behind that points at an answer that never was."""
    await bench.make_live(CREDENTIAL)
    claim = b"r" * 16

    async with running(bench.store, make_guardian()) as committer:
        await committer.submit(make_entry(claim=claim, credential=CREDENTIAL))
        await committer.submit(make_entry(claim=claim, credential=CREDENTIAL, idempotency="key"))
        fresh = await committer.submit(make_entry(credential=CREDENTIAL, idempotency="key"))

    assert isinstance(fresh, Committed)


async def test_what_is_refused_burns_no_one_time_id(bench: Bench) -> None:
    """An id is burnt if and only if a leaf names it: not by a dead credential, a lost race, or beside an id that was used before."""
    await bench.make_live(CREDENTIAL)
    used, mine, dead, raced = (bytes([number]) * 16 for number in range(4))
    both = msgspec.structs.replace(make_entry(), claims=(OneTimeId(DAY, used), OneTimeId(DAY, mine)))

    async with running(bench.store, make_guardian()) as committer:
        await committer.submit(make_entry(claim=used, credential=CREDENTIAL, idempotency="key"))
        refused = await asyncio.gather(
            committer.submit(both),
            committer.submit(make_entry(claim=dead, credential="d" * 43)),
            committer.submit(make_entry(claim=raced, credential=CREDENTIAL, idempotency="key")),
        )
        again = await asyncio.gather(*(committer.submit(make_entry(claim=claim)) for claim in (mine, dead, raced)))

    assert [outcome.reason for outcome in refused] == [Refusal.REPLAYED, Refusal.REVOKED, Refusal.IDEMPOTENCY_TAKEN]
    assert all(isinstance(outcome, Committed) for outcome in again)


async def test_those_who_were_with_a_refused_entry_are_committed(bench: Bench) -> None:
    """The transaction that had claimed too much begins again without the one who is refused; the others notice nothing."""
    await bench.make_live(CREDENTIAL)

    async with running(bench.store, make_guardian()) as committer:
        await committer.submit(make_entry(credential=CREDENTIAL, idempotency="key"))
        outcomes = await asyncio.gather(
            *(committer.submit(make_entry()) for _ in range(20)),
            committer.submit(make_entry(credential=CREDENTIAL, idempotency="key")),
            *(committer.submit(make_entry()) for _ in range(20)),
        )

    refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    assert refused == [Refused(Refusal.IDEMPOTENCY_TAKEN)]
    assert sorted(outcome.leaf_index for outcome in outcomes if isinstance(outcome, Committed)) == list(range(1, 41))


async def test_a_replay_in_the_same_batch_reserves_no_idempotency_key(bench: Bench) -> None:
    """Two entries with one proof and two keys: the second leaves no key behind that points at an answer that never was."""
    await bench.make_live(CREDENTIAL)
    claim = b"r" * 16

    async with running(bench.store, make_guardian()) as committer:
        together = await asyncio.gather(
            committer.submit(make_entry(claim=claim, credential=CREDENTIAL, idempotency="one")),
            committer.submit(make_entry(claim=claim, credential=CREDENTIAL, idempotency="two")),
        )
        fresh = await committer.submit(make_entry(credential=CREDENTIAL, idempotency="two"))

    assert [type(outcome) for outcome in (*together, fresh)] == [Committed, Refused, Committed]
