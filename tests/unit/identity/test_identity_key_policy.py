"""Registering keys: rules 1 and 3 of the life cycle, rows F04 to F08 and F12, B08."""

import json

import pytest

from gateway.base.clock import Millis
from gateway.base.errors import ErrorKind, GatewayError
from gateway.identity.key_policy import parse_submitted_key, register_key
from gateway.identity.partner import CLIENT_ID, KeyPurpose, KeyState, revoke_key
from tests.unit.identity.kit import ED_KEY, KEY, NOW, OTHER_KEY, PROOF_KEY, RSA_KEY, b64url, make_key, unb64url


def submitted(key=KEY, **changes):
    return json.dumps({**key.public.jwk, **changes}).encode()


def faults_of(raw):
    with pytest.raises(GatewayError) as caught:
        parse_submitted_key(raw)
    assert caught.value.kind is ErrorKind.VALIDATION_FAILED
    return [(fault.path, fault.code, fault.params.get("reason")) for fault in caught.value.faults]


def register(raw=None, *, keys=(), known=False, not_before=NOW):
    return register_key(
        parse_submitted_key(raw or submitted()),
        client_keys=keys,
        thumbprint_known=known,
        not_before_ms=not_before,
        now=NOW,
    )


def conflict_of(**given):
    with pytest.raises(GatewayError) as caught:
        register(**given)
    assert caught.value.kind is ErrorKind.CONFLICT
    return caught.value.reason


@pytest.mark.parametrize("key", [KEY, RSA_KEY, ED_KEY], ids=["ES256", "PS256", "EdDSA"])
def test_a_good_key_is_registered_under_its_thumbprint(key):
    registered = register(submitted(key))

    assert (registered.kid, registered.thumbprint) == (key.public.thumbprint,) * 2
    assert (registered.state, registered.purpose) == (KeyState.ACTIVE, KeyPurpose.CLIENT_AUTH)
    assert (registered.not_before_ms, registered.why_unusable(NOW)) == (NOW, None)


def test_a_partner_may_name_its_key():
    assert register(submitted(kid="key-2026.11")).kid == "key-2026.11"


def test_a_key_may_be_named_after_its_own_thumbprint():
    """A name as long as a thumbprint that could not be one is a name."""
    own = KEY.public.thumbprint

    assert register(submitted(kid=own)).kid == own
    assert register(submitted(kid="." * 43)).kid == "." * 43


def test_a_key_may_begin_later_but_not_earlier_than_now():
    assert register(not_before=Millis(NOW + 5)).why_unusable(NOW) == "key_not_yet_active"
    assert register(not_before=Millis(0)).not_before_ms == NOW


@pytest.mark.parametrize(
    ("raw", "faults"),
    [
        (b"", [("", "jwk_unreadable", None)]),
        (b"[]", [("", "jwk_unreadable", None)]),
        (b"\xff", [("", "jwk_unreadable", None)]),
        (b'{"kty":"EC","kty":"EC"}', [("", "jwk_unreadable", None)]),
        (submitted(x="A" * 9000), [("", "jwk_unreadable", None)]),
        (submitted(d="AA"), [("", "jwk_private", None)]),
        (submitted(kty="oct"), [("", "jwk_refused", "unsupported_key_type")]),
        (submitted(crv="P-384"), [("", "jwk_refused", "unsupported_curve")]),
        (submitted(use="enc"), [("", "jwk_refused", "wrong_use")]),
        (submitted(RSA_KEY, e="Aw"), [("", "jwk_refused", "weak_key")]),
        (submitted(RSA_KEY, alg="RS256"), [("", "jwk_refused", "algorithm_mismatch")]),
        (submitted(ED_KEY, x=b64url(bytes(32))), [("", "jwk_refused", "weak_key")]),
        (submitted(kid="a b"), [("/kid", "kid_malformed", None)]),
        (submitted(kid=5), [("/kid", "kid_malformed", None)]),
        (submitted(kid=""), [("/kid", "kid_malformed", None)]),
        (submitted(kid=OTHER_KEY.public.thumbprint), [("/kid", "kid_is_a_thumbprint", None)]),
        (submitted(kid="A" * 43), [("/kid", "kid_is_a_thumbprint", None)]),
        (submitted(kid="", crv="x"), [("", "jwk_refused", "unsupported_curve"), ("/kid", "kid_malformed", None)]),
    ],
    ids=[
        "empty",
        "array",
        "not UTF-8",
        "duplicate member",
        "9 kB",
        "F05 private",
        "F06 oct",
        "F06 P-384",
        "wrong use",
        "F06 e = 3",
        "RS256",
        "F06 small order",
        "kid with blank",
        "kid integer",
        "kid empty",
        "kid of another key",
        "kid like a thumbprint",
        "two faults at once",
    ],
)
def test_a_bad_key_is_refused_with_every_fault(raw, faults):
    assert faults_of(raw) == faults


def test_f07_another_spelling_of_the_same_key_is_refused():
    """Leading zero in n, padding: otherwise one key could be registered twice."""
    zeroed = submitted(RSA_KEY, n=b64url(b"\0" + unb64url(RSA_KEY.public.jwk["n"])))

    assert faults_of(zeroed) == [("", "jwk_refused", "not_canonical")]
    assert faults_of(submitted(x=KEY.public.jwk["x"] + "=")) == [("", "jwk_refused", "wrong_length")]


@pytest.mark.parametrize("state", list(KeyState))
def test_f04_a_key_known_to_the_client_is_refused_in_whatever_state(state):
    assert conflict_of(keys=[make_key(KEY, state=state)]) == "key_known"


def test_f04_a_key_known_to_anybody_is_refused():
    assert conflict_of(known=True) == "key_known"


def test_a_name_is_used_once_by_a_client():
    taken = make_key(OTHER_KEY, kid="same", state=KeyState.RETIRED)

    assert conflict_of(raw=submitted(kid="same"), keys=[taken]) == "kid_taken"


def test_f08_a_third_live_key_is_refused():
    active, retiring = make_key(OTHER_KEY), make_key(PROOF_KEY, state=KeyState.RETIRING)

    assert conflict_of(keys=[active, retiring]) == "too_many_keys"


@pytest.mark.parametrize(
    "over",
    [
        make_key(PROOF_KEY, state=KeyState.RETIRED),
        make_key(PROOF_KEY, state=KeyState.COMPROMISED),
        make_key(PROOF_KEY, state=KeyState.RETIRING, retire_at_ms=NOW),
    ],
    ids=["retired", "compromised", "retired by its date"],
)
def test_keys_that_are_over_do_not_count(over):
    assert register(keys=[make_key(OTHER_KEY), over]).state is KeyState.ACTIVE


def test_revoking_takes_a_key_out_of_use():
    revoked = revoke_key(make_key(), now=NOW, compromised=True)

    assert (revoked.state, revoked.revoked_ms, revoked.why_unusable(NOW)) == (
        KeyState.COMPROMISED,
        NOW,
        "key_compromised",
    )


def test_a_retired_key_may_still_be_declared_compromised():
    retired = revoke_key(make_key(), now=NOW, compromised=False)

    assert revoke_key(retired, now=NOW, compromised=True).state is KeyState.COMPROMISED


@pytest.mark.parametrize(
    ("state", "compromised"),
    [(KeyState.COMPROMISED, True), (KeyState.COMPROMISED, False), (KeyState.RETIRED, False)],
)
def test_f12_nothing_leads_out_of_the_end(state, compromised):
    with pytest.raises(GatewayError) as caught:
        revoke_key(make_key(state=state), now=NOW, compromised=compromised)

    assert caught.value.kind is ErrorKind.CONFLICT


@pytest.mark.parametrize(
    "client_id",
    ["alice@example.com", "Alice", "440101199001011234X", "a", "-a-b", "a_b", "a" * 64, "", "é" * 5, "abc\n"],
)
def test_b08_a_client_id_has_a_form_of_its_own(client_id):
    assert CLIENT_ID.fullmatch(client_id) is None
