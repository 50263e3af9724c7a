"""What the use cases need from the audit log beside the commit: reading back what was answered.

Consistency: reads may come from any replica that has the leaf; a leaf whose commit was acknowledged is always found.
Whatever goes wrong is raised as ``GatewayError(STORE_UNAVAILABLE)``, and that too many ask at once as ``GatewayError(OVERLOADED)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.audit.batch_mac import ClaimedTree
from gateway.audit.columns import EntryColumns
from gateway.audit.ports import Committed, PendingEntry, Refused
from gateway.audit.readers import StoredHead, TileReader
from gateway.base.clock import Millis


class Commit(Protocol):
    """The audit commit (``gateway.audit.committer.Committer``)."""

    async def submit(self, entry: PendingEntry) -> Committed | Refused:
        """Return when the entry is durable, or why it was not taken; raise ``GatewayError`` when in doubt."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSecret:
    """What stands beside a leaf until an erasure: 32 bytes of salt, and the sealed text with the number of its key."""

    salt: bytes
    key_id: int
    sealed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLeaf:
    """A leaf as stored, and what stands beside it; ``secret`` is None after an erasure."""

    leaf_index: int
    leaf: bytes
    secret: StoredSecret | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """A row that claims to be an answered verification: nothing in it is believed before it was compared with the leaf.

    ``tree`` is that of the batch it came with, the empty tree where there is none; ``leaf_hash`` is 32 bytes.
    """

    stored: StoredLeaf
    leaf_hash: bytes
    columns: EntryColumns
    tree: ClaimedTree


@dataclass(frozen=True, slots=True)
class Kept:
    """A row that claims to say what an idempotency key was used for; whether it was, the leaf decides."""

    body_hash: bytes
    verification_id: str


class Archive(TileReader, Protocol):
    """Read access to the log."""

    async def verification(self, verification_id: str) -> Archived | None:
        """Return the row that is found under a verification's id, of whichever partner."""
        ...

    async def kept(self, partner_id: str, operation: str, key_hash: bytes, since: Millis) -> Kept | None:
        """Return the row that says what an idempotency key was used for since an instant."""
        ...

    async def head(self) -> StoredHead:
        """Return the log's head."""
        ...


class RegistrationArchive(Protocol):
    """Read access to the leaves of operators' acts."""

    async def registrations(self, partner_id: str, thumbprint: str, limit: int) -> Sequence[StoredLeaf]:
        """Return the leaves about a partner and about one key of it, in the order of the log, at most ``limit``."""
        ...


class NotInTree(Exception):  # noqa: N818 - a statement about what was found
    """A stored leaf is not in the tree; ``leaf_index`` is where it claims to be."""

    def __init__(self, leaf_index: int) -> None:
        super().__init__(leaf_index)
        self.leaf_index: Final = leaf_index


class LeafProver(Protocol):
    """Tells leaves of the log from bytes that somebody put beside it."""

    async def prove(self, leaves: Sequence[StoredLeaf]) -> None:
        """Return if each leaf is in the tree that this host vouches for; raise ``NotInTree`` for the first that is not."""
        ...
