"""Who of a group may be committed: decided from what the store found under the lock.

For: step 3 of the audit commit (``committer``). Not for: finding it (``gateway.postgres.log_store``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.audit.ports import Admission, PendingEntry, Refusal, Refused
from gateway.base.onetime import OneTimeId


@dataclass(slots=True)
class Verdicts:
    """Who may be committed, and by position why the others may not.

    ``wasted`` are those of the refused who hold a fresh claim in the transaction. A commit would burn an id that no leaf names.
    """

    taken: list[PendingEntry] = field(default_factory=list)
    refused: dict[int, Refused] = field(default_factory=dict)
    wasted: dict[int, Refused] = field(default_factory=dict)


def admit(entries: Sequence[PendingEntry], admission: Admission) -> Verdicts:
    """Decide a group. The first entry that names a one-time id gets it, later ones are replays. HOT."""
    spent: set[bytes] = set()
    verdicts = Verdicts()
    for position, entry in enumerate(entries):
        if entry.credential is not None and entry.credential not in admission.live:
            verdicts.refused[position] = Refused(Refusal.REVOKED)  # the store claimed nothing for it
            continue
        fresh = [claim for claim in entry.claims if claim.digest in admission.claimed and claim.digest not in spent]
        spent.update(claim.digest for claim in fresh)
        refusal = _judge(entry, admission, fresh)
        if refusal is None:
            verdicts.taken.append(entry)
            continue
        verdicts.refused[position] = refusal
        if fresh:
            verdicts.wasted[position] = refusal
    return verdicts


def _judge(entry: PendingEntry, admission: Admission, fresh: Sequence[OneTimeId]) -> Refused | None:
    """Decide one entry with a live credential, of whose claims some are fresh."""
    if len(fresh) < len(entry.claims):
        return Refused(Refusal.REPLAYED, next(claim for claim in entry.claims if claim not in fresh))
    if entry.idempotency is not None and entry.idempotency.verification_id not in admission.reserved:
        return Refused(Refusal.IDEMPOTENCY_TAKEN)
    return None
