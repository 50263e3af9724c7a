"""Errors of the token endpoint: the registered codes, their statuses and one constant sentence each.

For: everything the token endpoint refuses. Not for: resources (``GatewayError`` and
``authorization.render_challenge``).
Source: RFC 6749 section 5.2 (codes, and the characters of ``error_description``), RFC 9449 sections 5 and 8, RFC 8707
section 2.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from gateway.base.errors import ErrorKind, GatewayError

DESCRIPTION: Final = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]*")
"""What RFC 6749 section 5.2 allows in ``error_description``: no control character, no quotation mark, no backslash."""


class OAuthCode(StrEnum):
    """The ``error`` values we send."""

    INVALID_REQUEST = "invalid_request"
    INVALID_CLIENT = "invalid_client"
    UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type"
    INVALID_SCOPE = "invalid_scope"
    INVALID_TARGET = "invalid_target"
    INVALID_DPOP_PROOF = "invalid_dpop_proof"
    USE_DPOP_NONCE = "use_dpop_nonce"


DESCRIPTIONS: Final = {
    OAuthCode.INVALID_REQUEST: "The request is not a well-formed token request.",
    OAuthCode.INVALID_CLIENT: (
        "Client authentication failed. Send one client assertion (private_key_jwt) whose aud is the issuer, "
        "which was issued (iat) less than 300 seconds ago and was not used before."
    ),
    OAuthCode.UNSUPPORTED_GRANT_TYPE: "Only the grant type client_credentials is supported.",
    OAuthCode.INVALID_SCOPE: "The scope is malformed or not registered for this client.",
    OAuthCode.INVALID_TARGET: "The resource is not served here. Leave it out, or name the issuer.",
    OAuthCode.INVALID_DPOP_PROOF: "The DPoP proof is missing, malformed, not for this request, or was used before.",
    OAuthCode.USE_DPOP_NONCE: "The DPoP proof must carry the nonce of the DPoP-Nonce header.",
}
"""Constant, so that nothing a stranger sent is ever sent back, and unknown clients look like bad signatures."""


class OAuthError(Exception):
    """A refusal of the token endpoint.

    ``error``, ``description`` and ``status`` are for the answer. ``dpop_nonce`` tells that the answer must carry a
    fresh ``DPoP-Nonce``. ``reason`` is a machine word for our log; ``client_id`` is set once the client has
    authenticated.
    """

    def __init__(
        self, code: OAuthCode, *, reason: str, description: str | None = None, client_id: str | None = None
    ) -> None:
        super().__init__(f"{code.value}: {reason}")
        self.error: Final = code.value
        self.description: Final = DESCRIPTIONS[code] if description is None else description
        self.status: Final = 401 if code is OAuthCode.INVALID_CLIENT else 400
        self.dpop_nonce: Final = code is OAuthCode.USE_DPOP_NONCE
        self.reason: Final = reason
        self.client_id: Final = client_id
        if DESCRIPTION.fullmatch(self.description) is None:
            msg = "a description with forbidden characters"
            raise ValueError(msg)


def proof_refused(refusal: GatewayError, *, client_id: str | None) -> OAuthError:
    """Turn what ``ProofVerifier`` refused into the error of the token endpoint (RFC 9449 sections 5 and 8)."""
    nonce = refusal.kind is ErrorKind.USE_DPOP_NONCE
    code = OAuthCode.USE_DPOP_NONCE if nonce else OAuthCode.INVALID_DPOP_PROOF
    return OAuthError(code, reason=refusal.reason, client_id=client_id)
