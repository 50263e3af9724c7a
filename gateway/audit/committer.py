"""The audit commit: the one place where an answer becomes provable, and the linearisation point of the gateway.

One writer task a process gathers what waits and commits it as one batch. The procedure, with what is true if the process dies
right after each step:

1. Take a batch from the queue. Leaf bytes and hashes exist already.     Died here: nothing logged, nothing answered.
2. Lock the head row. All writers of all hosts queue behind it.          Died here: the server frees the lock.
   The guardian decides whether this head may be extended at all: rows are claims.
3. Admit: one-time ids are claimed (a replay anywhere in the cluster loses here), credentials are read (a revocation that
   committed before this lock is seen here), idempotency keys are reserved. What is refused leaves the batch; what it had claimed
   leaves with it: then the transaction ends here and begins again without it. So an id is burnt if and only if a leaf names it.
4. Grow the tree in memory from the frontier; read the hashes of a tile only when this batch completes it.
5. Append entries, secrets, tiles, the batch row with its MAC; move the head. Died here: rolled back, the indexes are used again.
6. COMMIT.                                                               Died here: a leaf without an answer; never the reverse.
7. The guardian compares the new root with what this host has signed, signs the checkpoint and builds the proofs; answers leave.
                                                                         A root that could still roll back is never signed.
8. COMMIT unknown: hold the answers, lock the head again and look. Present: go on with 7. Absent: run the batch again. Still
   unknown at the deadline: refuse the callers; a leaf too many is allowed, an answer too many is not.

Not for: what a leaf says (``entry``), how a store does it (``gateway.postgres.log_store``).
Source: RFC 6962 section 2.1; the order "commit, then sign, then answer" follows certificate-transparency practice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from gateway.audit.admission import admit
from gateway.audit.batch_mac import TreePoint
from gateway.audit.merkle import Growth, HashRange
from gateway.audit.ports import (
    Batch,
    BatchRefused,
    Committed,
    CommitUnknown,
    Head,
    LogStore,
    LogTransaction,
    PendingEntry,
    Refused,
    StoreFailed,
)
from gateway.audit.readers import TileReader
from gateway.base.errors import ErrorKind, GatewayError

Outcome: TypeAlias = Committed | Refused

MAX_BATCH: Final = 256
"""Beyond this a bigger batch gains little: the cost becomes linear in the entries."""
RETRY_AFTER_S: Final = 1
PAUSE_AFTER_FAILURE_S: Final = 0.05
"""Between two attempts on a store that fails: long enough not to spin, short against a restart."""


class BatchGuardian(Protocol):
    """Decides what may be extended and signed, and signs it (``gateway.audit.guardian``). Raises ``GatewayError`` to refuse."""

    def trusted(self) -> TreePoint:
        """Return the last tree that this host has vouched for; refuse while there is a doubt."""
        ...

    async def admit(self, head: Head, trusted: TreePoint, tiles: TileReader) -> None:
        """Return if the locked head may be extended; ``trusted`` is from before the lock, ``tiles`` reads under it."""
        ...

    def mac(self, growth: Growth) -> bytes:
        """Return the MAC of a batch about to be inserted."""
        ...

    async def prove(self, batch: Batch) -> Sequence[str]:
        """Return the tlog-proof text of each entry of a durable batch, in order."""
        ...

    def noticing_contradictions(self) -> AbstractContextManager[None]:
        """Turn stored hashes that contradict the head, found in this block, into a doubt."""
        ...


class CommitterMetrics(Protocol):
    """Where the committer says what it does."""

    def batch_committed(self, entries: int, seconds: float) -> None:
        """One batch became durable."""
        ...

    def batch_failed(self, reason: str) -> None:
        """One attempt failed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How the committer gathers, and how long it tries.

    ``linger_s`` is spent only when the last batch shows that requests come in company. ``settle_s`` is how long answers are held while
    the outcome of a COMMIT is unknown, or the store fails.
    """

    queue_limit: int = 2048
    linger_s: float = 0.002
    company: int = 32
    settle_s: float = 8.0


@dataclass(slots=True)
class _Waiting:
    entry: PendingEntry
    outcome: asyncio.Future[Outcome]


class Committer:
    """Commits entries in groups. ``run`` is owned by the process's task group; ``submit`` is called by anyone on the same loop."""

    def __init__(
        self, store: LogStore, guardian: BatchGuardian, metrics: CommitterMetrics, *, writer: str, pace: Pace
    ) -> None:
        self._store: Final = store
        self._guardian: Final = guardian
        self._metrics: Final = metrics
        self._writer: Final = writer
        self._pace: Final = pace
        # Owned by the event loop's thread; `submit` adds at the right, `run` takes from the left.
        self._queue: Final[deque[_Waiting]] = deque()
        self._wake: Final = asyncio.Event()
        self._closing = False
        self._last_batch = 0
        self._failing = False

    @property
    def failing(self) -> bool:
        """Whether the last thing that was to be committed could not be: the store gave up, or refused what is right."""
        return self._failing

    async def submit(self, entry: PendingEntry) -> Outcome:
        """Return when the entry is durable, or why it was not taken.

        Raises:
            GatewayError: ``OVERLOADED`` when the queue is full, ``STORE_UNAVAILABLE`` when durability is in doubt. In both cases
                no answer may leave.
        """
        if self._closing or len(self._queue) >= self._pace.queue_limit:
            raise GatewayError(ErrorKind.OVERLOADED, reason="commit_queue_full", retry_after_s=RETRY_AFTER_S)
        waiting = _Waiting(entry, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._wake.set()
        return await waiting.outcome

    async def run(self) -> None:
        """Commit what is queued until ``close`` was called and the queue is empty."""
        while True:
            if not self._queue:
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            await self._linger()
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), MAX_BATCH))]
            # Whoever gave up (its deadline passed, its client left) before the commit began needs no leaf.
            batch = [waiting for waiting in batch if not waiting.outcome.done()]
            self._last_batch = len(batch)
            for part in _riders_alone(batch):
                await self._commit_group(part)

    def close(self) -> None:
        """Take no more entries; ``run`` returns after the last one."""
        self._closing = True
        self._wake.set()

    async def _linger(self) -> None:
        # A lone caller never waits: only when the last batch had company is it worth letting more arrive. Without this, a
        # moderate load would spend one flush to disk on every two or three answers.
        company = min(self._pace.company, MAX_BATCH)
        if self._last_batch > 1 and len(self._queue) < company and not self._closing:
            await asyncio.sleep(self._pace.linger_s)

    async def _commit_group(self, group: list[_Waiting]) -> None:
        """Commit one group, whatever it takes, and resolve every future in it."""
        deadline = asyncio.get_running_loop().time() + self._pace.settle_s
        while group:
            try:
                group = await self._attempt(group)
            except BatchRefused as exc:
                self._metrics.batch_failed("batch_refused")
                await self._isolate(group, exc)
                return
            except (StoreFailed, CommitUnknown) as exc:
                self._metrics.batch_failed(type(exc).__name__)
                if asyncio.get_running_loop().time() >= deadline:
                    self._failing = True
                    _fail(group, GatewayError(ErrorKind.STORE_UNAVAILABLE, retry_after_s=RETRY_AFTER_S))
                    return
                await asyncio.sleep(PAUSE_AFTER_FAILURE_S)
                group = [waiting for waiting in group if not waiting.outcome.done()]  # whoever gave up needs no leaf
            except GatewayError as refusal:  # a rider said no (riders travel alone), or the guardian did
                _fail(group, refusal)
                return

    async def _isolate(self, group: list[_Waiting], cause: BatchRefused) -> None:
        """Find the entry that the store cannot take, by halves, and fail only that one."""
        if len(group) == 1:
            self._failing = True
            _fail(group, GatewayError(ErrorKind.INTERNAL, reason="entry_refused", facts={"cause": str(cause)}))
            return
        middle = len(group) // 2
        await self._commit_group(group[:middle])
        await self._commit_group(group[middle:])

    async def _attempt(self, group: list[_Waiting]) -> list[_Waiting]:
        """Run steps 2 to 8 once for one group; return those about whom nothing was decided yet."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        refused: dict[int, Refused] = {}
        with self._guardian.noticing_contradictions():
            batch = await self._transact(group, refused)
        for position, refusal in refused.items():
            _resolve(group[position], refusal)
        others = [waiting for position, waiting in enumerate(group) if position not in refused]
        if batch is None:
            return others
        self._failing = False
        self._metrics.batch_committed(len(batch.entries), loop.time() - started)
        await self._release(others, batch)
        return []

    async def _transact(self, group: list[_Waiting], refused: dict[int, Refused]) -> Batch | None:
        """Run steps 2 to 6, and 8 if need be; note by position who was refused. No batch when nothing was committed.

        That is so when everyone was refused, and when somebody was refused whose ids are claimed in this transaction: it ends without
        a trace, and the others come again.
        """
        entries = [waiting.entry for waiting in group]
        trusted = self._guardian.trusted()  # read before the lock is asked for: no head after it may be behind
        async with self._store.begin() as transaction:
            head, admission = await transaction.enter(entries)
            await self._guardian.admit(head, trusted, transaction)
            verdicts = admit(entries, admission)
            if verdicts.wasted or not verdicts.taken:
                refused |= verdicts.wasted or verdicts.refused
                return None
            batch = await self._grow(transaction, head, verdicts.taken)
            try:
                await transaction.commit()
            except CommitUnknown:
                if not await self._settled(batch):
                    raise
        refused |= verdicts.refused
        return batch

    async def _grow(self, transaction: LogTransaction, head: Head, entries: list[PendingEntry]) -> Batch:
        for entry in entries:
            if entry.rider is not None:
                await transaction.ride(entry.rider)
        plan = head.frontier.plan(len(entries))
        earlier = [await _hashes(transaction, wanted) for wanted in plan.missing]
        grown = plan.append([entry.leaf_hash for entry in entries], earlier)
        batch = Batch(
            head=head,
            growth=grown.growth,
            entries=entries,
            tiles=grown.tiles,
            mac=self._guardian.mac(grown.growth),
            writer=self._writer,
        )
        await transaction.append(batch)
        return batch

    async def _settled(self, batch: Batch) -> bool:
        """Find out whether a batch whose COMMIT got no answer is durable; raise ``CommitUnknown`` if that stays unknown."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._pace.settle_s
        while True:
            try:
                return await self._store.settle(batch.growth.after.size, batch.growth.root)
            except StoreFailed as exc:
                if loop.time() >= deadline:
                    reason = "settle_deadline"
                    raise CommitUnknown(reason) from exc
                await asyncio.sleep(PAUSE_AFTER_FAILURE_S)

    async def _release(self, taken: list[_Waiting], batch: Batch) -> None:
        first, size = batch.growth.before.size, batch.growth.after.size
        for offset, (waiting, proof) in enumerate(zip(taken, await self._guardian.prove(batch), strict=True)):
            _resolve(waiting, Committed(first + offset, size, proof))


async def _hashes(tiles: TileReader, wanted: HashRange) -> Sequence[bytes]:
    """Return stored hashes: those of leaves at level 0, roots of full tiles above."""
    if wanted.level == 0:
        return await tiles.leaf_hashes(wanted.first, wanted.count)
    return await tiles.tile_roots(wanted.level - 1, wanted.first, wanted.count)


def _riders_alone(batch: list[_Waiting]) -> list[list[_Waiting]]:
    """Split a batch so that an entry with a rider is alone: a rider may say no, and that must refuse nobody else."""
    parts: list[list[_Waiting]] = []
    plain: list[_Waiting] = []
    for waiting in batch:
        if waiting.entry.rider is None:
            plain.append(waiting)
            continue
        if plain:
            parts.append(plain)
            plain = []
        parts.append([waiting])
    if plain:
        parts.append(plain)
    return parts


def _resolve(waiting: _Waiting, outcome: Outcome) -> None:
    if not waiting.outcome.done():
        waiting.outcome.set_result(outcome)


def _fail(group: Sequence[_Waiting], error: GatewayError) -> None:
    for waiting in group:
        if not waiting.outcome.done():
            waiting.outcome.set_exception(error)
