"""A defect of ours is a refusal like any other: the proof is used up, a leaf says so, and the sender gets one constant sentence.

The real gateway on a real database; the edge is given ports that do what they do, until a test makes them fail as nobody foresaw.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from gateway.api.edge import Observers, accepted_hosts, partner_front
from gateway.api.needs import Needs
from gateway.base.clock import SystemClock
from gateway.base.crypto import sha256
from gateway.base.errors import ErrorKind, GatewayError
from gateway.base.host_keys import load_host_keys
from gateway.identity.client import token_form
from gateway.identity.partner import Partner, RegisteredKey
from gateway.identity.proof import ProofVerifier
from gateway.identity.signing_key import SigningKey
from gateway.identity.token import TokenIssuer
from gateway.identity.token_grant import GrantToken
from gateway.postgres.partner_store import PostgresPartnerDirectory
from gateway.postgres.pool import Pool, PoolSize, Target, open_pool
from gateway.postgres.queries import Queries
from gateway.verification.token_ledger import CommittedTokens
from gateway.web.limits import HttpLimits
from gateway.web.middleware import FrontPolicy
from gateway.web.server import start_server
from gateway.wiring import open_operator
from gateway.wiring.parts import make_sealer, names
from tests.conftest import fresh_database
from tests.fakes import gateway as kit
from tests.fakes.gateway import FORM, JSON, Gateway, PartnerClient, RawAnswer, running_gateway
from tests.fakes.use_cases import RecordingLog, RecordingMetrics

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASK = "/v1/verifications"
TOKEN = "/oauth2/token"
FAULTS: dict[str, Callable[[], Exception]] = {
    "overflow": lambda: OverflowError("date value out of range: 919900000000000192"),
    "missing": lambda: KeyError("张三"),
    "late": lambda: TimeoutError("of something within"),
    "group": lambda: ExceptionGroup("two", [ValueError("one"), TypeError("other")]),
    "recursion": RecursionError,
}


@dataclass
class Fallible:
    """A port that passes every call on; while ``fault`` is set it raises that instead, or (``after``) once the call was done."""

    behind: Any
    spared: frozenset[str] = frozenset()
    fault: Callable[[], Exception] | None = None
    after: bool = False
    raised: int = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.behind, name)
        return method if name in self.spared else partial(self._run, method)

    async def __call__(self, *values: Any) -> Any:
        return await self._run(self.behind, *values)

    async def _run(self, method: Callable[..., Any], *values: Any) -> Any:
        if self.fault is None or self.after:
            answer = await method(*values)
        if self.fault is not None:
            self.raised += 1
            raise self.fault()
        return answer


class Vouched:
    """What the log says of partners and keys is not asked here."""

    async def require(self, _partner: Partner, _key: RegisteredKey) -> None:
        """Every row is borne out."""


@dataclass
class Stage:
    """The gateway, a server of it with fallible ports, and those ports."""

    gateway: Gateway
    base: str
    verify: Fallible
    read_back: Fallible
    tokens: Fallible
    log: RecordingLog = field(default_factory=RecordingLog)

    async def size(self) -> int:
        """How many leaves the log has."""
        return await self.gateway.ask("SELECT size FROM audit.head")

    def crashes(self) -> int:
        """How many error lines speak of a defect."""
        return sum(event == "request_crashed" for event, _fields in self.log.lines)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(postgres, tmp_path_factory) -> AsyncIterator[Stage]:
    database = await fresh_database(postgres)
    async with running_gateway(database, tmp_path_factory.mktemp("gateway")) as gateway:
        needs, sock = gateway.worker.needs, kit.free_socket()
        sealer, host = make_sealer(load_host_keys(gateway.settings)), names(gateway.settings)
        stage = Stage(
            gateway,
            f"http://127.0.0.1:{sock.getsockname()[1]}",
            Fallible(needs.verify),
            Fallible(needs.read_back),
            Fallible(CommittedTokens(gateway.worker.committer, sealer, host), frozenset({"record_refusal"})),
        )
        target = Target(dsn=gateway.settings.database_dsn, application_name="tests")
        pool = await open_pool(target, PoolSize(minimum=1, maximum=2))
        policy = FrontPolicy(hosts=accepted_hosts(needs.issuer), deadline_s=10.0, max_in_flight=64)
        observers = Observers(log=stage.log, metrics=RecordingMetrics())
        running = await start_server(partner_front(fallible_needs(stage, pool), policy, observers), sock, HttpLimits())
        yield stage
        await running.drain(grace_s=0.0, finish_s=5.0)
        await pool.close()
    await postgres.drop_database(database.name)


def fallible_needs(stage: Stage, pool: Pool) -> Needs:
    """Return what the edge of the worker works with, with the stage's ports in it."""
    settings, clock = stage.gateway.settings, SystemClock()
    issuer = settings.issuer
    grant = GrantToken(
        issuer=issuer,
        audience=issuer,
        directory=PostgresPartnerDirectory(pool, Queries.load()),
        registrations=Vouched(),
        ledger=stage.tokens,
        proofs=ProofVerifier(issuer, None, clock),
        tokens=TokenIssuer(issuer, issuer, SigningKey(load_host_keys(settings).token_signing), clock),
        clock=clock,
    )
    return replace(stage.gateway.worker.needs, verify=stage.verify, read_back=stage.read_back, grant_token=grant)


@pytest_asyncio.fixture(loop_scope="module")
async def stage(server) -> AsyncIterator[Stage]:
    yield server
    for port in (server.verify, server.read_back, server.tokens):
        port.fault, port.after, port.raised = None, False, 0
    server.log.lines.clear()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def partner(server) -> PartnerClient:
    client = await server.gateway.partner("partner-defect")
    await client.learn_nonces()
    return client.at(server.base)


def fields_of(client: PartnerClient, method: str, path: str) -> list[tuple[str, str]]:
    return [("Authorization", f"DPoP {client.token}"), ("DPoP", client.proof(method, path))]


def told(answer: RawAnswer) -> tuple[int, str]:
    return answer.status, answer.json["code"]


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_defect_uses_the_proof_up_and_is_on_record(stage, partner, fault):
    """500 with the problem document; the one-time id is claimed; the leaf says why; the same bytes again are a replay."""
    size, headers = await stage.size(), [*fields_of(partner, "POST", ASK), JSON]
    stage.verify.fault = FAULTS[fault]

    answers = [await partner.raw("POST", ASK, headers, kit.question()) for _ in range(2)]
    stage.verify.fault = None
    mended = await partner.raw("POST", ASK, headers, kit.question())

    assert stage.verify.raised == 2
    assert [told(answer) for answer in (*answers, mended)] == [
        (500, "internal_error"),
        (401, "invalid_dpop_proof"),
        (401, "invalid_dpop_proof"),
    ]
    assert [answer.json.get("reason") for answer in (*answers, mended)] == [None, "replayed", "replayed"]
    leaf, *notes = await stage.gateway.leaves(size)
    assert (leaf["t"], leaf["op"], leaf["decision"], leaf["status"]) == (
        "deny",
        "verification.create",
        "deny:internal_error",
        500,
    )
    assert (leaf["purpose"], leaf["cred"]) == ("onboarding", partner.key.public.thumbprint)
    assert leaf["req_h"] == sha256(headers[1][1].encode() + b"\0" + kit.question()).hex()
    assert {note["decision"] for note in notes} <= {"deny:replayed"}
    claimed = "SELECT count(*) FROM audit.request WHERE req_id = $1"
    assert await stage.gateway.ask(claimed, bytes.fromhex(leaf["req_id"])) == 1


async def test_a_defect_is_told_as_one_constant_sentence_and_one_error_line(stage, partner):
    """Nothing of the exception reaches the sender; whoever reads the log learns of each defect once."""
    stage.verify.fault = FAULTS["overflow"]

    answer = await partner.raw("POST", ASK, [*fields_of(partner, "POST", ASK), JSON], kit.question())

    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "919900000000000192" not in answer.body.decode()
    assert (stage.verify.raised, stage.crashes()) == (1, 1)


@pytest.mark.parametrize("path", [f"{ASK}/%s", f"{ASK}/%s/receipt"])
async def test_a_defect_while_reading_back_is_on_record(stage, partner, path):
    _status, _headers, answer = await partner.verify(kit.CLEAR)
    target = path % answer["id"]
    size, headers = await stage.size(), fields_of(partner, "GET", target)
    stage.read_back.fault = FAULTS["missing"]

    answers = [await partner.raw("GET", target, headers) for _ in range(2)]

    assert stage.read_back.raised == 2
    assert [told(one) for one in answers] == [(500, "internal_error"), (401, "invalid_dpop_proof")]
    leaf = (await stage.gateway.leaves(size))[0]
    assert (leaf["decision"], leaf["status"]) == ("deny:internal_error", 500)
    assert leaf["op"] == ("verification.receipt" if target.endswith("receipt") else "verification.read")


async def test_what_the_log_says_of_its_own_trouble_is_on_record_too(stage, partner):
    """A contradiction found while reading back: refused under its own reason, and the proof is used up."""
    size, headers = await stage.size(), fields_of(partner, "GET", f"{ASK}/ver_01K00000000000000000000000")
    stage.read_back.fault = lambda: GatewayError(ErrorKind.INTERNAL, reason="log_contradicts_head")

    answer = await partner.raw("GET", f"{ASK}/ver_01K00000000000000000000000", headers)
    stage.read_back.fault = None
    again = await partner.raw("GET", f"{ASK}/ver_01K00000000000000000000000", headers)

    assert stage.read_back.raised == 1
    assert [told(one) for one in (answer, again)] == [(500, "internal_error"), (401, "invalid_dpop_proof")]
    assert (await stage.gateway.leaves(size))[0]["decision"] == "deny:log_contradicts_head"


async def test_the_logs_trouble_after_its_commit_is_not_told_as_a_replay(stage, partner):
    """The commit took the one-time id before it failed to sign: the caller is told of the failure, not of a replay it never made."""
    size = await stage.size()
    stage.verify.fault, stage.verify.after = lambda: GatewayError(ErrorKind.INTERNAL, reason="log_forked"), True

    answer = await partner.raw("POST", ASK, [*fields_of(partner, "POST", ASK), JSON], kit.question())

    assert (stage.verify.raised, told(answer)) == (1, (500, "internal_error"))
    assert [leaf["t"] for leaf in await stage.gateway.leaves(size)] == ["query"]


async def test_a_dead_credential_is_told_so_even_by_a_defect(stage):
    """The commit of the refusal knows better."""
    client = await stage.gateway.partner("partner-defect-dead")
    await client.learn_nonces()
    async with open_operator(stage.gateway.settings) as operator:
        await operator.revoke_key(client.key.public.thumbprint, client_id=client.client_id, compromised=True)
    stage.verify.fault = FAULTS["missing"]

    answer = await client.at(stage.base).raw("POST", ASK, [*fields_of(client, "POST", ASK), JSON], kit.question())

    assert (stage.verify.raised, told(answer)) == (1, (401, "invalid_token"))


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_defect_at_the_token_endpoint_uses_the_assertion_up(stage, partner, fault):
    """The same there, in the words of OAuth: server_error, then invalid_client for the same assertion."""
    size = await stage.size()
    body = urlencode(token_form(assertion=partner.assertion())).encode()
    stage.tokens.fault = FAULTS[fault]

    headers = [("DPoP", partner.proof("POST", TOKEN, access_token=None)), FORM]
    answers = [await partner.raw("POST", TOKEN, headers, body) for _ in range(2)]
    stage.tokens.fault = None
    again = await partner.raw("POST", TOKEN, headers, body)

    assert (stage.tokens.raised, stage.crashes()) == (2, 1)
    assert [(answer.status, answer.json["error"]) for answer in (*answers, again)] == [
        (500, "server_error"),
        (401, "invalid_client"),
        (401, "invalid_client"),
    ]
    [leaf] = await stage.gateway.leaves(size)
    assert (leaf["t"], leaf["op"], leaf["decision"], leaf["status"]) == (
        "deny",
        "token.issue",
        "deny:internal_error",
        500,
    )
    assert (leaf["cred"], leaf["req_h"]) == (
        partner.key.public.thumbprint,
        sha256(headers[0][1].encode() + b"\0" + body).hex(),
    )


async def test_the_log_is_sound_after_all_this(stage, partner):
    status, _headers, _body = await partner.verify(kit.CLEAR)

    async with open_operator(stage.gateway.settings) as operator:
        report = await operator.fsck((), lambda _done: None, shallow=False)

    assert (status, report.faults, report.complete) == (200, (), True)
