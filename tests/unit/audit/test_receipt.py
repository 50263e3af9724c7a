import json
import re
from pathlib import Path

import pytest

from gateway.audit.checkpoint import CheckpointSigner
from gateway.audit.entry import Committed, LeafFields, LeafKind, decode_leaf, encode_leaf, seal
from gateway.audit.merkle import EMPTY_FRONTIER, grow, leaf_hash
from gateway.audit.note import NoteSigner, SignatureType, verifier_key
from gateway.audit.policy import PolicyError, parse_policy, render_policy
from gateway.audit.receipt import (
    HANDED_OUT,
    Expected,
    ReceiptError,
    ReceiptStep,
    build_receipt,
    opening_keys,
    verify_receipt,
)
from gateway.audit.tlog_proof import render_batch_proofs, render_tlog_proof
from gateway.base.canonical import canonical_json
from gateway.base.codec import b64, b64url, parse_b64
from gateway.base.crypto import Ed25519Signer
from gateway.base.messages.receipt import DETAILS, POLICY_FAULTS, STEPS
from gateway.base.secret import Secret
from tests.fakes.memory_log import make_leaves

ROOT = Path(__file__).parents[3]
GOLDEN = json.loads((ROOT / "tests" / "vectors" / "audit" / "golden.json").read_text("utf-8"))
POLICY = parse_policy(GOLDEN["policy"].encode())
ANSWER = GOLDEN["answer"]
ARGS = GOLDEN["args"]
LOG_SEED = bytes.fromhex(GOLDEN["log_seed"])


def with_receipt(answer, receipt):
    return json.dumps({**answer, "receipt": receipt}, ensure_ascii=False).encode()


def golden_receipt():
    return json.loads(GOLDEN["receipt"])


def make_log_signer(seed=LOG_SEED, origin="log.example/1"):
    return CheckpointSigner(NoteSigner(origin, Ed25519Signer(Secret(seed))))


def make_receipt(answer=ANSWER, subject=GOLDEN["subject"], signer=None, **changes):
    """Return a receipt whose log says what the changes say: a gateway that lies, signed and included properly."""
    salt = bytes(32)
    sealed = {Committed.ANS: seal(salt, Committed.ANS, canonical_json(answer))}
    if subject is not None:
        sealed[Committed.SUB] = seal(salt, Committed.SUB, subject.encode())
    members = dict(GOLDEN["fields"]) | {f"{name}_c": one.commitment for name, one in sealed.items()} | changes
    leaf = encode_leaf(LeafFields(kind=LeafKind(members.pop("t")), **members))
    signer = signer or make_log_signer()
    growth = grow(EMPTY_FRONTIER, [leaf_hash(leaf)])
    proof = render_batch_proofs(growth, signer.sign(1, growth.root))[0]
    return json.loads(build_receipt(leaf, {name: one.key for name, one in sealed.items()}, proof))


def test_golden_receipt_of_an_answer():
    found = verify_receipt(with_receipt(ANSWER, golden_receipt()), POLICY)

    assert (found.leaf_index, found.proven.checkpoint.size, found.answer_checked) == (3, 6, True)
    assert found.leaf == decode_leaf(GOLDEN["leaf"].encode())
    assert found.passed == tuple(step for step in ReceiptStep if step is not ReceiptStep.REQUEST)


def test_golden_receipt_is_built_byte_for_byte():
    """Checkpoint, proof and receipt come out as recorded: Ed25519 and everything around it is deterministic."""
    leaf = GOLDEN["leaf"].encode()
    hashes = [leaf_hash(other) for other in make_leaves(5)]
    growth = grow(grow(EMPTY_FRONTIER, hashes[:3]).after, [leaf_hash(leaf), *hashes[3:]])
    signer = make_log_signer()

    checkpoint = signer.sign(6, growth.root)
    proof = render_batch_proofs(growth, checkpoint)[0]
    receipt = build_receipt(leaf, opening_keys(decode_leaf(leaf), bytes.fromhex(GOLDEN["salt"])), proof)

    assert signer.vkey == GOLDEN["vkey"]
    assert checkpoint == GOLDEN["checkpoint"]
    assert proof == GOLDEN["proof"]
    assert receipt.decode() == GOLDEN["receipt"]
    assert receipt == canonical_json(json.loads(receipt))


def test_an_answer_verifies_in_whatever_order_and_spacing_it_was_stored():
    document = json.dumps({"receipt": golden_receipt(), **dict(reversed(ANSWER.items()))}, indent=4).encode()

    assert verify_receipt(document, POLICY).answer_checked


def test_a_bare_receipt_says_that_the_answer_was_not_checked():
    found = verify_receipt(GOLDEN["receipt"].encode(), POLICY)

    assert not found.answer_checked
    assert ReceiptStep.INCLUSION in found.passed


def test_fields_are_opened_one_by_one():
    """Who was given only the key of the answer can check the answer and learns nothing else."""
    receipt = golden_receipt()
    receipt["open"] = {"ans": receipt["open"]["ans"]}

    found = verify_receipt(with_receipt(ANSWER, receipt), POLICY)

    assert ReceiptStep.ANSWER_COMMITMENT in found.passed
    assert ReceiptStep.SUBJECT_COMMITMENT not in found.passed


def test_a_receipt_without_opening_keys_still_proves_inclusion():
    """What remains when the salt has been erased."""
    receipt = golden_receipt() | {"open": {}}

    assert verify_receipt(json.dumps(receipt).encode(), POLICY).leaf_index == 3


def test_the_readers_own_request_is_compared():
    expected = Expected(
        partner=GOLDEN["fields"]["partner"],
        request_hash=bytes.fromhex(GOLDEN["fields"]["req_h"]),
        request_body=json.dumps(ARGS, indent=1).encode(),
    )

    found = verify_receipt(with_receipt(ANSWER, golden_receipt()), POLICY, expected=expected)

    assert found.passed == tuple(ReceiptStep)


@pytest.mark.parametrize(
    ("expected", "detail"),
    [
        (Expected(), "nothing_expected"),
        (Expected(partner="prt_other"), "partner_differs"),
        (Expected(request_hash=bytes(32)), "request_hash_differs"),
        (Expected(request_body=b'{"purpose":"risk"}'), "request_differs"),
        (Expected(request_body=b"{"), "request_not_json"),
        (Expected(request_body=b'{"n":-9999999999999999999}'), "request_differs"),
    ],
)
def test_a_receipt_of_another_request_is_refused(expected, detail):
    with pytest.raises(ReceiptError) as refused:
        verify_receipt(GOLDEN["receipt"].encode(), POLICY, expected=expected)

    assert (refused.value.step, refused.value.detail) == (ReceiptStep.REQUEST, detail)


def test_a_request_body_needs_a_commitment_to_compare_with():
    receipt = golden_receipt()
    del receipt["open"]["args"]

    with pytest.raises(ReceiptError, match="request_not_committed"):
        verify_receipt(json.dumps(receipt).encode(), POLICY, expected=Expected(request_body=b"{}"))


def proof_with(receipt, **parts):
    """Put the golden proof together again with some parts replaced."""
    lines = receipt["proof"].split("\n")
    blank = lines.index("")
    index, hashes, checkpoint = lines[1], lines[2:blank], "\n".join(lines[blank + 1 :])
    good = {"index": int(index.split()[1]), "path": tuple(map(parse_b64, hashes)), "checkpoint": checkpoint}
    return receipt | {"proof": render_tlog_proof(**(good | parts))}


def form_mutations():
    """Name every way to spoil the form of an answer with its receipt, with the step that must refuse it."""
    good, step = golden_receipt(), ReceiptStep
    flipped = good["leaf"][:8] + ("A" if good["leaf"][8] != "A" else "B") + good["leaf"][9:]
    text = with_receipt(ANSWER, good)

    yield "not json", step.PARSE, text[:-1]
    yield "not an object", step.PARSE, b"[]"
    yield "too long", step.PARSE, text + b" " * 2_000_000
    yield "duplicate member", step.PARSE, text.replace(b'"outcome": "clear"', b'"outcome": "clear", "outcome": "x"')
    yield "float", step.PARSE, text.replace(b'"flags": []', b'"flags": 1.5')
    yield "no receipt", step.PARSE, json.dumps(ANSWER).encode()
    yield "receipt of null", step.PARSE, with_receipt(ANSWER, None)
    yield "receipt in receipt", step.PARSE, with_receipt(ANSWER, {"receipt": good})
    yield "extra member", step.PARSE, with_receipt(ANSWER, good | {"x": ""})
    yield "no proof", step.PARSE, with_receipt(ANSWER, {"leaf": good["leaf"], "open": good["open"]})
    yield "leaf as number", step.PARSE, with_receipt(ANSWER, good | {"leaf": 1})
    yield "leaf unpadded", step.PARSE, with_receipt(ANSWER, good | {"leaf": good["leaf"] + "="})
    yield "leaf base64url", step.PARSE, with_receipt(ANSWER, good | {"leaf": "-_" + good["leaf"]})
    yield (
        "unknown key name",
        step.PARSE,
        with_receipt(ANSWER, good | {"open": good["open"] | {"x": good["open"]["ans"]}}),
    )
    yield "short key", step.PARSE, with_receipt(ANSWER, good | {"open": {"ans": "AAAA"}})
    yield "key as number", step.PARSE, with_receipt(ANSWER, good | {"open": {"ans": 1}})
    yield "leaf flipped", step.LEAF, with_receipt(ANSWER, good | {"leaf": flipped})
    yield (
        "leaf of another version",
        step.LEAF,
        with_receipt(ANSWER, good | {"leaf": b64(GOLDEN["leaf"].replace('"v":1', '"v":2').encode())}),
    )
    yield "empty leaf", step.LEAF, with_receipt(ANSWER, good | {"leaf": ""})


def log_mutations():
    """Name every way to spoil what ties the leaf to a signed log."""
    good, step = golden_receipt(), ReceiptStep
    stranger = make_log_signer(bytes(32))
    lines = good["proof"].split("\n")
    denied = b64(GOLDEN["leaf"].replace('"allow"', '"denyx"').encode())

    yield "empty proof", step.PROOF, with_receipt(ANSWER, good | {"proof": ""})
    yield (
        "other proof version",
        step.PROOF,
        with_receipt(ANSWER, good | {"proof": good["proof"].replace("v1", "v2", 1)}),
    )
    yield "no checkpoint", step.CHECKPOINT_SIGNATURE, with_receipt(ANSWER, proof_with(good, checkpoint=""))
    yield (
        "unsigned checkpoint",
        step.CHECKPOINT_SIGNATURE,
        with_receipt(ANSWER, good | {"proof": "\n".join(lines[:-2]) + "\n"}),
    )
    yield (
        "size of the checkpoint",
        step.CHECKPOINT_SIGNATURE,
        with_receipt(ANSWER, good | {"proof": good["proof"].replace("\n6\n", "\n7\n")}),
    )
    yield (
        "signed by a stranger",
        step.CHECKPOINT_SIGNATURE,
        with_receipt(ANSWER, proof_with(good, checkpoint=stranger.sign(6, bytes(32)))),
    )
    yield (
        "signed under another name",
        step.CHECKPOINT_SIGNATURE,
        with_receipt(ANSWER, proof_with(good, checkpoint=make_log_signer(origin="log.example/2").sign(6, bytes(32)))),
    )
    yield "leaf of another log", step.CHECKPOINT_SIGNATURE, with_receipt(ANSWER, make_receipt(log="log.example/2"))
    yield (
        "other root, properly signed",
        step.INCLUSION,
        with_receipt(ANSWER, proof_with(good, checkpoint=make_log_signer().sign(6, bytes(32)))),
    )
    yield "index + 1", step.INCLUSION, with_receipt(ANSWER, proof_with(good, index=4))
    yield "index of the size", step.INCLUSION, with_receipt(ANSWER, proof_with(good, index=6))
    yield "no path", step.INCLUSION, with_receipt(ANSWER, proof_with(good, path=()))
    yield "another decision", step.INCLUSION, with_receipt(ANSWER, good | {"leaf": denied})


def content_mutations():
    """Name every way to spoil what the leaf commits to."""
    good, step = golden_receipt(), ReceiptStep

    yield "another outcome", step.ANSWER_COMMITMENT, with_receipt(ANSWER | {"outcome": "restricted"}, good)
    yield "another name", step.ANSWER_COMMITMENT, with_receipt(ANSWER | {"subject": {"uscc": GOLDEN["subject"]}}, good)
    yield "member added", step.ANSWER_COMMITMENT, with_receipt(ANSWER | {"note": ""}, good)
    yield "member removed", step.ANSWER_COMMITMENT, with_receipt({"id": ANSWER["id"]}, good)
    yield "no answer left", step.ANSWER_COMMITMENT, with_receipt({}, good)
    yield "beyond 64 bits", step.ANSWER_COMMITMENT, with_receipt(ANSWER | {"n": -9_999_999_999_999_999_999}, good)
    yield "no key for the answer", step.ANSWER_COMMITMENT, with_receipt(ANSWER, good | {"open": {}})
    yield (
        "keys swapped",
        step.ANSWER_COMMITMENT,
        with_receipt(ANSWER, good | {"open": {"ans": good["open"]["args"], "args": good["open"]["ans"]}}),
    )
    yield "leaf without answer", step.ANSWER_COMMITMENT, with_receipt(ANSWER, make_receipt(ans_c=None))
    yield "id of another verification", step.ANSWER_COMMITMENT, with_receipt(ANSWER, make_receipt(id="ver_other"))
    yield "commitment to another subject", step.SUBJECT_COMMITMENT, with_receipt(ANSWER, make_receipt(subject="X"))


def test_no_spoilt_receipt_gets_through():
    """Each is refused, at the step that is meant to refuse it, for a reason that has its sentence."""
    got_through = []
    for name, step, document in [*form_mutations(), *log_mutations(), *content_mutations()]:
        try:
            verify_receipt(document, POLICY)
            got_through.append(name)
        except ReceiptError as refused:
            if refused.step is not step or refused.detail not in DETAILS:
                got_through.append(f"{name}: {refused} instead of {step}")

    assert got_through == []


def test_a_lying_receipt_without_its_lie_is_good():
    """The forger of these tests signs and includes properly; only what it changes makes the difference."""
    assert verify_receipt(with_receipt(ANSWER, make_receipt()), POLICY).answer_checked


def test_a_missing_quorum_fails_at_the_policy_step():
    witness = verifier_key("w.example", SignatureType.COSIGNATURE, Ed25519Signer(Secret(bytes(32))).public)
    policy = parse_policy(f"log {GOLDEN['vkey']}\nwitness W {witness}\nquorum W\n".encode())

    with pytest.raises(ReceiptError) as refused:
        verify_receipt(GOLDEN["receipt"].encode(), policy)

    assert (refused.value.step, refused.value.detail) == (ReceiptStep.POLICY, "quorum_not_met")


def test_every_flipped_bit_of_a_receipt_is_refused():
    """One bit of each byte of a bare receipt; only the opening keys are outside what a bare receipt proves."""
    good = GOLDEN["receipt"].encode()
    outside = range(good.index(b'"open"'), good.index(b'"proof"'))

    got_through = []
    for at in range(len(good)):
        spoilt = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
        try:
            verify_receipt(spoilt, POLICY)
            if at not in outside:
                got_through.append((at, spoilt[max(0, at - 10) : at + 10]))
        except ReceiptError:
            pass

    assert got_through == []


def test_every_step_and_every_reason_has_its_sentences():
    """The command line can say in both languages which step failed and why."""
    modules = ["note", "checkpoint", "tlog_proof", "proofs", "entry", "policy", "receipt"]
    source = "".join((ROOT / "gateway" / "audit" / f"{name}.py").read_text("utf-8") for name in modules)
    raised = set(re.findall(r'raise (?:Note|Checkpoint|TlogProof|Proof|Leaf|Quorum)Error\("(\w+)"\)', source))
    raised |= set(re.findall(r'raise ReceiptError\([\w.]+, "(\w+)"\)', source))
    # Reading verifier keys happens when the policy is read; a leaf is encoded by us.
    elsewhere = {"vkey_form", "vkey_base64", "vkey_type", "vkey_key_id", "public_key", "leaf_not_publishable"}

    assert set(STEPS) == set(ReceiptStep)
    assert raised - elsewhere - set(DETAILS) == set()
    assert set(re.findall(r'raise PolicyError\("(\w+)"', source)) == set(POLICY_FAULTS)


def test_keys_that_cannot_be_told_apart_make_no_policy():
    """Two keys whose 32-bit key ids collide, found by search."""
    vkeys = [make_log_signer(seed.to_bytes(32, "big")).vkey for seed in (2286, 9089)]

    with pytest.raises(PolicyError, match="policy_ambiguous_keys"):
        parse_policy(render_policy(vkeys).encode())


def test_a_receipt_put_together_by_hand_is_what_the_encoder_writes() -> None:
    """The hot path writes the same bytes as the canonical encoder, for every set of keys and a signature line beyond ASCII."""
    proof = "c2sp.org/tlog-proof@v1\nindex 7\nAAAA\n\naudit.example.cn/log1\n8\nBBBB\n\n— audit.example.cn/log1 CCCC\n"
    keys = {name: bytes([number]) * 32 for number, name in enumerate(HANDED_OUT, start=250)}

    for count in range(len(keys) + 1):
        chosen = dict(list(keys.items())[:count])
        built = build_receipt(b'{"a":1}', chosen, proof)

        opened = {name.value: b64url(key) for name, key in chosen.items()}
        assert built == canonical_json({"leaf": b64(b'{"a":1}'), "open": opened, "proof": proof})


def test_no_receipt_opens_the_idempotency_key():
    """What a leaf says of the key it was asked under is for the gateway: a receipt neither hands that out nor takes it."""
    golden = GOLDEN["under_idempotency_key"]
    keys = opening_keys(decode_leaf(golden["leaf"].encode()), bytes.fromhex(GOLDEN["salt"]))
    receipt = golden_receipt()
    receipt["open"]["idem"] = receipt["open"]["ans"]

    assert tuple(keys) == HANDED_OUT
    with pytest.raises(ReceiptError) as failed:
        verify_receipt(with_receipt(ANSWER, receipt), POLICY)
    assert (failed.value.step, failed.value.detail) == (ReceiptStep.PARSE, "open_key")
