"""Writing what happened into the log: the one place where leaves of partners' calls are made.

For: answers, reads of earlier answers, refusals and issued tokens. Each becomes a leaf with salted commitments, sealed plaintext beside
it, and goes through the audit commit; what comes back is the receipt, or a refusal that the commit alone may decide.
Not for: what an answer says (``gateway.credit``), or how the commit works (``gateway.audit.committer``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from gateway.audit import entry as leaves
from gateway.audit.entry import BlindIndexer, LeafFields, LeafKind, encode_leaf
from gateway.audit.merkle import leaf_hash
from gateway.audit.plaintext import NOTHING, render_plaintext, seal_plaintext
from gateway.audit.ports import IdempotencyClaim, PendingEntry, Refusal, Refused
from gateway.audit.receipt import build_receipt
from gateway.base.clock import rfc3339
from gateway.base.entropy import random_bytes
from gateway.base.errors import ErrorKind, GatewayError
from gateway.base.sealing import Sealer
from gateway.verification.call import Call
from gateway.verification.ports import Commit

MAX_NOTED: Final = 1024
"""Credentials remembered for the rate of notes on replays; partners number in the hundreds."""
LOST_RACE: Final = "idempotency_race"
"""Reason of a refusal by a commit that found the key just taken. It claimed nothing: the refusal's own leaf claims the call's id."""
_COMMIT_REASONS: Final = frozenset({Refusal.REPLAYED.value, Refusal.REVOKED.value})


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What this gateway calls itself in every leaf: the origin of the log and the host that wrote."""

    origin: str
    gateway: str


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """What a leaf shall say beside who called. Byte members are committed to, never written."""

    kind: LeafKind
    decision: str
    status: int
    items: int = 0
    purpose: str | None = None
    subject: str | None = None
    args: bytes | None = None
    answer: bytes | None = None
    verification_id: str | None = None
    idempotency: IdempotencyClaim | None = None
    claim_used: bool = True
    """Whether the commit claims the call's one-time id, which the leaf then names; false only for a note on what it refused."""
    sealed: bool = True
    """Whether the plaintext is kept (sealed) beside the leaf."""

    @property
    def committed(self) -> dict[leaves.Committed, bytes | None]:
        """What the leaf commits to without saying it."""
        subject = None if self.subject is None else self.subject.encode()
        return {
            leaves.Committed.ANS: self.answer,
            leaves.Committed.ARGS: self.args,
            leaves.Committed.IDEM: None if self.idempotency is None else self.idempotency.key_hash,
            leaves.Committed.SUB: subject,
        }


class Logged(msgspec.Struct, frozen=True):
    """A committed leaf and the receipt that proves it, as JSON bytes."""

    leaf_index: int
    receipt_json: bytes


class Ledger:
    """Turns happenings into leaves."""

    def __init__(self, commit: Commit, sealer: Sealer, blind: BlindIndexer, names: Names) -> None:
        self._commit: Final = commit
        self._sealer: Final = sealer
        self._blind: Final = blind
        self._names: Final = names
        self._noted: Final[
            dict[str, int]
        ] = {}  # owned by the event loop's thread; credential -> second of its last note

    async def record(self, call: Call, happening: Happening) -> Logged | Refused:
        """Commit one leaf for a call; return its receipt, or what the commit refused it for.

        Raises:
            GatewayError: ``OVERLOADED`` or ``STORE_UNAVAILABLE``; then no answer may leave.
        """
        salt = random_bytes(leaves.SALT_BYTES)
        committed = {
            name: leaves.seal(salt, name, value) for name, value in happening.committed.items() if value is not None
        }
        index = None if happening.subject is None else self._blind.index(happening.subject)
        leaf = self._leaf(call, happening, committed, index)
        outcome = await self._commit.submit(self._entry(call, happening, leaf, salt, index))
        if isinstance(outcome, Refused):
            return outcome
        keys = {name: sealed.key for name, sealed in committed.items()}
        return Logged(outcome.leaf_index, build_receipt(leaf, keys, outcome.proof))

    async def refused(self, call: Call, refusal: GatewayError, *, status: int, purpose: str | None = None) -> None:
        """Commit the leaf of a refusal of an authenticated caller, before the refusal is answered.

        A replayed proof, or a credential that died meanwhile, is raised instead of the original refusal: the commit knows better.
        What the commit itself refused is logged without a claim of its own and at most once a second for one credential, so that
        a flood of replays does not fill the log. What the log itself says of its own trouble (``INTERNAL`` with a reason) may come
        after a commit that burnt the call's one-time id: then it is not the call's own replay, and what was said stands.
        """
        from_commit = refusal.reason in _COMMIT_REASONS
        if from_commit and not self._first_this_second(call):
            return
        happening = Happening(
            kind=LeafKind.DENY,
            decision=f"deny:{refusal.reason}",
            status=status,
            purpose=purpose,
            claim_used=not from_commit,
            sealed=False,
        )
        outcome = await self.record(call, happening)
        own_commit = refusal.kind is ErrorKind.INTERNAL and refusal.reason != ErrorKind.INTERNAL
        if own_commit and isinstance(outcome, Refused) and outcome.reason is Refusal.REPLAYED:
            return
        raise_if_refused(outcome)

    def _first_this_second(self, call: Call) -> bool:
        second = call.received_ms // 1000
        if self._noted.get(call.credential) == second:
            return False
        if len(self._noted) >= MAX_NOTED:
            self._noted.clear()
        self._noted[call.credential] = second
        return True

    def _leaf(
        self,
        call: Call,
        happening: Happening,
        committed: Mapping[leaves.Committed, leaves.Sealed],
        index: leaves.BlindIndex | None,
    ) -> bytes:
        commitments = {name: sealed.commitment for name, sealed in committed.items()}
        return encode_leaf(
            LeafFields(
                ans_c=commitments.get(leaves.Committed.ANS),
                args_c=commitments.get(leaves.Committed.ARGS),
                cred=call.credential,
                decision=happening.decision,
                gw=self._names.gateway,
                id=happening.verification_id,
                idem_c=commitments.get(leaves.Committed.IDEM),
                log=self._names.origin,
                n=happening.items,
                op=call.operation,
                partner=call.partner_id,
                purpose=happening.purpose,
                req_h=call.request_hash.hex(),
                req_id=call.claim.digest.hex() if happening.claim_used else None,
                status=happening.status,
                sub_bi=None if index is None else str(index),
                sub_c=commitments.get(leaves.Committed.SUB),
                kind=happening.kind,
                ts=rfc3339(call.received_ms),
            )
        )

    def _entry(
        self, call: Call, happening: Happening, leaf: bytes, salt: bytes, index: leaves.BlindIndex | None
    ) -> PendingEntry:
        digest = leaf_hash(leaf)
        return PendingEntry(
            leaf=leaf,
            leaf_hash=digest,
            kind=happening.kind,
            operation=call.operation,
            decision=happening.decision,
            salt=salt,
            key_id=self._sealer.current,
            sealed=seal_plaintext(self._sealer, _plaintext(happening), digest, salt),
            partner_id=call.partner_id,
            purpose=happening.purpose,
            subject_index=None if index is None else index.digest,
            verification_id=happening.verification_id if happening.kind is LeafKind.QUERY else None,
            claims=(call.claim,) if happening.claim_used else (),
            credential=call.credential if happening.claim_used else None,
            idempotency=happening.idempotency,
        )


def _plaintext(happening: Happening) -> bytes:
    if not happening.sealed or happening.answer is None:
        return NOTHING
    return render_plaintext(answer=happening.answer, arguments=happening.args)


def raise_if_refused(outcome: Logged | Refused) -> Logged:
    """Return what was logged; raise the error of a refusal that only the commit could decide."""
    if isinstance(outcome, Logged):
        return outcome
    match outcome.reason:
        case Refusal.REPLAYED:
            raise GatewayError(ErrorKind.INVALID_DPOP_PROOF, reason=Refusal.REPLAYED)
        case Refusal.REVOKED:
            raise GatewayError(ErrorKind.INVALID_TOKEN, reason=Refusal.REVOKED)
        case Refusal.IDEMPOTENCY_TAKEN:
            raise GatewayError(ErrorKind.IDEMPOTENCY_IN_PROGRESS, reason=LOST_RACE, retry_after_s=1)
