"""The ``Authorization`` header of a resource request, and the challenge of a refused one.

For: finding the one DPoP-bound token of a request, and telling a client what to do after a 401 or 403.
Not for: whether the token is good (``token``) nor whether the proof is (``proof``).
Source: RFC 9110 sections 11.4 and 11.6.1; RFC 9449 sections 7.1 and 7.2; RFC 6750 section 3.1. Statements D15, D16 and
R3, rows C32, C33.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from gateway.base.errors import ErrorKind, GatewayError

ALGORITHMS: Final = "ES256 PS256 EdDSA"
"""What ``algs`` of a challenge names."""

_CREDENTIALS: Final = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+) +([A-Za-z0-9._~+/-]+=*)")


def parse_authorization(values: Sequence[str]) -> str:
    """Return the token of ``Authorization: DPoP <token68>``; the scheme may be in any case.

    ``values`` are all values of the header as received. Raises ``GatewayError``: ``UNAUTHENTICATED`` if no credentials
    of a kind we know were sent, ``INVALID_REQUEST`` if there are several or they are malformed, ``INVALID_TOKEN`` for a
    token sent as ``Bearer``, since ours are bound to a key.
    """
    if not values:
        raise GatewayError(ErrorKind.UNAUTHENTICATED, reason="no_credentials")
    if len(values) > 1:
        raise GatewayError(ErrorKind.INVALID_REQUEST, reason="authorization_repeated")
    match = _CREDENTIALS.fullmatch(values[0])
    scheme = values[0].split(" ", 1)[0].lower() if match is None else match[1].lower()
    if scheme not in {"dpop", "bearer"}:
        raise GatewayError(ErrorKind.UNAUTHENTICATED, reason="scheme_unknown")
    if match is None:
        raise GatewayError(ErrorKind.INVALID_REQUEST, reason="authorization_malformed")
    if scheme == "bearer":
        raise GatewayError(ErrorKind.INVALID_TOKEN, reason="token_sent_as_bearer")
    return match[2]


def render_challenge(kind: ErrorKind, *, scope: str | None = None) -> str | None:
    """Return the ``WWW-Authenticate`` value for a refusal, or None if its kind has none.

    Without credentials there is no error code (RFC 6750 section 3.1). ``scope`` is the scope a 403 asks for.
    """
    algs = f'algs="{ALGORITHMS}"'
    match kind:
        case ErrorKind.UNAUTHENTICATED:
            return f"DPoP {algs}"
        case ErrorKind.INVALID_TOKEN | ErrorKind.INVALID_DPOP_PROOF | ErrorKind.USE_DPOP_NONCE:
            return f'DPoP error="{kind.value}", {algs}'
        case ErrorKind.INSUFFICIENT_SCOPE:
            wanted = "" if scope is None else f', scope="{scope}"'
            return f'DPoP error="{kind.value}"{wanted}, {algs}'
        case _:
            return None
