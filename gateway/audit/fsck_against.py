"""Checkpoints that somebody kept: what was once signed must still be what the leaves give.

For: reading a kept checkpoint, answer or receipt under the log's policy, and comparing its root. A signed root that the leaves
contradict is proof of a fork: the note names who signed, the log shows what it says now.
Not for: consistency without the leaves (``proofs.verify_consistency``).
Source: c2sp.org/tlog-checkpoint; receipts as in ``receipt``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.audit.fsck_report import FaultCode, Faults
from gateway.audit.note import NoteError
from gateway.audit.policy import Policy, QuorumError
from gateway.audit.receipt import ReceiptError, verify_receipt


class UnverifiedKept(ValueError):  # noqa: N818 - a statement about a file
    """A kept file proves nothing under the policy; ``args[0]`` is a short machine word."""


@dataclass(frozen=True, slots=True)
class KeptCheckpoint:
    """A checkpoint whose signature was verified; ``name`` is what its keeper calls it."""

    name: str
    size: int
    root: bytes


def read_kept(name: str, content: bytes, policy: Policy, origin: str) -> KeptCheckpoint:
    """Return the checkpoint of a signed note, or of an answer or receipt that verifies; else ``UnverifiedKept``."""
    try:
        is_json = content.lstrip().startswith(b"{")
        proven = verify_receipt(content, policy).proven if is_json else policy.open_checkpoint(content)
    except ReceiptError as exc:
        raise UnverifiedKept(exc.detail) from exc
    except (NoteError, QuorumError) as exc:
        raise UnverifiedKept(exc.args[0]) from exc
    checkpoint = proven.checkpoint
    if checkpoint.origin != origin:
        reason = "other_log"
        raise UnverifiedKept(reason)
    return KeptCheckpoint(name, checkpoint.size, checkpoint.root)


def compare_kept(kept: Sequence[KeptCheckpoint], roots_at: Mapping[int, bytes], size: int, faults: Faults) -> None:
    """Compare each with the root that the leaves give at its size; ``size`` is the head's."""
    for checkpoint in kept:
        if checkpoint.size > size:
            faults.add(FaultCode.CHECKPOINT_BEYOND_HEAD, f"{checkpoint.size} {checkpoint.name}")
        elif roots_at.get(checkpoint.size) != checkpoint.root:
            faults.add(FaultCode.CHECKPOINT_CONTRADICTED, f"{checkpoint.size} {checkpoint.name}")
