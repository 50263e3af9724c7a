"""What a partner may do: scopes of its tokens and purposes of its questions.

For: narrowing a scope request at the token endpoint, and checking scope and purpose at a resource.
Source: RFC 6749 section 3.3; FAPI 2.0 (granted scope within the registered one, statement A12); RFC 6750 section 3.1
(R3).
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from gateway.base.errors import ErrorKind, GatewayError

MAX_SCOPE_CHARS: Final = 512
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")


class Scope(StrEnum):
    """The scopes there are. A partner is registered for some of them."""

    VERIFICATIONS = "verifications"


class ScopeRefused(Exception):  # noqa: N818 - named for what it says
    """The scope asked for is malformed or not registered; ``reason`` is a machine word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason: Final = reason


def decide_scopes(requested: str | None, registered: frozenset[str]) -> frozenset[str]:
    """Return the scopes to grant: those asked for, or, when none were named, all that are registered for the client.

    Asking for one that is not registered is refused rather than silently narrowed, and nothing to grant means no.
    """
    if not registered:
        raise ScopeRefused("nothing_registered")
    if requested is None:
        return registered
    if len(requested) > MAX_SCOPE_CHARS or _SCOPE.fullmatch(requested) is None:
        raise ScopeRefused("scope_malformed")
    scopes = frozenset(requested.split(" "))
    if not scopes <= registered:
        raise ScopeRefused("scope_not_registered")
    return scopes


def require_scope(granted: frozenset[str], needed: Scope) -> None:
    """Return if a token carries the scope of an operation; otherwise ``INSUFFICIENT_SCOPE``."""
    if needed.value not in granted:
        raise GatewayError(ErrorKind.INSUFFICIENT_SCOPE, facts={"needed": needed.value})


def require_purpose(allowed: frozenset[str], purpose: str) -> None:
    """Return if the partner's agreement covers the purpose; otherwise ``PURPOSE_NOT_ALLOWED``."""
    if purpose not in allowed:
        raise GatewayError(ErrorKind.PURPOSE_NOT_ALLOWED, facts={"purpose": purpose})
