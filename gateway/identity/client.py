"""The partner's side of the protocol: client assertions and proofs of possession.

For: the command line, tests and the bench. Pure: the instant and the identifiers are given.
Not for: sending anything.
Source: RFC 7523 section 2.2, RFC 9449 section 4.2, rfc7523bis section 4 (explicit type).
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit, urlunsplit

from gateway.base.canonical import Json
from gateway.base.clock import Millis
from gateway.base.codec import b64url
from gateway.base.crypto import sha256
from gateway.identity.assertion import ASSERTION_TYPE
from gateway.identity.signing_key import SigningKey

ASSERTION_LIFETIME_S: Final = 60


def make_assertion(  # noqa: PLR0913 - the claims, each named
    key: SigningKey,
    *,
    client_id: str,
    issuer: str,
    now: Millis,
    jti: str,
    kid: str | None = None,
    lifetime_s: int = ASSERTION_LIFETIME_S,
) -> str:
    """Return a client assertion. ``kid`` is the registered name of the key; None means its thumbprint."""
    now_s = now // 1000
    header: dict[str, Json] = {"typ": "client-authentication+jwt", "kid": kid or key.public.thumbprint}
    claims: dict[str, Json] = {
        "iss": client_id,
        "sub": client_id,
        "aud": issuer,
        "iat": now_s,
        "exp": now_s + lifetime_s,
        "jti": jti,
    }
    return key.sign_jwt(header, claims)


def make_proof(  # noqa: PLR0913 - the claims, each named
    key: SigningKey,
    *,
    method: str,
    url: str,
    now: Millis,
    jti: str,
    access_token: str | None = None,
    nonce: str | None = None,
) -> str:
    """Return a DPoP proof for one request; query and fragment of ``url`` are left out, as the standard asks."""
    claims: dict[str, Json] = {"jti": jti, "htm": method, "htu": _bare(url), "iat": now // 1000}
    if access_token is not None:
        claims["ath"] = token_hash(access_token)
    if nonce is not None:
        claims["nonce"] = nonce
    jwk: dict[str, Json] = dict(key.public.jwk)
    return key.sign_jwt({"typ": "dpop+jwt", "jwk": jwk}, claims)


def token_hash(access_token: str) -> str:
    """Return the ``ath`` of a token: base64url of the SHA-256 of its ASCII text."""
    return b64url(sha256(access_token.encode("ascii")))


def token_form(*, assertion: str, scope: str | None = None) -> list[tuple[str, str]]:
    """Return the form parameters of a token request."""
    form = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion),
    ]
    return form if scope is None else [*form, ("scope", scope)]


def _bare(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
