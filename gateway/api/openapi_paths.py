"""What the types do not say about the routes: which parameters they take and which statuses they answer.

For: ``gateway.api.openapi``. A test walks the route table and this one side by side.
"""

from __future__ import annotations

from typing import Final

from gateway.api.openapi_parts import (
    FORM_TYPE,
    HTML_TYPE,
    JSON_TYPE,
    MAX_JWT_CHARS,
    NONCE,
    TEXT_TYPE,
    Json,
    content,
    header,
    number,
    ok,
    operation,
    ref,
    refusals,
    unchanging,
)

_EXAMPLE_QUESTION: Final[Json] = {
    "subject": {"uscc": "919900000000000192"},
    "purpose": "onboarding",
    "business_ref": "C-2026-118",
    "relation": "signed_merchant",
}

_READ_PARAMETERS: Final = [ref("parameters", "VerificationId"), ref("parameters", "DPoP")]


def _partner_paths() -> Json:
    answer = content(JSON_TYPE, ref("schemas", "VerificationAnswer"))
    receipt = content(JSON_TYPE, ref("schemas", "Receipt"))
    question = {"schema": ref("schemas", "VerificationRequest"), "example": _EXAMPLE_QUESTION}
    replayed = {"Idempotent-Replayed": header("`true` if this is an earlier answer, given again."), **NONCE}
    return {
        "/v1/verifications": {
            "post": operation(
                "verify",
                "verifications",
                {
                    **ok("The answer, on record before it left.", answer, replayed),
                    **refusals("401", "403", "409", "413", "415", "422"),
                },
                parameters=[ref("parameters", "DPoP"), ref("parameters", "IdempotencyKey")],
                requestBody={"required": True, "content": {JSON_TYPE: question}},
                protected=True,
            )
        },
        "/v1/verifications/{id}": {
            "get": operation(
                "readVerification",
                "verifications",
                {**ok("The same answer.", answer, NONCE), **refusals("401", "403", "404")},
                parameters=_READ_PARAMETERS,
                protected=True,
            )
        },
        "/v1/verifications/{id}/receipt": {
            "get": operation(
                "readReceipt",
                "verifications",
                {**ok("The receipt.", receipt, NONCE), **refusals("401", "403", "404")},
                parameters=_READ_PARAMETERS,
                protected=True,
            )
        },
    }


def _oauth_paths() -> Json:
    jwt: Json = {"type": "string", "minLength": 1, "maxLength": MAX_JWT_CHARS}
    form: Json = {
        "type": "object",
        "required": ["grant_type", "client_assertion_type", "client_assertion"],
        "properties": {
            "grant_type": {"const": "client_credentials"},
            "client_assertion_type": {"const": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
            "client_assertion": jwt,
            "client_id": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{2,62}$", "maxLength": 63},
            "scope": {"type": "string", "const": "verifications"},
        },
        # Others are ignored (RFC 6749 section 3.2), but nothing may appear twice or hold NUL.
        "additionalProperties": {"type": "string", "pattern": "^[^\\u0000]*$", "maxLength": 256},
        "propertyNames": {"pattern": "^[^\\u0000]*$"},
        "maxProperties": 32,
    }
    errors = refusals("401", schema="OAuthErrorAnswer", media_type=JSON_TYPE)
    return {
        "/oauth2/token": {
            "post": operation(
                "token",
                "oauth",
                {**ok("The token.", content(JSON_TYPE, ref("schemas", "TokenAnswer")), NONCE), **errors},
                parameters=[ref("parameters", "DPoP")],
                requestBody={"required": True, "content": {FORM_TYPE: {"schema": form}}},
            )
        },
        "/oauth2/jwks": {"get": unchanging("jwks", "oauth", ref("schemas", "JsonWebKeySet"))},
        "/.well-known/oauth-authorization-server": {
            "get": unchanging("metadata", "oauth", ref("schemas", "ServerMetadata"))
        },
    }


def _log_paths() -> Json:
    text = content(TEXT_TYPE, {"type": "string"})
    # JSON Schema has no word for raw bytes; ``binary`` is OpenAPI's own, and what generators make bytes of.
    tile = content("application/octet-stream", {"type": "string", "format": "binary"})
    proof = content(JSON_TYPE, ref("schemas", "ConsistencyProof"))
    tile_path: Json = {
        "type": "string",
        "maxLength": 200,
        "pattern": r"^[0-9]{1,2}/(x[0-9]{3}/){0,6}[0-9]{3}(\.p/[1-9][0-9]{0,2})?$",
    }
    return {
        "/v1/log/checkpoint": {
            "get": operation(
                "checkpoint",
                "log",
                {**ok("c2sp.org/tlog-checkpoint", text), **refusals()},
            )
        },
        "/v1/log/tile/{path}": {
            "get": operation(
                "tile",
                "log",
                {**ok("32 bytes for each hash.", tile), **refusals("404")},
                parameters=[{"name": "path", "in": "path", "required": True, "schema": tile_path, "example": "0/000"}],
            )
        },
        "/v1/log/proofs/inclusion": {
            "get": operation(
                "inclusionProof",
                "log",
                {**ok("c2sp.org/tlog-proof@v1", text), **refusals("404")},
                parameters=[number("index", required=True), number("size", required=False)],
            )
        },
        "/v1/log/proofs/consistency": {
            "get": operation(
                "consistencyProof",
                "log",
                {**ok("RFC 9162 section 2.1.4", proof), **refusals("404")},
                parameters=[number("from", required=True), number("to", required=True)],
            )
        },
    }


def _public_paths() -> Json:
    status = content(JSON_TYPE, ref("schemas", "ServiceStatus"))
    page = {**content(JSON_TYPE, ref("schemas", "ErrorPage")), **content(HTML_TYPE, {"type": "string"})}
    pages = {**content(JSON_TYPE, ref("schemas", "ErrorPages")), **content(HTML_TYPE, {"type": "string"})}
    code: Json = {"type": "string", "pattern": "^[a-z_]+$", "maxLength": 64}
    return {
        "/": {
            "get": operation(
                "pointer",
                "service",
                {**ok("Where to begin.", content(JSON_TYPE, ref("schemas", "Pointer"))), **refusals()},
            )
        },
        "/v1/status": {
            "get": operation(
                "status",
                "service",
                {**ok("The state.", status), **refusals()},
            )
        },
        "/v1/openapi.json": {"get": unchanging("openapi", "service", {"type": "object"})},
        "/docs/errors": {
            "get": operation(
                "errorPages",
                "docs",
                {**ok("All codes.", pages), **refusals()},
            )
        },
        "/docs/errors/{code}": {
            "get": operation(
                "errorPage",
                "docs",
                {**ok("The code.", page), **refusals("404")},
                parameters=[
                    {"name": "code", "in": "path", "required": True, "schema": code, "example": "validation_failed"}
                ],
            )
        },
    }


def paths() -> Json:
    """Return the ``paths`` object."""
    return {**_partner_paths(), **_oauth_paths(), **_log_paths(), **_public_paths()}
