r"""The receipt of an answer, and its verification by anyone, offline.

For: building the ``receipt`` member; the steps that show that an answer is the one the log recorded.
Not for: fetching anything; whether the log stayed consistent since the reader's last checkpoint
(``proofs.verify_consistency``).
Source: tlog-proof, tlog-checkpoint and tlog-policy of c2sp.org; RFC 9162 section 2.1.3.2; RFC 8785 for the committed
bytes.

    {"leaf": "<base64 of the leaf>", "open": {"ans": "<base64url key>", …}, "proof": "c2sp.org/tlog-proof@v1\n…"}
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from gateway.audit.entry import SALT_BYTES, Committed, LeafError, LeafFields, decode_leaf, open_key, opens
from gateway.audit.merkle import leaf_hash
from gateway.audit.note import NoteError
from gateway.audit.policy import Policy, QuorumError, VerifiedCheckpoint
from gateway.audit.proofs import ProofError, verify_inclusion
from gateway.audit.tlog_proof import TlogProofError, UnverifiedTlogProof, parse_tlog_proof
from gateway.base.canonical import Json, JsonError, canonical_json, parse_json_object
from gateway.base.codec import b64url_32, parse_b64, parse_b64url

MAX_DOCUMENT_BYTES: Final = 1_048_576
RECEIPT_MEMBER: Final = "receipt"

HANDED_OUT: Final = (Committed.ANS, Committed.ARGS, Committed.SUB)
"""The commitments that a receipt opens, in the order of their names."""
_HANDED_OUT_BY_NAME: Final = {name.value: name for name in HANDED_OUT}
_OPEN_KEY_BYTES: Final = SALT_BYTES


class ReceiptStep(StrEnum):
    """The steps of verification, in their order."""

    PARSE = "parse"
    LEAF = "leaf"
    PROOF = "proof"
    CHECKPOINT_SIGNATURE = "checkpoint_signature"
    POLICY = "policy"
    INCLUSION = "inclusion"
    ANSWER_COMMITMENT = "answer_commitment"
    SUBJECT_COMMITMENT = "subject_commitment"
    REQUEST = "request"


class ReceiptError(Exception):
    """A receipt does not verify: at which step, and a short machine word why."""

    def __init__(self, step: ReceiptStep, detail: str) -> None:
        super().__init__(f"{step}: {detail}")
        self.step: Final = step
        self.detail: Final = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the reader knows about its own request; each absent part is not compared.

    ``request_hash`` is 32 bytes, SHA-256(proof of possession, one zero byte, body) as sent. ``request_body`` is the
    JSON body.
    """

    partner: str | None = None
    request_hash: bytes | None = None
    request_body: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedReceipt:
    """What a good receipt proves. A step is in ``passed`` only if it was really done."""

    leaf: LeafFields
    leaf_index: int
    proven: VerifiedCheckpoint
    passed: tuple[ReceiptStep, ...]

    @property
    def answer_checked(self) -> bool:
        """Whether the answer itself was there and is the one that the leaf commits to."""
        return ReceiptStep.ANSWER_COMMITMENT in self.passed


def opening_keys(fields: LeafFields, salt: bytes) -> dict[Committed, bytes]:
    """Return the keys that a receipt hands out for the commitments its leaf holds, derived from the entry's salt.

    The commitment to the idempotency key is for the gateway alone, which compares it with the key of a repeated request.
    """
    held = {Committed.ANS: fields.ans_c, Committed.ARGS: fields.args_c, Committed.SUB: fields.sub_c}
    return {name: open_key(salt, name) for name, commitment in held.items() if commitment is not None}


def build_receipt(leaf: bytes, keys: Mapping[Committed, bytes], proof: str) -> bytes:
    """Return the ``receipt`` member as canonical JSON. HOT. ``keys`` are those the receiver may open the leaf with.

    Put together by hand, at a third of an encoder's price: base64, member names and a proof hold nothing that JSON escapes but the ends
    of lines (a test compares it with the encoder).
    """
    opened = ",".join([f'"{name.value}":"{b64url_32(keys[name])}"' for name in HANDED_OUT if name in keys])
    lines = proof.replace("\n", "\\n")
    text = b2a_base64(leaf, newline=False).decode("ascii")
    return f'{{"leaf":"{text}","open":{{{opened}}},"proof":"{lines}"}}'.encode()


def verify_receipt(document: bytes, policy: Policy, *, expected: Expected | None = None) -> VerifiedReceipt:
    """Verify an answer with its ``receipt`` member, or a bare receipt, against a policy.

    1. Parse the document: strict JSON, bounded.
    2. The leaf is one of ours, in its only spelling.
    3. The proof is a tlog-proof.
    4. The checkpoint is signed by a trusted key of the log that the leaf names.
    5. The witnesses that the policy asks for have cosigned it.
    6. The leaf is in the tree of that checkpoint.
    7. The answer is the one that the leaf commits to (skipped for a bare receipt).
    8. The subject that the answer names is the one that the leaf commits to (where both name one).
    9. The leaf records the reader's own request (as far as ``expected`` says).

    Raises:
        ReceiptError: names the first step that fails.
    """
    passed: list[ReceiptStep] = []
    # 1
    parts = _parse(document)
    passed.append(ReceiptStep.PARSE)
    # 2
    fields = _read_leaf(parts.leaf)
    passed.append(ReceiptStep.LEAF)
    # 3
    proof = _read_proof(parts.proof)
    passed.append(ReceiptStep.PROOF)
    # 4, 5
    proven = _open_checkpoint(proof, fields, policy)
    passed += (ReceiptStep.CHECKPOINT_SIGNATURE, ReceiptStep.POLICY)
    # 6
    _check_inclusion(parts.leaf, proof, proven)
    passed.append(ReceiptStep.INCLUSION)
    # 7
    if parts.answer is not None:
        _check_answer(parts.answer, fields, parts.keys)
        passed.append(ReceiptStep.ANSWER_COMMITMENT)
        # 8
        if _check_subject(parts.answer, fields, parts.keys):
            passed.append(ReceiptStep.SUBJECT_COMMITMENT)
    # 9
    if expected is not None:
        _check_request(expected, fields, parts.keys)
        passed.append(ReceiptStep.REQUEST)
    return VerifiedReceipt(leaf=fields, leaf_index=proof.index, proven=proven, passed=tuple(passed))


@dataclass(frozen=True, slots=True)
class _Parts:
    """The document taken apart; ``answer`` is None for a bare receipt."""

    leaf: bytes
    proof: bytes
    keys: Mapping[Committed, bytes] = field(default_factory=dict)
    answer: dict[str, Json] | None = None


def _parse(document: bytes) -> _Parts:
    if len(document) > MAX_DOCUMENT_BYTES:
        raise ReceiptError(ReceiptStep.PARSE, "document_too_long")
    try:
        outer = parse_json_object(document)
    except JsonError as exc:
        raise ReceiptError(ReceiptStep.PARSE, exc.args[0]) from exc
    answer: dict[str, Json] | None = None
    receipt: Json = outer
    if RECEIPT_MEMBER in outer:
        receipt = outer[RECEIPT_MEMBER]
        answer = {name: value for name, value in outer.items() if name != RECEIPT_MEMBER}
    match receipt:
        case {"leaf": str(leaf), "open": dict(opened), "proof": str(proof), **rest} if not rest:
            return _Parts(_parse_leaf_text(leaf), proof.encode(), _parse_keys(opened), answer)
        case _:
            raise ReceiptError(ReceiptStep.PARSE, "no_receipt")


def _parse_leaf_text(text: str) -> bytes:
    try:
        return parse_b64(text)
    except ValueError as exc:
        raise ReceiptError(ReceiptStep.PARSE, "leaf_base64") from exc


def _parse_keys(opened: dict[str, Json]) -> dict[Committed, bytes]:
    keys: dict[Committed, bytes] = {}
    for name, text in opened.items():
        try:
            key = parse_b64url(text) if isinstance(text, str) else b""
            if len(key) != _OPEN_KEY_BYTES:
                raise ReceiptError(ReceiptStep.PARSE, "open_key")
            keys[_HANDED_OUT_BY_NAME[name]] = key
        except (KeyError, ValueError) as exc:
            raise ReceiptError(ReceiptStep.PARSE, "open_key") from exc
    return keys


def _read_leaf(leaf: bytes) -> LeafFields:
    try:
        return decode_leaf(leaf)
    except LeafError as exc:
        raise ReceiptError(ReceiptStep.LEAF, exc.args[0]) from exc


def _read_proof(proof: bytes) -> UnverifiedTlogProof:
    try:
        return parse_tlog_proof(proof)
    except TlogProofError as exc:
        raise ReceiptError(ReceiptStep.PROOF, exc.args[0]) from exc


def _open_checkpoint(proof: UnverifiedTlogProof, fields: LeafFields, policy: Policy) -> VerifiedCheckpoint:
    try:
        proven = policy.open_checkpoint(proof.checkpoint)
    except NoteError as exc:
        raise ReceiptError(ReceiptStep.CHECKPOINT_SIGNATURE, exc.args[0]) from exc
    except QuorumError as exc:
        raise ReceiptError(ReceiptStep.POLICY, exc.args[0]) from exc
    if proven.checkpoint.origin != fields.log:
        raise ReceiptError(ReceiptStep.CHECKPOINT_SIGNATURE, "other_log")
    return proven


def _check_inclusion(leaf: bytes, proof: UnverifiedTlogProof, proven: VerifiedCheckpoint) -> None:
    tree = proven.checkpoint
    try:
        verify_inclusion(leaf_hash=leaf_hash(leaf), index=proof.index, size=tree.size, path=proof.path, root=tree.root)
    except ProofError as exc:
        raise ReceiptError(ReceiptStep.INCLUSION, exc.args[0]) from exc


def _check_answer(answer: dict[str, Json], fields: LeafFields, keys: Mapping[Committed, bytes]) -> None:
    step = ReceiptStep.ANSWER_COMMITMENT
    key = keys.get(Committed.ANS)
    if fields.ans_c is None or key is None:
        raise ReceiptError(step, "answer_not_committed")
    if not _opens_to_json(fields.ans_c, key, answer):
        raise ReceiptError(step, "answer_differs")
    if answer.get("id") != fields.id:
        raise ReceiptError(step, "verification_id_differs")


def _check_subject(answer: dict[str, Json], fields: LeafFields, keys: Mapping[Committed, bytes]) -> bool:
    """Return whether there was a subject to compare."""
    key = keys.get(Committed.SUB)
    match answer.get("subject"):
        case {"uscc": str(code)} if fields.sub_c is not None and key is not None:
            if not opens(fields.sub_c, key, code.encode()):
                raise ReceiptError(ReceiptStep.SUBJECT_COMMITMENT, "subject_differs")
            return True
        case _:
            return False


def _check_request(expected: Expected, fields: LeafFields, keys: Mapping[Committed, bytes]) -> None:
    step = ReceiptStep.REQUEST
    if expected == Expected():
        raise ReceiptError(step, "nothing_expected")
    if expected.partner is not None and expected.partner != fields.partner:
        raise ReceiptError(step, "partner_differs")
    if expected.request_hash is not None and expected.request_hash.hex() != fields.req_h:
        raise ReceiptError(step, "request_hash_differs")
    if expected.request_body is None:
        return
    key = keys.get(Committed.ARGS)
    if fields.args_c is None or key is None:
        raise ReceiptError(step, "request_not_committed")
    try:
        body = parse_json_object(expected.request_body)
    except JsonError as exc:
        raise ReceiptError(step, "request_not_json") from exc
    if not _opens_to_json(fields.args_c, key, body):
        raise ReceiptError(step, "request_differs")


def _opens_to_json(commitment: str, key: bytes, value: dict[str, Json]) -> bool:
    try:
        return opens(commitment, key, canonical_json(value))
    except OverflowError:  # an integer beyond 64 bits, which no answer of ours holds
        return False
