"""The MAC of a batch: what lets a host tell a batch that a host appended from one that somebody wrote into the database.

For: making it before a batch is inserted, checking it before a head is extended or signed.
Not for: readers of the log. It proves nothing to them and they have no key; what they trust is a signed checkpoint, which is made
only after COMMIT. A signature here instead would be a statement about a root that may still roll back.
Source: HMAC-SHA-256 (RFC 2104) under a key of its own, which all hosts of a log share and no database holds. The message is a
label, the log's origin, and both ends of the batch in fixed widths, so that no two batches have the same message.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final

from gateway.audit.merkle import HASH_BYTES
from gateway.base.crypto import derive_key, hmac_sha256
from gateway.base.secret import Secret

MAC_BYTES: Final = 32
_LABEL: Final = "credit-gateway/v1/batch-mac"
_SIZE_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class TreePoint:
    """A tree by its size and root (32 bytes)."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class ClaimedTree:
    """A tree as rows claim it. ``before`` and ``mac`` are of the batch that ends there; None where none does, or none is stored."""

    point: TreePoint
    before: TreePoint | None = None
    mac: bytes | None = None


class BatchMac:
    """Makes and checks the MACs of one log's batches."""

    __slots__ = ("_key", "_prefix")

    def __init__(self, secret: Secret, origin: str) -> None:
        self._key: Final = Secret(derive_key(secret.reveal(), _LABEL))
        self._prefix: Final = f"{_LABEL}\n{origin}\n".encode()

    def make(self, before: TreePoint, after: TreePoint) -> bytes:
        """Return the 32 bytes that say: a host grew the tree ``before`` into the tree ``after``."""
        return hmac_sha256(self._key.reveal(), self._prefix + _encode(before) + _encode(after))

    def holds(self, mac: bytes | None, before: TreePoint, after: TreePoint) -> bool:
        """Tell whether a stored MAC is that of the batch; a missing one, or one of no tree, never is."""
        if mac is None or len(before.root) != HASH_BYTES or len(after.root) != HASH_BYTES:
            return False
        return hmac.compare_digest(mac, self.make(before, after))


def _encode(point: TreePoint) -> bytes:
    if len(point.root) != HASH_BYTES:
        msg = "a root has 32 bytes"
        raise ValueError(msg)
    return point.size.to_bytes(_SIZE_BYTES, "big") + point.root
