import base64
import json
from pathlib import Path

import pytest

from gateway.audit.note import (
    MAX_SIGNATURES,
    NoteError,
    NoteSigner,
    SignatureType,
    cosignature_message,
    open_note,
    parse_note,
    parse_vkey,
    verifier_key,
)
from gateway.base.crypto import Ed25519Signer
from gateway.base.secret import Secret

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "audit" / "signed_notes.json").read_text())
TEXT = "one\n\ntwo\n"


def make_signer(name="log.example/1", seed=1):
    return NoteSigner(name, Ed25519Signer(Secret(bytes([seed]) * 32)))


def make_cosignature(name="witness.example", seed=9, time_s=1_800_000_000, text=TEXT):
    """Return a witness key and its signature line, put together without our signing code."""
    key_pair = Ed25519Signer(Secret(bytes([seed]) * 32))
    key = verifier_key(name, SignatureType.COSIGNATURE, key_pair.public)
    blob = time_s.to_bytes(8, "big") + key_pair.sign(cosignature_message(time_s, text.encode()))
    return key, f"— {name} {base64.b64encode(key.key_id + blob).decode()}\n"


@pytest.mark.parametrize("vector", VECTORS["notes"], ids=lambda vector: vector["source"])
def test_published_notes_open(vector):
    key = parse_vkey(vector["vkey"])

    note = open_note(vector["note"].encode(), [key])

    assert note.text.decode() == vector["note"].rpartition("\n\n")[0] + "\n"
    assert [found.key for found in note.signatures] == [key]
    assert str(key) == vector["vkey"]


def test_a_note_is_split_at_its_last_blank_line():
    note = make_signer().sign(TEXT)

    assert parse_note(note.encode()).text.decode() == TEXT


def test_signing_is_deterministic():
    assert make_signer().sign(TEXT) == make_signer().sign(TEXT)


def test_every_piece_and_every_changed_character_of_a_vkey_is_refused():
    good = VECTORS["notes"][1]["vkey"]
    pieces = [good[i:j] for i in range(len(good)) for j in range(i + 1, len(good) + 1) if j - i < len(good)]
    changed = [good[:i] + chr(ord(good[i]) + 1) + good[i + 1 :] for i in range(len(good))]
    published = [vector["vkey"] for vector in VECTORS["bad_vkeys"]]
    upper = [good.replace("c74f20a3", "C74F20A3")]

    got_through = []
    for text in [*pieces, *changed, *published, *upper, "", "+", "++", good + "\n", " " + good]:
        try:
            parse_vkey(text)
            got_through.append(text)
        except NoteError:
            pass

    assert got_through == []


@pytest.mark.parametrize("name", ["", "with space", "with+plus", "with\ttab", "with\u3000wide", "with\u2028line"])
def test_a_name_with_a_space_or_a_plus_is_refused(name):
    with pytest.raises(NoteError, match="key_name"):
        make_signer(name)


def test_a_small_order_point_is_no_key():
    with pytest.raises(NoteError, match="public_key"):
        verifier_key("log.example/1", SignatureType.ED25519, bytes(32))


def test_unknown_keys_are_ignored_also_when_name_or_id_alone_is_known():
    signer = make_signer()
    note = signer.sign(TEXT)
    same_name = make_signer(seed=2).signature_line(TEXT)
    good_blob = base64.b64decode(note.rstrip("\n").rpartition(" ")[2])
    same_id = f"— other.example {base64.b64encode(good_blob).decode()}\n"
    post_quantum = f"— pq.example {base64.b64encode(bytes(4 + 2428)).decode()}\n"

    opened = open_note((note + same_name + same_id + post_quantum).encode(), [signer.key])

    assert [found.key for found in opened.signatures] == [signer.key]


def test_a_known_key_whose_signature_fails_refuses_the_whole_note():
    first, second = make_signer(), make_signer("second.example", 2)
    note = first.sign(TEXT) + second.signature_line("other text\n")

    with pytest.raises(NoteError, match="bad_signature"):
        open_note(note.encode(), [first.key, second.key])
    assert open_note(note.encode(), [first.key]).text.decode() == TEXT


def test_a_note_without_a_known_signature_is_refused():
    note = make_signer().sign(TEXT).encode()

    for keys in ([], [make_signer(seed=2).key]):
        with pytest.raises(NoteError, match="no_known_signature"):
            open_note(note, keys)


def test_two_keys_that_cannot_be_told_apart_are_refused():
    signer = make_signer()

    with pytest.raises(NoteError, match="ambiguous_keys"):
        open_note(signer.sign(TEXT).encode(), [signer.key, signer.key])


def test_a_key_that_signs_twice_counts_once():
    signer = make_signer()
    note = signer.sign(TEXT) + signer.signature_line(TEXT)

    assert len(open_note(note.encode(), [signer.key]).signatures) == 1


def test_a_cosignature_states_a_time():
    signer = make_signer()
    witness, line = make_cosignature()

    opened = open_note((signer.sign(TEXT) + line).encode(), [signer.key, witness])

    assert [(found.key.name, found.time_s) for found in opened.signatures] == [
        ("log.example/1", None),
        ("witness.example", 1_800_000_000),
    ]


@pytest.mark.parametrize("time_s", [2**63, 2**64 - 1])
def test_a_cosignature_after_the_end_of_time_is_refused(time_s):
    witness, line = make_cosignature(time_s=time_s)

    with pytest.raises(NoteError, match="cosignature_time"):
        open_note((TEXT + "\n" + line).encode(), [witness])


def test_as_many_signatures_as_allowed_are_read_and_one_more_is_not():
    signer = make_signer()
    lines = [make_signer(f"s{number}.example", 2).signature_line(TEXT) for number in range(MAX_SIGNATURES)]

    assert open_note((signer.sign(TEXT) + "".join(lines[1:])).encode(), [signer.key]).text.decode() == TEXT
    with pytest.raises(NoteError, match="too_many_signatures"):
        open_note((signer.sign(TEXT) + "".join(lines)).encode(), [signer.key])


def note_mutations(note: str):
    """Name every way to spoil the form of a note."""
    text, _, block = note.rpartition("\n\n")
    line = block.rstrip("\n")
    yield "no blank line", f"{text}\n{block}"
    yield "no signature", f"{text}\n\n"
    yield "no last newline", note[:-1]
    yield "two last newlines", note + "\n"
    yield "carriage returns", note.replace("\n", "\r\n")
    yield "tab in text", note.replace("one", "o\tne")
    yield "nul in text", note.replace("one", "o\0ne")
    yield "hyphen for dash", note.replace("—", "-")
    yield "no space after dash", note.replace("— ", "—")
    yield "two spaces", note.replace("— ", "—  ")
    yield "no name", note.replace("log.example/1 ", "")
    yield "no signature text", f"{text}\n\n— log.example/1\n"
    yield "empty signature", f"{text}\n\n— log.example/1 \n"
    yield "only a key id", f"{text}\n\n— log.example/1 AAAAAA==\n"
    yield "trailing space", f"{text}\n\n{line} \n"
    yield "second field", f"{text}\n\n{line} x\n"
    yield "base64url", f"{text}\n\n{line[:-8]}-_-_-_-_\n"
    yield "unpadded base64", f"{text}\n\n{line.rstrip('=')}\n"
    yield "surplus bits", f"{text}\n\n{line[:-2]}{'B' if line[-2] == 'A' else chr(ord(line[-2]) + 1)}{line[-1]}\n"
    yield "plus in name", note.replace("log.example/1 ", "log.exa+mple/1 ")
    yield "too long", "x" * 200_000 + note
    yield "no text at all", block


def test_no_spoilt_note_gets_through():
    signer = make_signer()
    good = signer.sign(TEXT)
    assert good.endswith("=\n")

    got_through = []
    for name, spoilt in note_mutations(good):
        try:
            open_note(spoilt.encode(), [signer.key])
            got_through.append(name)
        except NoteError:
            pass

    assert got_through == []


def test_bytes_that_are_not_utf8_are_refused():
    with pytest.raises(NoteError, match="not_utf8"):
        parse_note(make_signer().sign(TEXT).encode() + b"\xff\n")
