"""Showing that stored leaves are in the tree: what tells a leaf of the log from bytes in a row.

For: acts of operators that a decision rests on. Not for: proofs that others read (``log_face``, ``read_back``), and not for what vouches
for the head: that is the guardian.
Source: RFC 9162 section 2.1.3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.audit.merkle import leaf_hash
from gateway.audit.proofs import ProofError, verify_inclusion
from gateway.audit.tiles import StoredTree
from gateway.verification.log_face import ProofRenderer
from gateway.verification.ports import Archive, NotInTree, StoredLeaf


class StoredLeafProver:
    """``LeafProver`` against the stored tree of a head that this host vouches for."""

    def __init__(self, archive: Archive, guardian: ProofRenderer) -> None:
        self._archive: Final = archive
        self._guardian: Final = guardian

    async def prove(self, leaves: Sequence[StoredLeaf]) -> None:
        """Return if each leaf is in the tree of the head; raise ``NotInTree`` for the first that is not.

        The head is read after the leaves were, so none of them can be too new for it. Raises what the guardian refuses with, too.
        """
        trusted = self._guardian.trusted()
        head = await self._archive.head()
        await self._guardian.compare(head, trusted)
        tree = StoredTree(self._archive, head.size)
        for leaf in leaves:
            if not 0 <= leaf.leaf_index < head.size:
                raise NotInTree(leaf.leaf_index)
            with self._guardian.noticing_contradictions():
                path = await tree.inclusion(leaf.leaf_index, head.size)
            try:
                verify_inclusion(
                    leaf_hash=leaf_hash(leaf.leaf), index=leaf.leaf_index, size=head.size, path=path, root=head.root
                )
            except ProofError as exc:
                raise NotInTree(leaf.leaf_index) from exc
