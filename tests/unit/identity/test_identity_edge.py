"""What stands around the tokens: header and challenge (D15, D16), grants, documents (A1, A2, K4), addresses, key files."""

import json

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from gateway.base.errors import ErrorKind, GatewayError
from gateway.base.secret import Secret
from gateway.identity.authorization import parse_authorization, render_challenge, render_client_challenge
from gateway.identity.client import make_assertion, make_proof, token_form
from gateway.identity.grants import Scope, require_purpose, require_scope
from gateway.identity.htu import AddressMatcher, normalise_uri
from gateway.identity.jwk import Algorithm
from gateway.identity.lru import LruCache
from gateway.identity.metadata import entity_tag, metadata_paths, render_jwks, render_metadata
from gateway.identity.signing_key import SigningKey
from tests.unit.identity.kit import (
    CLIENT_ID,
    ED_KEY,
    KEY,
    NOW,
    ORIGIN,
    PROOF_KEY,
    RSA_KEY,
    SERVER_KEY,
    TOKEN_PATH,
    Endpoint,
    FakeDirectory,
    make_client,
    make_key,
    make_request,
)

TOKEN = "eyJ.eyJ.abc-_~+/=="


@pytest.mark.parametrize("scheme", ["DPoP", "dpop", "DPOP", "dPoP"])
def test_d15_the_scheme_is_read_in_any_case(scheme):
    assert parse_authorization([f"{scheme} {TOKEN}"]) == TOKEN


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([], ErrorKind.UNAUTHENTICATED),
        ([""], ErrorKind.UNAUTHENTICATED),
        (["Basic eDp5"], ErrorKind.UNAUTHENTICATED),
        (["Negotiate"], ErrorKind.UNAUTHENTICATED),
        ([f"DPoPx {TOKEN}"], ErrorKind.UNAUTHENTICATED),
        ([f"Bearer {TOKEN}"], ErrorKind.INVALID_TOKEN),
        ([f"bearer {TOKEN}"], ErrorKind.INVALID_TOKEN),
        ([f"DPoP {TOKEN}", f"DPoP {TOKEN}"], ErrorKind.INVALID_REQUEST),
        ([f"DPoP {TOKEN}", f"Bearer {TOKEN}"], ErrorKind.INVALID_REQUEST),
        ([f"DPoP {TOKEN}, Bearer {TOKEN}"], ErrorKind.INVALID_REQUEST),
        (["DPoP"], ErrorKind.INVALID_REQUEST),
        (["DPoP "], ErrorKind.INVALID_REQUEST),
        (["DPoP a b"], ErrorKind.INVALID_REQUEST),
        (["DPoP a\udcff"], ErrorKind.INVALID_REQUEST),
        (["DPoP a\0"], ErrorKind.INVALID_REQUEST),
        (["DPoP a=b"], ErrorKind.INVALID_REQUEST),
        ([f"DPoP {TOKEN}\n"], ErrorKind.INVALID_REQUEST),
    ],
    ids=str,
)
def test_c32_c33_anything_but_one_dpop_token_is_refused(values, kind):
    with pytest.raises(GatewayError) as caught:
        parse_authorization(values)

    assert caught.value.kind is kind


@pytest.mark.parametrize(
    ("kind", "challenge"),
    [
        (ErrorKind.UNAUTHENTICATED, 'DPoP algs="ES256 PS256 EdDSA"'),
        (ErrorKind.INVALID_TOKEN, 'DPoP error="invalid_token", algs="ES256 PS256 EdDSA"'),
        (ErrorKind.INVALID_DPOP_PROOF, 'DPoP error="invalid_dpop_proof", algs="ES256 PS256 EdDSA"'),
        (ErrorKind.USE_DPOP_NONCE, 'DPoP error="use_dpop_nonce", algs="ES256 PS256 EdDSA"'),
        (ErrorKind.NOT_FOUND, None),
    ],
)
def test_d16_the_challenge_names_the_error_unless_nothing_was_sent(kind, challenge):
    assert render_challenge(kind) == challenge


def test_r3_the_challenge_of_a_403_names_the_scope():
    expected = 'DPoP error="insufficient_scope", scope="verifications", algs="ES256 PS256 EdDSA"'

    assert render_challenge(ErrorKind.INSUFFICIENT_SCOPE, scope="verifications") == expected


@pytest.mark.parametrize(
    ("values", "challenge"),
    [
        ([], 'DPoP algs="ES256 PS256 EdDSA"'),
        (["Basic YTpi"], 'Basic realm="token endpoint", charset="UTF-8"'),
        (["bAsIc"], 'Basic realm="token endpoint", charset="UTF-8"'),
        (["Bearer x"], 'Bearer realm="token endpoint"'),
        (["DPoP x"], 'DPoP algs="ES256 PS256 EdDSA"'),
        (['Evil"\r\nX: y'], 'DPoP algs="ES256 PS256 EdDSA"'),
        ([""], 'DPoP algs="ES256 PS256 EdDSA"'),
    ],
)
def test_the_token_endpoint_challenges_in_the_scheme_that_was_tried(values, challenge):
    """RFC 6749 section 5.2; nothing that was sent is sent back."""
    assert render_client_challenge(values) == challenge


# grants


def test_d07_a_scope_that_the_token_lacks_is_refused():
    require_scope(frozenset({"verifications", "x"}), Scope.VERIFICATIONS)

    for granted in (frozenset(), frozenset({"verification"}), frozenset({"VERIFICATIONS"})):
        with pytest.raises(GatewayError) as caught:
            require_scope(granted, Scope.VERIFICATIONS)
        assert caught.value.kind is ErrorKind.INSUFFICIENT_SCOPE


def test_a_purpose_outside_the_agreement_is_refused():
    require_purpose(frozenset({"onboarding"}), "onboarding")

    with pytest.raises(GatewayError) as caught:
        require_purpose(frozenset({"onboarding"}), "risk")
    assert caught.value.kind is ErrorKind.PURPOSE_NOT_ALLOWED


# documents


def test_a1_a2_the_metadata_names_what_exists_and_nothing_else():
    document = json.loads(render_metadata(ORIGIN))

    assert document == {
        "issuer": ORIGIN,
        "token_endpoint": ORIGIN + "/oauth2/token",
        "jwks_uri": ORIGIN + "/oauth2/jwks",
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": ["none"],
        "scopes_supported": ["verifications"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["ES256", "PS256", "EdDSA", "Ed25519"],
        "dpop_signing_alg_values_supported": ["ES256", "PS256", "EdDSA", "Ed25519"],
    }


def test_a2_a_stock_reader_takes_the_metadata():
    """RFC 8414 as Authlib reads it, which refuses a list of response types that is empty or missing."""
    document = json.loads(render_metadata(ORIGIN))

    AuthorizationServerMetadata(document).validate()

    for types in ([], None):
        with pytest.raises(ValueError, match="response_types_supported"):
            AuthorizationServerMetadata({**document, "response_types_supported": types}).validate()


@pytest.mark.parametrize(
    ("issuer", "paths"),
    [
        (ORIGIN, ("/.well-known/oauth-authorization-server",)),
        (
            ORIGIN + "/credit",
            ("/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/credit"),
        ),
    ],
)
def test_a1_the_metadata_is_found_where_the_standard_puts_it(issuer, paths):
    assert metadata_paths(issuer) == paths


def test_k4_our_key_set_holds_public_members_named_by_thumbprint():
    keys = json.loads(render_jwks([SERVER_KEY.public, RSA_KEY.public, ED_KEY.public]))["keys"]

    assert [key["kid"] for key in keys] == [key.public.thumbprint for key in (SERVER_KEY, RSA_KEY, ED_KEY)]
    assert [(key["alg"], key["use"]) for key in keys] == [("ES256", "sig"), ("PS256", "sig"), ("EdDSA", "sig")]
    assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & {name for key in keys for name in key}


def test_k3_a_key_stands_in_our_set_once():
    with pytest.raises(ValueError, match="twice"):
        render_jwks([SERVER_KEY.public, SERVER_KEY.public])


def test_the_entity_tag_changes_with_the_document():
    one, other = entity_tag(render_jwks([SERVER_KEY.public])), entity_tag(render_jwks([KEY.public]))

    assert one != other
    assert one == entity_tag(render_jwks([SERVER_KEY.public]))
    assert (one[0], one[-1], len(one)) == ('"', '"', 18)


# addresses


@pytest.mark.parametrize(
    ("uri", "normal"),
    [
        ("HTTPS://Gateway.Example:443", "https://gateway.example/"),
        ("http://h:80/a", "http://h/a"),
        ("https://h:8443/a", "https://h:8443/a"),
        ("https://h:/a", "https://h/a"),
        ("http://[::1]:8080/a", "http://[::1]:8080/a"),
        ("https://h/%7ea/%2fb/%c3%a9", "https://h/~a/%2Fb/%C3%A9"),
        ("https://h/a//b", "https://h/a//b"),
        ("https://h/a?b=/../c", "https://h/a"),
        ("https://h/a?b#c?d#e", "https://h/a"),
        ("https://h#/../c", "https://h/"),
        ("https://h?#", "https://h/"),
        ("https://h/a?b\x7f", None),
        ("https://h/a?" + "#" * 2000 + " ", None),
        ("https://h/a/../b", None),
        ("https://h/a/%2E%2e/b", None),
        ("https://h/.", None),
        ("https://u@h/a", None),
        ("https://u:p@h/a", None),
        ("https://h\\@evil/a", None),
        ("https:///a", None),
        ("https:/h/a", None),
        ("//h/a", None),
        ("https://h/a b", None),
        ("https://h/%zz", None),
        ("https://h/\0", None),
        ("https://h/é", None),
        ("https://h:123456/a", None),
        ("https://h/a\n", None),
        ("https://h/" + "a" * 3000, None),
    ],
)
def test_d8_addresses_are_normalised_as_rfc_3986_says_or_refused(uri, normal):
    assert normalise_uri(uri) == normal


@pytest.mark.parametrize("origin", ["https://h/", "https://h?x", "https://h#x", "h", "https://u@h", ""])
def test_an_origin_that_is_no_origin_is_refused(origin):
    with pytest.raises(ValueError, match="origin"):
        AddressMatcher(origin)


def test_an_issuer_with_a_path_is_part_of_the_address():
    matcher = AddressMatcher("https://h/credit")

    assert matcher.matches("https://h/credit/v1", "/v1")
    assert not matcher.matches("https://h/v1", "/v1")


def test_a_match_is_remembered_for_its_own_path_only():
    matcher = AddressMatcher("https://h")

    assert [matcher.matches("https://h/a", path) for path in ("/a", "/a", "/b", "/a/", "/a?x", "/a#x")] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]


def test_many_addresses_do_not_fill_the_memory():
    matcher = AddressMatcher("https://h")

    assert all(matcher.matches(f"https://h/{n}", f"/{n}") for n in range(2000))
    assert len(matcher._known) == 256


def test_what_is_asked_for_is_remembered_whatever_came_before():
    """A stranger's many spellings of one address push out each other, and nobody for good."""
    matcher = AddressMatcher("https://h")
    for n in range(2000):
        assert matcher.matches(f"https://h/a?{n}", "/a")

    assert matcher.matches("https://h/b", "/b")
    assert matcher._known.get("https://h/b /b")


def test_a_remembered_pair_is_no_other_pair():
    """A space can stand in neither half of what matched."""
    matcher = AddressMatcher("https://h")
    assert matcher.matches("https://h/a", "/a")

    assert not matcher.matches("https://h/a /a", "")
    assert not matcher.matches("https://h/a /b", "/a")
    assert not matcher.matches("", "https://h/a /a")


def test_the_cache_forgets_what_was_not_asked_for_longest():
    cache = LruCache[int](2)
    cache.put("a", 1)
    cache.put("b", 2)
    cache.get("a")

    cache.put("c", 3)

    assert ([cache.get(name) for name in "abc"], len(cache)) == ([1, None, 3], 2)


# the partner's side


@pytest.mark.parametrize("alg", list(Algorithm))
async def test_what_the_client_makes_the_gateway_takes(alg):
    key = {Algorithm.ES256: KEY, Algorithm.PS256: RSA_KEY, Algorithm.EDDSA: ED_KEY}[alg]
    endpoint = Endpoint(directory=FakeDirectory({CLIENT_ID: make_client(make_key(key, kid="my-key"))}))
    assertion = make_assertion(key, client_id=CLIENT_ID, issuer=ORIGIN, now=NOW, jti="assertion-jti", kid="my-key")
    proof = make_proof(PROOF_KEY, method="POST", url=ORIGIN + TOKEN_PATH + "?a#b", now=NOW, jti="proof-jti")

    response = await endpoint.grant(
        make_request(parameters=token_form(assertion=assertion, scope="verifications"), dpop=[proof])
    )

    assert response.scope == "verifications"


@pytest.mark.parametrize("alg", [Algorithm.ES256, Algorithm.EDDSA])
def test_a_key_survives_its_pem(alg):
    key = SigningKey.generate(alg)

    again = SigningKey.from_pem(key.to_pem())

    assert (again.alg, again.public.thumbprint) == (alg, key.public.thumbprint)


def pem_of(private, encryption=None):
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"rubbish",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        pem_of(ec.generate_private_key(ec.SECP384R1())),
        pem_of(rsa.generate_private_key(65_537, 1024)),
        pem_of(dsa.generate_private_key(1024)),
        pem_of(ec.generate_private_key(ec.SECP256R1()), BestAvailableEncryption(b"x")),
    ],
    ids=["empty", "rubbish", "no key inside", "P-384", "RSA-1024", "DSA", "encrypted"],
)
def test_a_key_file_that_may_not_be_used_is_refused(pem):
    with pytest.raises(ValueError, match=r".+") as caught:
        SigningKey.from_pem(Secret(pem))

    assert "BEGIN" not in str(caught.value)


def test_a_signing_key_does_not_print_itself():
    assert repr(KEY) == f"SigningKey(ES256, {KEY.public.thumbprint})"
