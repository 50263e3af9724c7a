"""The description of this API, generated from the types that the code itself uses.

For: ``GET /v1/openapi.json`` and the committed ``schemas/openapi.json``, which a test compares.
``python -m gateway.api.openapi`` prints it.
Not for: what the routes do. Shapes come from the msgspec types; only what types cannot say (statuses, header fields, examples) is
written down, in ``openapi_paths``.
Source: OpenAPI Specification 3.1.1; JSON Schema 2020-12.
"""

from __future__ import annotations

import sys
from inspect import cleandoc
from typing import Any, Final

import msgspec

from gateway import __version__
from gateway.api.docs import ErrorPages
from gateway.api.log import ConsistencyProof
from gateway.api.oauth import OAuthErrorAnswer, TokenAnswer
from gateway.api.openapi_parts import EXAMPLE_ANSWER, EXAMPLE_RECEIPT, PARAMETERS, Json, in_line, in_paragraphs
from gateway.api.openapi_paths import paths
from gateway.api.status import Pointer, ServiceStatus
from gateway.api.wire import VerificationRequest
from gateway.base.messages.openapi import CONTACT, DPOP, INFO, TAGS, WORDS_OF
from gateway.base.messages.problems import PROBLEMS
from gateway.credit.answer import Answer
from gateway.web.problem import Problem

EXAMPLE_ISSUER: Final = "https://gateway.example"


class Receipt(msgspec.Struct, frozen=True):
    """What proves an answer: the leaf (base64), the keys that open its commitments, and a c2sp.org/tlog-proof@v1."""

    leaf: str
    open: dict[str, str]
    proof: str


class VerificationAnswer(Answer, frozen=True):
    """An answer with the receipt that proves it. The receipt commits to the canonical JSON of all other members."""

    receipt: Receipt


class JsonWebKey(msgspec.Struct, frozen=True):
    """A public key (RFC 7517 section 4). Which further members it has depends on ``kty``."""

    kty: str
    alg: str
    use: str
    kid: str


class JsonWebKeySet(msgspec.Struct, frozen=True):
    """Our public signing keys (RFC 7517 section 5)."""

    keys: tuple[JsonWebKey, ...]


class ServerMetadata(msgspec.Struct, frozen=True):
    """The metadata of the authorization server (RFC 8414 section 2, RFC 9449 section 5.1)."""

    issuer: str
    token_endpoint: str
    jwks_uri: str
    grant_types_supported: tuple[str, ...]
    response_types_supported: tuple[str, ...]
    scopes_supported: tuple[str, ...]
    token_endpoint_auth_methods_supported: tuple[str, ...]
    token_endpoint_auth_signing_alg_values_supported: tuple[str, ...]
    dpop_signing_alg_values_supported: tuple[str, ...]


_TYPES: Final = (
    VerificationRequest,
    VerificationAnswer,
    Receipt,
    Problem,
    TokenAnswer,
    OAuthErrorAnswer,
    ConsistencyProof,
    ServiceStatus,
    Pointer,
    ErrorPages,
    JsonWebKeySet,
    ServerMetadata,
)
_WORDS_OF: Final = {**WORDS_OF, "ErrorKind": {kind.value: text.title for kind, text in PROBLEMS.items()}}


def document(issuer: str) -> dict[str, Any]:
    """Return the OpenAPI document for one public base URL."""
    _roots, found = msgspec.json.schema_components(_TYPES, ref_template="#/components/schemas/{name}")
    components = {name: _explained(name, schema) for name, schema in found.items()}
    components["AskedSubject"]["minProperties"] = 1
    components["VerificationAnswer"]["examples"] = [EXAMPLE_ANSWER]
    components["Receipt"]["examples"] = [EXAMPLE_RECEIPT]
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Credit gateway",  # in ASCII: generators name packages after it
            "version": __version__,
            "summary": in_line(INFO.summary),
            "description": in_paragraphs(INFO.description),
            "contact": {"name": in_line(CONTACT), "url": f"{issuer}/"},
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": issuer}],
        "tags": [{"name": name, "description": in_paragraphs(text)} for name, text in TAGS.items()],
        "paths": paths(),
        "components": {
            "schemas": components,
            "parameters": PARAMETERS,
            "securitySchemes": {"dpop": {"type": "http", "scheme": "dpop", "description": in_paragraphs(DPOP)}},
        },
    }


def _explained(name: str, schema: Json) -> Json:
    """Return a schema with its docstring as Markdown; of an enumeration also its type, and what each value means.

    The values stand in the description because generators read ``enum``, and few the list of constants that could carry texts.
    """
    explained = {**schema, "description": cleandoc(schema["description"])}
    if "enum" in schema:
        explained["type"] = "string"
        words = _WORDS_OF[name]
        explained["description"] += "\n\n" + "\n".join(
            f"* `{value}`: {in_line(words[value])}" for value in schema["enum"]
        )
    return explained


def render_document(issuer: str) -> bytes:
    """Return the document as indented JSON, ending in a newline."""
    return msgspec.json.format(msgspec.json.encode(document(issuer)), indent=2) + b"\n"


if __name__ == "__main__":
    sys.stdout.buffer.write(render_document(EXAMPLE_ISSUER))
