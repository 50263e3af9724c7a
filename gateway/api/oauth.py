"""The OAuth routes: tokens, our public keys, and the metadata by which a client finds both.

For: HTTP around ``gateway.identity.token_grant``. Errors here are OAuth errors, not problem documents, whatever went wrong.
Source: RFC 6749 sections 5.1 and 5.2; RFC 8414; RFC 7517; RFC 9449 section 8. Statements A10, E4, K4 and rows B05 to B07.

A token request that is too large or not a form is answered 400 and not 413 or 415: RFC 6749 section 5.2 says 400 for what is wrong
with the request, and widely used clients (Spring Security's ``OAuth2ErrorResponseErrorHandler``) read ``error`` from a 400 alone.
Statuses that speak of the connection, the method or the address stay what they are.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from gateway.api.documents import serve_document
from gateway.api.needs import Needs
from gateway.base.errors import ErrorKind, GatewayError
from gateway.identity.authorization import render_client_challenge
from gateway.identity.metadata import DOCUMENT_MAX_AGE_S, JWKS_PATH, TOKEN_PATH, metadata_paths
from gateway.identity.oauth import DESCRIPTIONS, OAuthCode, OAuthError
from gateway.identity.token_grant import TokenRequest
from gateway.web.body import read_body, undo_coding
from gateway.web.exchange import Exchange, Reply, Route
from gateway.web.form import parse_form
from gateway.web.problem import DEFAULT_RETRY_S, status_of

FORM_TYPE: Final = "application/x-www-form-urlencoded"
_UNFIT_FORM: Final = frozenset({ErrorKind.BODY_TOO_LARGE, ErrorKind.UNSUPPORTED_MEDIA_TYPE})
_LEGACY_NO_CACHE: Final = ("Pragma", "no-cache")


class TokenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The successful answer (RFC 6749 section 5.1)."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str


class OAuthErrorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The error answer (RFC 6749 section 5.2). ``request_id`` is our extension."""

    error: str
    error_description: str
    request_id: str


_ENCODER: Final = msgspec.json.Encoder()


class OAuthRoutes:
    """The handlers, around the needs they share."""

    def __init__(self, needs: Needs) -> None:
        self._needs: Final = needs

    def routes(self) -> tuple[Route, ...]:
        """Return the routes; the metadata also under the path of an issuer that has one (RFC 8414 section 3.1)."""
        metadata = serve_document(self._needs.metadata, max_age_s=DOCUMENT_MAX_AGE_S)
        return (
            Route(method="POST", template=TOKEN_PATH, handler=self.token, render_refusal=render_oauth_refusal),
            Route(
                method="GET",
                template=JWKS_PATH,
                handler=serve_document(self._needs.jwks, max_age_s=DOCUMENT_MAX_AGE_S),
            ),
            *(Route(method="GET", template=path, handler=metadata) for path in metadata_paths(self._needs.issuer)),
        )

    async def token(self, exchange: Exchange) -> Reply:
        """Serve ``POST /oauth2/token``."""
        needs = self._needs
        request = exchange.request
        limits = needs.strangers.token_bodies
        raw = await read_body(exchange, FORM_TYPE, limits)
        parameters = parse_form(undo_coding(exchange, raw, limits))
        dpop = request.headers.getall("DPoP", [])
        proof = dpop[0] if dpop else ""
        try:
            with needs.strangers.token_requests.place(exchange):
                granted = await needs.grant_token(
                    TokenRequest(
                        request_id=exchange.request_id,
                        request_hash=hashlib.sha256(proof.encode("ascii") + b"\0" + raw).digest(),
                        path=exchange.path,
                        has_query="?" in request.raw_path,  # `exchange.query` does not tell an empty one from none
                        parameters=parameters,
                        authorization=request.headers.getall("Authorization", []),
                        dpop=dpop,
                    )
                )
        except OAuthError as exc:
            if (
                exc.client_id is not None and exc.error != OAuthCode.INVALID_CLIENT
            ):  # known by its assertion, though refused
                exchange.authenticate()
            exchange.code = exc.error
            exchange.reason = exc.reason
            needs.metrics.refused(exc.error)
            return self._refuse(exchange, exc)
        exchange.authenticate()
        exchange.outcome = "granted"
        body = TokenAnswer(
            access_token=granted.access_token,
            token_type=granted.token_type,
            expires_in=granted.expires_in,
            scope=granted.scope,
        )
        headers = () if granted.dpop_nonce is None else (("DPoP-Nonce", granted.dpop_nonce),)
        return Reply(status=200, body=_ENCODER.encode(body), headers=(_LEGACY_NO_CACHE, *headers))

    def _refuse(self, exchange: Exchange, refusal: OAuthError) -> Reply:
        headers: tuple[tuple[str, str], ...] = (_LEGACY_NO_CACHE,)
        if refusal.status == 401:  # noqa: PLR2004 - RFC 9110 section 15.5.2 asks for a challenge
            challenge = render_client_challenge(exchange.request.headers.getall("Authorization", []))
            headers = (*headers, ("WWW-Authenticate", challenge))
        nonce = self._needs.grant_token.fresh_nonce() if refusal.dpop_nonce else None
        if nonce is not None:
            headers = (*headers, ("DPoP-Nonce", nonce))
        return _error(exchange, refusal.status, refusal.error, refusal.description, headers)


def render_oauth_refusal(exchange: Exchange, refusal: GatewayError) -> Reply:
    """Return what the HTTP kit refused as an OAuth error: ``error`` from the registry of codes, 400 for a form that is none."""
    status = 400 if refusal.kind in _UNFIT_FORM else status_of(refusal.kind)
    headers: tuple[tuple[str, str], ...] = (_LEGACY_NO_CACHE,)
    if refusal.kind in {ErrorKind.OVERLOADED, ErrorKind.STORE_UNAVAILABLE}:
        headers = (*headers, ("Retry-After", str(refusal.retry_after_s or DEFAULT_RETRY_S)))
        return _error(exchange, status, "temporarily_unavailable", "Try again later.", headers)
    if refusal.kind is ErrorKind.INTERNAL:
        return _error(exchange, status, "server_error", "Something went wrong inside the server.", headers)
    return _error(exchange, status, OAuthCode.INVALID_REQUEST.value, DESCRIPTIONS[OAuthCode.INVALID_REQUEST], headers)


def _error(
    exchange: Exchange, status: int, error: str, description: str, headers: tuple[tuple[str, str], ...]
) -> Reply:
    body = OAuthErrorAnswer(error=error, error_description=description, request_id=exchange.request_id)
    return Reply(status=status, body=_ENCODER.encode(body), headers=headers)
