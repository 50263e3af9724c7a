"""Whether a sampled answer says what it must: a figure counts only if it does.

The outcome is known from how the city was made. The receipt of L5 is verified as a partner would, offline, with nothing but the
policy file, the request as it was sent and the answer as it was received.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from gateway.audit.checkpoint import CheckpointSigner
from gateway.audit.note import NoteSigner
from gateway.audit.policy import parse_policy, render_policy
from gateway.audit.receipt import Expected, ReceiptError, verify_receipt
from gateway.base.canonical import JsonError, parse_json_object
from gateway.base.crypto import Ed25519Signer
from gateway.base.host_keys import LOG_SIGNING
from gateway.base.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from bench.load import Sample
    from bench.window import Check
    from gateway.audit.policy import Policy

_PROOF: Final = re.compile(rb"\r\nDPoP: ([^\r]+)\r\n")
_PROMISE_NOTHING: Final = frozenset({"B0", "B0V", "L0", "L1", "L1c", "L2"})


class Judge:
    """Knows the outcome each code must be answered with, and whose signature makes a receipt."""

    def __init__(self, expected: dict[str, str], policy: Policy) -> None:
        self._expected = expected
        self._policy = policy

    def for_level(self, level: str) -> Check | None:
        """Return the check for a level of the ladder: what the level promises, no more."""
        if level in _PROMISE_NOTHING:
            return None
        return self.proven if level == "L5" else self.outcome

    def outcome(self, sample: Sample) -> str | None:
        """Say what is wrong with the outcome, if anything."""
        try:
            members = parse_json_object(sample.body)
        except JsonError as exc:
            return f"not JSON: {exc}"
        expected = self._expected[sample.asked.code]
        if members.get("outcome") != expected:
            return f"{sample.asked.code}: {members.get('outcome')} instead of {expected}"
        return None

    def proven(self, sample: Sample) -> str | None:
        """Say what is wrong with the outcome or the receipt, if anything."""
        wrong = self.outcome(sample)
        if wrong is not None:
            return wrong
        sent = _PROOF.search(sample.asked.wire)
        if sent is None:
            return "the request had no proof"
        body = sample.asked.wire.partition(b"\r\n\r\n")[2]
        asked = Expected(request_hash=hashlib.sha256(sent[1] + b"\0" + body).digest(), request_body=body)
        try:
            verified = verify_receipt(sample.body, self._policy, expected=asked)
        except ReceiptError as exc:
            return f"receipt: {exc}"
        return None if verified.answer_checked else "the receipt does not speak of the answer"


def policy_of(keys_folder: Path, log_origin: str) -> Policy:
    """Return the policy that trusts the log key in a folder of host keys."""
    seed = bytes.fromhex((keys_folder / LOG_SIGNING).read_text(encoding="ascii").strip())
    signer = CheckpointSigner(NoteSigner(log_origin, Ed25519Signer(Secret(seed))))
    return parse_policy(render_policy([signer.vkey]).encode("utf-8"))
