"""What ``verify`` says and how it ends when a server, or a proxy in front of it, does not answer the question."""

from __future__ import annotations

import base64
import json

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.base.clock import SystemClock
from gateway.base.errors import Fault
from gateway.base.messages import Lang
from gateway.base.messages.faults import HINTS, MESSAGES, fault_hint, fault_message
from gateway.cli.partner_client import MAX_DETAILS, PartnerClient
from gateway.cli.profile import Profile
from gateway.identity.signing_key import SigningKey
from gateway.terminal.failures import CommandError
from gateway.terminal.terminal import Exit

TOKEN = (200, {"access_token": "t"})


async def refused(*, token: tuple[int, object] = TOKEN, answer: tuple[int, object] = TOKEN) -> CommandError:
    """Ask a server that gives these two answers; text is sent as a page, anything else as JSON."""

    def giving(status: int, body: object):
        async def handler(_request: web.Request) -> web.Response:
            if isinstance(body, str):
                return web.Response(status=status, text=body, content_type="text/html")
            return web.json_response(body, status=status)

        return handler

    app = web.Application()
    app.router.add_post("/oauth2/token", giving(*token))
    app.router.add_post("/v1/verifications", giving(*answer))
    return await asked(app)


async def asked(app: web.Application) -> CommandError:
    """Ask a server one question; return how the command gave up."""
    async with TestServer(app) as server:
        base = str(server.make_url("")).rstrip("/")
        profile = Profile(
            api=base,
            issuer=base,
            token_endpoint=f"{base}/oauth2/token",
            client_id="partner-one",
            kid="k",
            private_key_file="",
            log_policy_file="",
        )
        async with PartnerClient(profile, SigningKey.generate(), clock=SystemClock(), lang=Lang.EN) as client:
            with pytest.raises(CommandError) as caught:
                await client.verify({"subject": {}})
    return caught.value


PAGE = "<html>429 Too Many Requests</html>"


@pytest.mark.parametrize("body", [{"code": "too_many", "detail": "Slow down."}, PAGE, []])
async def test_a_429_of_a_server_ends_with_6(body):
    """The gateway sends none; a proxy in front of it may, with a document of its own or with a page."""
    assert (await refused(answer=(429, body))).exit_code is Exit.RATE_LIMITED
    assert (await refused(token=(429, body))).exit_code is Exit.RATE_LIMITED


@pytest.mark.parametrize("body", [{"error": "temporarily_unavailable", "error_description": "Try again later."}, "<p>"])
async def test_a_server_that_is_not_there_ends_with_7(body):
    error = await refused(token=(503, body))

    assert error.exit_code is Exit.UNHEALTHY
    assert (await refused(answer=(502, body))).exit_code is Exit.UNHEALTHY
    assert error.blanks["why"] == ("503" if body == "<p>" else "Try again later.")


async def test_a_refused_client_ends_with_3():
    error = await refused(token=(401, {"error": "invalid_client", "error_description": "No."}))

    assert (error.exit_code, error.code, error.blanks["why"]) == (Exit.AUTHENTICATION, "token_refused", "No.")


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX-Forged: 1", "甲", "a\u202eb", "x" * 20_000, 7, None, {}])
async def test_a_token_that_no_header_field_can_carry_is_none(token):
    """RFC 9449 section 7.1: it is of the alphabet of ``token68``."""
    error = await refused(token=(200, {"access_token": token}))

    assert (error.exit_code, error.code) == (Exit.AUTHENTICATION, "token_refused")


@pytest.mark.parametrize("nonce", ["甲", 'a"b', "a\\b", "a b", "\udc9b", "\u202e", "n" * 513])
async def test_a_nonce_that_is_none_is_proven_by_nobody(nonce):
    """RFC 9449 section 8.1: it is of the alphabet of ``NQCHAR``. The next proof is made as if none had been sent."""
    error, proofs = await refused_with_nonce(nonce)

    assert (error.exit_code, error.blanks["why"]) == (Exit.AUTHENTICATION, "use_dpop_nonce")
    assert [set(proof) & {"nonce"} for proof in proofs] == [set(), set()]


async def test_a_nonce_is_proven_once_it_was_asked_for():
    _error, proofs = await refused_with_nonce("eyJ7S_zG.eyJH0-Z.HX4w-7v")

    assert [proof.get("nonce") for proof in proofs] == [None, "eyJ7S_zG.eyJH0-Z.HX4w-7v"]


async def refused_with_nonce(nonce: str) -> tuple[CommandError, list[dict[str, object]]]:
    """Ask for a nonce twice; return how the command gave up, and the claims of the proofs it sent."""
    proofs: list[dict[str, object]] = []

    async def refuse(request: web.Request) -> web.Response:
        claims = request.headers["DPoP"].split(".")[1]
        proofs.append(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))))
        return web.json_response({"error": "use_dpop_nonce"}, status=400, headers={"DPoP-Nonce": nonce})

    app = web.Application()
    app.router.add_post("/oauth2/token", refuse)
    return await asked(app), proofs


async def test_of_a_refusal_without_end_the_first_faults_are_told():
    faults = [{"path": f"/{number}", "message": "No."} for number in range(1000)]

    error = await refused(answer=(422, {"code": "validation_failed", "detail": "x", "errors": faults}))

    assert error.details == [f"/{number}: No." for number in range(MAX_DETAILS)]


BLANKS = {"position": 18, "expected": "P"}
MEANT = {**BLANKS, "suggestions": "91990000000000035P"}
WRONG_ZH = "第 18 位是校验位，与前 17 位不符；若前 17 位无误，应为 P。"
WRONG_EN = "Character 18, the check character, does not fit the first 17; if those are right, it must be P. "


@pytest.mark.parametrize(
    ("lang", "blanks", "expected"),
    [
        (Lang.ZH, MEANT, WRONG_ZH + "是否为 91990000000000035P？"),
        (Lang.EN, MEANT, WRONG_EN + "Did you mean 91990000000000035P?"),
        (Lang.ZH, BLANKS, WRONG_ZH + "检查是否抄错或颠倒了字符，如 0 与 D、8 与 B、1 与 7。"),
        (
            Lang.EN,
            BLANKS,
            WRONG_EN + "Check for a mistyped or exchanged character, such as 0 for D, 8 for B or 1 for 7.",
        ),
    ],
)
async def test_a_mistyped_code_is_explained_in_sentences(lang, blanks, expected):
    """The position, the character that would fit and, where one confusion explains it, what was meant."""
    fault = Fault(path="/subject/uscc", code="checksum", params=blanks)
    shown = {"path": fault.path, "message": fault_message(fault, lang), "hint": fault_hint(fault, lang)}

    error = await refused(answer=(422, {"code": "validation_failed", "detail": "x", "errors": [shown]}))

    assert error.exit_code is Exit.USAGE
    assert (error.blanks["why"], error.details) == ("x", [f"/subject/uscc: {expected}"])


@pytest.mark.parametrize("table", [MESSAGES, HINTS], ids=["messages", "hints"])
def test_every_sentence_of_a_fault_is_one(table):
    """It ends as a sentence does, so that the hint can follow the message."""
    for sentence in table.values():
        assert sentence.zh.endswith(("。", "？"))
        assert sentence.en.endswith((".", "?"))
