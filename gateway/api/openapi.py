"""The description of this API, generated from the types that the code itself uses.

For: ``GET /v1/openapi.json`` and the committed ``schemas/openapi.json``, which a test compares.
``python -m gateway.api.openapi`` prints it.
Not for: what the routes do. Shapes come from the msgspec types; only what types cannot say (statuses, header fields, examples) is
written down, in ``openapi_paths``.
Source: OpenAPI Specification 3.1.1; JSON Schema 2020-12.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import msgspec

from gateway import __version__
from gateway.api.docs import ErrorPage
from gateway.api.log import ConsistencyProof
from gateway.api.oauth import OAuthErrorAnswer, TokenAnswer
from gateway.api.openapi_parts import EXAMPLE_ANSWER, EXAMPLE_RECEIPT, PARAMETERS
from gateway.api.openapi_paths import paths
from gateway.api.status import Pointer, ServiceStatus
from gateway.api.wire import VerificationRequest
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
    ErrorPage,
)


def document(issuer: str) -> dict[str, Any]:
    """Return the OpenAPI document for one public base URL."""
    _roots, components = msgspec.json.schema_components(_TYPES, ref_template="#/components/schemas/{name}")
    components["AskedSubject"]["minProperties"] = 1
    components["VerificationAnswer"]["examples"] = [EXAMPLE_ANSWER]
    components["Receipt"]["examples"] = [EXAMPLE_RECEIPT]
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "信用信息查询网关 / Credit gateway",
            "version": __version__,
            "summary": "Verified answers about merchants, with receipts that anyone can check.",
            "description": "Refusals are problem documents (RFC 9457) with a stable `code`, every fault in `errors`, and sentences in"
            " Chinese or, by `Accept-Language`, English. The `type` of each resolves. Times are RFC 3339.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": issuer}],
        "paths": paths(),
        "components": {
            "schemas": components,
            "parameters": PARAMETERS,
            "securitySchemes": {
                "dpop": {
                    "type": "http",
                    "scheme": "dpop",
                    "description": "RFC 9449: an access token of `/oauth2/token` (client credentials, private_key_jwt), with a fresh"
                    " proof in the `DPoP` header field of every request.",
                }
            },
        },
    }


def render_document(issuer: str) -> bytes:
    """Return the document as indented JSON, ending in a newline."""
    return msgspec.json.format(msgspec.json.encode(document(issuer)), indent=2) + b"\n"


if __name__ == "__main__":
    sys.stdout.buffer.write(render_document(EXAMPLE_ISSUER))
