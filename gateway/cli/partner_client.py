"""The partner's side over HTTP: a token, one question, and the answer as it came.

For: ``credit-gateway verify``. Not for: load (``bench``) nor as a client library.
Source: RFC 6749 section 4.4, RFC 7523, RFC 9449 section 8 (a nonce asked for is tried once more with), RFC 9457.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import aiohttp

from gateway.base.canonical import Json, JsonError, canonical_json, parse_json_object
from gateway.base.crypto import sha256
from gateway.base.ids import new_id
from gateway.identity.client import make_assertion, make_proof, token_form
from gateway.terminal.failures import CommandError
from gateway.terminal.terminal import Exit

if TYPE_CHECKING:
    from gateway.base.clock import Clock
    from gateway.base.messages import Lang
    from gateway.cli.profile import Profile
    from gateway.identity.signing_key import SigningKey

DEADLINE_S: Final = 30.0
MAX_ANSWER_BYTES: Final = 1 << 20
MAX_DETAILS: Final = 50
"""Of a refusal; the gateway names no more faults either."""
_OK: Final = 200
# What is put into a header field or a proof must be of the alphabet that its standard gives it.
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]{1,16384}=*", re.ASCII)
"""RFC 9449 section 7.1 (token68)."""
_NONCE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,512}", re.ASCII)
"""RFC 9449 section 8.1 (NQCHAR)."""
_ATTEMPTS: Final = 2
"""The second one only because the first was told to use a nonce."""
_EXITS: Final = {
    400: Exit.FAILED,
    401: Exit.AUTHENTICATION,
    403: Exit.AUTHENTICATION,
    404: Exit.NOT_FOUND,
    409: Exit.CONFLICT,
    422: Exit.USAGE,
    429: Exit.RATE_LIMITED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """An answer and what was sent for it: ``request_hash`` is SHA-256(proof, one zero byte, body)."""

    document: bytes
    body: bytes
    request_hash: bytes


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    nonce: str | None
    raw: bytes
    proof: str


class PartnerClient:
    """Asks as one partner. Open it with ``async with``."""

    def __init__(self, profile: Profile, key: SigningKey, *, clock: Clock, lang: Lang) -> None:
        self._profile: Final = profile
        self._key: Final = key
        self._clock: Final = clock
        self._session: Final = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=DEADLINE_S),
            headers={"Accept-Language": lang.value},
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def verify(self, question: Json) -> Received:
        """Ask one question; raise ``CommandError`` with what the gateway said if it does not answer it."""
        token, nonce = await self._token()
        url = f"{self._profile.api}/v1/verifications"
        body = canonical_json(question)
        headers = {
            "Authorization": f"DPoP {token}",
            "Content-Type": "application/json",
            "Idempotency-Key": f'"{new_id("req", self._clock.now_ms())}"',
        }
        reply = await self._send(url, body, headers, token=token, nonce=nonce)
        if reply.status != _OK:
            raise _refused(reply)
        request_hash = sha256(reply.proof.encode("ascii") + b"\0" + body)
        return Received(document=reply.raw, body=body, request_hash=request_hash)

    async def _token(self) -> tuple[str, str | None]:
        """Return an access token and the nonce to go on with."""
        profile = self._profile
        nonce: str | None = None
        for _ in range(_ATTEMPTS):
            now = self._clock.now_ms()
            assertion = make_assertion(
                self._key,
                client_id=profile.client_id,
                issuer=profile.issuer,
                now=now,
                jti=new_id("jti", now),
                kid=profile.kid,
            )
            body = aiohttp.FormData(token_form(assertion=assertion))()
            reply = await self._post(profile.token_endpoint, body, {}, token=None, nonce=nonce)
            nonce = reply.nonce or nonce
            if reply.status == 429 or reply.status >= 500:  # noqa: PLR2004 - of the server, not of who asks
                raise _refused(reply)
            members = _members(reply.raw, profile.token_endpoint)
            token = members.get("access_token")
            if reply.status == _OK and isinstance(token, str) and _TOKEN.fullmatch(token) is not None:
                return token, nonce
            if members.get("error") != "use_dpop_nonce":
                why = members.get("error_description") or members.get("error") or str(reply.status)
                raise CommandError(Exit.AUTHENTICATION, "token_refused", why=str(why))
        raise CommandError(Exit.AUTHENTICATION, "token_refused", why="use_dpop_nonce")

    async def _send(self, url: str, body: bytes, headers: dict[str, str], *, token: str, nonce: str | None) -> _Reply:
        reply = await self._post(url, body, headers, token=token, nonce=nonce)
        if reply.status == 401 and reply.nonce is not None and reply.nonce != nonce:  # noqa: PLR2004 - Unauthorized
            reply = await self._post(url, body, headers, token=token, nonce=reply.nonce)
        return reply

    async def _post(
        self, url: str, body: aiohttp.Payload | bytes, headers: dict[str, str], *, token: str | None, nonce: str | None
    ) -> _Reply:
        now = self._clock.now_ms()
        proof = make_proof(
            self._key, method="POST", url=url, now=now, jti=new_id("jti", now), access_token=token, nonce=nonce
        )
        try:
            async with self._session.post(
                url, data=body, headers={**headers, "DPoP": proof}, allow_redirects=False
            ) as answer:
                raw = await answer.content.read(MAX_ANSWER_BYTES)
                while chunk := await answer.content.read(MAX_ANSWER_BYTES - len(raw)):
                    raw += chunk
                return _Reply(answer.status, _nonce(answer.headers.get("DPoP-Nonce", "")), raw, proof)
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise CommandError(Exit.UNHEALTHY, "unreachable", url=url) from exc


def _members(raw: bytes, url: str) -> dict[str, Json]:
    try:
        return parse_json_object(raw)
    except JsonError as exc:
        raise CommandError(Exit.FAILED, "answer_malformed", url=url) from exc


def _nonce(text: str) -> str | None:
    """Return a nonce as it may be proven with; what is none is passed over, as if none had been sent."""
    return text if _NONCE.fullmatch(text) is not None else None


def _refused(reply: _Reply) -> CommandError:
    """Return what a problem document says: its own sentence, and each field's. A proxy in front may say it without one."""
    try:
        problem = parse_json_object(reply.raw)
    except JsonError:
        problem = {}
    why = str(problem.get("detail") or problem.get("error_description") or problem.get("title") or reply.status)
    errors = problem.get("errors")
    faults = [fault for fault in errors if isinstance(fault, dict)] if isinstance(errors, list) else []
    details = [f"{fault.get('path') or '/'}: {_joined(fault.get('message'), fault.get('hint'))}" for fault in faults]
    exit_code = _EXITS.get(reply.status, Exit.UNHEALTHY if reply.status >= 500 else Exit.FAILED)  # noqa: PLR2004 - RFC 9110 15.6
    code = problem.get("code") or problem.get("error") or reply.status
    return CommandError(exit_code, "request_refused", details[:MAX_DETAILS], problem=str(code), why=why)


def _joined(message: Json, hint: Json) -> str:
    """Return two sentences as one text; Chinese ones are not parted by a space."""
    first, second = str(message or ""), str(hint or "")
    return first + second if not second or first.endswith("。") else f"{first} {second}"
