"""The parameters of a token request: one authentication method, one grant, and what is asked for.

For: ``token_grant``, after the HTTP layer has decoded the form. Not for: whether the assertion is good, or the scope allowed.
Source: RFC 6749 sections 2.3, 3.2 and 4.4; RFC 7521 section 4.2; RFC 8707. Statements A3 to A9, C7; rows B01 to B05, A46 to A48.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.identity.assertion import ASSERTION_TYPE
from gateway.identity.oauth import OAuthCode, OAuthError

MAX_PARAMETERS: Final = 32
"""A token request needs three to six."""
_SECRET_PARAMETERS: Final = frozenset({"client_secret"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenForm:
    """A request for a token by client credentials, authenticated by an assertion that nobody has read yet."""

    assertion: str
    client_id: str | None
    scope: str | None
    resource: str | None


def read_token_form(
    parameters: Sequence[tuple[str, str]], authorization: Sequence[str], *, has_query: bool
) -> TokenForm:
    """Check the parameters as a whole, or raise ``OAuthError``; unknown ones are ignored (RFC 6749 section 3.2)."""
    if has_query:
        raise OAuthError(OAuthCode.INVALID_REQUEST, reason="parameters_in_query")
    if len(parameters) > MAX_PARAMETERS:
        raise OAuthError(OAuthCode.INVALID_REQUEST, reason="too_many_parameters")
    form = dict(parameters)
    if len(form) != len(parameters):
        raise OAuthError(OAuthCode.INVALID_REQUEST, reason="parameter_repeated")
    _check_methods(authorization, form)
    grant_type = form.get("grant_type")
    if not grant_type:
        raise OAuthError(OAuthCode.INVALID_REQUEST, reason="grant_type_missing")
    if grant_type != "client_credentials":
        raise OAuthError(OAuthCode.UNSUPPORTED_GRANT_TYPE, reason="grant_type_unknown")
    assertion = form.get("client_assertion", "")
    if not assertion:
        raise OAuthError(OAuthCode.INVALID_CLIENT, reason="assertion_missing")
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise OAuthError(OAuthCode.INVALID_CLIENT, reason="assertion_type")
    # An empty scope is one that asks for nothing; the other parameters count as absent when empty (RFC 6749 section
    # 3.2).
    return TokenForm(
        assertion=assertion,
        client_id=form.get("client_id") or None,
        scope=form.get("scope"),
        resource=form.get("resource") or None,
    )


def _check_methods(authorization: Sequence[str], form: dict[str, str]) -> None:
    """Refuse two authentication methods at once, and methods other than an assertion (statements A6, C7)."""
    other = bool(authorization) or not _SECRET_PARAMETERS.isdisjoint(form)
    if other and "client_assertion" in form:
        raise OAuthError(OAuthCode.INVALID_REQUEST, reason="two_methods")
    if len(authorization) > 1:
        raise OAuthError(OAuthCode.INVALID_REQUEST, reason="authorization_repeated")
    if other and form.get("grant_type") == "client_credentials":
        raise OAuthError(OAuthCode.INVALID_CLIENT, reason="method_unsupported")
