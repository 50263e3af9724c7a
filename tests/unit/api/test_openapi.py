"""The OpenAPI document: in step with the code, complete, bounded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.api.edge import partner_routes
from gateway.api.openapi import EXAMPLE_ISSUER, document, render_document
from gateway.base.errors import ErrorKind
from gateway.web.problem import status_of
from tests.fakes.use_cases import World

COMMITTED = Path(__file__).parents[3] / "schemas" / "openapi.json"
DOCUMENT = document(EXAMPLE_ISSUER)


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def test_the_committed_document_is_in_step():
    """Run ``python -m gateway.api.openapi > schemas/openapi.json`` after changing a type or a route."""
    assert COMMITTED.read_bytes() == render_document(EXAMPLE_ISSUER)


async def test_every_route_is_described_and_nothing_else():
    served = {(route.method, re.sub(r"\.\.\.", "", route.template)) for route in partner_routes(World().needs())}

    assert {(method, path) for method, path, _ in operations()} == served


def test_every_reference_resolves():
    text = msgspec.json.encode(DOCUMENT).decode()
    for kind, name in set(re.findall(r'"#/components/([a-z]+|securitySchemes)/([^"]+)"', text)):
        assert name in DOCUMENT["components"][kind]


@pytest.mark.parametrize("operation", [pytest.param(one, id=f"{method} {path}") for method, path, one in operations()])
def test_every_operation_documents_what_the_kit_may_answer_anywhere(operation):
    """A status that no route of ours can avoid must be written at each of them."""
    anywhere = {
        ErrorKind.MALFORMED_REQUEST,
        ErrorKind.METHOD_NOT_ALLOWED,
        ErrorKind.REQUEST_TIMEOUT,
        ErrorKind.URI_TOO_LONG,
        ErrorKind.MISDIRECTED_REQUEST,
        ErrorKind.HEADERS_TOO_LARGE,
        ErrorKind.INTERNAL,
        ErrorKind.OVERLOADED,
    }

    assert {str(status_of(kind)) for kind in anywhere} <= set(operation["responses"])


def test_the_request_refuses_unknown_members_and_bounds_every_text():
    schemas = DOCUMENT["components"]["schemas"]
    request, subject = schemas["VerificationRequest"], schemas["AskedSubject"]

    assert request["additionalProperties"] is False
    assert subject["additionalProperties"] is False
    assert all("maxLength" in schema for schema in subject["properties"].values())
    assert "maxLength" in request["properties"]["business_ref"]
    assert schemas["Purpose"]["enum"] == ["complaint", "onboarding", "periodic_review", "risk"]


def test_every_problem_code_is_listed():
    assert set(DOCUMENT["components"]["schemas"]["ErrorKind"]["enum"]) == {kind.value for kind in ErrorKind}
