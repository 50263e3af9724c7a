"""The main job: one question about one subject, answered and proven.

Not for: HTTP, tokens, SQL. What the answer says is decided by ``gateway.credit``; that it may leave, by the audit commit.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from gateway.audit.entry import LeafKind
from gateway.audit.ports import IdempotencyClaim, Refusal, Refused
from gateway.base.canonical import canonical_json
from gateway.base.clock import DAY_MS, Clock, Millis
from gateway.base.errors import ErrorKind, GatewayError
from gateway.base.ids import new_id
from gateway.credit.answer import Answer, Asked, decide_answer, decide_candidates
from gateway.credit.catalogue import Catalogue
from gateway.credit.identifiers import name_key
from gateway.credit.ports import CreditReplica
from gateway.identity.grants import require_purpose
from gateway.verification.call import Call
from gateway.verification.ledger import LOST_RACE, Happening, Ledger, raise_if_refused
from gateway.verification.ports import Archive
from gateway.verification.question import Question
from gateway.verification.read_back import Proven, ReadBack, Repeated

OK: Final = 200
IDEMPOTENCY_LIFETIME_MS: Final = DAY_MS
MAX_CANDIDATES: Final = 10
"""What reading back may refuse with when a commit has burnt the one-time id already: the leaf of the refusal claims none again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What answers are made from: the replica of the municipal platform, the catalogue, and how old the replica may be."""

    replica: CreditReplica
    catalogue: Catalogue
    max_stale_ms: int


class Verify:
    """Answers one question. Calling it is the whole interface."""

    def __init__(
        self, knowledge: Knowledge, ledger: Ledger, archive: Archive, read_back: ReadBack, clock: Clock
    ) -> None:
        self._knowledge: Final = knowledge
        self._ledger: Final = ledger
        self._archive: Final = archive
        self._read_back: Final = read_back
        self._clock: Final = clock

    async def __call__(self, call: Call, question: Question) -> Proven:
        """Answer a question or refuse it.

        1. Refuse a purpose that the partner's agreement does not name.
        2. With an idempotency key seen before: the earlier answer, or a refusal if the body differs.
        3. Look the subject up; decide the answer as of now.
        4. Commit the leaf. Revocation, replay and a race for the idempotency key are decided there.
        5. Only then return the answer with its receipt.

        Raises:
            GatewayError: ``PURPOSE_NOT_ALLOWED``, ``IDEMPOTENCY_KEY_REUSED``, ``IDEMPOTENCY_IN_PROGRESS``, ``RECORD_CONTRADICTED``,
                ``INVALID_DPOP_PROOF`` (replayed), ``INVALID_TOKEN`` (revoked), ``OVERLOADED``, ``STORE_UNAVAILABLE``.
        """
        # 1
        require_purpose(call.purposes, question.purpose)
        # 2
        verification_id = new_id("ver", call.received_ms)
        claim = _claim(call, question, verification_id)
        if claim is not None:
            earlier = await self._earlier(call, question, claim)
            if earlier is not None:
                return earlier
        # 3
        answer = await self._answer(verification_id, question)
        answer_json = canonical_json(answer)
        # 4
        logged = await self._ledger.record(
            call,
            Happening(
                kind=LeafKind.QUERY,
                decision=f"allow:{answer.outcome}",
                status=OK,
                items=1,
                purpose=question.purpose,
                subject=question.uscc,
                args=question.canonical_body,
                answer=answer_json,
                verification_id=verification_id,
                idempotency=claim,
            ),
        )
        if claim is not None and isinstance(logged, Refused) and logged.reason is Refusal.IDEMPOTENCY_TAKEN:
            return await self._lost_the_race(call, question, claim)
        # 5
        receipt = raise_if_refused(logged).receipt_json
        return Proven(verification_id, answer_json, receipt, replayed=False, outcome=answer.outcome)

    async def _answer(self, verification_id: str, question: Question) -> Answer:
        knowledge = self._knowledge
        if question.uscc is None:
            candidates = await knowledge.replica.candidates(name_key(question.name or ""), MAX_CANDIDATES)
            return decide_candidates(
                candidates,
                knowledge.catalogue,
                verification_id=verification_id,
                at=self._clock.now_ms(),
                max_stale_ms=knowledge.max_stale_ms,
            )
        facts = await knowledge.replica.look_up(question.uscc)
        return decide_answer(
            Asked(uscc=question.uscc, name=question.name),
            facts,
            knowledge.catalogue,
            verification_id=verification_id,
            at=self._clock.now_ms(),
            max_stale_ms=knowledge.max_stale_ms,
        )

    async def _earlier(self, call: Call, question: Question, claim: IdempotencyClaim) -> Proven | None:
        since = Millis(call.received_ms - IDEMPOTENCY_LIFETIME_MS)
        kept = await self._archive.kept(call.partner_id, call.operation, claim.key_hash, since)
        if kept is None:
            return None
        # A row with another body is a refusal, which needs no proof; one with this body is a claim, which the leaf must bear out.
        if kept.body_hash != claim.body_hash:
            raise GatewayError(ErrorKind.IDEMPOTENCY_KEY_REUSED)
        repeated = _repeated(call, question, claim)
        return await self._read_back.repeat(call, kept.verification_id, repeated)

    async def _lost_the_race(self, call: Call, question: Question, claim: IdempotencyClaim) -> Proven:
        # Another request with this key committed between our look and our commit, which then claimed nothing for us.
        since = Millis(call.received_ms - IDEMPOTENCY_LIFETIME_MS)
        kept = await self._archive.kept(call.partner_id, call.operation, claim.key_hash, since)
        if kept is None:
            raise GatewayError(ErrorKind.IDEMPOTENCY_IN_PROGRESS, reason=LOST_RACE, retry_after_s=1)
        if kept.body_hash != claim.body_hash:
            raise GatewayError(ErrorKind.IDEMPOTENCY_KEY_REUSED, reason=LOST_RACE)
        return await self._read_back.repeat(call, kept.verification_id, _repeated(call, question, claim))


def _repeated(call: Call, question: Question, claim: IdempotencyClaim) -> Repeated:
    return Repeated(
        operation=call.operation,
        canonical_body=question.canonical_body,
        key_hash=claim.key_hash,
        since=Millis(call.received_ms - IDEMPOTENCY_LIFETIME_MS),
    )


def _claim(call: Call, question: Question, verification_id: str) -> IdempotencyClaim | None:
    if question.idempotency_key is None:
        return None
    return IdempotencyClaim(
        partner_id=call.partner_id,
        operation=call.operation,
        key_hash=hashlib.sha256(question.idempotency_key.encode()).digest(),
        body_hash=hashlib.sha256(question.canonical_body).digest(),
        verification_id=verification_id,
        created_ms=call.received_ms,
    )
