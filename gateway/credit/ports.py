"""What the credit rules need from the replica of the municipal platform.

Consistency: one call sees one version of the feed; ``source`` in the value says which. Two calls may see two versions.
Merging: ``look_up`` gives the records filed under the code and, where the registration has an old registration number,
also those filed under ``old_number_key(number)``, each record once; the same for quarantined lines.
Failure: an unreachable store raises ``GatewayError(STORE_UNAVAILABLE)``, one that too many ask at once ``OVERLOADED``; a body that
cannot be decoded counts as one quarantined line and is never left out silently. Nobody retries below this port.
Concurrent calls are allowed.
"""

from __future__ import annotations

from typing import Protocol

from gateway.credit.facts import Candidates, SourceState, SubjectFacts
from gateway.credit.identifiers import Uscc


class CreditReplica(Protocol):
    """The local copy of the municipal facts."""

    async def look_up(self, uscc: Uscc) -> SubjectFacts:
        """Return everything known about one code; an unknown code gives empty facts, not an error."""
        ...

    async def candidates(self, key: str, limit: int) -> Candidates:
        """Return at most ``limit`` registrations whose ``name_key`` begins with ``key``."""
        ...

    async def source_state(self) -> SourceState | None:
        """Return which version of the feed is being answered from; ``None`` before the first."""
        ...
