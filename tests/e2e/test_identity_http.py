"""Who may ask, over real sockets: what of tables A to D cannot be decided below HTTP, with two workers on one database.

What a proof, an assertion or a token must say is tested with the rules themselves. Here stand header fields, statuses, challenges,
single use across workers and revocation; and that a stranger leaves no trace in the log.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from gateway.base.clock import Millis, SystemClock
from gateway.base.codec import parse_b64url
from gateway.base.host_keys import load_host_keys
from gateway.identity.client import token_form
from gateway.identity.nonce import NonceAudience, NonceIssuer
from gateway.identity.signing_key import SigningKey
from gateway.identity.token import TokenIssuer
from gateway.wiring import open_operator
from tests.conftest import fresh_database
from tests.fakes import gateway as kit
from tests.fakes.gateway import FORM, JSON, Gateway, PartnerClient, RawAnswer, running_gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN = "/oauth2/token"
ASK = "/v1/verifications"
NOBODYS = "/v1/verifications/ver_01K00000000000000000000000"
CHALLENGE = 'DPoP algs="ES256 PS256 EdDSA"'
AT_ONCE = 50


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(postgres, tmp_path_factory) -> AsyncIterator[Gateway]:
    database = await fresh_database(postgres)
    async with running_gateway(database, tmp_path_factory.mktemp("gateway")) as running:
        yield running
    await postgres.drop_database(database.name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def other_worker(gateway) -> AsyncIterator[str]:
    async with gateway.second_worker() as base:
        yield base


@pytest_asyncio.fixture(loop_scope="module")
async def partner(gateway) -> PartnerClient:
    client = await gateway.partner(new_name())
    await client.learn_nonces()
    return client


def new_name() -> str:
    return f"partner-{secrets.token_hex(6)}"


@dataclass(frozen=True)
class Attempt:
    """A request before it is sent; the helpers change one thing of a good one."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None

    async def send(self, client: PartnerClient) -> RawAnswer:
        return await client.raw(self.method, self.path, self.headers, self.body)


def form_of(client: PartnerClient) -> bytes:
    return urlencode(token_form(assertion=client.assertion())).encode()


def token_proof(client: PartnerClient, **changes: Any) -> str:
    values = {"access_token": None, "nonce": client.nonces["as"], **changes}
    return client.proof("POST", TOKEN, **values)


def at_token(client: PartnerClient, *proofs: str, name: str = "DPoP", **changes: Any) -> Attempt:
    """A token request with the given proofs."""
    values = {
        "method": "POST",
        "path": TOKEN,
        "headers": (FORM, *((name, proof) for proof in proofs)),
        "body": form_of(client),
    }
    return Attempt(**(values | changes))


def at_resource(client: PartnerClient, *proofs: str, name: str = "DPoP", **changes: Any) -> Attempt:
    """A question with the given proofs."""
    fields = ((name, proof) for proof in proofs)
    values = {
        "method": "POST",
        "path": ASK,
        "headers": (JSON, ("Authorization", f"DPoP {client.token}"), *fields),
        "body": kit.question(),
    }
    return Attempt(**(values | changes))


def bearing(client: PartnerClient, *authorization: str, **changes: Any) -> Attempt:
    """A question with a good proof and the given credentials."""
    headers = (JSON, ("DPoP", client.proof("POST", ASK)), *(("Authorization", value) for value in authorization))
    return at_resource(client, **{"headers": headers, **changes})


def refused(answer: RawAnswer) -> tuple[int, str]:
    """Status and stable code of a refusal, whichever of the two forms it has."""
    return answer.status, answer.json.get("error") or answer.json["code"]


def stale_nonce(gateway: Gateway, audience: NonceAudience) -> str:
    issuer = NonceIssuer([load_host_keys(gateway.settings).dpop_nonce], audience)
    return issuer.issue(Millis(SystemClock().now_ms() - 600_000))


# --- one request, one refusal, no trace ----------------------------------------------------------------------------

Build = Callable[[PartnerClient], Attempt]
LONG = "x" * 9000

AT_TOKEN: dict[str, tuple[Build, tuple[int, str]]] = {
    "B05": (lambda c: at_token(c, token_proof(c), path=f"{TOKEN}?scope=verifications"), (400, "invalid_request")),
    "B05-empty-query": (lambda c: at_token(c, token_proof(c), path=f"{TOKEN}?client_id=a"), (400, "invalid_request")),
    "B06-get": (lambda c: at_token(c, token_proof(c), method="GET", body=None), (405, "invalid_request")),
    "B06-put": (lambda c: at_token(c, token_proof(c), method="PUT"), (405, "invalid_request")),
    "B07-json": (
        lambda c: at_token(c, headers=(JSON, ("DPoP", token_proof(c))), body=b'{"grant_type":"client_credentials"}'),
        (400, "invalid_request"),
    ),
    "B07-multipart": (
        lambda c: at_token(
            c,
            headers=(("Content-Type", "multipart/form-data; boundary=b"), ("DPoP", token_proof(c))),
            body=b'--b\r\nContent-Disposition: form-data; name="grant_type"\r\n\r\nclient_credentials\r\n--b--\r\n',
        ),
        (400, "invalid_request"),
    ),
    "C01": (at_token, (400, "invalid_dpop_proof")),
    "C02-two-fields": (lambda c: at_token(c, token_proof(c), token_proof(c)), (400, "invalid_dpop_proof")),
    "C02-joined": (lambda c: at_token(c, f"{token_proof(c)}, {token_proof(c)}"), (400, "invalid_dpop_proof")),
    "C27": (lambda c: at_token(c, token_proof(c, nonce=None)), (400, "use_dpop_nonce")),
    "C28-random": (lambda c: at_token(c, token_proof(c, nonce="A" * 24)), (400, "use_dpop_nonce")),
    "C28-of-the-resources": (lambda c: at_token(c, token_proof(c, nonce=c.nonces["rs"])), (400, "use_dpop_nonce")),
    "C28-number": (lambda c: at_token(c, token_proof(c, nonce=7)), (400, "use_dpop_nonce")),
    "C28-long": (lambda c: at_token(c, token_proof(c, nonce="A" * 2000)), (400, "use_dpop_nonce")),
    "C37": (lambda c: at_token(c, LONG), (431, "headers_too_large")),
    "A47-two-methods": (
        lambda c: at_token(c, headers=(FORM, ("DPoP", token_proof(c)), ("Authorization", "Basic YTpi"))),
        (400, "invalid_request"),
    ),
}

AT_RESOURCE: dict[str, tuple[Build, tuple[int, str]]] = {
    "C01": (at_resource, (401, "invalid_dpop_proof")),
    "C02-two-fields": (
        lambda c: at_resource(c, c.proof("POST", ASK), c.proof("POST", ASK)),
        (401, "invalid_dpop_proof"),
    ),
    "C02-joined": (
        lambda c: at_resource(c, f"{c.proof('POST', ASK)}, {c.proof('POST', ASK)}"),
        (401, "invalid_dpop_proof"),
    ),
    "C27": (lambda c: at_resource(c, c.proof("POST", ASK, nonce=None)), (401, "use_dpop_nonce")),
    "C28-random": (lambda c: at_resource(c, c.proof("POST", ASK, nonce="A" * 24)), (401, "use_dpop_nonce")),
    "C28-of-the-token-endpoint": (
        lambda c: at_resource(c, c.proof("POST", ASK, nonce=c.nonces["as"])),
        (401, "use_dpop_nonce"),
    ),
    "C28-number": (lambda c: at_resource(c, c.proof("POST", ASK, nonce=7)), (401, "use_dpop_nonce")),
    "C28-long": (lambda c: at_resource(c, c.proof("POST", ASK, nonce="A" * 2000)), (401, "use_dpop_nonce")),
    "C31": (
        lambda c: at_resource(c, kit.make_proof(SigningKey.generate(), **proof_values(c))),
        (401, "invalid_token"),
    ),
    "C32": (lambda c: bearing(c, f"Bearer {c.token}"), (401, "invalid_token")),
    "C33-twice": (lambda c: bearing(c, f"DPoP {c.token}", f"DPoP {c.token}"), (400, "invalid_request")),
    "C33-bearer-too": (lambda c: bearing(c, f"DPoP {c.token}", f"Bearer {c.token}"), (400, "invalid_request")),
    "C37-proof": (lambda c: at_resource(c, LONG), (431, "headers_too_large")),
    "C37-token": (lambda c: bearing(c, f"DPoP {LONG}"), (431, "headers_too_large")),
    "D01-query": (
        lambda c: bearing(c, f"DPoP {c.token}", path=f"{ASK}?access_token={c.token}"),
        (400, "invalid_request"),
    ),
    "D01-form": (
        lambda c: at_resource(
            c,
            headers=(FORM, ("DPoP", c.proof("POST", ASK))),
            body=urlencode({"access_token": c.token}).encode(),
        ),
        (401, "unauthenticated"),
    ),
    "D03-assertion": (lambda c: bearing(c, f"DPoP {c.assertion()}"), (401, "invalid_token")),
    "D03-proof": (lambda c: bearing(c, f"DPoP {c.proof('POST', ASK)}"), (401, "invalid_token")),
    "D09": (
        lambda c: bearing(
            c,
            headers=(
                JSON,
                ("Client-Cert", ":MIIB:"),
                ("X-SSL-Client-Cert", "MIIB"),
                ("X_Client_Cert", "MIIB"),
                ("X-Forwarded-User", "prt_1"),
            ),
        ),
        (401, "unauthenticated"),
    ),
    "D16-unknown-scheme": (lambda c: bearing(c, "Basic YTpi"), (401, "unauthenticated")),
}


def proof_values(client: PartnerClient) -> dict[str, Any]:
    return {
        "method": "POST",
        "url": client.issuer + ASK,
        "now": SystemClock().now_ms(),
        "jti": secrets.token_urlsafe(16),
        "access_token": client.token,
        "nonce": client.nonces["rs"],
    }


async def refuse_without_trace(gateway: Gateway, client: PartnerClient, build: Build) -> RawAnswer:
    """Send it: no row of the log may be written, and the next good request must succeed."""
    before = await gateway.audit_rows()
    answer = await build(client).send(client)
    assert await gateway.audit_rows() == before
    status, _headers, _body = await client.verify(kit.CLEAR)
    assert status == 200
    return answer


@pytest.mark.parametrize("row", AT_TOKEN)
async def test_the_token_endpoint_refuses_without_a_trace(gateway, partner, row):
    """Tables B and C at the token endpoint: refused, not cacheable, no row, and the next request works."""
    build, expected = AT_TOKEN[row]

    answer = await refuse_without_trace(gateway, partner, build)

    assert answer.headers["Cache-Control"] == "no-store"
    assert refused(answer) == expected
    assert answer.headers.get("Allow") == ("POST" if expected[0] == 405 else None)
    assert len(answer.headers.getall("DPoP-Nonce", [])) == (expected[1] == "use_dpop_nonce")


@pytest.mark.parametrize("row", AT_RESOURCE)
async def test_a_resource_refuses_without_a_trace(gateway, partner, row):
    """Tables C and D at a resource (R8, D16): a problem document with its challenge, no row, and the next request works."""
    build, (status, code) = AT_RESOURCE[row]

    answer = await refuse_without_trace(gateway, partner, build)

    assert refused(answer) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    error = "" if code == "unauthenticated" else f'error="{code}", '
    expected = None if status not in {400, 401} else CHALLENGE.replace("DPoP ", f"DPoP {error}")
    assert answer.headers.get("WWW-Authenticate") == expected
    assert len(answer.headers.getall("DPoP-Nonce", [])) == (code == "use_dpop_nonce")
    assert partner.token.encode() not in answer.body


async def test_d16_no_credentials_no_error_code(partner):
    """D16: who sends no credentials gets the challenge without an error code (RFC 6750 section 3.1)."""
    answer = await partner.raw("GET", NOBODYS)

    assert refused(answer) == (401, "unauthenticated")
    assert answer.headers.getall("WWW-Authenticate") == [CHALLENGE]


@pytest.mark.parametrize("audience", list(NonceAudience))
async def test_c28_a_stale_nonce_is_replaced_by_a_good_one(gateway, partner, audience):
    """C28: a nonce of ten minutes ago is refused with one that works at once; the charset is 1*NQCHAR (A10)."""
    nonce = stale_nonce(gateway, audience)
    build = at_token if audience is NonceAudience.TOKEN_ENDPOINT else at_resource
    make = token_proof if build is at_token else lambda c, **changes: c.proof("POST", ASK, **changes)

    stale = await build(partner, make(partner, nonce=nonce)).send(partner)
    [fresh] = stale.headers.getall("DPoP-Nonce")
    again = await build(partner, make(partner, nonce=fresh)).send(partner)

    assert (refused(stale)[1], again.status) == ("use_dpop_nonce", 200)
    assert all("!" <= character <= "~" and character not in '"\\' for character in fresh)


@pytest.mark.parametrize("build", [at_token, at_resource], ids=["AS", "RS"])
async def test_a_nonce_of_one_worker_is_good_at_the_other(partner, other_worker, build):
    """C27: the nonce is made from a secret that all workers share, not remembered by the one that handed it out."""
    there = partner.at(other_worker)
    proof = token_proof(there) if build is at_token else there.proof("POST", ASK)

    answer = await build(there, proof).send(there)

    assert answer.status == 200


@pytest.mark.parametrize("build", [at_token, at_resource], ids=["AS", "RS"])
async def test_c03_the_header_name_is_case_insensitive(partner, build):
    """C03: ``DPOP:`` is the same field."""
    proof = token_proof(partner) if build is at_token else partner.proof("POST", ASK)

    answer = await build(partner, proof, name="DPOP").send(partner)

    assert answer.status == 200


async def test_d15_the_scheme_is_case_insensitive(partner):
    """D15: ``dPoP`` is the same scheme."""
    answer = await bearing(partner, f"dPoP {partner.token}").send(partner)

    assert answer.status == 200


async def test_d09_spoofed_headers_change_nothing(gateway, partner):
    """D09: headers that a terminating proxy might set are ignored: the answer and its leaf name the token's partner."""
    fields = (
        ("X-Forwarded-For", "10.0.0.1"),
        ("X-Forwarded-Host", "evil"),
        ("Forwarded", "host=evil"),
        ("X_Client_Cert", "x"),
    )
    attempt = at_resource(partner, partner.proof("POST", ASK))
    size = await gateway.ask("SELECT size FROM audit.head")

    answer = await partner.raw("POST", ASK, (*attempt.headers, *fields), attempt.body)

    [leaf] = await gateway.leaves(size)
    assert (answer.status, leaf["cred"]) == (200, partner.key.public.thumbprint)


# --- used once, by whichever worker ---------------------------------------------------------------------------------


async def test_a35_an_assertion_works_once_in_the_whole_cluster(partner, other_worker):
    """A35: the same assertion with fresh proofs: 401 invalid_client, at the worker that saw it and at the one that did not."""
    form = form_of(partner)
    there = partner.at(other_worker)

    answers = [await at_token(c, token_proof(c), body=form).send(c) for c in (partner, partner, there)]

    assert [answer.status for answer in answers] == [200, 401, 401]
    assert {refused(answer) for answer in answers[1:]} == {(401, "invalid_client")}
    assert answers[1].json["error_description"] == answers[2].json["error_description"]


async def test_a36_of_fifty_at_once_one_gets_a_token(gateway, partner, other_worker):
    """A36: fifty concurrent requests with one assertion over two workers: exactly one 200 and one token leaf."""
    form = form_of(partner)
    clients = [partner, partner.at(other_worker)] * (AT_ONCE // 2)
    size = await gateway.ask("SELECT size FROM audit.head")

    answers = await asyncio.gather(*(at_token(c, token_proof(c), body=form).send(c) for c in clients))

    assert sorted(answer.status for answer in answers) == [200, *[401] * (AT_ONCE - 1)]
    assert {refused(answer)[1] for answer in answers if answer.status == 401} == {"invalid_client"}
    assert len(await gateway.leaves(size, t="token")) == 1


@pytest.mark.parametrize("where", ["same-worker", "other-worker"])
async def test_c25_a_proof_works_once_at_the_token_endpoint(partner, other_worker, where):
    """C25: the same proof with a fresh assertion is refused as a proof, not as a client."""
    proof = token_proof(partner)
    second = partner if where == "same-worker" else partner.at(other_worker)

    first = await at_token(partner, proof).send(partner)
    again = await at_token(second, proof).send(second)

    assert (first.status, refused(again)) == (200, (400, "invalid_dpop_proof"))


@pytest.mark.parametrize("where", ["same-worker", "other-worker"])
async def test_c25_a_proof_works_once_at_a_resource(partner, other_worker, where):
    """C25: whoever captured a whole request gets nothing for it."""
    attempt = at_resource(partner, partner.proof("POST", ASK))
    second = partner if where == "same-worker" else partner.at(other_worker)

    first = await attempt.send(partner)
    again = await attempt.send(second)

    assert (first.status, refused(again)) == (200, (401, "invalid_dpop_proof"))
    assert again.headers["WWW-Authenticate"] == CHALLENGE.replace("DPoP ", 'DPoP error="invalid_dpop_proof", ')


async def test_an_assertion_is_not_used_up_by_the_request_for_a_nonce(partner):
    """The nonce is judged before the assertion is used: the same assertion may be sent again with it."""
    form = form_of(partner)

    asked = await at_token(partner, token_proof(partner, nonce=None), body=form).send(partner)
    nonce = asked.headers["DPoP-Nonce"]
    granted = await at_token(partner, token_proof(partner, nonce=nonce), body=form).send(partner)

    assert (refused(asked), granted.status) == ((400, "use_dpop_nonce"), 200)


# --- credentials that died ------------------------------------------------------------------------------------------


async def revoke_key(gateway: Gateway, client: PartnerClient) -> None:
    async with open_operator(gateway.settings) as operator:
        await operator.revoke_key(client.key.public.thumbprint, client_id=client.client_id, compromised=True)


async def retire_key(gateway: Gateway, client: PartnerClient) -> None:
    submitted = kit.parse_submitted_key(kit.canonical_json(dict(SigningKey.generate().public.jwk)))
    async with open_operator(gateway.settings) as operator:
        await operator.add_key(client.client_id, submitted, SystemClock().now_ms())
        await operator.revoke_key(client.key.public.thumbprint, client_id=client.client_id, compromised=False)


async def suspend_partner(gateway: Gateway, client: PartnerClient) -> None:
    await gateway.ask("UPDATE identity.partner SET state = 'suspended' WHERE client_id = $1", client.client_id)


@pytest.mark.parametrize("end", [revoke_key, retire_key, suspend_partner])
async def test_d06_a_token_dies_with_its_credential(gateway, partner, other_worker, end):
    """D06: key revoked or partner suspended: the very next request is refused on every worker, reads included; no token either."""
    _status, _headers, answer = await partner.verify(kit.CLEAR)
    there = partner.at(other_worker)
    await there.verify(kit.CLEAR)

    await end(gateway, partner)
    paths = (f"{ASK}/{answer['id']}", f"{ASK}/{answer['id']}/receipt", NOBODYS)
    dead = [await c.verify(kit.CLEAR) for c in (partner, there)]
    dead_reads = [await c.send("GET", path) for c in (partner, there) for path in paths]
    token = await at_token(partner, token_proof(partner)).send(partner)

    assert [(status, body["code"]) for status, _, body in dead] == [(401, "invalid_token")] * 2
    assert [(status, b"invalid_token" in body) for status, _, body in dead_reads] == [(401, True)] * 6
    assert all(headers["WWW-Authenticate"].startswith('DPoP error="invalid_token"') for _, headers, _ in dead)
    assert refused(token) == (401, "invalid_client")


async def test_b09_an_unknown_client_looks_like_a_dead_one(gateway, partner):
    """B09: unknown client, bad signature and suspended partner get the same status and the same body but for the request id."""
    stranger = PartnerClient(gateway.session, gateway.base, partner.issuer, new_name(), SigningKey.generate())
    forger = PartnerClient(gateway.session, gateway.base, partner.issuer, partner.client_id, SigningKey.generate())
    answers = []
    for client in (stranger, forger, partner):
        client.nonces = dict(partner.nonces)
        if client is partner:
            await suspend_partner(gateway, partner)
        answers.append(await at_token(client, token_proof(client)).send(client))

    bodies = [{k: v for k, v in answer.json.items() if k != "request_id"} for answer in answers]
    assert [answer.status for answer in answers] == [401] * 3
    assert bodies[0] == bodies[1] == bodies[2]


# --- what a token allows --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), [("POST", ASK), ("GET", NOBODYS), ("GET", f"{NOBODYS}/receipt")])
async def test_d07_a_token_without_the_scope(gateway, partner, method, path):
    """D07, R3: 403 insufficient_scope, and the challenge names the scope that is needed."""
    signing = SigningKey(load_host_keys(gateway.settings).token_signing)
    partner_id = await gateway.ask("SELECT partner_id FROM identity.partner WHERE client_id = $1", partner.client_id)
    partner.token = TokenIssuer(partner.issuer, partner.issuer, signing, SystemClock()).issue(
        partner_id=partner_id,
        client_id=partner.client_id,
        credential=partner.key.public.thumbprint,
        scopes={"something-else"},
        purposes={"onboarding"},
        jkt=partner.proof_key.public.thumbprint,
        jti=secrets.token_urlsafe(16),
    )

    status, headers, body = await partner.send(method, path, kit.question() if method == "POST" else None)

    assert (status, kit.parse_json_object(body)["code"]) == (403, "insufficient_scope")
    assert headers["WWW-Authenticate"] == (
        'DPoP error="insufficient_scope", scope="verifications", algs="ES256 PS256 EdDSA"'
    )


async def test_d08_what_is_not_yours_does_not_exist(gateway, partner):
    """D08: another partner's verification and one that never was give the same 404, answer and receipt alike."""
    other = await gateway.partner(new_name())
    _status, _headers, answer = await other.verify(kit.SERIOUS)

    seen = []
    for verification in (answer["id"], NOBODYS.rsplit("/", 1)[1], "ver_no-such-form", "prt_01K00000000000000000000000"):
        for path in (f"{ASK}/{verification}", f"{ASK}/{verification}/receipt"):
            status, _headers, body = await partner.send("GET", path)
            problem = kit.parse_json_object(body)
            assert problem.pop("instance") == path
            assert problem.pop("request_id")
            seen.append((status, problem))

    assert seen[0][0] == 404
    assert all(one == seen[0] for one in seen)
    assert (await other.send("GET", f"{ASK}/{answer['id']}"))[0] == 200


# --- documents ------------------------------------------------------------------------------------------------------


async def test_a1_a2_metadata(partner):
    """A1, A2: the issuer byte for byte; every endpoint it names answers; only what we do is named."""
    answer = await partner.raw("GET", "/.well-known/oauth-authorization-server")
    document = answer.json

    assert (answer.status, answer.headers["Content-Type"], document["issuer"]) == (
        200,
        "application/json",
        partner.issuer,
    )
    assert document["grant_types_supported"] == ["client_credentials"]
    assert document["response_types_supported"] == ["none"]
    assert document["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    for name in ("token_endpoint_auth_signing_alg_values_supported", "dpop_signing_alg_values_supported"):
        assert set(document[name]) == {"ES256", "PS256", "EdDSA", "Ed25519"}
    path = document["jwks_uri"].removeprefix(partner.issuer)
    assert (await partner.raw("GET", path)).status == 200
    assert document["token_endpoint"] == partner.issuer + TOKEN


async def test_k4_our_key_set(partner, other_worker):
    """K4: public members only, ``kid`` is the thumbprint, cached a while, revalidated by ``ETag``, the same at every worker."""
    answer = await partner.raw("GET", "/oauth2/jwks")
    there = await partner.at(other_worker).raw("GET", "/oauth2/jwks")
    unchanged = await partner.raw("GET", "/oauth2/jwks", [("If-None-Match", answer.headers["ETag"])])

    [key] = answer.json["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "alg", "use", "kid"}
    assert (
        key["kid"]
        == kit.parse_submitted_key(kit.canonical_json({n: key[n] for n in ("kty", "crv", "x", "y")})).key.thumbprint
    )
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert there.body == answer.body
    assert (unchanged.status, unchanged.body) == (304, b"")


async def test_a_token_says_what_it_must(partner):
    """A5, A9, A14, R5: bound to the proof's key, 300 s, RFC 9068 members, no refresh token, no more scope than registered."""
    answer = await at_token(partner, token_proof(partner)).send(partner)
    header, claims = (kit.parse_json_object(parse_b64url(part)) for part in answer.json["access_token"].split(".")[:2])

    assert set(answer.json) == {"access_token", "token_type", "expires_in", "scope"}
    assert (answer.json["token_type"], answer.json["expires_in"], answer.json["scope"]) == (
        "DPoP",
        300,
        "verifications",
    )
    assert (header["typ"], claims["iss"], claims["aud"]) == ("at+jwt", partner.issuer, partner.issuer)
    assert (claims["sub"], claims["client_id"], claims["exp"] - claims["iat"]) == (
        partner.client_id,
        partner.client_id,
        300,
    )
    assert claims["cnf"] == {"jkt": partner.proof_key.public.thumbprint}
    assert claims["cred"] == partner.key.public.thumbprint
    assert len(parse_b64url(claims["jti"])) >= 16
