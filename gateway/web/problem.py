"""A refusal as a problem document.

For: the one mapping from ``ErrorKind`` to status, sentences and header fields.
Not for: OAuth errors of the token endpoint (``gateway.api.oauth``), which have a form of their own.
Source: RFC 9457; RFC 9449 section 7.1 and RFC 6750 section 3 (``WWW-Authenticate``); RFC 9110 section 10.2.3 (``Retry-After``).
"""

from __future__ import annotations

import re
from typing import Final, assert_never

import msgspec

from gateway.base.errors import ErrorKind, Fault, GatewayError
from gateway.base.messages import Lang
from gateway.base.messages.faults import fault_hint, fault_message
from gateway.base.messages.problems import PROBLEMS
from gateway.identity.authorization import render_challenge
from gateway.web.exchange import Exchange, Reply
from gateway.web.language import choose_language

PROBLEM_TYPE: Final = "application/problem+json"
DOCS_PATH: Final = "/docs/errors/"
DEFAULT_RETRY_S: Final = 1
MAX_FAULTS: Final = 50
"""Nobody mends more at once, and the sender chooses how many there are."""
_MACHINE_WORD: Final = re.compile(r"[a-z0-9_]{1,64}", re.ASCII)
# Whose reason tells the sender which check failed, which is theirs to know: they hold the token and the key.
_TELL_REASON: Final = frozenset({ErrorKind.INVALID_TOKEN, ErrorKind.INVALID_DPOP_PROOF, ErrorKind.INVALID_REQUEST})


class FieldProblem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry of ``errors``: what is wrong at one JSON Pointer."""

    path: str
    code: str
    message: str
    hint: str | None = None
    allowed: tuple[str, ...] = ()


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The document (RFC 9457 section 3.1 and our extension members)."""

    type: str
    title: str
    status: int
    code: ErrorKind
    detail: str
    instance: str
    request_id: str
    retryable: bool
    docs: str
    errors: tuple[FieldProblem, ...] = ()
    reason: str | None = None


_ENCODER: Final = msgspec.json.Encoder()


def status_of(kind: ErrorKind) -> int:  # noqa: C901, PLR0912 - one flat row for each status, proven exhaustive
    """Return the HTTP status of a kind of refusal."""
    match kind:
        case ErrorKind.MALFORMED_REQUEST | ErrorKind.MALFORMED_JSON | ErrorKind.INVALID_REQUEST:
            return 400
        case (
            ErrorKind.UNAUTHENTICATED
            | ErrorKind.INVALID_TOKEN
            | ErrorKind.INVALID_DPOP_PROOF
            | ErrorKind.USE_DPOP_NONCE
        ):
            return 401
        case ErrorKind.INSUFFICIENT_SCOPE | ErrorKind.PURPOSE_NOT_ALLOWED:
            return 403
        case ErrorKind.NOT_FOUND:
            return 404
        case ErrorKind.METHOD_NOT_ALLOWED:
            return 405
        case ErrorKind.REQUEST_TIMEOUT:
            return 408
        case ErrorKind.IDEMPOTENCY_IN_PROGRESS | ErrorKind.CONFLICT:
            return 409
        case ErrorKind.BODY_TOO_LARGE:
            return 413
        case ErrorKind.URI_TOO_LONG:
            return 414
        case ErrorKind.UNSUPPORTED_MEDIA_TYPE:
            return 415
        case ErrorKind.MISDIRECTED_REQUEST:
            return 421
        case ErrorKind.VALIDATION_FAILED | ErrorKind.IDEMPOTENCY_KEY_REUSED:
            return 422
        case ErrorKind.HEADERS_TOO_LARGE:
            return 431
        case ErrorKind.INTERNAL | ErrorKind.RECORD_CONTRADICTED:
            return 500
        case ErrorKind.OVERLOADED | ErrorKind.STORE_UNAVAILABLE:
            return 503
        case _:
            assert_never(kind)


def is_retryable(kind: ErrorKind) -> bool:
    """Tell whether the same request, with the same Idempotency-Key, may succeed later without being changed."""
    return status_of(kind) in {408, 409, 500, 503} and kind not in _STAYS


_STAYS: Final = frozenset({ErrorKind.CONFLICT, ErrorKind.RECORD_CONTRADICTED})
"""Until somebody does something about it, the same request has the same end."""


_ASK_AGAIN: Final = frozenset({ErrorKind.OVERLOADED, ErrorKind.STORE_UNAVAILABLE, ErrorKind.IDEMPOTENCY_IN_PROGRESS})
_BLANK: Final = "req_00000000000000000000000000"
_BLANK_BYTES: Final = _BLANK.encode("ascii")
_KNOWN_INSTANCES: Final = frozenset({"/v1/verifications"})
"""Paths that strangers choose are not kept."""
_MAX_MOULDS: Final = 512
"""More than there are kinds, reasons of ours and languages together."""


class ProblemRenderer:
    """Renders refusals for one issuer. Never raises: there is nobody left to catch it."""

    def __init__(self, issuer: str) -> None:
        self._moulds: Final[dict[tuple[ErrorKind, str | None, Lang, str], Reply]] = {}
        self._types: Final = {kind: f"{issuer}{DOCS_PATH}{kind.value}" for kind in ErrorKind}

    def __call__(self, exchange: Exchange, refusal: GatewayError) -> Reply:
        """Return the answer that tells the sender of a request why it is refused."""
        lang = choose_language(exchange.request.headers.get("Accept-Language"))
        return self.render(refusal, lang=lang, instance=exchange.path, request_id=exchange.request_id)

    def render(self, refusal: GatewayError, *, lang: Lang, instance: str, request_id: str) -> Reply:
        """Return the answer for a refusal in a language; ``instance`` is the path without its query.

        HOT: junk must be cheap to refuse. A refusal without anything of its own but a reason is rendered once for its kind, reason,
        language and instance; after that only the request id is new.
        """
        reason = _told_reason(refusal)
        own = refusal.faults or refusal.facts or refusal.retry_after_s is not None
        if own or instance not in _KNOWN_INSTANCES:
            return self._render(refusal, reason, lang=lang, instance=instance, request_id=request_id)
        key = (refusal.kind, reason, lang, instance)
        mould = self._moulds.get(key)
        if mould is None:
            mould = self._render(refusal, reason, lang=lang, instance=instance, request_id=_BLANK)
            if len(self._moulds) < _MAX_MOULDS:
                self._moulds[key] = mould
        return Reply(
            status=mould.status,
            body=mould.body.replace(_BLANK_BYTES, request_id.encode("ascii")),
            content_type=PROBLEM_TYPE,
            headers=mould.headers,
        )

    def _render(
        self, refusal: GatewayError, reason: str | None, *, lang: Lang, instance: str, request_id: str
    ) -> Reply:
        kind = refusal.kind
        text = PROBLEMS[kind]
        faults = refusal.faults[:MAX_FAULTS]
        count = f"{MAX_FAULTS}+" if len(refusal.faults) > MAX_FAULTS else str(max(len(refusal.faults), 1))
        document = Problem(
            type=self._types[kind],
            title=_in(text.title, lang),
            status=status_of(kind),
            code=kind,
            detail=_in(text.detail, lang).format(count=count),
            instance=instance if instance.isascii() else "",
            request_id=request_id,
            retryable=is_retryable(kind),
            docs=DOCS_PATH + kind.value,
            errors=tuple(_field_problem(fault, lang) for fault in faults),
            reason=reason,
        )
        return Reply(
            status=document.status,
            body=_ENCODER.encode(document),
            content_type=PROBLEM_TYPE,
            headers=(("Content-Language", lang.value), ("Vary", "Accept-Language"), *_headers(refusal)),
        )


def _headers(refusal: GatewayError) -> tuple[tuple[str, str], ...]:
    kind = refusal.kind
    needed = refusal.facts.get("needed")
    challenge = render_challenge(kind, scope=needed if isinstance(needed, str) else None)
    if challenge is not None:
        return (("WWW-Authenticate", challenge),)
    if refusal.retry_after_s is not None or kind in _ASK_AGAIN:
        return (("Retry-After", str(refusal.retry_after_s or DEFAULT_RETRY_S)),)
    return ()


def _told_reason(refusal: GatewayError) -> str | None:
    if refusal.kind not in _TELL_REASON or refusal.reason == refusal.kind:
        return None
    return refusal.reason if _MACHINE_WORD.fullmatch(refusal.reason) else None


def _field_problem(fault: Fault, lang: Lang) -> FieldProblem:
    return FieldProblem(
        path=fault.path,
        code=fault.code,
        message=fault_message(fault, lang),
        hint=fault_hint(fault, lang),
        allowed=fault.allowed,
    )


def _in(sentence: tuple[str, str], lang: Lang) -> str:
    return sentence[0] if lang is Lang.ZH else sentence[1]
