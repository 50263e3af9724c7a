"""A client library that was not written for this gateway obtains a token and asks, with nothing of it changed.

Authlib does not make proofs of possession: the ``DPoP`` field of each request is ours, everything else is the library's, its defaults
included: an assertion that says it lives for an hour, and its own ``jti``.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey, OKPKey
from joserfc.jws import extract_compact

from gateway.base.canonical import parse_json_object
from gateway.base.onetime import one_time_id
from gateway.identity.jwk import Algorithm
from gateway.identity.signing_key import SigningKey
from tests.conftest import fresh_database
from tests.fakes import gateway as kit
from tests.fakes.gateway import Gateway, PartnerClient, running_gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN = "/oauth2/token"
ITS_LIFETIME_S = 3600
"""What the library says in ``exp`` unless told otherwise."""
LIBRARY_KEYS = {Algorithm.ES256: (ECKey, "ES256"), Algorithm.EDDSA: (OKPKey, "Ed25519")}
"""How the library names key and algorithm; it warns of the name EdDSA, which RFC 9864 replaces."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(postgres, tmp_path_factory) -> AsyncIterator[Gateway]:
    database = await fresh_database(postgres)
    async with running_gateway(database, tmp_path_factory.mktemp("gateway")) as running:
        yield running
    await postgres.drop_database(database.name)


class Library:
    """The library as a partner's developer sets it up."""

    def __init__(self, partner: PartnerClient) -> None:
        key_type, alg = LIBRARY_KEYS[partner.key.alg]
        key = key_type.import_key(partner.key.to_pem().reveal())
        self._session = OAuth2Session(partner.client_id, key, token_endpoint_auth_method="private_key_jwt")
        self._session.register_client_auth_method(PrivateKeyJWT(partner.issuer, alg=alg))
        self._session.hooks["response"].append(self._see)
        self.assertions: list[str] = []
        self.nonces: dict[str, str] = {}

    def _see(self, response, **_values):
        form = dict(part.split("=", 1) for part in str(response.request.body).split("&"))
        self.assertions.append(form["client_assertion"])
        if "DPoP-Nonce" in response.headers:
            self.nonces["as"] = response.headers["DPoP-Nonce"]

    def fetch(self, url: str, proof: str) -> dict:
        """Ask for a token; ``OAuthError`` as the library raises it."""
        return self._session.fetch_token(url, headers={"DPoP": proof})

    def close(self) -> None:
        self._session.close()


def proof_for(partner: PartnerClient, library: Library) -> str:
    return partner.proof("POST", TOKEN, access_token=None, nonce=library.nonces.get("as"))


@pytest.mark.parametrize("alg", [Algorithm.ES256, Algorithm.EDDSA])
async def test_stock_authlib_obtains_a_token_and_asks(gateway, alg):
    """Its first try learns the nonce from the error that it raises by name, its second one has a token, and the token serves."""
    partner = await gateway.unsigned_partner(f"partner-{secrets.token_hex(6)}", key=SigningKey.generate(alg))
    library = Library(partner)
    url = gateway.base + TOKEN

    with pytest.raises(OAuthError) as first:
        await asyncio.to_thread(library.fetch, url, proof_for(partner, library))
    token = await asyncio.to_thread(library.fetch, url, proof_for(partner, library))
    partner.token = token["access_token"]
    status, _headers, answer = await partner.verify(kit.CLEAR)
    library.close()

    assert first.value.error == "use_dpop_nonce"
    assert (token["token_type"], token["expires_in"], token["scope"]) == ("DPoP", 300, "verifications")
    assert (status, answer["outcome"]) == (200, "clear")
    claims = parse_json_object(extract_compact(library.assertions[-1].encode()).payload)
    assert claims["exp"] - claims["iat"] == ITS_LIFETIME_S


async def test_its_assertion_serves_once_and_is_remembered_until_the_cap(gateway):
    """The hour that it claims is not granted: 300 seconds from ``iat``, and for as long its one-time id is known to the log."""
    partner = await gateway.unsigned_partner(f"partner-{secrets.token_hex(6)}")
    library = Library(partner)
    url = gateway.base + TOKEN
    with pytest.raises(OAuthError):
        await asyncio.to_thread(library.fetch, url, proof_for(partner, library))
    await asyncio.to_thread(library.fetch, url, proof_for(partner, library))
    library.close()
    used = library.assertions[-1]

    form = kit.token_form(assertion=used)
    status, _headers, body = await partner.post_token(form, proof_for(partner, library))

    assert (status, body["error"]) == (401, "invalid_client")
    claims = parse_json_object(extract_compact(used.encode()).payload)
    claim = one_time_id(
        kind="assertion",
        holder=partner.key.public.thumbprint,
        jti=claims["jti"],
        signed_time_s=claims["iat"] + 300,
    )
    assert await gateway.ask("SELECT req_day FROM audit.request WHERE req_id = $1", claim.digest) == claim.day


async def test_it_reads_what_it_is_refused_for(gateway):
    """Another key than the registered one: first it is told of the nonce, like everybody, then that nobody knows it."""
    partner = await gateway.unsigned_partner(f"partner-{secrets.token_hex(6)}")
    partner.key = SigningKey.generate()
    library = Library(partner)

    refused = []
    for _ in range(2):
        with pytest.raises(OAuthError) as caught:
            await asyncio.to_thread(library.fetch, gateway.base + TOKEN, proof_for(partner, library))
        refused.append(caught.value)
    library.close()

    assert [error.error for error in refused] == ["use_dpop_nonce", "invalid_client"]
    assert "less than 300 seconds" in refused[1].description
