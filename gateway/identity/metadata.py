"""The documents by which a client finds its way: server metadata and our public keys.

For: ``/.well-known/oauth-authorization-server`` and ``/oauth2/jwks``. They name nothing that does not exist.

``response_types_supported`` cannot be true to the standard: RFC 8414 section 2 requires it, section 3.2 forbids a list without elements,
and here is no authorization endpoint that could support any. It says ``none``, the registered response type by which nothing is issued
(OAuth 2.0 Multiple Response Type Encoding Practices, section 4): the one non-empty list that promises nothing. Authlib refuses an empty
list and a missing one alike.
Source: RFC 8414 sections 2 and 3; RFC 9449 section 5.1; RFC 7517 section 5; RFC 9864. Statements A1, A2, K1, K3, K4.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from gateway.base.canonical import Json, canonical_json
from gateway.base.codec import b64url
from gateway.base.crypto import sha256
from gateway.identity.grants import Scope
from gateway.identity.jwk import PublicKey

TOKEN_PATH: Final = "/oauth2/token"  # noqa: S105 - a path
JWKS_PATH: Final = "/oauth2/jwks"
WELL_KNOWN_PATH: Final = "/.well-known/oauth-authorization-server"
DOCUMENT_MAX_AGE_S: Final = 300
"""``Cache-Control: max-age`` of both documents. A new signing key is published at least twice as long before its first
use, and keys overlap at least four times as long (statement K4, life-cycle rule 9)."""

_SIGNING_ALGORITHMS: Final[list[Json]] = ["ES256", "PS256", "EdDSA", "Ed25519"]


def render_metadata(issuer: str) -> bytes:
    """Return the metadata document of an issuer (a URL without query, fragment and final slash) as canonical JSON."""
    document: dict[str, Json] = {
        "issuer": issuer,
        "token_endpoint": issuer + TOKEN_PATH,
        "jwks_uri": issuer + JWKS_PATH,
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": ["none"],
        "scopes_supported": [scope.value for scope in Scope],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(_SIGNING_ALGORITHMS),
        "dpop_signing_alg_values_supported": list(_SIGNING_ALGORITHMS),
    }
    return canonical_json(document)


def metadata_paths(issuer: str) -> tuple[str, ...]:
    """Return the paths that serve the metadata: the well-known path, followed by the issuer's own if it has one."""
    path = urlsplit(issuer).path
    return (WELL_KNOWN_PATH,) if path in {"", "/"} else (WELL_KNOWN_PATH, WELL_KNOWN_PATH + path)


def render_jwks(keys: Iterable[PublicKey]) -> bytes:
    """Return the set of our public signing keys; ``kid`` is the thumbprint. ``ValueError`` if a key appears twice."""
    members: list[Json] = []
    seen: set[str] = set()
    for key in keys:
        if key.thumbprint in seen:
            msg = "the same key twice in one set"
            raise ValueError(msg)
        seen.add(key.thumbprint)
        jwk: dict[str, Json] = {**key.jwk, "alg": key.alg.value, "use": "sig", "kid": key.thumbprint}
        members.append(jwk)
    return canonical_json({"keys": members})


def entity_tag(document: bytes) -> str:
    """Return a strong ``ETag`` for a document."""
    return f'"{b64url(sha256(document)[:12])}"'
