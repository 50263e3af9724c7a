"""A client that a stranger generates from the committed OpenAPI document works against the running gateway, unmodified.

Not for: the receipts and refusals themselves, which have suites of their own. What is shown here is that the document tells the truth
in a form that a generator digests: no warning, every operation there, answers that parse into its types and lose nothing.
"""

from __future__ import annotations

import asyncio
import importlib
import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from gateway.audit.receipt import verify_receipt
from gateway.base.canonical import canonical_json
from tests.conftest import Database
from tests.fakes.gateway import CLEAR, SERIOUS, Gateway, PartnerClient, running_gateway

SCHEMA = Path(__file__).parents[2] / "schemas" / "openapi.json"
PACKAGE = "generated_gateway_client"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
GENERATOR_DEADLINE_S = 120


@pytest.fixture
async def gateway(database: Database, tmp_path) -> AsyncIterator[Gateway]:
    async with running_gateway(database, tmp_path) as running:
        yield running


@pytest.fixture
async def generated(tmp_path, monkeypatch) -> AsyncIterator[ModuleType]:
    """The package as generated; a warning of the generator, which would mean that it left something out, fails the test."""
    folder = tmp_path / "generated"
    folder.mkdir()
    config = tmp_path / "generator.json"
    config.write_bytes(msgspec.json.encode({"post_hooks": []}))  # formatting what nobody reads
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning", "--meta", "none"),
        *("--path", str(SCHEMA), "--config", str(config), "--output-path", str(folder / PACKAGE)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(GENERATOR_DEADLINE_S):
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert "arning" not in said.decode()
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
    yield importlib.import_module(PACKAGE)
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def part(name: str) -> Any:
    return importlib.import_module(f"{PACKAGE}.{name}")


async def token_of(partner: PartnerClient, client: Any) -> str:
    """Obtain a token as the document says: once more with the nonce that the first answer brings."""
    operation, form = part("api.oauth.token"), part("models").TokenBody
    for _ in range(2):
        body = form(
            grant_type="client_credentials", client_assertion_type=ASSERTION_TYPE, client_assertion=partner.assertion()
        )
        proof = partner.proof("POST", "/oauth2/token", access_token=None, nonce=partner.nonces.get("as"))
        answer = await operation.asyncio_detailed(client=client, body=body, d_po_p=proof)
        partner.nonces["as"] = answer.headers.get("DPoP-Nonce", "")
        if answer.status_code == 200:
            partner.token = answer.parsed.access_token
            return partner.token
        assert answer.parsed.error == "use_dpop_nonce"
    raise AssertionError


async def ask(partner: PartnerClient, client: Any, uscc: str) -> Any:
    """Ask about a merchant, once more with the nonce that was asked for."""
    operation, models = part("api.verifications.verify"), part("models")
    body = models.VerificationRequest(
        subject=models.AskedSubject(uscc=uscc),
        purpose=models.Purpose.ONBOARDING,
        business_ref="C-1",
        relation=models.Relation.SIGNED_MERCHANT,
    )
    for _ in range(2):
        proof = partner.proof("POST", "/v1/verifications")
        key = secrets.token_urlsafe(16)
        answer = await operation.asyncio_detailed(client=client, body=body, d_po_p=proof, idempotency_key=key)
        partner.nonces["rs"] = answer.headers.get("DPoP-Nonce", partner.nonces.get("rs"))
        if answer.parsed.to_dict().get("code") != "use_dpop_nonce":
            break
    return answer


@pytest.mark.slow
async def test_a_generated_client_makes_a_verification(gateway, generated):
    """Token, question, answer, receipt, reading again: nothing but the generated package and a partner's keys."""
    partner = await gateway.unsigned_partner()
    models = part("models")

    async with generated.Client(base_url=gateway.base) as anonymous:
        token = await token_of(partner, anonymous)
    async with generated.AuthenticatedClient(base_url=gateway.base, token=token, prefix="DPoP") as client:
        clear = await ask(partner, client, CLEAR)
        restricted = await ask(partner, client, SERIOUS)
        refused = await ask(partner, client, "no such code")
        again = await part("api.verifications.read_verification").asyncio_detailed(
            restricted.parsed.id,
            client=client,
            d_po_p=partner.proof("GET", f"/v1/verifications/{restricted.parsed.id}"),
        )

    assert (clear.status_code, clear.parsed.outcome) == (200, models.Outcome.CLEAR)
    assert (restricted.status_code, restricted.parsed.outcome) == (200, models.Outcome.RESTRICTED)
    assert restricted.parsed.flags[0].tier is models.Tier.SERIOUS
    assert (refused.status_code, refused.parsed.code) == (422, models.ErrorKind.VALIDATION_FAILED)
    assert [fault.path for fault in refused.parsed.errors] == ["/subject/uscc"]
    assert again.parsed.id == restricted.parsed.id
    # The types lose nothing: what they write again is still what the receipt commits to.
    for answer in (clear, restricted):
        assert verify_receipt(canonical_json(answer.parsed.to_dict()), gateway.policy).answer_checked


@pytest.mark.slow
async def test_a_generated_client_reads_every_public_document(gateway, generated):
    """No operation that says it is public needs anything, and each answer parses into the type that was promised."""
    await (await gateway.partner()).verify(CLEAR)
    models = part("models")

    async with generated.Client(base_url=gateway.base, raise_on_unexpected_status=True) as client:
        read = {
            name: await part(f"api.{name}").asyncio_detailed(client=client, **parameters)
            for name, parameters in public_operations()
        }

    assert {name: answer.status_code for name, answer in read.items()} == dict.fromkeys(read, 200)
    assert read["log.checkpoint"].parsed.startswith("audit.")
    assert read["log.inclusion_proof"].parsed.startswith("c2sp.org/tlog-proof@v1\n")
    assert isinstance(read["log.consistency_proof"].parsed, models.ConsistencyProof)
    assert isinstance(read["oauth.jwks"].parsed, models.JsonWebKeySet)
    assert read["oauth.metadata"].parsed.issuer == gateway.settings.issuer
    assert read["service.status"].parsed.source.stale is False
    assert {page.code for page in read["docs.error_pages"].parsed.errors} == {kind.value for kind in models.ErrorKind}
    assert read["docs.error_page"].parsed.code == "not_found"


def public_operations() -> Iterator[tuple[str, dict[str, Any]]]:
    """The operations without parameters, and those with some; a tile's path is beyond OpenAPI, as its description says."""
    for name in (
        "service.pointer",
        "service.status",
        "service.openapi",
        "oauth.jwks",
        "oauth.metadata",
        "log.checkpoint",
    ):
        yield name, {}
    yield "docs.error_pages", {}
    yield "docs.error_page", {"code": "not_found"}
    yield "log.inclusion_proof", {"index": 0}
    yield "log.consistency_proof", {"from_": 0, "to": 1}
