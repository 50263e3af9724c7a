"""The OAuth routes over HTTP; what a grant decides is tested with the use case itself."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from gateway.base.errors import ErrorKind, GatewayError
from gateway.identity.partner import PartnerState
from tests.fakes.use_cases import CLIENT_ID, ISSUER, World, running

FORM = ("Content-Type", "application/x-www-form-urlencoded")


async def test_a_token_is_granted_and_opens_the_resource():
    async with running() as gateway:
        answer = await gateway.token(urlencode(gateway.world.form()).encode())
        token = str(answer.json["access_token"])
        proof = gateway.world.proof("/v1/verifications", token)
        headers = [("Authorization", f"{answer.json['token_type']} {token}"), ("DPoP", proof)]
        asked = await gateway.request(
            "GET",
            "/v1/verifications/x",
            [*headers[:1], ("DPoP", gateway.world.proof("/v1/verifications/x", token, method="GET"))],
        )

        assert (answer.status, answer.header("Cache-Control")) == (200, "no-store")
        assert {name: value for name, value in answer.json.items() if name != "access_token"} == {
            "token_type": "DPoP",
            "expires_in": 300,
            "scope": "verifications",
        }
        assert asked.status == 404
        [issue] = gateway.world.token_ledger.issues
        assert (issue.client_id, issue.request_id) == (CLIENT_ID, answer.header("Request-Id"))


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),  # B01
        ({"grant_type": None}, 400, "invalid_request"),  # B01
        ({"scope": "nope"}, 400, "invalid_scope"),  # B03
        ({"resource": "https://evil.example"}, 400, "invalid_target"),  # B04
        ({"client_assertion": "a.b.c"}, 401, "invalid_client"),
        ({"client_assertion": None}, 401, "invalid_client"),
        ({"client_id": "someone-else"}, 401, "invalid_client"),
    ],
)
async def test_errors_are_oauth_errors(change, status, error):
    async with running() as gateway:
        form = {**dict(gateway.world.form()), **change}
        body = urlencode({name: value for name, value in form.items() if value is not None}).encode()
        answer = await gateway.token(body)

        assert (answer.status, answer.json["error"]) == (status, error)
        assert (answer.header("Cache-Control"), answer.header("Pragma")) == ("no-store", "no-cache")
        assert answer.header("Content-Type") == "application/json"
        assert (answer.header("WWW-Authenticate") is not None) == (status == 401)
        description = str(answer.json["error_description"])
        assert all(" " <= character <= "~" and character not in '"\\' for character in description)
        assert answer.json["request_id"] == answer.header("Request-Id")


async def test_a_refusal_is_counted_and_logged_by_its_code():
    """As at every other route, once: the code in the metrics and in the line of the request, the reason only in the line."""
    async with running() as gateway:
        answer = await gateway.token(urlencode({**dict(gateway.world.form()), "scope": "nope"}).encode())

        assert answer.json["error"] == "invalid_scope"
        assert gateway.world.metrics.refusals == ["invalid_scope"]
        [(event, line)] = gateway.world.log.lines
        assert (event, line["code"], line["reason"]) == ("request_served", "invalid_scope", "scope_not_registered")


async def test_b02_a_parameter_twice_is_refused():
    async with running() as gateway:
        answer = await gateway.token(urlencode([*gateway.world.form(), ("scope", "a"), ("scope", "a")]).encode())

        assert (answer.status, answer.json["error"]) == (400, "invalid_request")


async def test_b05_parameters_in_the_query_are_refused():
    async with running() as gateway:
        headers = [("DPoP", gateway.world.proof("/oauth2/token", None)), FORM]
        body = urlencode(gateway.world.form()).encode()
        answer = await gateway.request("POST", "/oauth2/token?scope=x", headers, body)

        assert (answer.status, answer.json["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
async def test_b06_other_methods_are_refused_with_allow(method):
    async with running() as gateway:
        answer = await gateway.request(method, "/oauth2/token")

        assert (answer.status, answer.header("Allow")) == (405, "POST")


@pytest.mark.parametrize(
    ("tried", "scheme"), [("Basic YTpi", "Basic"), ("Bearer x", "Bearer"), ("DPoP x", "DPoP"), ("Negotiate", "DPoP")]
)
async def test_a48_another_authentication_is_challenged_in_its_own_scheme(tried, scheme):
    """RFC 6749 section 5.2: 401 ``invalid_client`` with a challenge that matches the scheme that the client used."""
    async with running() as gateway:
        headers = [("DPoP", gateway.world.proof("/oauth2/token", None)), FORM, ("Authorization", tried)]
        answer = await gateway.request("POST", "/oauth2/token", headers, b"grant_type=client_credentials")

        assert (answer.status, answer.json["error"]) == (401, "invalid_client")
        assert (answer.header("WWW-Authenticate") or "").split(" ")[0] == scheme


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", [], 405),
        ("POST", [("X-Name", "\xe9")], 400),
        ("POST", [("Host", "evil.example")], 421),
        ("POST", [("Host", "a b")], 400),
    ],
)
async def test_what_is_refused_before_the_handler_is_an_oauth_error_too(method, headers, status):
    """A client of the token endpoint reads ``error``; a problem document would look like a token without one."""
    async with running() as gateway:
        host = next((value for name, value in headers if name == "Host"), "gateway.example")
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers if name != "Host")
        answer = await gateway.raw(
            f"{method} /oauth2/token HTTP/1.1\r\nHost: {host}\r\n{fields}Content-Length: 0\r\n\r\n".encode("latin-1")
        )

        assert (answer.status, answer.json["error"]) == (status, "invalid_request")
        assert (answer.header("Content-Type"), answer.header("Pragma")) == ("application/json", "no-cache")


async def test_an_overloaded_token_endpoint_says_so_as_an_oauth_error():
    async with running(World(max_in_flight=0)) as gateway:
        answer = await gateway.token(urlencode(gateway.world.form()).encode())

        assert (answer.status, answer.json["error"]) == (503, "temporarily_unavailable")
        assert answer.header("Retry-After") == "1"


async def test_c27_the_token_endpoint_asks_for_its_nonce():
    async with running(World(nonces=True)) as gateway:
        body = urlencode(gateway.world.form()).encode()
        asked = await gateway.token(body)
        nonce = asked.header("DPoP-Nonce")
        proof = gateway.world.proof("/oauth2/token", None, nonce=nonce)
        granted = await gateway.request("POST", "/oauth2/token", [("DPoP", proof), FORM], body)

        assert (asked.status, asked.json["error"]) == (400, "use_dpop_nonce")
        assert (granted.status, granted.header("DPoP-Nonce")) == (200, nonce)


async def test_a35_a_used_assertion_is_refused():
    async with running() as gateway:
        body = urlencode(gateway.world.form()).encode()
        answers = [await gateway.token(body), await gateway.token(body)]

        assert [answer.status for answer in answers] == [200, 401]
        assert answers[1].json["error"] == "invalid_client"


async def test_a44_a_suspended_client_gets_no_token():
    async with running() as gateway:
        gateway.world.directory.state = PartnerState.SUSPENDED
        answer = await gateway.token(urlencode(gateway.world.form()).encode())

        assert (answer.status, answer.json["error"]) == (401, "invalid_client")


async def test_no_token_leaves_while_the_store_is_away():
    async with running() as gateway:
        gateway.world.token_ledger.error = GatewayError(ErrorKind.STORE_UNAVAILABLE, retry_after_s=3)
        answer = await gateway.token(urlencode(gateway.world.form()).encode())

        assert (answer.status, answer.json["error"]) == (503, "temporarily_unavailable")
        assert answer.header("Retry-After") == "3"


async def test_a_defect_at_the_token_endpoint_is_an_oauth_error_too():
    async with running() as gateway:
        gateway.world.token_ledger.error = RuntimeError("secret")  # type: ignore[assignment] # a defect is no refusal
        answer = await gateway.token(urlencode(gateway.world.form()).encode())

        assert (answer.status, answer.json["error"]) == (500, "server_error")
        assert b"secret" not in answer.body


async def test_a1_a2_metadata_names_the_issuer_byte_for_byte():
    async with running() as gateway:
        answer = await gateway.request("GET", "/.well-known/oauth-authorization-server")

        assert answer.json["issuer"] == ISSUER
        assert answer.json["token_endpoint"] == f"{ISSUER}/oauth2/token"
        assert answer.json["response_types_supported"] == ["none"]


async def test_k4_the_key_set_is_cacheable_and_public_only():
    async with running() as gateway:
        answer = await gateway.request("GET", "/oauth2/jwks")
        tag = answer.header("ETag") or ""
        unchanged = await gateway.request("GET", "/oauth2/jwks", [("If-None-Match", f'"x", W/{tag}')])

        assert answer.header("Cache-Control") == "public, max-age=300"
        assert (unchanged.status, unchanged.body, unchanged.header("ETag")) == (304, b"", tag)
        [key] = answer.json["keys"]
        assert set(key) == {"kty", "crv", "x", "y", "alg", "use", "kid"}
