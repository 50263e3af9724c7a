"""A strict in-memory ``LogStore``: asserts its caller's duties and fails on demand, in both forms.

Kept honest by ``tests/contract``, which runs one suite on this fake and on PostgreSQL.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from gateway.audit.batch_mac import TreePoint
from gateway.audit.merkle import EMPTY_FRONTIER, Frontier, FullTile
from gateway.audit.ports import Admission, Batch, BatchRefused, CommitUnknown, Head, PendingEntry, Rider, StoreFailed

DAY_MS = 86_400_000


class MemoryLogStore:
    """One log in memory. ``live`` holds the credentials that may commit. ``fault(step)`` may raise before or after a step."""

    def __init__(self, live: set[str] | None = None) -> None:
        self.live = live if live is not None else set()
        self.frontier: Frontier = EMPTY_FRONTIER
        self.root = EMPTY_FRONTIER.root
        self.entries: list[PendingEntry] = []
        self.tiles: dict[tuple[int, int], FullTile] = {}
        self.batches: list[tuple[int, bytes]] = [(0, self.root)]
        self.macs: dict[int, bytes] = {}  # by the size a batch ended at
        self.claimed: set[tuple[dt.date, bytes]] = set()
        self.idempotency: dict[tuple[str, str, bytes], tuple[int, str]] = {}
        self.moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        self.commits = 0
        self.poison: set[bytes] = set()  # leaves that the store cannot take
        self.before: Callable[[str], None] = lambda _step: None
        self.after: Callable[[str], None] = lambda _step: None
        self._busy = False

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[_Transaction]:
        assert not self._busy, "one transaction at a time"
        self.before("begin")
        self._busy = True
        try:
            yield _Transaction(self)
        finally:
            self._busy = False

    async def settle(self, size: int, root: bytes) -> bool:
        self.before("settle")
        return (size, root) in self.batches

    def step(self, name: str) -> None:
        self.before(name)


class _Transaction:
    def __init__(self, store: MemoryLogStore) -> None:
        self._store = store
        self._admitted = self._ended = False
        self._claims: set[tuple[dt.date, bytes]] = set()
        self._keys: dict[tuple[str, str, bytes], tuple[int, str]] = {}
        self._batch: Batch | None = None

    async def enter(self, entries: Sequence[PendingEntry]) -> tuple[Head, Admission]:
        assert not self._admitted, "once a transaction"
        self._store.before("enter")
        self._admitted = True
        live = frozenset(
            entry.credential
            for entry in entries
            if entry.credential is not None and entry.credential in self._store.live
        )
        claimed: set[bytes] = set()
        admitted = [entry for entry in entries if entry.credential is None or entry.credential in live]
        for claim in (claim for entry in admitted for claim in entry.claims):
            key = (claim.day, claim.digest)
            if key not in self._store.claimed and key not in self._claims:
                self._claims.add(key)
                claimed.add(claim.digest)
        reserved = self._reserve(entries, claimed, live)
        self._store.after("enter")
        before = TreePoint(*self._store.batches[-2]) if len(self._store.batches) > 1 else None
        mac = self._store.macs.get(self._store.frontier.size)
        head = Head(self._store.frontier, self._store.root, self._store.moment, before, mac)
        return head, Admission(frozenset(claimed), live, reserved)

    def _reserve(self, entries: Sequence[PendingEntry], claimed: set[bytes], live: frozenset[str]) -> frozenset[str]:
        reserved: set[str] = set()
        seen: set[tuple[str, str, bytes]] = set()
        spent: set[bytes] = set()
        for entry in entries:
            claim = entry.idempotency
            if claim is None or not entry.claims:
                continue
            key = (claim.partner_id, claim.operation, claim.key_hash)
            if entry.claims[0].digest in spent:
                continue
            spent.add(entry.claims[0].digest)
            if key in seen:
                continue
            seen.add(key)
            if entry.claims[0].digest not in claimed or entry.credential not in live:
                continue
            kept = self._store.idempotency.get(key)
            if kept is None or kept[0] < claim.created_ms - DAY_MS:
                self._keys[key] = (claim.created_ms, claim.verification_id)
                reserved.add(claim.verification_id)
        return frozenset(reserved)

    async def full_tile(self, level: int, index: int) -> bytes:
        assert self._admitted
        found = self._store.tiles.get((level, index))
        return b"" if found is None else found.hashes

    async def leaf_hashes(self, first: int, count: int) -> Sequence[bytes]:
        assert self._admitted
        return [entry.leaf_hash for entry in self._store.entries[first : first + count]]

    async def tile_roots(self, level: int, first: int, count: int) -> Sequence[bytes]:
        assert self._admitted
        return [self._store.tiles[level, index].root for index in range(first, first + count)]

    async def ride(self, rider: Rider) -> None:
        assert self._admitted
        await rider.ride(self._store)

    async def append(self, batch: Batch) -> None:
        assert self._admitted, "append needs enter"
        assert self._batch is None
        assert batch.head.root == self._store.root, "compare-and-swap"
        self._store.before("append")
        if any(entry.leaf in self._store.poison for entry in batch.entries):
            raise BatchRefused("22021")
        self._batch = batch
        self._store.after("append")

    async def commit(self) -> None:
        assert not self._ended
        self._store.before("commit")
        self._ended = True
        self._apply()
        self._store.after("commit")

    def _apply(self) -> None:
        store = self._store
        store.commits += 1
        store.claimed |= self._claims
        store.idempotency |= self._keys
        if self._batch is None:
            return
        store.entries += self._batch.entries
        store.tiles |= {(tile.level, tile.index): tile for tile in self._batch.tiles}
        store.frontier, store.root = self._batch.growth.after, self._batch.growth.root
        store.batches.append((store.frontier.size, store.root))
        store.macs[store.frontier.size] = self._batch.mac


class Once:
    """A fault that happens once, at one step: ``failed`` before it took effect, or after it did."""

    def __init__(self, step: str, error: Exception | None = None) -> None:
        self.step = step
        self.error = error or (CommitUnknown("lost") if step == "commit" else StoreFailed("lost"))
        self.fired = False

    def __call__(self, step: str) -> None:
        if step == self.step and not self.fired:
            self.fired = True
            raise self.error
