"""The public face of the log: checkpoint, tiles and proofs, for anyone.

Source: C2SP tlog-checkpoint, tlog-tiles, tlog-proof. Entry bundles are not public: a leaf names partner and purpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Final, Protocol

from gateway.audit.batch_mac import ClaimedTree, TreePoint
from gateway.audit.readers import StoredHead
from gateway.audit.tiles import StoredTree, TileAddress
from gateway.verification.ports import Archive


class ProofRenderer(Protocol):
    """Signs what this host has proven, and nothing else (``gateway.audit.guardian``)."""

    def trusted(self) -> TreePoint:
        """Return a tree that a head read after this call cannot be behind."""
        ...

    async def compare(self, head: StoredHead, trusted: TreePoint) -> None:
        """Return if a head grows out of what this host has vouched for."""
        ...

    async def checkpoint(self, tree: ClaimedTree) -> str:
        """Return the signed checkpoint of a tree."""
        ...

    async def render(self, index: int, tree: ClaimedTree, path: Sequence[bytes]) -> str:
        """Return the tlog-proof text of one leaf."""
        ...

    def noticing_contradictions(self) -> AbstractContextManager[None]:
        """Turn stored hashes that contradict the head, found in this block, into a doubt."""
        ...


class LogFace:
    """Answers what monitors and verifiers ask of the log. While the log is doubted, only stored hashes are told, nothing is signed."""

    def __init__(self, archive: Archive, proofs: ProofRenderer) -> None:
        self._archive: Final = archive
        self._proofs: Final = proofs
        self._latest: tuple[TreePoint, str] | None = None  # owned by the event loop's thread

    async def checkpoint(self) -> str:
        """Return the signed checkpoint of the present head."""
        tree = (await self._proven_head()).tree
        if self._latest is None or self._latest[0] != tree.point:
            self._latest = (tree.point, await self._proofs.checkpoint(tree))
        return self._latest[1]

    async def tile(self, level: int, index: int, width: int) -> bytes:
        """Return ``width`` hashes of a tile (256: the full tile); ``NOT_FOUND`` where the log is not that large."""
        head = await self._archive.head()
        with self._proofs.noticing_contradictions():
            return await StoredTree(self._archive, head.size).tile(TileAddress(level=level, index=index, width=width))

    async def inclusion(self, index: int, size: int | None) -> str:
        """Return the tlog-proof of one leaf in the tree of ``size`` leaves, by default the present head."""
        head = await self._proven_head()
        stored = StoredTree(self._archive, head.size)
        wanted = head.size if size is None else size
        with self._proofs.noticing_contradictions():
            path = await stored.inclusion(index, wanted)
            # A size at which no batch ended is the past of the head, and proven as such before it is signed.
            tree = head.tree if wanted == head.size else ClaimedTree(TreePoint(wanted, await stored.root(wanted)))
        return await self._proofs.render(index, tree, path)

    async def consistency(self, old: int, new: int) -> Sequence[bytes]:
        """Return the hashes that prove the tree of ``old`` leaves to be a prefix of the tree of ``new`` (RFC 9162 2.1.4)."""
        head = await self._archive.head()
        with self._proofs.noticing_contradictions():
            return await StoredTree(self._archive, head.size).consistency(old, new)

    async def look(self) -> None:
        """Compare the head with what this host has signed, so that a doubt shows even while nobody asks anything."""
        await self._proven_head()

    async def _proven_head(self) -> StoredHead:
        trusted = self._proofs.trusted()
        head = await self._archive.head()
        await self._proofs.compare(head, trusted)
        return head
