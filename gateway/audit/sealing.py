"""Signing what was committed: from a durable batch to the proofs its answers carry.

For: the committer's ``BatchSealer`` and everyone who renders the proof of an older leaf.
Not for: deciding that something is durable; whoever calls must know.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.audit.checkpoint import CheckpointSigner
from gateway.audit.ports import Batch
from gateway.audit.tlog_proof import render_batch_proofs, render_tlog_proof


class CheckpointSealer:
    """Signs checkpoints as this host and renders proofs against them."""

    def __init__(self, signer: CheckpointSigner) -> None:
        self._signer: Final = signer

    def seal(self, batch: Batch) -> Sequence[str]:
        """Return the tlog-proof of each entry of a durable batch. HOT: one signature a batch."""
        checkpoint = self._signer.sign(batch.growth.after.size, batch.growth.root)
        return render_batch_proofs(batch.growth, checkpoint)

    def checkpoint(self, size: int, root: bytes) -> str:
        """Return the signed checkpoint of a durable size and root."""
        return self._signer.sign(size, root)

    def render(self, index: int, size: int, root: bytes, path: Sequence[bytes]) -> str:
        """Return the tlog-proof of one older leaf."""
        return render_tlog_proof(index, path, self._signer.sign(size, root))
