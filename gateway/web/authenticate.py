"""Who asks: the access token and the proof of possession of one request, together or not at all. HOT.

For: every protected resource. ``Authenticated`` becomes a ``Call`` once the body is known; there is no other way to make one.
Not for: whether the proof was used before or the key has been revoked (the audit commit decides), nor for scopes and purposes.
Source: RFC 9449 sections 7.1, 7.2 and 9; RFC 6750 sections 2 and 3.1; FAPI 2.0 Security Profile section 5.3.4. Statements D15, D16, R1, R3,
R4, R8 and rows C01, C31 to C34, D01 and D07 of the security design.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus

import msgspec

from gateway.base.errors import ErrorKind, Fault, GatewayError
from gateway.identity.authorization import parse_authorization
from gateway.identity.proof import refuse_signature
from gateway.verification.call import Call
from gateway.web.turn import Turn

if TYPE_CHECKING:
    from gateway.identity.proof import ProofVerifier, UnverifiedProof, VerifiedProof
    from gateway.identity.token import TokenVerifier, VerifiedClaims
    from gateway.web.exchange import Exchange


class Authenticated(msgspec.Struct, frozen=True):
    """A sender whose token is good and who holds the token's key, before its body is read."""

    claims: VerifiedClaims
    proof: VerifiedProof
    proof_text: str

    def call(self, exchange: Exchange, operation: str, body: bytes) -> Call:
        """Return the call; ``body`` as it was received, empty where it could not be."""
        digest = hashlib.sha256(self.proof_text.encode("ascii"))
        digest.update(b"\0")
        digest.update(body)
        claims = self.claims
        return Call(
            request_id=exchange.request_id,
            received_ms=exchange.received_ms,
            partner_id=claims.partner_id,
            client_id=claims.client_id,
            credential=claims.credential,
            scopes=claims.scopes,
            purposes=claims.purposes,
            claim=self.proof.claim,
            request_hash=digest.digest(),
            operation=operation,
        )


class Authenticator:
    """Authenticates requests against one token verifier and one proof verifier, both for the public origin of this gateway."""

    def __init__(self, tokens: TokenVerifier, proofs: ProofVerifier) -> None:
        self._tokens: Final = tokens
        self._proofs: Final = proofs
        self._signatures: Final[Turn[UnverifiedProof, VerifiedProof | None]] = Turn(proofs.find_holder)

    async def __call__(self, exchange: Exchange) -> Authenticated:
        """Return who asks, and note in the exchange which header fields the answer owes.

        1. No token in the target.  2. One token, under the scheme DPoP.  3. The token is ours and valid.
        4. The proof names this method and address.  5. A nonce that ages is replaced.  6. The sender holds the token's key: its
        signature is checked in a row with those of the other requests of this turn.

        Raises:
            GatewayError: ``UNAUTHENTICATED``, ``INVALID_REQUEST``, ``INVALID_TOKEN``, ``INVALID_DPOP_PROOF``, ``USE_DPOP_NONCE``.
        """
        request = exchange.request
        # 1
        if exchange.query:
            _refuse_token_in_query(exchange.query)
        # 2
        token = parse_authorization(request.headers.getall("Authorization", []))
        # 3
        claims = self._tokens.verify(token)
        # 4
        values = request.headers.getall("DPoP", [])
        try:
            unverified = self._proofs.parse(values, method=request.method, path=exchange.path, token=claims)
        except GatewayError as exc:
            if exc.kind is ErrorKind.USE_DPOP_NONCE:
                self._hand_out_nonce(exchange)
            raise
        # 5
        if not unverified.nonce_fresh:
            self._hand_out_nonce(exchange)
        # 6
        proof = await self._signatures.ask(unverified)
        if proof is None:
            raise refuse_signature()
        exchange.partner_id = claims.partner_id
        exchange.authenticate()
        return Authenticated(claims, proof, values[0])

    def _hand_out_nonce(self, exchange: Exchange) -> None:
        nonce = self._proofs.fresh_nonce()
        if nonce is not None:
            exchange.extra.append(("DPoP-Nonce", nonce))


def _refuse_token_in_query(query: str) -> None:
    # The target ends up in logs and histories of everything between the client and us (RFC 6750 section 5.3).
    names = (unquote_plus(part.partition("=")[0]) for part in query.split("&"))
    if "access_token" in names:
        fault = Fault(path="/query/access_token", code="token_in_query")
        raise GatewayError(ErrorKind.INVALID_REQUEST, reason="token_in_query", faults=(fault,))
