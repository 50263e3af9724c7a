"""The token endpoint as a use case: table B, rows C01 to C37 as they are seen there, statements A3 to A15, C7, D17, D18."""

import pytest

from gateway.base.errors import ErrorKind, GatewayError
from gateway.identity.nonce import NonceAudience
from gateway.identity.oauth import DESCRIPTION, DESCRIPTIONS, OAuthCode, OAuthError
from gateway.identity.token_form import MAX_PARAMETERS
from tests.unit.identity.kit import (
    CLIENT_ID,
    KEY,
    NOW,
    NOW_S,
    ORIGIN,
    OTHER_KEY,
    PARTNER_ID,
    PROOF_KEY,
    Endpoint,
    FakeDirectory,
    FakeLedger,
    assertion_claims,
    assertion_header,
    make_assertion,
    make_client,
    make_form,
    make_nonces,
    make_request,
    make_token_verifier,
    sign,
    token_proof,
)

BASIC = "Basic cGFydG5lci1vbmU6c2VjcmV0"
SECOND_ASSERTION = ("client_assertion", make_assertion(jti="another-assertion"))

# name: (changes of the request, status, error, reason)
REFUSED = {
    "B01 password": ({"parameters": make_form(grant_type="password")}, 400, "unsupported_grant_type", None),
    "B01 implicit": ({"parameters": make_form(grant_type="implicit")}, 400, "unsupported_grant_type", None),
    "B01 refresh_token": ({"parameters": make_form(grant_type="refresh_token")}, 400, "unsupported_grant_type", None),
    "B01 other case": ({"parameters": make_form(grant_type="Client_Credentials")}, 400, "unsupported_grant_type", None),
    "B01 missing": ({"parameters": make_form(grant_type=None)}, 400, "invalid_request", "grant_type_missing"),
    "B01 empty": ({"parameters": make_form(grant_type="")}, 400, "invalid_request", "grant_type_missing"),
    "B02 grant_type twice": (
        {"parameters": [*make_form(), ("grant_type", "client_credentials")]},
        400,
        "invalid_request",
        "parameter_repeated",
    ),
    "B02 scope twice": (
        {"parameters": [*make_form(scope="verifications"), ("scope", "verifications")]},
        400,
        "invalid_request",
        "parameter_repeated",
    ),
    "B02 unknown parameter twice": (
        {"parameters": [*make_form(), ("x", "1"), ("x", "1")]},
        400,
        "invalid_request",
        "parameter_repeated",
    ),
    "B02 too many": (
        {"parameters": [*make_form(), *((f"x{n}", "") for n in range(MAX_PARAMETERS))]},
        400,
        "invalid_request",
        "too_many_parameters",
    ),
    "B03 not registered": ({"parameters": make_form(scope="admin")}, 400, "invalid_scope", "scope_not_registered"),
    "B03 one of two not registered": (
        {"parameters": make_form(scope="verifications admin")},
        400,
        "invalid_scope",
        "scope_not_registered",
    ),
    "B03 star": ({"parameters": make_form(scope="*")}, 400, "invalid_scope", "scope_not_registered"),
    "B03 10 kB": ({"parameters": make_form(scope="v" * 10_000)}, 400, "invalid_scope", "scope_malformed"),
    "B03 control character": (
        {"parameters": make_form(scope="verifications\n")},
        400,
        "invalid_scope",
        "scope_malformed",
    ),
    "B03 NUL": ({"parameters": make_form(scope="\0")}, 400, "invalid_scope", "scope_malformed"),
    "B03 empty": ({"parameters": make_form(scope="")}, 400, "invalid_scope", "scope_malformed"),
    "B03 blank": ({"parameters": make_form(scope=" ")}, 400, "invalid_scope", "scope_malformed"),
    "B03 two blanks": (
        {"parameters": make_form(scope="verifications  verifications")},
        400,
        "invalid_scope",
        "scope_malformed",
    ),
    "B04 unknown": ({"parameters": make_form(resource="https://evil.example")}, 400, "invalid_target", None),
    "B04 relative": ({"parameters": make_form(resource="/v1")}, 400, "invalid_target", None),
    "B04 with fragment": ({"parameters": make_form(resource=ORIGIN + "#x")}, 400, "invalid_target", None),
    "B05 query string": ({"has_query": True}, 400, "invalid_request", "parameters_in_query"),
    "A46 type missing": (
        {"parameters": make_form(client_assertion_type=None)},
        401,
        "invalid_client",
        "assertion_type",
    ),
    "A46 type wrong": (
        {"parameters": make_form(client_assertion_type="urn:ietf:params:oauth:client-assertion-type:saml2-bearer")},
        401,
        "invalid_client",
        "assertion_type",
    ),
    "A46 type twice": (
        {"parameters": [*make_form(), ("client_assertion_type", "x")]},
        400,
        "invalid_request",
        "parameter_repeated",
    ),
    "A47 assertion and Basic": ({"authorization": [BASIC]}, 400, "invalid_request", "two_methods"),
    "A47 assertion and Bearer": ({"authorization": ["Bearer x"]}, 400, "invalid_request", "two_methods"),
    "A47 assertion and secret": ({"parameters": make_form(client_secret="s")}, 400, "invalid_request", "two_methods"),
    "A47 two assertions": (
        {"parameters": [*make_form(), SECOND_ASSERTION]},
        400,
        "invalid_request",
        "parameter_repeated",
    ),
    "A48 Basic only": (
        {
            "parameters": make_form(client_assertion=None, client_assertion_type=None),
            "authorization": [BASIC],
        },
        401,
        "invalid_client",
        "method_unsupported",
    ),
    "A48 Basic twice": (
        {
            "parameters": make_form(client_assertion=None, client_assertion_type=None),
            "authorization": [BASIC, BASIC],
        },
        400,
        "invalid_request",
        "authorization_repeated",
    ),
    "A48 body secret": (
        {"parameters": make_form(client_assertion=None, client_id=CLIENT_ID, client_secret="s")},
        401,
        "invalid_client",
        "method_unsupported",
    ),
    "statement A4: client_id only": (
        {"parameters": make_form(client_assertion=None, client_assertion_type=None, client_id=CLIENT_ID)},
        401,
        "invalid_client",
        "assertion_missing",
    ),
    "assertion empty": ({"parameters": make_form(client_assertion="")}, 401, "invalid_client", "assertion_missing"),
    "C01 no proof": ({"dpop": []}, 400, "invalid_dpop_proof", "proof_missing"),
    "C02 two proofs": (
        {"dpop": [token_proof(), token_proof(jti="another-proof")]},
        400,
        "invalid_dpop_proof",
        "proof_repeated",
    ),
    "C02 joined by a comma": (
        {"dpop": [f"{token_proof()},{token_proof()}"]},
        400,
        "invalid_dpop_proof",
        "proof_repeated",
    ),
    "C04 not a JWT": ({"dpop": ["x"]}, 400, "invalid_dpop_proof", "proof_not_compact"),
    "C18 signature of another key": (
        {
            "dpop": [
                sign(
                    OTHER_KEY,
                    {"typ": "dpop+jwt", "alg": "ES256", "jwk": dict(PROOF_KEY.public.jwk)},
                    {"jti": "proof-jti", "htm": "POST", "htu": ORIGIN + "/oauth2/token", "iat": NOW_S},
                )
            ]
        },
        400,
        "invalid_dpop_proof",
        "proof_signature",
    ),
    "C19 htm GET": ({"dpop": [token_proof(htm="GET")]}, 400, "invalid_dpop_proof", "proof_htm"),
    "C23 iat a day ago": ({"dpop": [token_proof(iat=NOW_S - 86_400)]}, 400, "invalid_dpop_proof", "proof_iat_window"),
}


async def refusal_of(endpoint, **changes):
    with pytest.raises(OAuthError) as caught:
        await endpoint.grant(make_request(**changes))
    return caught.value


@pytest.mark.parametrize(("changes", "status", "error", "reason"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_bad_token_request_is_refused_and_issues_nothing(changes, status, error, reason):
    """No token, and the next good request works (with a fresh assertion: one that authenticated is used up)."""
    endpoint = Endpoint()

    refusal = await refusal_of(endpoint, **changes)

    assert (refusal.status, refusal.error) == (status, error)
    assert refusal.reason == (reason or refusal.reason)
    assert not refusal.dpop_nonce
    assert endpoint.ledger.issues == []
    fresh = make_request(parameters=make_form(client_assertion=make_assertion(jti="another-jti-0001")))
    assert (await endpoint.grant(fresh)).token_type == "DPoP"


async def test_b02_unknown_parameters_are_ignored():
    parameters = [*make_form(), ("audience", "x"), ("", ""), ("\0", "\ud800")]

    assert (await Endpoint().grant(make_request(parameters=parameters))).scope == "verifications"


@pytest.mark.parametrize("resource", [ORIGIN, ""], ids=["the issuer", "empty"])
async def test_b04_the_one_resource_there_is_may_be_named(resource):
    assert await Endpoint().grant(make_request(parameters=make_form(resource=resource)))


async def test_a5_the_answer_is_a_token_bound_to_the_key_of_the_proof():
    """Statements A5, A9 and A15: DPoP, no refresh token, and the token names client, credential and key."""
    response = await Endpoint().grant(make_request())

    claims = make_token_verifier().verify(response.access_token)
    assert (response.token_type, response.expires_in, response.dpop_nonce) == ("DPoP", 300, None)
    assert not hasattr(response, "refresh_token")
    assert (claims.client_id, claims.partner_id) == (CLIENT_ID, PARTNER_ID)
    assert (claims.credential, claims.jkt) == (KEY.public.thumbprint, PROOF_KEY.public.thumbprint)
    assert (claims.purposes, claims.exp) == ({"onboarding"}, NOW_S + 300)


async def test_the_ledger_is_told_everything_the_commit_must_check():
    endpoint = Endpoint()

    response = await endpoint.grant(make_request(request_id="req_7", request_hash=b"h" * 32))

    (issue,) = endpoint.ledger.issues
    claims = make_token_verifier().verify(response.access_token)
    assert (issue.request_id, issue.request_hash, issue.issued_ms) == ("req_7", b"h" * 32, NOW)
    assert (issue.credential, issue.jkt, issue.token_jti) == (claims.credential, claims.jkt, claims.jti)
    assert issue.assertion_claim != issue.proof_claim


async def test_a14_every_token_has_its_own_random_name():
    """128 bits: 22 characters of base64url."""
    endpoint = Endpoint()
    names = set()
    for n in range(20):
        form = make_form(client_assertion=make_assertion(jti=f"assertion-{n:04}"))
        await endpoint.grant(make_request(parameters=form, dpop=[token_proof(jti=f"proof-{n:04}")]))
    names = {issue.token_jti for issue in endpoint.ledger.issues}

    assert (len(names), {len(name) for name in names}) == (20, {22})


async def test_a12_what_is_not_asked_for_is_what_is_registered():
    client = make_client(scopes=frozenset({"b", "a", "c"}))
    endpoint = Endpoint(directory=FakeDirectory({CLIENT_ID: client}))

    everything = await endpoint.grant(make_request())
    some = await endpoint.grant(
        make_request(
            parameters=make_form(client_assertion=make_assertion(jti="assertion-2"), scope="c a"),
            dpop=[token_proof(jti="proof-number-2")],
        )
    )

    assert (everything.scope, some.scope) == ("a b c", "a c")


async def test_a_client_without_scopes_gets_nothing():
    endpoint = Endpoint(directory=FakeDirectory({CLIENT_ID: make_client(scopes=frozenset())}))

    assert (await refusal_of(endpoint)).error == "invalid_scope"


async def test_c25_a_used_proof_is_an_invalid_proof():
    endpoint = Endpoint()
    await endpoint.grant(make_request())
    fresh = make_form(client_assertion=make_assertion(jti="another-assertion"))

    refusal = await refusal_of(endpoint, parameters=fresh)

    assert (refusal.status, refusal.error, refusal.reason) == (400, "invalid_dpop_proof", "proof_replayed")
    assert refusal.client_id == CLIENT_ID


async def test_a_key_revoked_meanwhile_gets_no_token():
    """The directory may lag; the commit does not."""
    endpoint = Endpoint(ledger=FakeLedger(revoked={KEY.public.thumbprint}))

    refusal = await refusal_of(endpoint)

    assert (refusal.status, refusal.error, refusal.reason) == (401, "invalid_client", "key_revoked")


async def test_a_key_that_the_log_did_not_register_gets_no_token():
    """Whatever the directory gave, the log decides; the answer is that for an unknown key, and nothing is committed for nobody."""
    endpoint = Endpoint()
    endpoint.registrations.unregistered.add(KEY.public.thumbprint)
    unknown = Endpoint(directory=FakeDirectory({}))

    refusal, strangers = await refusal_of(endpoint), await refusal_of(unknown)

    assert (refusal.status, refusal.error, refusal.reason) == (401, "invalid_client", "key_unregistered")
    assert (refusal.status, refusal.error, refusal.description) == (
        strangers.status,
        strangers.error,
        strangers.description,
    )
    assert (endpoint.ledger.issues, endpoint.ledger.refusals) == ([], [])


@pytest.mark.parametrize(
    "assertion",
    [make_assertion(key=OTHER_KEY), sign(OTHER_KEY, assertion_header(KEY), assertion_claims()), "x.y.z"],
    ids=["another's kid", "another's signature", "junk"],
)
async def test_the_log_is_asked_only_about_who_signed(assertion):
    """Who does not hold the key learns from no time of ours whether there is one: the log is read after the signature was good."""
    endpoint = Endpoint()

    refused = await refusal_of(endpoint, parameters=make_form(client_assertion=assertion))
    asked_before = list(endpoint.registrations.asked)
    await endpoint.grant(make_request())

    assert (refused.error, asked_before) == ("invalid_client", [])
    assert endpoint.registrations.asked == [KEY.public.thumbprint]


async def test_a_failing_store_is_not_mistaken_for_a_refusal():
    class Broken(FakeLedger):
        async def record_issue(self, issue):
            raise GatewayError(ErrorKind.STORE_UNAVAILABLE, facts={"request": issue.request_id})

    with pytest.raises(GatewayError) as caught:
        await Endpoint(ledger=Broken()).grant(make_request())

    assert caught.value.kind is ErrorKind.STORE_UNAVAILABLE


# nonces


def nonce_endpoint():
    return Endpoint(nonces=make_nonces(NonceAudience.TOKEN_ENDPOINT))


@pytest.mark.parametrize(
    "nonce",
    [None, "x", 5, "n" * 10_000, "A" * 24, make_nonces(NonceAudience.RESOURCES).issue(NOW)],
    ids=["C27 null", "C28 short", "C28 integer", "C28 10 kB", "C28 random", "C28 of the resources"],
)
async def test_c28_a_nonce_that_is_not_ours_is_asked_for_again(nonce):
    """Statement A10: 400 ``use_dpop_nonce``, whatever the client authentication is worth."""
    endpoint = nonce_endpoint()
    form = make_form(client_assertion="not.even.checked")

    refusal = await refusal_of(endpoint, dpop=[token_proof(nonce=nonce)], parameters=form)

    long = isinstance(nonce, str) and len(nonce) > 8192
    expected = (400, "invalid_dpop_proof", False) if long else (400, "use_dpop_nonce", True)
    assert (refusal.status, refusal.error, refusal.dpop_nonce) == expected


async def test_c27_after_the_nonce_came_the_same_assertion_succeeds():
    """The first answer must not use the assertion up: clients send it again."""
    endpoint = nonce_endpoint()
    refusal = await refusal_of(endpoint)
    nonce = endpoint.grant.fresh_nonce()

    response = await endpoint.grant(make_request(dpop=[token_proof(nonce=nonce, jti="second-proof")]))

    assert (refusal.error, refusal.dpop_nonce) == ("use_dpop_nonce", True)
    assert response.dpop_nonce == nonce


async def test_the_proof_is_looked_at_before_the_client_is():
    """Order of checks: with a bad proof the directory is not asked, so junk costs no look-up."""

    class Unreachable(FakeDirectory):
        async def find_client(self, client_id, kid):
            raise AssertionError(client_id, kid)

    assert (await refusal_of(Endpoint(directory=Unreachable()), dpop=[])).error == "invalid_dpop_proof"


def test_e4_every_description_has_allowed_characters_only():
    assert [code for code in OAuthCode if DESCRIPTION.fullmatch(DESCRIPTIONS[code]) is None] == []


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\nb", "é", "\x7f"])
def test_e4_a_description_with_other_characters_cannot_be_made(text):
    with pytest.raises(ValueError, match="forbidden characters"):
        OAuthError(OAuthCode.INVALID_REQUEST, reason="x", description=text)


# refusals of an authenticated client


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [({"scope": "other"}, "scope_not_registered"), ({"resource": "https://other.example"}, "resource_unknown")],
)
async def test_a_refusal_after_authentication_is_on_record_and_uses_the_assertion_up(parameters, reason):
    """Whoever authenticated and was refused left a leaf, and cannot try again with the same assertion."""
    endpoint = Endpoint()
    request = make_request(parameters=make_form(**parameters))

    with pytest.raises(OAuthError):
        await endpoint.grant(request)
    with pytest.raises(OAuthError) as again:
        await endpoint.grant(request)

    assert [refusal.reason for refusal in endpoint.ledger.refusals] == [reason]
    assert again.value.reason == "assertion_replayed"
