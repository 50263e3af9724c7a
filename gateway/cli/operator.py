"""What operator commands need from the house: a short-lived connection to everything that an operator may read or change.

For: ``gateway.cli.commands``. Built by ``gateway.wiring.open_operator(settings)``, an async context manager.
Every change is one transaction with its own leaf in the audit log: the change and its record happen both or neither.
All methods raise ``GatewayError``: ``NOT_FOUND``, ``CONFLICT`` and ``STORE_UNAVAILABLE``, with the ``reason`` of the store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gateway.audit.fsck_against import KeptCheckpoint
    from gateway.audit.fsck_report import FsckReport
    from gateway.base.clock import Millis
    from gateway.identity.key_policy import SubmittedKey
    from gateway.identity.partner import Partner, RegisteredKey
    from gateway.postgres.feed_status import FeedStatus
    from gateway.postgres.log_reader import RecentLeaf
    from gateway.postgres.partner_store import ListedPartner
    from gateway.worker.compare import FeedProof
    from gateway.worker.feed import TickOutcome

Progress = Callable[[int], None]
"""Is told how many leaves, or rows, have been checked so far."""


class Operator(Protocol):
    """The powers of an operator at the command line."""

    async def add_partner(self, partner: Partner) -> int:
        """Bring a partner on; return the index of the leaf. ``CONFLICT``: ``client_taken``."""
        ...

    async def list_partners(self) -> Sequence[ListedPartner]:
        """Return all partners by client identifier."""
        ...

    async def add_key(
        self, client_id: str, submitted: SubmittedKey, not_before_ms: Millis
    ) -> tuple[RegisteredKey, int]:
        """Register a key that passed the policy; return it and the index of the leaf.

        ``NOT_FOUND``: ``client_unknown``. ``CONFLICT``: ``key_known``, ``kid_taken``, ``too_many_keys``, ``partner_closed``.
        """
        ...

    async def list_keys(self, client_id: str) -> Sequence[RegisteredKey]:
        """Return all keys of a client, in whatever state, oldest first. ``NOT_FOUND``: ``client_unknown``."""
        ...

    async def revoke_key(self, key: str, *, client_id: str | None, compromised: bool) -> tuple[RegisteredKey, int]:
        """Take a key out of use; return it and the index of the leaf.

        ``key`` is a thumbprint, which goes before any name, or the partner's name for the key together with ``client_id``.
        When this returns, no audit commit admits the key any more. ``NOT_FOUND``: ``key_unknown``, ``client_unknown``. ``CONFLICT``:
        ``last_key`` (unless compromised), ``key_retired``, ``key_compromised``, ``key_ambiguous``.
        """
        ...

    async def feed_pull(self, *, approve: int | None = None) -> TickOutcome:
        """Look for a new version of the municipal feed once, now, and apply what is there; never raises for a bad feed.

        ``approve`` names the one version whose mass deletion the operator has examined and wants; the approval is a leaf.
        """
        ...

    async def feed_reload(
        self, progress: Progress, *, approve: int | None = None
    ) -> tuple[TickOutcome, FeedProof | None]:
        """Load what stands once more from the platform's signed files, compare all of it, and let the answers go on if it is right.

        The act is a leaf. No proof where the loading did not succeed.
        """
        ...

    async def feed_verify(self, progress: Progress) -> FeedProof:
        """Compare every row of the replica with this host's digests of what was signed."""
        ...

    async def feed_status(self) -> FeedStatus:
        """Return which version is answered from and what happened lately."""
        ...

    async def recent_leaves(self, limit: int) -> Sequence[RecentLeaf]:
        """Return the latest leaves, newest first."""
        ...

    async def leaf(self, index: int) -> RecentLeaf:
        """Return one leaf. ``NOT_FOUND``: ``leaf_unknown``."""
        ...

    async def opened(self, index: int) -> bytes | None:
        """Return the sealed plaintext of a leaf (JSON), opened with this host's key, or None if it was erased or empty."""
        ...

    @property
    def origin(self) -> str:
        """The name of the log."""
        ...

    def guarded(self) -> KeptCheckpoint | None:
        """Return the last tree that this host has vouched for; None if its guard is missing or cannot be read."""
        ...

    async def fsck(self, against: tuple[KeptCheckpoint, ...], progress: Progress, *, shallow: bool) -> FsckReport:
        """Check the whole log and what stands beside it, and compare it with checkpoints that were kept.

        ``shallow`` leaves the secrets of partners' calls closed.
        """
        ...

    async def log_policy(self) -> str:
        """Return the C2SP tlog-policy that trusts this host's log key, for partners and regulators."""
        ...
