"""The guardian of a log: extends and signs only what this host has proven. The owner of the database must not be able to use us.

Whoever owns the database can show each process any rows at any moment: an older copy, a fork, leaves that nobody logged. What they
cannot make is a batch with a valid MAC (``batch_mac``) or a tree that is consistent with one this host has signed and is not its past or
its future. So:

1. **Before a batch is appended**, under the lock of the head (``admit``): the frontier makes the head's root; the batch that the head rests
   on has its MAC; the last tree that this host has vouched for (``guard``) is a prefix of the head. Usually that tree is the head, or the
   tree before its last batch, which the MAC ties to it; otherwise a consistency proof from the rows shows it (self-verifying, a logarithm).
2. **After COMMIT, before answers leave** (``prove``): the new tree is compared with the guard once more, because another process of this
   host may have signed meanwhile; then the guard advances by compare-and-swap, then the checkpoint is signed.
3. **For everything else that is signed** (``checkpoint``, ``render``): a tree below the guard's last must be its prefix, shown by a
   consistency proof; one above it needs the MAC of its batch and the proof, and moves the guard.
4. **Whatever contradicts** becomes a doubt in the guard: sticky, seen by every process of the host, refused as ``store_unavailable``.

Not for: what a leaf says, how rows are read (``readers``), how the guard is kept (``gateway.guard``).
Source: RFC 9162 sections 2.1.4.1 and 2.1.4.2; c2sp.org/tlog-checkpoint: a log must not sign a checkpoint that is inconsistent with any that
it signed before.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Never

from gateway.audit.batch_mac import BatchMac, ClaimedTree, TreePoint
from gateway.audit.checkpoint import CheckpointSigner
from gateway.audit.guard import Doubt, DoubtObserver, Guard, GuardState, refuse
from gateway.audit.merkle import EMPTY_ROOT, LOG_CONTRADICTS_HEAD, Growth
from gateway.audit.ports import Batch, Head, StoreFailed
from gateway.audit.proofs import ProofError, verify_consistency
from gateway.audit.readers import StoredHead, TileReader
from gateway.audit.tiles import StoredTree
from gateway.audit.tlog_proof import render_batch_proofs, render_tlog_proof
from gateway.base.errors import ErrorKind, GatewayError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_REMEMBERED: Final = 1024
"""Earlier trees that a process remembers as proven, so that an answer read twice is proven once; 100 bytes each."""
_PAUSE_S: Final = 0.001


class LogGuardian:
    """Vouches for one log as one host. Used by one process on one event loop.

    ``patience_s`` is for winning the guard's compare-and-swap: a loss means that another process of the host has signed, or that the
    machine does not let one run in the middle of it.
    """

    patience_s = 5.0

    def __init__(
        self, signer: CheckpointSigner, mac: BatchMac, guard: Guard, tiles: TileReader, observer: DoubtObserver
    ) -> None:
        self._signer: Final = signer
        self._mac: Final = mac
        self._guard: Final = guard
        self._tiles: Final = tiles
        self._observer: Final = observer
        # Both owned by the event loop's thread. The tree of the guard that the head being extended was proven against:
        self._admitted_from: TreePoint | None = None
        # Trees proven to be prefixes of what this host vouches for, oldest first:
        self._proven: Final[OrderedDict[TreePoint, None]] = OrderedDict()

    def state(self) -> GuardState:
        """Return what this host has vouched for, and its doubt."""
        return self._guard.read()

    def trusted(self) -> TreePoint:
        """Return the last tree vouched for: a head read after this call must not be smaller. Raises the refusal of a doubt."""
        return self._trusted().last

    # The audit commit ----------------------------------------------------------------------------------------------

    async def admit(self, head: Head, trusted: TreePoint, tiles: TileReader) -> None:
        """Return if the locked head may be extended; ``tiles`` reads in the transaction that holds the lock.

        ``trusted`` was the last tree vouched for before the lock was asked for: a head behind it was taken back. A head that is only
        behind what is vouched for now is no contradiction: the server has ended our transaction meanwhile, because this process did not
        run, and others went on.

        Raises:
            GatewayError: ``STORE_UNAVAILABLE`` with a doubt as its reason.
            StoreFailed: the lock is lost; the transaction must be tried again.
        """
        state = self._trusted()
        point = TreePoint(head.frontier.size, head.root)
        if head.frontier.root != head.root:
            self._doubt(Doubt.CONTRADICTS_HEAD, point, state)
        if trusted.size <= point.size < state.last.size:
            raise StoreFailed("head_lock_lost")
        await self._grows(state, ClaimedTree(point, head.before, head.mac), tiles)
        self._admitted_from = state.last

    def mac(self, growth: Growth) -> bytes:
        """Return the MAC of a batch about to be inserted."""
        before = TreePoint(growth.before.size, growth.before.root)
        return self._mac.make(before, TreePoint(growth.after.size, growth.root))

    async def prove(self, batch: Batch) -> Sequence[str]:
        """Return the tlog-proof of each entry of a durable batch, in order. HOT: one signature a batch.

        Raises:
            GatewayError: as ``admit``. The leaves stay; no answer may leave.
        """
        growth = batch.growth
        await self.vouch_for_batch(batch)
        return render_batch_proofs(growth, self._signer.sign(growth.after.size, growth.root))

    async def vouch_for_batch(self, batch: Batch) -> None:
        """Compare a durable batch with what this host has vouched for meanwhile, and vouch for it. Raises as ``admit``."""
        before = TreePoint(batch.growth.before.size, batch.head.root)
        after = TreePoint(batch.growth.after.size, batch.growth.root)
        async for state in self._attempts():
            if state.last.size >= after.size:  # another process of this host has signed a later tree already
                await self._is_past(state, after, self._tiles)
                return
            if state.last not in (before, self._admitted_from):
                if state.last.size > before.size:  # inside our batch, where no batch can end
                    self._doubt(Doubt.FORKED, after, state)
                await self._is_prefix(state, state.last, before, self._tiles)
            if self._guard.advance(state.last, before, after):
                return

    # Everything else that is signed --------------------------------------------------------------------------------

    async def checkpoint(self, tree: ClaimedTree) -> str:
        """Return the signed checkpoint of a tree that rows claim, once it is proven. Raises as ``admit``."""
        await self.vouch(tree)
        return self._signer.sign(tree.point.size, tree.point.root)

    async def render(self, index: int, tree: ClaimedTree, path: Sequence[bytes]) -> str:
        """Return the tlog-proof of one leaf in a tree that rows claim, once the tree is proven. Raises as ``admit``."""
        return render_tlog_proof(index, path, await self.checkpoint(tree))

    async def vouch(self, tree: ClaimedTree) -> None:
        """Return if a tree is the past of what this host has vouched for, or its authenticated future, which it then vouches for."""
        async for state in self._attempts():
            if tree.point.size <= state.last.size:
                await self._is_past(state, tree.point, self._tiles)
                return
            await self._grows(state, tree, self._tiles)
            if self._guard.advance(state.last, tree.point):
                return

    async def compare(self, head: StoredHead, trusted: TreePoint) -> None:
        """Return if a head is not behind a tree that was trusted before it was read, and grows out of it. Raises as ``admit``."""
        if head.closed:
            self._doubt(Doubt.CLOSED, head.tree.point, self._guard.read())
        if head.size < trusted.size:
            self._doubt(Doubt.ROLLED_BACK, head.tree.point, self._guard.read())
        await self.vouch(head.tree)

    @contextmanager
    def noticing_contradictions(self) -> Iterator[None]:
        """Turn stored hashes that contradict the head, found by whoever reads them in this block, into a doubt."""
        try:
            yield
        except GatewayError as exc:
            if exc.reason == LOG_CONTRADICTS_HEAD:
                self._doubt(Doubt.CONTRADICTS_HEAD, None, self._guard.read())
            raise

    # The comparisons -----------------------------------------------------------------------------------------------

    async def _attempts(self) -> AsyncIterator[GuardState]:
        """Yield the present state until the caller has won its compare-and-swap; refuse when that takes too long, or on a doubt."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + self.patience_s
        while True:
            yield self._trusted()
            if clock() >= deadline:
                raise GatewayError(ErrorKind.STORE_UNAVAILABLE, reason="guard_contended", retry_after_s=1)
            await asyncio.sleep(_PAUSE_S)

    def _trusted(self) -> GuardState:
        state = self._guard.read()
        if state.doubt is not None:
            raise refuse(state.doubt)
        return state

    async def _grows(self, state: GuardState, tree: ClaimedTree, tiles: TileReader) -> None:
        """Return if a tree was appended by a host and grows out of the last one vouched for."""
        point, last = tree.point, state.last
        if point.size < last.size:
            self._doubt(Doubt.ROLLED_BACK, point, state)
        if point == last:
            return
        if point.size == last.size:
            self._doubt(Doubt.FORKED, point, state)
        if tree.before is None or not self._mac.holds(tree.mac, tree.before, point):
            self._doubt(Doubt.UNAUTHENTICATED, point, state)
        if tree.before != last:
            await self._is_prefix(state, last, point, tiles)

    async def _is_past(self, state: GuardState, point: TreePoint, tiles: TileReader) -> None:
        """Return if a tree is a prefix of the last one vouched for."""
        if point in state.points or point in self._proven:
            return
        if point.size == state.last.size:
            self._doubt(Doubt.FORKED, point, state)
        if point.size == 0 and point.root == EMPTY_ROOT:
            return
        await self._is_prefix(state, point, state.last, tiles)
        self._proven[point] = None
        if len(self._proven) > _REMEMBERED:
            self._proven.popitem(last=False)

    async def _is_prefix(self, state: GuardState, old: TreePoint, new: TreePoint, tiles: TileReader) -> None:
        """Return if the rows hold a proof that a tree is a prefix of another; what they say proves itself."""
        if old.size == 0:  # every tree grows out of the empty one
            return
        with self.noticing_contradictions():
            path = await StoredTree(tiles, new.size).consistency(old.size, new.size)
        try:
            verify_consistency(old_size=old.size, old_root=old.root, new_size=new.size, new_root=new.root, path=path)
        except ProofError:
            self._doubt(Doubt.FORKED, new, state)

    def _doubt(self, doubt: Doubt, seen: TreePoint | None, state: GuardState) -> Never:
        if self._guard.doubt(doubt):
            self._observer.log_doubted(doubt, seen, state.points)
        raise refuse(doubt)
