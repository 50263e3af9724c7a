"""The partner's routes: ask, and read again what was answered.

Every route here is protected. A refusal of an authenticated caller is a leaf of the log before it is an answer; if the log cannot take
it, the caller is told that instead: nobody learns anything from us that is not on record. A defect of ours is such a refusal too: its
proof is used up like any other's, so that the same bytes do not run into it a second time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from gateway.api.needs import Needs
from gateway.api.wire import parse_idempotency_key, parse_question
from gateway.base.errors import ErrorKind, GatewayError, as_refusal
from gateway.base.ids import is_id
from gateway.identity.grants import Scope, require_scope
from gateway.verification.call import Call
from gateway.verification.read_back import Proven
from gateway.web.authenticate import Authenticated
from gateway.web.body import read_body, undo_coding
from gateway.web.exchange import JSON_TYPE, Exchange, Reply, Route
from gateway.web.problem import status_of

VERIFY: Final = "verification.create"
READ: Final = "verification.read"
READ_RECEIPT: Final = "verification.receipt"
ID_PREFIX: Final = "ver"

# Nothing can be recorded while these hold: the log itself is out of reach.
_NOT_RECORDABLE: Final = frozenset({ErrorKind.STORE_UNAVAILABLE, ErrorKind.OVERLOADED})
_FIRST_ANSWER: Final = ()
_SAME_ANSWER: Final = (("Idempotent-Replayed", "true"),)


class PartnerRoutes:
    """The handlers, around the needs they share."""

    def __init__(self, needs: Needs) -> None:
        self._needs: Final = needs

    def routes(self) -> tuple[Route, ...]:
        """Return the routes."""
        return (
            Route(method="POST", template="/v1/verifications", handler=self.verify, protected=True),
            Route(method="GET", template="/v1/verifications/{id}", handler=self.read, protected=True),
            Route(
                method="GET",
                template="/v1/verifications/{id}/receipt",
                handler=self.read_receipt,
                protected=True,
            ),
        )

    async def verify(self, exchange: Exchange) -> Reply:
        """Serve ``POST /v1/verifications``.

        1. Authenticate, before a byte of the body is read.
        2. Read the body, bounded; from here on every refusal is recorded.
        3. Check the scope; parse.
        4. Ask the use case; its answer is on record when it returns.
        """
        needs = self._needs
        # 1
        sender = await needs.authenticate(exchange)
        # 2
        try:
            raw = await read_body(exchange, JSON_TYPE, needs.body_limits)
        except Exception as exc:
            await self._record(sender.call(exchange, VERIFY, b""), exc, None)
            raise
        call = sender.call(exchange, VERIFY, raw)
        purpose = None
        try:
            # 3
            require_scope(call.scopes, Scope.VERIFICATIONS)
            key = parse_idempotency_key(exchange.request.headers.getall("Idempotency-Key", ()))
            question = parse_question(undo_coding(exchange, raw, needs.body_limits), key)
            purpose = question.purpose
            # 4
            proven = await needs.verify(call, question)
        except Exception as exc:
            await self._record(call, exc, purpose)
            raise
        exchange.outcome = proven.outcome
        if not proven.replayed:
            needs.metrics.verified(question.purpose.value, proven.outcome)
        return _reply(proven)

    async def read(self, exchange: Exchange) -> Reply:
        """Serve ``GET /v1/verifications/{id}``."""

        async def answer(call: Call, verification_id: str) -> Reply:
            proven = await self._needs.read_back.answer(call, verification_id)
            exchange.outcome = proven.outcome
            return Reply(status=200, body=_splice(proven))

        return await self._read(exchange, READ, answer)

    async def read_receipt(self, exchange: Exchange) -> Reply:
        """Serve ``GET /v1/verifications/{id}/receipt``."""

        async def receipt(call: Call, verification_id: str) -> Reply:
            return Reply(status=200, body=await self._needs.read_back.receipt(call, verification_id))

        return await self._read(exchange, READ_RECEIPT, receipt)

    async def _read(self, exchange: Exchange, operation: str, work: Callable[[Call, str], Awaitable[Reply]]) -> Reply:
        sender: Authenticated = await self._needs.authenticate(exchange)
        call = sender.call(exchange, operation, b"")
        try:
            require_scope(call.scopes, Scope.VERIFICATIONS)
            verification_id = exchange.params[0]
            if not is_id(ID_PREFIX, verification_id):
                raise GatewayError(ErrorKind.NOT_FOUND)
            return await work(call, verification_id)
        except Exception as exc:
            await self._record(call, exc, None)
            raise

    async def _record(self, call: Call, error: Exception, purpose: str | None) -> None:
        """Put a refusal, or a defect of ours, on record before it goes on; what the ledger raises replaces it."""
        refusal = as_refusal(error)
        if refusal.kind not in _NOT_RECORDABLE:
            await self._needs.ledger.refused(call, refusal, status=status_of(refusal.kind), purpose=purpose)


def _reply(proven: Proven) -> Reply:
    headers = _SAME_ANSWER if proven.replayed else _FIRST_ANSWER
    return Reply(status=200, body=_splice(proven), headers=headers)


def _splice(proven: Proven) -> bytes:
    """Add the receipt as the last member: the bytes before it stay those that the leaf commits to."""
    return b'%b,"receipt":%b}' % (proven.answer_json[:-1], proven.receipt_json)
