"""The running server keeps every promise of its own OpenAPI document, also towards requests made to break it.

Requests are made by schemathesis from ``/v1/openapi.json``: the examples, every boundary of every schema, and random ones, good and bad.
What no schema can describe is left to us: each request gets a fresh proof of possession, so that what is wrong with it is never the
proof (tables C and D), a good token request a real assertion, and a good question a code with the right check character.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import schemathesis
from hypothesis import strategies
from schemathesis import hooks
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation
from schemathesis.engine import events, from_schema

from gateway.base.clock import SystemClock
from gateway.identity.client import make_proof
from gateway.sandbox.lines import ENTERPRISE, make_uscc
from tests.conftest import Database
from tests.fakes.gateway import Gateway, PartnerClient, running_gateway

KEY = re.compile(r"[!#-~]([ -~]{0,253}[!-~])?")
PROTECTED = "/v1/verifications"
TOKEN = "/oauth2/token"
PROOF = {"$ref": "#/components/parameters/DPoP"}
PURPOSES = frozenset({"onboarding", "periodic_review", "risk", "complaint"})
CODES = [make_uscc(ENTERPRISE, f"{number:08d}") for number in range(1, 25)]
AS_TYPED = [
    *CODES,
    f" {CODES[0]}",
    f"{CODES[1]}\u3000",
    CODES[2].lower(),
    CODES[3].translate({48 + n: 0xFF10 + n for n in range(10)}),
]
CONFIG = {
    "seed": 20261122,
    "generation": {
        "max-examples": 25,
        "deterministic": True,
        "database": "none",
        "no-shrink": True,
        "with-security-parameters": False,
    },
    "phases": {"stateful": {"enabled": False}},
}


@pytest.fixture
async def gateway(database: Database, tmp_path) -> AsyncIterator[Gateway]:
    async with running_gateway(database, tmp_path, dpop_nonce="off") as running:
        yield running


def make_auth(client: PartnerClient) -> type:
    """The token, as schemathesis is told about it: it also tries what happens without, and with a wrong one."""

    class Token:
        def get(self, _case, _context):
            return client.token

        def set(self, case, data, _context):
            case.headers["Authorization"] = f"DPoP {data}"

    return Token


def is_good(case: Any, location: ParameterLocation) -> bool:
    """Whether this part of a request was made to be accepted."""
    component = case.meta.components.get(location) if case.meta is not None else None
    return component is None or component.mode.is_positive


@contextmanager
def proving(client: PartnerClient) -> Iterator[None]:
    """Give every request a proof, a good token request its assertion, and a good idempotency key a fresh value.

    The last because examples repeat a key with other bodies.
    """

    def before_call(_context, case, _kwargs):
        if KEY.fullmatch(str(case.headers.get("Idempotency-Key", ""))):
            case.headers["Idempotency-Key"] = secrets.token_urlsafe(16)
        if case.operation.path == TOKEN and isinstance(case.body, dict) and is_good(case, ParameterLocation.BODY):
            case.body |= {"client_assertion": client.assertion()}
            if "client_id" in case.body:
                case.body["client_id"] = client.client_id
        case.headers["DPoP"] = make_proof(
            client.proof_key,
            method=case.method.upper(),
            url=case.as_transport_kwargs(base_url=client.base)["url"],
            now=SystemClock().now_ms(),
            jti=secrets.token_urlsafe(16),
            access_token=client.token if case.operation.path.startswith(PROTECTED) else None,
        )

    schemathesis.hook("before_call")(before_call)
    try:
        yield
    finally:
        hooks.unregister(before_call)


def load(document: dict[str, Any], client: PartnerClient) -> Any:
    """The document as served, but for the parameter that we fill in ourselves and what no schema can say: check characters."""
    document["components"]["schemas"]["AskedSubject"]["properties"]["uscc"] = {"enum": AS_TYPED}
    schemathesis.openapi.format("party-name", strategies.from_regex(r"[一-龥A-Za-z（）]{1,40}", fullmatch=True))
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["parameters"] = [one for one in operation.get("parameters", ()) if one != PROOF]
    config = SchemathesisConfig.from_dict({**CONFIG, "base-url": client.base})
    schema = schemathesis.openapi.from_dict(document, config=config)
    schema.auth().apply_to(path_regex=f"^{PROTECTED}")(make_auth(client))
    return schema


def drive(schema: Any) -> tuple[Counter[tuple[str, int]], list[str]]:
    """Run all phases against the server; return the answers by operation and status, and what failed."""
    answers: Counter[tuple[str, int]] = Counter()
    failures: list[str] = []
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            recorder = event.recorder
            answers.update(
                (event.label, one.response.status_code) for one in recorder.interactions.values() if one.response
            )
            failures += [
                f"{event.label} [{event.phase}] {node.name}: {node.failure_info.failure.title}:"
                f" {node.failure_info.failure.message}\n{node.failure_info.code_sample}"
                for nodes in recorder.checks.values()
                for node in nodes
                if node.failure_info is not None
            ]
        elif isinstance(event, events.NonFatalError):
            failures.append(str(event.info))
        elif isinstance(event, events.FatalError):
            failures.append(repr(event.exception))
    return answers, failures


async def test_the_server_keeps_the_promises_of_its_document(gateway):
    """No undocumented status, no answer outside its schema, no 5xx, no bad request accepted, no good one refused."""
    client = await gateway.partner(purposes=PURPOSES)
    document = (await client.raw("GET", "/v1/openapi.json")).json
    operations = sum(len(methods) for methods in document["paths"].values())

    with proving(client):
        answers, failures = await asyncio.to_thread(drive, load(document, client))

    assert not failures, "\n\n".join(failures)
    assert len({label for label, _status in answers}) == operations
    # The good requests were really answered, and the bad ones reached validation.
    assert answers["POST /v1/verifications", 200] > 20
    assert answers["POST /v1/verifications", 422] > 20
    assert answers["POST /oauth2/token", 200] > 20
    assert answers["POST /oauth2/token", 400] + answers["POST /oauth2/token", 401] > 10
