"""Transparency log proofs as text: index, inclusion path, checkpoint.

For: writing the proof of a leaf, one or a whole batch; reading one from a stranger.
Not for: checking it (``receipt`` walks the steps).
Source: c2sp.org/tlog-proof, version 1. The optional ``extra`` line is not authenticated: we write none and ignore it.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.audit.merkle import HASH_BYTES, MAX_SIZE, Growth
from gateway.audit.note import MAX_NOTE_BYTES
from gateway.audit.proofs import MAX_PROOF_HASHES
from gateway.base.codec import parse_b64

HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_PROOF_BYTES: Final = 2 * MAX_NOTE_BYTES

_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,18})")


class TlogProofError(ValueError):
    """A text is not a tlog-proof; ``args[0]`` is a short machine word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedTlogProof:
    """A well-formed proof of which nothing has been checked.

    ``path`` holds 32-byte hashes, the leaf's sibling first.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes = b""


def render_tlog_proof(index: int, path: Sequence[bytes], checkpoint: str) -> str:
    """Return the proof of one leaf; ``checkpoint`` is the signed note."""
    return f"{HEADER}\nindex {index}\n{''.join(map(_line, path))}\n{checkpoint}"


def render_batch_proofs(growth: Growth, checkpoint: str) -> list[str]:
    """Return the proofs of all leaves of a fresh batch, in order.

    HOT: each node is encoded once, each shared end joined once.
    """
    first = growth.before.size
    end = f"\n{checkpoint}"
    return [f"{HEADER}\nindex {index}\n{path}{end}" for index, path in enumerate(growth.paths(_line), start=first)]


def parse_tlog_proof(text: bytes) -> UnverifiedTlogProof:
    """Read a proof; ``TlogProofError`` for anything but the one spelling."""
    if len(text) > MAX_PROOF_BYTES:
        raise TlogProofError("proof_too_long")
    head, blank, checkpoint = text.partition(b"\n\n")
    if not blank or not head.isascii():
        raise TlogProofError("proof_form")
    header, *lines = head.decode("ascii").split("\n")
    if header != HEADER:
        raise TlogProofError("proof_header")
    extra = b""
    if lines and lines[0].startswith("extra "):
        extra = _parse_base64(lines.pop(0).removeprefix("extra "))
    match = _INDEX.fullmatch(lines[0]) if lines else None
    if match is None or int(match[1]) >= MAX_SIZE:
        raise TlogProofError("proof_index")
    if len(lines) - 1 > MAX_PROOF_HASHES:
        raise TlogProofError("path_too_long")
    path = tuple(_parse_base64(line) for line in lines[1:])
    if any(len(digest) != HASH_BYTES for digest in path):
        raise TlogProofError("hash_length")
    return UnverifiedTlogProof(index=int(match[1]), path=path, checkpoint=checkpoint, extra=extra)


def _line(digest: bytes) -> str:
    # b2a_base64 ends its line itself. An empty part must stay empty: it closes the path of a leaf that is the whole
    # tree.
    return b2a_base64(digest).decode("ascii") if digest else ""


def _parse_base64(text: str) -> bytes:
    try:
        return parse_b64(text)
    except ValueError as exc:
        raise TlogProofError("proof_base64") from exc
