"""The partner's routes: authentication rows of the security design, refusals on record, answers with receipts."""

from __future__ import annotations

import gzip
import hashlib

import msgspec
import pytest

from gateway.base.errors import ErrorKind, GatewayError
from gateway.identity.signing_key import SigningKey
from tests.fakes.use_cases import (
    ANSWER_JSON,
    GOOD_BODY,
    NOW,
    OTHER_PARTNER_ID,
    PARTNER_ID,
    RECEIPT_JSON,
    VERIFICATION_ID,
    Loopback,
    World,
    running,
)

PATH = "/v1/verifications"
ALGS = 'algs="ES256 PS256 EdDSA"'
JSON = ("Content-Type", "application/json")
READ_PATH = f"{PATH}/{VERIFICATION_ID}"


async def ask(gateway: Loopback, headers: list[tuple[str, str]], path: str = PATH):
    return await gateway.request("POST", path, [*headers, JSON], GOOD_BODY)


class TestAnswers:
    async def test_the_receipt_is_added_behind_the_bytes_that_it_commits_to(self):
        async with running() as gateway:
            answer = await gateway.verify()

            assert answer.body == ANSWER_JSON[:-1] + b',"receipt":' + RECEIPT_JSON + b"}"
            assert answer.header("Content-Type") == "application/json"
            assert answer.header("Idempotent-Replayed") is None

    async def test_the_call_says_who_asked_with_which_proof_and_body(self):
        async with running() as gateway:
            credentials = gateway.world.credentials(PATH)
            answer = await ask(gateway, credentials)

            [(call, question)] = gateway.world.verify.asked
            assert (call.partner_id, call.client_id, call.received_ms) == (PARTNER_ID, "partner-one", NOW)
            assert call.request_id == answer.header("Request-Id")
            assert call.request_hash == hashlib.sha256(credentials[1][1].encode() + b"\0" + GOOD_BODY).digest()
            assert (question.uscc, question.business_ref) == ("919900000000000192", "C-1")

    async def test_a_gzipped_body_is_hashed_as_it_was_sent(self):
        async with running() as gateway:
            credentials = gateway.world.credentials(PATH)
            packed = gzip.compress(GOOD_BODY)
            headers = [*credentials, JSON, ("Content-Encoding", "gzip")]
            answer = await gateway.request("POST", PATH, headers, packed)

            [(call, question)] = gateway.world.verify.asked
            assert answer.status == 200
            assert call.request_hash == hashlib.sha256(credentials[1][1].encode() + b"\0" + packed).digest()
            assert msgspec.json.decode(question.canonical_body) == msgspec.json.decode(GOOD_BODY)

    async def test_an_earlier_answer_given_again_says_so(self):
        async with running() as gateway:
            gateway.world.verify.replayed = True
            answer = await gateway.verify(headers=[("Idempotency-Key", '"order 1"')])

            assert (answer.status, answer.header("Idempotent-Replayed")) == (200, "true")
            assert gateway.world.verify.asked[0][1].idempotency_key == "order 1"
            assert gateway.world.metrics.answers == []

    async def test_answer_and_receipt_are_read_again_by_their_owner(self):
        async with running() as gateway:
            answer = await gateway.request("GET", READ_PATH, gateway.world.credentials(READ_PATH, method="GET"))
            path = f"{READ_PATH}/receipt"
            receipt = await gateway.request("GET", path, gateway.world.credentials(path, method="GET"))

            assert answer.json["receipt"] == msgspec.json.decode(RECEIPT_JSON)
            assert receipt.body == RECEIPT_JSON

    @pytest.mark.parametrize("suffix", ["", "/receipt"])
    async def test_d08_not_yours_and_not_there_are_one_answer(self, suffix):
        async with running() as gateway:
            answers = []
            for path in (READ_PATH + suffix, f"{PATH}/ver_01KAMXK5C0Y8QH2W4R6T9V1B3E{suffix}", f"{PATH}/x{suffix}"):
                credentials = gateway.world.credentials(path, method="GET", partner_id=OTHER_PARTNER_ID)
                answers.append(await gateway.request("GET", path, credentials))

            told = [
                {name: value for name, value in answer.json.items() if name not in {"request_id", "instance"}}
                for answer in answers
            ]
            assert told[0] == told[1] == told[2]
            assert [answer.status for answer in answers] == [404] * 3
            assert [reason.reason for _, reason, _, _ in gateway.world.ledger.written] == ["not_found"] * 3


class TestAuthentication:
    async def test_d16_without_credentials_the_challenge_has_no_error_code(self):
        async with running() as gateway:
            answer = await ask(gateway, [])

            assert (answer.status, answer.header("WWW-Authenticate")) == (401, f"DPoP {ALGS}")
            assert answer.json["code"] == "unauthenticated"

    @pytest.mark.parametrize(
        ("mutate", "status", "code"),
        [
            (lambda auth, _dpop: [auth], 401, "invalid_dpop_proof"),  # C01
            (lambda auth, dpop: [auth, dpop, dpop], 401, "invalid_dpop_proof"),  # C02
            (lambda auth, dpop: [auth, ("DPoP", f"{dpop[1]}, {dpop[1]}")], 401, "invalid_dpop_proof"),  # C02
            (lambda auth, _dpop: [auth, ("DPoP", "a.b")], 401, "invalid_dpop_proof"),  # C04
            (lambda auth, dpop: [auth, ("DPOP", dpop[1])], 200, None),  # C03
            (lambda auth, dpop: [("authorization", auth[1].replace("DPoP", "dPoP")), dpop], 200, None),  # D15
            (
                lambda auth, dpop: [("Authorization", auth[1].replace("DPoP", "Bearer")), dpop],
                401,
                "invalid_token",
            ),  # C32
            (lambda auth, dpop: [auth, auth, dpop], 400, "invalid_request"),  # C33
            (lambda auth, dpop: [auth, ("Authorization", "Bearer x"), dpop], 400, "invalid_request"),  # C33
            (lambda auth, dpop: [("Authorization", f"{auth[1]}, Bearer x"), dpop], 400, "invalid_request"),  # C33
            (lambda _auth, dpop: [("Authorization", "DPoP junk"), dpop], 401, "invalid_token"),  # D03
            (lambda _auth, dpop: [("Authorization", f"DPoP {dpop[1]}"), dpop], 401, "invalid_token"),  # D03
            (lambda _auth, dpop: [("Authorization", "Basic YTpi"), dpop], 401, "unauthenticated"),
        ],
    )
    async def test_rows_of_tables_c_and_d(self, mutate, status, code):
        async with running() as gateway:
            answer = await ask(gateway, mutate(*gateway.world.credentials(PATH)))

            assert (answer.status, answer.json.get("code")) == (status, code)
            if status == 401 and code != "unauthenticated":
                assert answer.header("WWW-Authenticate") == f'DPoP error="{code}", {ALGS}'
            assert gateway.world.ledger.written == []

    @pytest.mark.parametrize("query", ["access_token=x", "a=b&access_token=", "access%5Ftoken=x"])
    async def test_d01_a_token_in_the_query_is_refused(self, query):
        async with running() as gateway:
            answer = await ask(gateway, gateway.world.credentials(PATH), f"{PATH}?{query}")

            assert (answer.status, answer.json["code"]) == (400, "invalid_request")

    async def test_c31_a_proof_by_another_key_is_an_invalid_token(self):
        async with running() as gateway:
            token = gateway.world.token()
            proof = gateway.world.proof(PATH, token, key=SigningKey.generate())
            answer = await ask(gateway, [("Authorization", f"DPoP {token}"), ("DPoP", proof)])

            assert (answer.status, answer.json["code"]) == (401, "invalid_token")

    async def test_c22_the_proof_is_for_the_public_address_whatever_host_was_said(self):
        async with running() as gateway:
            token = gateway.world.token()
            proof = gateway.world.proof("/v1/status", token)
            answer = await ask(gateway, [("Authorization", f"DPoP {token}"), ("DPoP", proof)])

            assert (answer.status, answer.json["code"]) == (401, "invalid_dpop_proof")

    async def test_c25_c34_a_proof_serves_one_request_only_also_with_another_query(self):
        async with running() as gateway:
            credentials = gateway.world.credentials(PATH)
            answers = [await ask(gateway, credentials), await ask(gateway, credentials, f"{PATH}?x=2")]

            assert [answer.status for answer in answers] == [200, 401]
            assert answers[1].json["reason"] == "replayed"

    async def test_d07_a_token_without_the_scope_is_refused_on_record(self):
        async with running() as gateway:
            answer = await ask(gateway, gateway.world.credentials(PATH, scope="other"))

            assert (answer.status, answer.json["code"]) == (403, "insufficient_scope")
            assert (
                answer.header("WWW-Authenticate") == f'DPoP error="insufficient_scope", scope="verifications", {ALGS}'
            )
            [(_call, refusal, status, _purpose)] = gateway.world.ledger.written
            assert (refusal.kind, status) == (ErrorKind.INSUFFICIENT_SCOPE, 403)

    async def test_authentication_comes_before_a_byte_of_the_body_is_read(self):
        async with running() as gateway:
            answer = await gateway.request("POST", PATH, [JSON], b"[" * 60_000)

            assert answer.status == 401


class TestNonces:
    async def test_c27_a_proof_without_nonce_gets_one_exactly_once(self):
        async with running(World(nonces=True)) as gateway:
            answer = await gateway.verify()

            assert (answer.status, answer.json["code"]) == (401, "use_dpop_nonce")
            assert answer.header("WWW-Authenticate") == f'DPoP error="use_dpop_nonce", {ALGS}'
            nonce = answer.header("DPoP-Nonce")
            token = gateway.world.token()
            proof = gateway.world.proof(PATH, token, nonce=nonce)
            again = await ask(gateway, [("Authorization", f"DPoP {token}"), ("DPoP", proof)])
            assert (again.status, again.header("DPoP-Nonce")) == (200, None)

    async def test_a_nonce_that_ages_is_replaced_with_the_answer(self):
        async with running(World(nonces=True)) as gateway:
            world = gateway.world
            old = world.resource_nonces.issue(NOW)
            world.clock.now += 61_000
            token = world.token()
            proof = world.proof(PATH, token, nonce=old)
            answer = await ask(gateway, [("Authorization", f"DPoP {token}"), ("DPoP", proof)])

            assert (answer.status, answer.header("DPoP-Nonce")) == (200, world.resource_nonces.issue(world.clock.now))

    async def test_a10_the_nonce_of_the_token_endpoint_is_not_one_of_the_resources(self):
        async with running(World(nonces=True)) as gateway:
            token = gateway.world.token()
            proof = gateway.world.proof(PATH, token, nonce=gateway.world.token_nonces.issue(NOW))
            answer = await ask(gateway, [("Authorization", f"DPoP {token}"), ("DPoP", proof)])

            assert answer.json["code"] == "use_dpop_nonce"


class TestRefusalsOnRecord:
    """Nobody who has authenticated is refused without a leaf."""

    @pytest.mark.parametrize(
        ("body", "headers", "status", "reason"),
        [
            (b"{", [], 400, "not_json"),
            (b"{}", [], 422, "validation_failed"),
            (b" " * 70_000, [], 413, "body_too_large"),
            (GOOD_BODY, [("Content-Type", "text/plain")], 415, "media_type"),
            (GOOD_BODY, [("Content-Encoding", "br")], 415, "content_encoding"),
            (GOOD_BODY, [("Idempotency-Key", "a" * 256)], 400, "idempotency_key"),
            (GOOD_BODY, [("Idempotency-Key", "a"), ("Idempotency-Key", "b")], 400, "idempotency_key"),
        ],
    )
    async def test_what_the_edge_refuses(self, body, headers, status, reason):
        async with running() as gateway:
            answer = await gateway.verify(body, headers)

            [(call, refusal, recorded_status, _purpose)] = gateway.world.ledger.written
            assert (answer.status, recorded_status, refusal.reason) == (status, status, reason)
            assert (call.partner_id, call.operation) == (PARTNER_ID, "verification.create")

    @pytest.mark.parametrize(
        ("kind", "reason", "status"),
        [
            (ErrorKind.PURPOSE_NOT_ALLOWED, None, 403),
            (ErrorKind.IDEMPOTENCY_KEY_REUSED, None, 422),
            (ErrorKind.IDEMPOTENCY_IN_PROGRESS, None, 409),
            (ErrorKind.INVALID_DPOP_PROOF, "replayed", 401),
            (ErrorKind.INVALID_TOKEN, "revoked", 401),
        ],
    )
    async def test_what_the_use_case_refuses(self, kind, reason, status):
        async with running() as gateway:
            gateway.world.verify.error = GatewayError(kind, reason=reason)
            answer = await gateway.verify()

            [(_call, refusal, recorded_status, purpose)] = gateway.world.ledger.written
            assert (answer.status, answer.json["code"], recorded_status) == (status, kind.value, status)
            assert (refusal.kind, purpose) == (kind, "onboarding")

    @pytest.mark.parametrize("kind", [ErrorKind.STORE_UNAVAILABLE, ErrorKind.OVERLOADED])
    async def test_what_the_store_cannot_take_is_answered_503_without_a_leaf(self, kind):
        async with running() as gateway:
            gateway.world.verify.error = GatewayError(kind, retry_after_s=7)
            answer = await gateway.verify()

            assert (answer.status, answer.header("Retry-After")) == (503, "7")
            assert gateway.world.ledger.written == []

    @pytest.mark.parametrize("kind", [ErrorKind.STORE_UNAVAILABLE, ErrorKind.OVERLOADED])
    async def test_a_refusal_that_cannot_be_recorded_is_not_told(self, kind):
        async with running() as gateway:
            gateway.world.ledger.error = GatewayError(kind)
            answer = await gateway.verify(b"{}")

            assert (answer.status, answer.json["code"]) == (503, kind.value)
            assert "errors" not in answer.json

    async def test_a_replayed_proof_found_while_recording_replaces_the_refusal(self):
        async with running() as gateway:
            gateway.world.ledger.error = GatewayError(ErrorKind.INVALID_DPOP_PROOF, reason="replayed")
            answer = await gateway.verify(b"{}")

            assert (answer.status, answer.json["reason"]) == (401, "replayed")


class TestFaults:
    async def test_all_faults_are_named_at_once_in_the_language_asked_for(self):
        body = b'{"subject":{"uscc":"919900000000000193","nmae":"x"},"purpose":"zz","business_ref":"C\\u0007","relation":7,"x":1}'
        async with running() as gateway:
            answer = await gateway.verify(body, [("Accept-Language", "fr, en;q=0.8, zh;q=0.5")])

            assert answer.json["detail"] == "6 thing(s) must be changed."
            assert [(fault["path"], fault["code"]) for fault in answer.json["errors"]] == [
                ("/x", "unknown_member"),
                ("/subject/nmae", "unknown_member"),
                ("/subject/uscc", "checksum"),
                ("/purpose", "enum"),
                ("/relation", "type"),
                ("/business_ref", "control_character"),
            ]
            purpose = answer.json["errors"][3]
            assert purpose["allowed"] == ["onboarding", "periodic_review", "risk", "complaint"]

    async def test_chinese_is_the_default(self):
        async with running() as gateway:
            answer = await gateway.verify(GOOD_BODY.replace(b"000192", b"000193"))

            assert answer.header("Content-Language") == "zh"
            [fault] = answer.json["errors"]
            assert fault["message"] == "第 18 位是校验位，与前 17 位不符；若前 17 位无误，应为 2。"
            assert "hint" in fault
