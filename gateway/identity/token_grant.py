"""The token endpoint as a use case: a client assertion and a proof of possession become an access token.

For: ``POST /oauth2/token`` after the HTTP layer has read the form strictly. Not for: HTTP itself.
Source: RFC 6749 sections 2.3, 4.4 and 5; RFC 7523; RFC 9449 section 5; RFC 8707. Statements A3 to A9, A12, C7, D17,
D18; table B.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.base.clock import Clock, Millis
from gateway.base.codec import b64url
from gateway.base.errors import ErrorKind, GatewayError, as_refusal
from gateway.identity.assertion import (
    AssertionRefused,
    VerifiedAssertion,
    parse_assertion,
    verify_assertion,
)
from gateway.identity.grants import ScopeRefused, decide_scopes
from gateway.identity.oauth import OAuthCode, OAuthError, proof_refused
from gateway.identity.ports import (
    CredentialRevoked,
    PartnerDirectory,
    Registrations,
    Replayed,
    TokenIssue,
    TokenLedger,
    TokenRefusal,
    Unregistered,
)
from gateway.identity.proof import ProofVerifier, UnverifiedProof, VerifiedProof
from gateway.identity.token import TokenIssuer
from gateway.identity.token_form import TokenForm, read_token_form

TOKEN_JTI_BYTES: Final = 16
PROOF_REPLAYED: Final = "proof_replayed"
INTERNAL_STATUS: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """A token request as received.

    ``parameters`` are the form parameters in order, decoded; ``authorization`` and ``dpop`` all values of these
    headers; ``path`` the raw path of the request line; ``has_query`` whether it had a query string. ``request_hash``:
    see ``TokenIssue``.
    """

    request_id: str
    request_hash: bytes
    path: str
    has_query: bool
    parameters: Sequence[tuple[str, str]]
    authorization: Sequence[str]
    dpop: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenResponse:
    """The successful answer (RFC 6749 section 5.1). ``dpop_nonce`` goes into the header of that name, if not None."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str
    dpop_nonce: str | None


class GrantToken:
    """Grants access tokens for client credentials.

    ``issuer`` is the audience of assertions, ``audience`` that of tokens and the one ``resource`` a client may name.
    """

    def __init__(  # noqa: PLR0913 - what it is made of
        self,
        *,
        issuer: str,
        audience: str,
        directory: PartnerDirectory,
        registrations: Registrations,
        ledger: TokenLedger,
        proofs: ProofVerifier,
        tokens: TokenIssuer,
        clock: Clock,
    ) -> None:
        self._issuer: Final = issuer
        self._audience: Final = audience
        self._directory: Final = directory
        self._registrations: Final = registrations
        self._ledger: Final = ledger
        self._proofs: Final = proofs
        self._tokens: Final = tokens
        self._clock: Final = clock

    def fresh_nonce(self) -> str | None:
        """Return the value for ``DPoP-Nonce`` of an error that asks for one, or None if nonces are off."""
        return self._proofs.fresh_nonce()

    async def __call__(self, request: TokenRequest) -> TokenResponse:
        """Grant a token or raise ``OAuthError``; a ``GatewayError`` means that a store failed.

        1. strict form, one authentication method, grant type  2. proof: form, address, time, nonce  3. client and assertion, and
        that the log registered partner and key; from here on a refusal, or a defect of ours, is on record before it is answered
        4. signature of the proof  5. scope and resource  6. one commit: both one-time ids, live credential, leaf  7. answer.

        The nonce comes before the assertion is used up, so that a client may send the same assertion again with the nonce.
        """
        now = self._clock.now_ms()
        # 1
        form = read_token_form(request.parameters, request.authorization, has_query=request.has_query)
        # 2
        unverified_proof = self._parse_proof(request)
        # 3
        client = await self._authenticate(form, now)
        try:
            # 4
            proof = self._verify_proof(unverified_proof, client)
            # 5
            scopes = self._decide_grant(form, client)
            # 6
            token = await self._issue(self._make_issue(request, client, proof, scopes=scopes, now=now), client)
        except Exception as exc:
            await self._record_refusal(request, client, exc, now)
            raise
        # 7
        return TokenResponse(
            access_token=token,
            token_type="DPoP",  # noqa: S106 - RFC 9449 section 5
            expires_in=self._tokens.lifetime_s,
            scope=" ".join(sorted(scopes)),
            dpop_nonce=self.fresh_nonce(),
        )

    async def _issue(self, issue: TokenIssue, client: VerifiedAssertion) -> str:
        # The token is signed first. If the process dies before the commit, nobody has it; if after, the leaf stands for a
        # token that nobody received.
        token = self._tokens.issue(
            partner_id=issue.partner_id,
            client_id=issue.client_id,
            credential=issue.credential,
            scopes=issue.scopes,
            purposes=client.partner.purposes,
            jkt=issue.jkt,
            jti=issue.token_jti,
        )
        await self._record(issue)
        return token

    def _parse_proof(self, request: TokenRequest) -> UnverifiedProof:
        try:
            return self._proofs.parse(request.dpop, method="POST", path=request.path, token=None)
        except GatewayError as exc:
            raise proof_refused(exc, client_id=None) from exc

    async def _authenticate(self, form: TokenForm, now: Millis) -> VerifiedAssertion:
        try:
            assertion = parse_assertion(form.assertion, issuer=self._issuer, client_id=form.client_id, now=now)
            client = await self._directory.find_client(assertion.client_id, assertion.kid)
            verified = verify_assertion(assertion, client, now=now)
            await self._registrations.require(verified.partner, verified.key)
        except AssertionRefused as exc:
            raise OAuthError(OAuthCode.INVALID_CLIENT, reason=exc.reason) from exc
        except Unregistered as exc:
            raise OAuthError(OAuthCode.INVALID_CLIENT, reason="key_unregistered") from exc
        return verified

    def _verify_proof(self, unverified: UnverifiedProof, client: VerifiedAssertion) -> VerifiedProof:
        try:
            return self._proofs.verify_signature(unverified)
        except GatewayError as exc:
            raise proof_refused(exc, client_id=client.partner.client_id) from exc

    def _decide_grant(self, form: TokenForm, client: VerifiedAssertion) -> frozenset[str]:
        client_id = client.partner.client_id
        if form.resource not in {None, self._audience}:
            raise OAuthError(OAuthCode.INVALID_TARGET, reason="resource_unknown", client_id=client_id)
        try:
            return decide_scopes(form.scope, client.partner.scopes)
        except ScopeRefused as exc:
            raise OAuthError(OAuthCode.INVALID_SCOPE, reason=exc.reason, client_id=client_id) from exc

    def _make_issue(
        self,
        request: TokenRequest,
        client: VerifiedAssertion,
        proof: VerifiedProof,
        *,
        scopes: frozenset[str],
        now: Millis,
    ) -> TokenIssue:
        return TokenIssue(
            request_id=request.request_id,
            request_hash=request.request_hash,
            partner_id=client.partner.partner_id,
            client_id=client.partner.client_id,
            credential=client.key.thumbprint,
            jkt=proof.jkt,
            token_jti=b64url(secrets.token_bytes(TOKEN_JTI_BYTES)),
            scopes=scopes,
            issued_ms=now,
            lifetime_s=self._tokens.lifetime_s,
            assertion_claim=client.claim,
            proof_claim=proof.claim,
        )

    async def _record(self, issue: TokenIssue) -> None:
        """Commit the issue; a used assertion is a failed authentication, a used proof alone an invalid proof."""
        try:
            await self._ledger.record_issue(issue)
        except Replayed as exc:
            only_proof = exc.digests == {issue.proof_claim.digest}
            code = OAuthCode.INVALID_DPOP_PROOF if only_proof else OAuthCode.INVALID_CLIENT
            reason = PROOF_REPLAYED if only_proof else "assertion_replayed"
            raise OAuthError(code, reason=reason, client_id=issue.client_id) from exc
        except CredentialRevoked as exc:
            raise OAuthError(OAuthCode.INVALID_CLIENT, reason="key_revoked", client_id=issue.client_id) from exc

    async def _record_refusal(
        self, request: TokenRequest, client: VerifiedAssertion, error: Exception, now: Millis
    ) -> None:
        """Commit the leaf of a refusal; if the assertion turns out to be used or its key dead, that is the refusal."""
        told = _told(error)
        if told is None:
            return
        reason, status = told
        client_id = client.partner.client_id
        try:
            await self._ledger.record_refusal(
                TokenRefusal(
                    request_hash=request.request_hash,
                    partner_id=client.partner.partner_id,
                    credential=client.key.thumbprint,
                    reason=reason,
                    status=status,
                    refused_ms=now,
                    assertion_claim=client.claim,
                )
            )
        except Replayed as exc:
            if isinstance(error, GatewayError):
                return  # the log's own trouble, perhaps after its commit had used the assertion up: what it said stands
            raise OAuthError(OAuthCode.INVALID_CLIENT, reason="assertion_replayed", client_id=client_id) from exc
        except CredentialRevoked as exc:
            raise OAuthError(OAuthCode.INVALID_CLIENT, reason="key_revoked", client_id=client_id) from exc


def _told(error: Exception) -> tuple[str, int] | None:
    """Return reason and status of a refusal's leaf; None where nobody authenticated, or the log is out of reach."""
    if isinstance(error, OAuthError):
        return None if error.error == OAuthCode.INVALID_CLIENT else (error.reason, error.status)
    failure = as_refusal(error)
    return (failure.reason, INTERNAL_STATUS) if failure.kind is ErrorKind.INTERNAL else None
