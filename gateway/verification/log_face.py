"""The public face of the log: checkpoint, tiles and proofs, for anyone.

Source: C2SP tlog-checkpoint, tlog-tiles, tlog-proof. Entry bundles are not public: a leaf names partner and purpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from gateway.audit.tiles import StoredTree, TileAddress
from gateway.verification.ports import Archive


class ProofRenderer(Protocol):
    """Signs a committed root and renders proofs against it."""

    def checkpoint(self, size: int, root: bytes) -> str:
        """Return the signed checkpoint of a committed size and root."""
        ...

    def render(self, index: int, size: int, root: bytes, path: Sequence[bytes]) -> str:
        """Return the tlog-proof text of one leaf."""
        ...


class LogFace:
    """Answers what monitors and verifiers ask of the log."""

    def __init__(self, archive: Archive, proofs: ProofRenderer) -> None:
        self._archive: Final = archive
        self._proofs: Final = proofs
        self._latest: tuple[int, str] | None = None  # owned by the event loop's thread

    async def checkpoint(self) -> str:
        """Return the signed checkpoint of the present head."""
        head = await self._archive.head()
        if self._latest is None or self._latest[0] != head.size:
            self._latest = (head.size, self._proofs.checkpoint(head.size, head.root))
        return self._latest[1]

    async def tile(self, level: int, index: int, width: int) -> bytes:
        """Return ``width`` hashes of a tile (256: the full tile); ``NOT_FOUND`` where the log is not that large."""
        head = await self._archive.head()
        return await StoredTree(self._archive, head.size).tile(TileAddress(level=level, index=index, width=width))

    async def inclusion(self, index: int, size: int | None) -> str:
        """Return the tlog-proof of one leaf in the tree of ``size`` leaves, by default the present head."""
        head = await self._archive.head()
        tree = StoredTree(self._archive, head.size)
        wanted = head.size if size is None else size
        path = await tree.inclusion(index, wanted)
        root = head.root if wanted == head.size else await tree.root(wanted)
        return self._proofs.render(index, wanted, root, path)

    async def consistency(self, old: int, new: int) -> Sequence[bytes]:
        """Return the hashes that prove the tree of ``old`` leaves to be a prefix of the tree of ``new`` (RFC 9162 2.1.4)."""
        head = await self._archive.head()
        return await StoredTree(self._archive, head.size).consistency(old, new)
