"""The OpenAPI document: in step with the code, complete, bounded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.api.edge import partner_routes
from gateway.api.openapi import EXAMPLE_ISSUER, JsonWebKeySet, ServerMetadata, document, render_document
from gateway.base.canonical import parse_json_object
from gateway.base.errors import ErrorKind
from gateway.base.messages.openapi import OPERATIONS, TAGS, WORDS_OF
from gateway.identity.metadata import render_jwks, render_metadata
from gateway.identity.signing_key import SigningKey
from gateway.web.problem import status_of
from tests.fakes.use_cases import World

COMMITTED = Path(__file__).parents[3] / "schemas" / "openapi.json"
DOCUMENT = document(EXAMPLE_ISSUER)
LINTERS = Path(__file__).parents[3] / ".ci" / "openapi"
PROTECTED = {"verify", "readVerification", "readReceipt"}


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


def test_every_operation_says_who_may_call_it():
    """Nothing is left to a default: a public operation says that it needs nothing."""
    needs = {operation["operationId"]: operation["security"] for _method, _path, operation in operations()}

    assert {name for name, schemes in needs.items() if schemes == [{"dpop": []}]} == PROTECTED
    assert {name for name, schemes in needs.items() if schemes == []} == needs.keys() - PROTECTED


def test_every_operation_is_described_in_both_languages_and_no_text_is_left_over():
    described = {operation["operationId"]: operation["description"] for _method, _path, operation in operations()}

    assert described == {name: f"{text.description.zh}\n\n{text.description.en}" for name, text in OPERATIONS.items()}


def test_every_tag_is_declared_and_used():
    used = {tag for _method, _path, operation in operations() for tag in operation["tags"]}

    assert used == {tag["name"] for tag in DOCUMENT["tags"]} == set(TAGS)


def test_somebody_can_be_asked_under_the_address_of_this_gateway():
    assert DOCUMENT["info"]["contact"]["url"] == f"{EXAMPLE_ISSUER}/"
    assert DOCUMENT["info"]["title"].isascii()  # generators name packages after it


def test_every_word_of_every_enumeration_is_explained():
    schemas = DOCUMENT["components"]["schemas"]
    words = {name: schema["enum"] for name, schema in schemas.items() if "enum" in schema}

    assert words.keys() == {*WORDS_OF, "ErrorKind"}
    assert {name: set(values) for name, values in words.items() if name in WORDS_OF} == {
        name: set(meanings) for name, meanings in WORDS_OF.items()
    }
    for name, values in words.items():
        assert schemas[name]["type"] == "string"
        assert all(f"* `{value}`: " in schemas[name]["description"] for value in values)


def test_descriptions_are_markdown_and_not_indented_code():
    """A docstring carries the indentation of its class, which Markdown would show as a block of code."""
    described = [schema["description"] for schema in DOCUMENT["components"]["schemas"].values()]

    assert [text for text in described if "\n    " in text] == []


@pytest.mark.parametrize(
    ("served", "described"),
    [
        (render_metadata(EXAMPLE_ISSUER), ServerMetadata),
        (render_jwks([SigningKey.generate().public]), JsonWebKeySet),
    ],
)
def test_the_public_documents_of_oauth_have_the_members_that_are_described(served, described):
    read = msgspec.json.decode(served, type=described)

    assert parse_json_object(served).keys() == set(described.__struct_fields__)
    assert read


def test_the_linters_are_locked_and_leave_no_rule_out():
    """Their lock file names digests and no host; whoever switches a rule off must come by here with a reason."""
    locked = parse_json_object((LINTERS / "package-lock.json").read_bytes())["packages"]
    rules = {name: (LINTERS / name).read_text() for name in ("redocly.yaml", "spectral.yaml")}

    assert [path for path, package in locked.items() if path and "integrity" not in package] == []
    assert [path for path, package in locked.items() if "resolved" in package] == []
    assert [name for name, text in rules.items() if "rules:" in text] == []
