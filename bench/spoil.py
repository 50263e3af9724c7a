"""T12: requests that must be refused, and who sends them. Pure.

A refusal that costs much is a weapon: a bad signature may cost the one verification that shows it (LIM), everything else must be
refused for the price of reading it (B0).
"""

from __future__ import annotations

import re
from typing import Final

_PROOF: Final = re.compile(rb"(\r\nDPoP: [^.\r]+\.[^.\r]+\.)([^\r]+)(\r\n)")
_TOKEN: Final = re.compile(rb"(\r\nAuthorization: DPoP )([^\r]+)(\r\n)")


def bad_signature(wire: bytes) -> bytes:
    """Change one character in the middle of the proof's signature, where every bit counts."""
    found = _PROOF.search(wire)
    if found is None:
        msg = "the request has no proof"
        raise ValueError(msg)
    signature = found[2]
    at = len(signature) // 2
    other = b"A" if signature[at : at + 1] != b"A" else b"B"
    return b"".join((wire[: found.start(2)], signature[:at], other, signature[at + 1 :], wire[found.end(2) :]))


def malformed_token(wire: bytes) -> bytes:
    """Replace the token by text of the same length that is no JWT."""
    found = _TOKEN.search(wire)
    if found is None:
        msg = "the request has no token"
        raise ValueError(msg)
    return b"".join((wire[: found.start(2)], b"x" * len(found[2]), wire[found.end(2) :]))
