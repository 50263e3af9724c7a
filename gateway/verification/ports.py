"""What the use cases need from the audit log beside the commit: reading back what was answered.

Consistency: reads may come from any replica that has the leaf; a leaf whose commit was acknowledged is always found.
Whatever goes wrong is raised as ``GatewayError(STORE_UNAVAILABLE)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.audit.batch_mac import ClaimedTree
from gateway.audit.ports import Committed, PendingEntry, Refused
from gateway.audit.readers import StoredHead, TileReader
from gateway.base.clock import Millis


class Commit(Protocol):
    """The audit commit (``gateway.audit.committer.Committer``)."""

    async def submit(self, entry: PendingEntry) -> Committed | Refused:
        """Return when the entry is durable, or why it was not taken; raise ``GatewayError`` when in doubt."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """One answered verification as stored; ``tree`` is that of the batch it came with. ``sealed`` is ``None`` after an erasure."""

    leaf_index: int
    leaf: bytes
    partner_id: str
    tree: ClaimedTree
    salt: bytes | None
    key_id: int | None
    sealed: bytes | None


@dataclass(frozen=True, slots=True)
class Kept:
    """What an idempotency key was used for."""

    body_hash: bytes
    verification_id: str


class Archive(TileReader, Protocol):
    """Read access to the log."""

    async def verification(self, verification_id: str) -> Archived | None:
        """Return one answered verification, of whichever partner."""
        ...

    async def kept(self, partner_id: str, operation: str, key_hash: bytes, since: Millis) -> Kept | None:
        """Return what an idempotency key was used for since an instant."""
        ...

    async def head(self) -> StoredHead:
        """Return the log's head."""
        ...
