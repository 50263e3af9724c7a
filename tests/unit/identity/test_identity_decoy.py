"""Whoever is named, one key is read and one signature is verified: what can be counted of "the same work" (time is the bench's)."""

import secrets
import sys
from collections import Counter
from contextlib import contextmanager

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.identity.assertion import AssertionRefused, parse_assertion, verify_assertion
from gateway.identity.decoy import RSA_BYTES, admits, decoy_for
from gateway.identity.jwk import Algorithm, parse_public_jwk
from gateway.identity.partner import KeyState, PartnerState, StoredClient
from tests.unit.identity.kit import (
    ED_KEY,
    KEY,
    NOW,
    ORIGIN,
    OTHER_KEY,
    RSA_KEY,
    assertion_claims,
    assertion_header,
    b64url,
    make_client,
    make_key,
    segment,
    unb64url,
)

KEYS = {Algorithm.ES256: KEY, Algorithm.PS256: RSA_KEY, Algorithm.EDDSA: ED_KEY}


def rsa_jwk(bits):
    n = rsa.generate_private_key(65537, bits).public_key().public_numbers().n
    return {"kty": "RSA", "e": "AQAB", "n": b64url(n.to_bytes(bits // 8, "big"))}


LONG_RSA = parse_public_jwk(rsa_jwk(3072), alg=None)


@contextmanager
def counted():
    """Count the keys that are parsed and the signatures that are worked on, in the interpreter's own account of calls."""
    calls = Counter()

    def note(frame, event, argument):
        if event == "call" and frame.f_code.co_name == "parse_public_jwk":
            calls["read"] += 1
        if event == "c_call" and argument.__name__ == "verify":
            calls["verified"] += 1

    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def forged(key, *, signature=None, **header):
    """An assertion that names a key and is signed by nobody, with a signature of the right form."""
    size = 64 if key.alg is not Algorithm.PS256 else 256
    text = f"{segment(assertion_header(key, **header))}.{segment(assertion_claims())}."
    text += b64url(signature or b"\x01" + secrets.token_bytes(size - 1))
    return parse_assertion(text, issuer=ORIGIN, client_id=None, now=NOW)


def clients(key):
    """Nobody, and somebody in every respect in which a client may differ."""
    own = make_key(key)
    return {
        "nobody": None,
        "its key": make_client(own),
        "one of its two keys": make_client(own, make_key(OTHER_KEY, kid="other")),
        "another key": make_client(make_key(key, kid="other")),
        "another algorithm": make_client(make_key(OTHER_KEY, kid=own.kid)),
        "a dead key": make_client(make_key(key, state=KeyState.COMPROMISED)),
        "no key": StoredClient(partner=make_client().partner, keys=()),
        "suspended": make_client(own, state=PartnerState.SUSPENDED),
    }


@pytest.mark.parametrize("alg", KEYS)
@pytest.mark.parametrize("who", clients(KEY))
def test_every_refusal_reads_one_key_and_verifies_one_signature(alg, who):
    unverified, client = forged(KEYS[alg]), clients(KEYS[alg])[who]

    with counted() as calls, pytest.raises(AssertionRefused):
        verify_assertion(unverified, client, now=NOW)

    assert calls == {"read": 1, "verified": 1}


@pytest.mark.parametrize("size", [*RSA_BYTES, 0, 1, 255, 257, 600])
@pytest.mark.parametrize("who", ["nobody", "its key"])
def test_an_rsa_signature_of_any_length_is_worked_on(size, who):
    """Not refused unworked by a key that it does not fit: then its length would tell which keys there are."""
    unverified = forged(RSA_KEY, signature=b"\x01" * size or b"\x00")

    with counted() as calls, pytest.raises(AssertionRefused):
        verify_assertion(unverified, clients(RSA_KEY)[who], now=NOW)

    assert calls == {"read": 1, "verified": 1}


@pytest.mark.parametrize("size", RSA_BYTES)
def test_a_decoy_is_as_long_as_the_signature_and_above_nearly_all_of_them(size):
    decoy = decoy_for(Algorithm.PS256, bytes(size))

    assert len(unb64url(decoy.key.jwk["n"])) == size
    assert admits(decoy.key, b"\xff" * 7 + b"\xfe" + bytes(size - 8))
    assert decoy.stored.read().key.thumbprint == decoy.key.thumbprint


def test_a_key_admits_what_fits_it():
    modulus = unb64url(LONG_RSA.jwk["n"])
    below = (int.from_bytes(modulus, "big") - 1).to_bytes(384, "big")

    assert [admits(LONG_RSA, text) for text in (below, modulus, below[:-1], bytes(256), b"\x00" + below)] == [
        True,
        False,
        False,
        False,
        False,
    ]
    assert admits(KEY.public, b"")


@pytest.mark.parametrize("alg", Algorithm)
def test_a_decoy_authenticates_nobody(alg):
    """Its stored form is retired, and no directory holds it; what it says about a signature is not asked."""
    decoy = decoy_for(alg, b"")

    assert decoy.stored.why_unusable(NOW) == "key_retired"
