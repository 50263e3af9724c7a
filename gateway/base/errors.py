"""The one error type of the gateway, and the closed list of its kinds.

For: telling a stranger, in one stable code, why a request was not served, without telling anything else.
Not for: verdicts about merchants (those are values in ``gateway.credit``) nor OAuth errors of the token endpoint,
which have their own registry of codes (RFC 6749 section 5.2, RFC 9449 section 5).

The kinds are the ``code`` member of every problem document (RFC 9457). Sentences are not written here but in
``gateway.base.messages``, in Chinese and English; facts stay with us, in the log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class ErrorKind(StrEnum):
    """Why a request was refused: the stable ``code`` of the problem document."""

    # 400
    MALFORMED_REQUEST = "malformed_request"
    MALFORMED_JSON = "malformed_json"
    INVALID_REQUEST = "invalid_request"
    # 401
    UNAUTHENTICATED = "unauthenticated"
    INVALID_TOKEN = "invalid_token"  # noqa: S105 - an error code of RFC 6750, not a secret
    INVALID_DPOP_PROOF = "invalid_dpop_proof"
    USE_DPOP_NONCE = "use_dpop_nonce"
    # 403
    INSUFFICIENT_SCOPE = "insufficient_scope"
    PURPOSE_NOT_ALLOWED = "purpose_not_allowed"
    # 404, 405, 406
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    # 409
    IDEMPOTENCY_IN_PROGRESS = "idempotency_in_progress"
    CONFLICT = "conflict"
    # 413, 414, 415, 421, 431
    BODY_TOO_LARGE = "body_too_large"
    URI_TOO_LONG = "uri_too_long"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    MISDIRECTED_REQUEST = "misdirected_request"
    HEADERS_TOO_LARGE = "headers_too_large"
    # 422
    VALIDATION_FAILED = "validation_failed"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    # 408, 500, 503
    REQUEST_TIMEOUT = "request_timeout"
    INTERNAL = "internal_error"
    RECORD_CONTRADICTED = "record_contradicted"
    OVERLOADED = "overloaded"
    STORE_UNAVAILABLE = "store_unavailable"


_NO_FACTS: Final[Mapping[str, object]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with one field of an input. All faults of an input are reported at once.

    ``path`` is a JSON Pointer (RFC 6901). ``code`` names a sentence in ``gateway.base.messages.faults``;
    ``params`` fill its blanks. ``params`` may repeat what the sender sent only when it is short and harmless.
    """

    path: str
    code: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    allowed: tuple[str, ...] = ()


class GatewayError(Exception):
    """A refusal with a kind fit for a stranger and facts for us.

    Args:
        kind: the stable code; decides status, title and sentence.
        facts: for the log only; must hold no token, name, body or code of a subject.
        faults: what is wrong field by field, for ``VALIDATION_FAILED`` and the token of a malformed request.
        retry_after_s: sent as ``Retry-After`` where the refusal is temporary.
        reason: a short machine word for the audit leaf and the request line, e.g. ``replayed``.
    """

    def __init__(
        self,
        kind: ErrorKind,
        *,
        reason: str | None = None,
        facts: Mapping[str, object] | None = None,
        faults: Sequence[Fault] = (),
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(kind if reason is None else f"{kind}: {reason}")
        self.kind: Final = kind
        self.reason: Final = reason or str(kind)
        self.facts: Final = _NO_FACTS if facts is None else facts
        self.faults: Final = tuple(faults)
        self.retry_after_s: Final = retry_after_s


def as_refusal(error: Exception) -> GatewayError:
    """Return a refusal as it is, and ``INTERNAL`` for anything else: a defect of ours, of which a stranger learns no more."""
    return error if isinstance(error, GatewayError) else GatewayError(ErrorKind.INTERNAL)
