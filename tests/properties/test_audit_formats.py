"""Readers of the log's texts are total, and what they accept has one spelling."""

import contextlib
import json
import re
from pathlib import Path

import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audit.checkpoint import CheckpointError, parse_checkpoint, render_checkpoint
from gateway.audit.entry import LeafError, LeafFields, LeafKind, decode_leaf, encode_leaf
from gateway.audit.merkle import EMPTY_ROOT
from gateway.audit.note import NoteError, parse_note, parse_vkey
from gateway.audit.policy import PolicyError, parse_policy
from gateway.audit.receipt import ReceiptError, verify_receipt
from gateway.audit.tlog_proof import TlogProofError, parse_tlog_proof, render_tlog_proof

GOLDEN = json.loads((Path(__file__).parents[1] / "vectors" / "audit" / "golden.json").read_text("utf-8"))
POLICY = parse_policy(GOLDEN["policy"].encode())
ASCII = st.text(st.characters(max_codepoint=127), max_size=30)


@st.composite
def spoilt(draw, good: bytes):
    """Cut, repeat or overwrite a piece of a good text."""
    start = draw(st.integers(0, len(good)))
    stop = draw(st.integers(start, min(len(good), start + 40)))
    piece = draw(
        st.binary(max_size=8) | st.just(good[start:stop] * 2) | st.sampled_from([b"\n", b"\n\n", b" ", b"=", b"0"])
    )
    return good[:start] + piece + good[stop:]


def leaves():
    optional = ["ans_c", "args_c", "cred", "id", "partner", "purpose", "req_h", "req_id", "sub_bi", "sub_c"]
    return st.builds(
        LeafFields,
        decision=ASCII,
        gw=ASCII,
        log=ASCII,
        op=ASCII,
        ts=ASCII,
        n=st.integers(0, 10_000),
        status=st.integers(0, 599),
        kind=st.sampled_from(LeafKind),
        **{name: st.none() | ASCII for name in optional},
    )


@given(leaves())
def test_a_leaf_is_what_an_independent_canonicalizer_writes(fields):
    leaf = encode_leaf(fields)

    assert leaf == rfc8785.dumps(json.loads(leaf))
    assert decode_leaf(leaf) == fields


@given(st.binary(max_size=300) | spoilt(GOLDEN["leaf"].encode()))
def test_a_leaf_that_is_read_is_its_only_spelling(raw):
    with contextlib.suppress(LeafError):
        assert encode_leaf(decode_leaf(raw)) == raw


@given(st.text(max_size=200).map(str.encode) | spoilt(GOLDEN["checkpoint"].encode()))
def test_a_note_that_is_read_holds_its_text_and_its_signatures(raw):
    try:
        note = parse_note(raw)
    except NoteError:
        return

    assert raw.startswith(note.text + b"\n")
    assert note.signatures


@given(st.binary(max_size=120) | spoilt(GOLDEN["checkpoint"].encode().partition(b"\n\n")[0] + b"\n"))
def test_a_checkpoint_that_is_read_is_its_only_spelling(raw):
    try:
        found = parse_checkpoint(raw)
    except CheckpointError:
        return

    extensions = "".join(f"{line}\n" for line in found.extensions)
    assert (render_checkpoint(found.origin, found.size, found.root) + extensions).encode() == raw
    assert found.size or found.root == EMPTY_ROOT


@given(st.binary(max_size=200) | spoilt(GOLDEN["proof"].encode()))
def test_a_proof_that_is_read_is_its_only_spelling(raw):
    try:
        proof = parse_tlog_proof(raw)
    except TlogProofError:
        return

    without_extra = (
        re.sub(rb"\nextra [^\n]*", b"", raw, count=1) if b"\nextra " in raw.partition(b"\nindex")[0] else raw
    )
    head = render_tlog_proof(proof.index, proof.path, "").encode()
    assert head + proof.checkpoint == without_extra


@given(st.text(max_size=100) | spoilt(GOLDEN["vkey"].encode()).map(lambda raw: raw.decode("latin-1")))
def test_a_verifier_key_that_is_read_is_its_only_spelling(text):
    with contextlib.suppress(NoteError):
        assert str(parse_vkey(text)) == text


@given(st.binary(max_size=200) | spoilt(GOLDEN["policy"].encode()))
def test_reading_a_policy_is_total(raw):
    with contextlib.suppress(PolicyError):
        assert parse_policy(raw).logs


@settings(max_examples=300)
@given(st.binary(max_size=200) | spoilt(GOLDEN["receipt"].encode()))
def test_a_receipt_that_verifies_says_what_the_golden_one_says(raw):
    """Whatever is done to a receipt: it is refused, or it still proves the very same leaf at the very same place."""
    try:
        found = verify_receipt(raw, POLICY)
    except ReceiptError:
        return

    assert (encode_leaf(found.leaf).decode(), found.leaf_index) == (GOLDEN["leaf"], 3)
