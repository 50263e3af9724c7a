"""Checkpoints: what a log states about itself, signed.

For: reading and writing the text ``origin, size, root``; signing it as one gateway host.
Not for: which keys are trusted (``policy``).
Source: c2sp.org/tlog-checkpoint. We write no extension lines (no monitor can audit them) and accept them when reading.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gateway.audit.merkle import EMPTY_ROOT, HASH_BYTES, MAX_SIZE
from gateway.audit.note import NoteError, NoteSigner
from gateway.base.codec import b64, parse_b64

_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_MIN_LINES: Final = 3


class CheckpointError(NoteError):
    """A text is not a checkpoint; ``args[0]`` is a short machine word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The tree of a log at one size. ``root`` is 32 bytes."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()


def render_checkpoint(origin: str, size: int, root: bytes) -> str:
    """Return the note text of a checkpoint."""
    return f"{origin}\n{size}\n{b64(root)}\n"


def parse_checkpoint(text: bytes) -> Checkpoint:
    """Read a note text; ``CheckpointError`` for anything but the one spelling of a checkpoint."""
    try:
        lines = text.decode("utf-8").split("\n")
    except UnicodeDecodeError as exc:
        raise CheckpointError("not_utf8") from exc
    # A text that ends in a newline leaves one empty piece after the split; any other empty line is forbidden.
    if lines.pop() or len(lines) < _MIN_LINES or not all(lines):
        raise CheckpointError("checkpoint_lines")
    origin, size, root, *extensions = lines
    if _SIZE.fullmatch(size) is None or int(size) > MAX_SIZE:
        raise CheckpointError("checkpoint_size")
    try:
        root_hash = parse_b64(root)
    except ValueError as exc:
        raise CheckpointError("checkpoint_root") from exc
    if len(root_hash) != HASH_BYTES or (size == "0" and root_hash != EMPTY_ROOT):
        raise CheckpointError("checkpoint_root")
    return Checkpoint(origin=origin, size=int(size), root=root_hash, extensions=tuple(extensions))


class CheckpointSigner:
    """Signs the checkpoints of one log as one gateway host: key name = origin, one key id a host.

    It signs whatever it is given, and what is signed can never be taken back: ``gateway.audit.guardian`` alone calls it, with what this
    host has proven.
    """

    __slots__ = ("_origin", "_signer")

    def __init__(self, signer: NoteSigner) -> None:
        self._signer: Final = signer
        self._origin: Final = signer.key.name

    @property
    def origin(self) -> str:
        """The name of the log."""
        return self._origin

    @property
    def vkey(self) -> str:
        """The verifier key of this host, as a policy's ``log`` line names it."""
        return str(self._signer.key)

    def sign(self, size: int, root: bytes) -> str:
        """Return the signed checkpoint as note text. Deterministic: the same tree, the same text."""
        return self._signer.sign(render_checkpoint(self._origin, size, root))
