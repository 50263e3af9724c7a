"""One authenticated call of a partner: who asks, with which credential, proven by which proof.

For: what every use case takes first and every audit leaf names. Made only by ``gateway.web.authenticate``.
"""

from __future__ import annotations

import msgspec

from gateway.base.clock import Millis
from gateway.base.onetime import OneTimeId


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticated request, before anything is known about whether it may be served.

    ``credential`` is the RFC 7638 thumbprint of the registered key whose assertion obtained the token: revoking that key kills
    the token in the audit commit. ``claim`` is the one-time id of this request's proof of possession. ``request_hash`` is
    SHA-256(proof as received, one zero byte, body as received): what the partner can compare with what it sent.
    """

    request_id: str
    received_ms: Millis
    partner_id: str
    client_id: str
    credential: str
    scopes: frozenset[str]
    purposes: frozenset[str]
    claim: OneTimeId
    request_hash: bytes
    operation: str
