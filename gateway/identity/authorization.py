"""The ``Authorization`` header of a resource request, and the challenge of a refused one.

For: finding the one DPoP-bound token of a request, and telling a client what to do after a 400, 401 or 403; the challenge of the token
endpoint too.
Not for: whether the token is good (``token``) nor whether the proof is (``proof``).
Source: RFC 9110 sections 11.4 and 11.6.1; RFC 9449 sections 7.1 and 7.2; RFC 6750 section 3.1; RFC 6749 section 5.2; RFC 7617. Statements
D15, D16 and R3, rows C32, C33.

A resource challenges with DPoP alone, whatever was tried: a challenge names a scheme that the resource takes (RFC 9110 section 11.6.1),
and to answer a Basic attempt with Basic would ask for a password that opens nothing. The token endpoint must answer in the scheme that
was tried (RFC 6749 section 5.2).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from gateway.base.errors import ErrorKind, GatewayError

ALGORITHMS: Final = "ES256 PS256 EdDSA"
"""What ``algs`` of a challenge names."""
BAD_REQUEST_CHALLENGE: Final = f'DPoP error="invalid_request", algs="{ALGORITHMS}"'
"""The ``WWW-Authenticate`` value of every 400 of a resource; which fault it is, its problem document says."""

_REALM: Final = 'realm="token endpoint"'
_CLIENT_CHALLENGES: Final = {"basic": f'Basic {_REALM}, charset="UTF-8"', "bearer": f"Bearer {_REALM}"}
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
    """Return the ``WWW-Authenticate`` value for a refusal by a resource, or None if its kind has none.

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


def render_client_challenge(values: Sequence[str]) -> str:
    """Return the ``WWW-Authenticate`` value of a 401 of the token endpoint, in the scheme that the client tried.

    ``values`` are all values of ``Authorization`` as received. Of what they say nothing but a scheme of ours is repeated; who tried none,
    or one that nobody knows, is told of DPoP, the scheme of what the endpoint issues.
    """
    tried = values[0].split(" ", 1)[0].lower() if values else ""
    return _CLIENT_CHALLENGES.get(tried, f'DPoP algs="{ALGORITHMS}"')
