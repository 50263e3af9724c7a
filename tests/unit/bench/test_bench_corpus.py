"""Requests signed beforehand."""

import hashlib
import json
import re

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from bench.city import synthetic_codes
from bench.corpus import Caller, ProofSigner, Target, b64url, new_key, public_jwk, request_body, thumbprint
from bench.spoil import bad_signature, malformed_token
from gateway.base.codec import parse_b64url
from gateway.credit.identifiers import is_organisation_code, is_uscc, organisation_part

TARGET = Target(origin="https://gateway.example", host="gateway.example", nonce="n" * 24)


@pytest.fixture
def caller():
    _, pem = new_key()
    return Caller(proof_key_pem=pem, token="aaa.bbb.ccc")


@pytest.fixture
def request_bytes(caller):
    return ProofSigner(caller, TARGET).request(request_body("919900000000000192", 7), 1_800_000_000)


def proof_of(wire):
    return re.search(rb"\r\nDPoP: (\S+)\r\n", wire)[1]


def test_a_proof_states_method_address_token_time_and_nonce(request_bytes):
    payload = json.loads(parse_b64url(proof_of(request_bytes).split(b".")[1]))

    assert {name: payload[name] for name in ("htm", "htu", "ath", "iat", "nonce")} == {
        "htm": "POST",
        "htu": "https://gateway.example/v1/verifications",
        "ath": b64url(hashlib.sha256(b"aaa.bbb.ccc").digest()),
        "iat": 1_800_000_000,
        "nonce": "n" * 24,
    }


def test_a_proof_verifies_with_the_key_it_names(request_bytes):
    header, payload, signature = proof_of(request_bytes).split(b".")
    jwk = json.loads(parse_b64url(header))["jwk"]
    x, y = (int.from_bytes(parse_b64url(jwk[name]), "big") for name in ("x", "y"))
    raw = parse_b64url(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))

    ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key().verify(
        der, header + b"." + payload, ec.ECDSA(hashes.SHA256())
    )


def test_no_two_requests_have_the_same_proof_id(caller):
    signer = ProofSigner(caller, TARGET)
    body = request_body("919900000000000192", 7)
    proofs = {proof_of(signer.request(body, 1_800_000_000)) for _ in range(50)}

    assert len({json.loads(parse_b64url(proof.split(b".")[1]))["jti"] for proof in proofs}) == 50


def test_a_request_is_framed_by_its_length(request_bytes):
    head, _, body = request_bytes.partition(b"\r\n\r\n")

    assert int(re.search(rb"\r\nContent-Length: (\d+)", head)[1]) == len(body)
    assert json.loads(body)["subject"] == {"uscc": "919900000000000192"}


def test_a_thumbprint_is_that_of_rfc_7638():
    key, _ = new_key()
    jwk = public_jwk(key.public_key())
    canonical = f'{{"crv":"P-256","kty":"EC","x":"{jwk["x"]}","y":"{jwk["y"]}"}}'

    assert thumbprint(jwk) == b64url(hashlib.sha256(canonical.encode()).digest())


def test_a_bad_signature_differs_in_one_character_of_the_proof_only(request_bytes):
    spoilt = bad_signature(request_bytes)
    changed = [at for at, (old, new) in enumerate(zip(request_bytes, spoilt, strict=True)) if old != new]

    assert len(changed) == 1
    assert request_bytes.index(proof_of(request_bytes)) < changed[0] < request_bytes.index(b"\r\nContent-Length")


def test_a_malformed_token_keeps_the_length_and_the_rest_of_the_request(request_bytes):
    spoilt = malformed_token(request_bytes)

    assert spoilt == request_bytes.replace(b"aaa.bbb.ccc", b"x" * 11)


def test_synthetic_codes_are_codes_and_no_two_are_equal():
    codes = synthetic_codes(300)

    assert len(set(codes)) == 300
    assert [code for code in codes if not (is_uscc(code) and is_organisation_code(organisation_part(code)))] == []
