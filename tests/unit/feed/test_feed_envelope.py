"""The signed envelope: who may speak, and that nothing unsigned is believed."""

import json

import pytest

from gateway.base.codec import b64
from gateway.base.crypto import Ed25519Signer
from gateway.base.secret import Secret
from gateway.credit.feed_version import FeedRefused
from gateway.municipal.envelope import (
    PAYLOAD_TYPE,
    PlatformKeys,
    open_envelope,
    pae,
    parse_platform_keys,
    seal_envelope,
)

SIGNER = Ed25519Signer(Secret(b"\x01" * 32))
OTHER = Ed25519Signer(Secret(b"\x02" * 32))
KEYS = PlatformKeys({"k1": SIGNER.public})
GOOD = seal_envelope(b'{"v":1}', "k1", SIGNER)


def altered(**members):
    return json.dumps({**json.loads(GOOD), **members}).encode()


def signature(keyid="k1", signer=SIGNER, payload=b'{"v":1}', payload_type=PAYLOAD_TYPE):
    return {"keyid": keyid, "sig": b64(signer.sign(pae(payload_type, payload)))}


def test_the_pre_authentication_encoding_is_that_of_dsse():
    """The example of the DSSE protocol document, with its type and body."""
    assert (
        pae("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_a_payload_signed_by_a_registered_key_comes_out_unchanged():
    assert open_envelope(GOOD, KEYS) == b'{"v":1}'


def test_a_second_signature_by_a_key_that_is_not_registered_yet_does_no_harm():
    both = altered(signatures=[signature("next", OTHER), signature()])

    assert open_envelope(both, KEYS) == b'{"v":1}'


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(b"<html>", "not_an_envelope", id="not JSON"),
        pytest.param(b"[]", "not_an_envelope", id="not an object"),
        pytest.param(b"{}", "not_an_envelope", id="no members"),
        pytest.param(GOOD[:-1] + b',"payload":"e30="}', "not_an_envelope", id="a member twice"),
        pytest.param(altered(payloadType="application/json"), "not_an_envelope", id="another type"),
        pytest.param(altered(payload="e30"), "not_an_envelope", id="payload without padding"),
        pytest.param(altered(payload={"v": 1}), "not_an_envelope", id="payload not text"),
        pytest.param(altered(signatures={}), "not_an_envelope", id="signatures not a list"),
        pytest.param(altered(signatures=["x"]), "not_an_envelope", id="signature not an object"),
        pytest.param(altered(signatures=[{"keyid": "k1"}]), "not_an_envelope", id="signature without its bytes"),
        pytest.param(altered(signatures=[signature()] * 9), "not_an_envelope", id="too many signatures"),
        pytest.param(altered(signatures=[]), "signature_missing", id="no signature"),
        pytest.param(altered(signatures=[signature("k2")]), "key_unknown", id="only an unregistered id"),
        pytest.param(altered(signatures=[signature(signer=OTHER)]), "signature_wrong", id="signed by another key"),
        pytest.param(
            altered(signatures=[signature(payload=b"{}")]), "signature_wrong", id="signature of another payload"
        ),
        pytest.param(altered(payload=b64(b'{"v":2}')), "signature_wrong", id="payload changed"),
        pytest.param(altered(signatures=[signature(payload_type="x")]), "signature_wrong", id="signed as another type"),
        pytest.param(
            altered(signatures=[signature(), {"keyid": "k1", "sig": b64(b"\0" * 64)}]),
            "signature_wrong",
            id="one good, one bad",
        ),
        pytest.param(altered(signatures=[{"keyid": "k1", "sig": ""}]), "signature_wrong", id="empty signature"),
        pytest.param(b" " * 70_000 + GOOD, "document_too_large", id="too large"),
    ],
)
def test_an_envelope_that_is_not_signed_as_it_must_be_is_refused(raw, reason):
    with pytest.raises(FeedRefused) as refused:
        open_envelope(raw, KEYS)

    assert refused.value.reason == reason


def test_the_key_file_has_an_id_and_a_key_on_each_line():
    keys = parse_platform_keys(f"# the platform\n\nk1 {b64(SIGNER.public)}\nk2 {b64(OTHER.public)} # next\n")

    assert (keys.find("k1"), keys.find("k2"), keys.find("k3")) == (SIGNER.public, OTHER.public, None)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="no key at all"),
        pytest.param("# nothing\n", id="only a comment"),
        pytest.param(f"k1 {b64(SIGNER.public)}\nk1 {b64(OTHER.public)}\n", id="an id twice"),
        pytest.param("k1\n", id="no key after the id"),
        pytest.param(f"k1 {b64(SIGNER.public)} x\n", id="three words"),
        pytest.param(f"k1 {b64(b'short')}\n", id="too short"),
        pytest.param(f"k1 {b64(bytes(32))}\n", id="a point of small order"),
        pytest.param(f"k/1 {b64(SIGNER.public)}\n", id="an id with a slash"),
        pytest.param(f"k1 {SIGNER.public.hex()}\n", id="hexadecimal"),
    ],
)
def test_a_key_file_that_could_trust_the_wrong_one_is_refused(text):
    with pytest.raises(ValueError, match=r"line \d|no platform key"):
        parse_platform_keys(text)
