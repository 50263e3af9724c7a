import pytest

from gateway.audit.checkpoint import (
    Checkpoint,
    CheckpointError,
    CheckpointSigner,
    parse_checkpoint,
    render_checkpoint,
)
from gateway.audit.merkle import EMPTY_ROOT
from gateway.audit.note import NoteSigner, open_note, parse_vkey
from gateway.base.codec import b64
from gateway.base.crypto import Ed25519Signer
from gateway.base.secret import Secret

ROOT = bytes(range(32))
GOOD = f"log.example/1\n20852163\n{b64(ROOT)}\n"


def make_signer(seed=1):
    return CheckpointSigner(NoteSigner("log.example/1", Ed25519Signer(Secret(bytes([seed]) * 32))))


def test_the_published_example_is_read():
    """c2sp.org/tlog-checkpoint, the note text of its example."""
    text = b"example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"

    checkpoint = parse_checkpoint(text)

    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20_852_163)
    assert render_checkpoint(checkpoint.origin, checkpoint.size, checkpoint.root).encode() == text


def test_extension_lines_are_read_and_never_written():
    checkpoint = parse_checkpoint((GOOD + "an extension\nanother\n").encode())

    assert checkpoint == Checkpoint(
        origin="log.example/1", size=20_852_163, root=ROOT, extensions=("an extension", "another")
    )
    assert render_checkpoint("log.example/1", 20_852_163, ROOT) == GOOD


def checkpoint_mutations():
    """Name every way to spoil a checkpoint text."""
    root = b64(ROOT)
    yield "no last newline", GOOD[:-1]
    yield "blank line", GOOD + "\n"
    yield "blank line inside", GOOD + "\nextension\n"
    yield "two lines", "log.example/1\n5\n"
    yield "empty", ""
    yield "empty origin", f"\n5\n{root}\n"
    yield "leading zero", f"log.example/1\n05\n{root}\n"
    yield "sign", f"log.example/1\n+5\n{root}\n"
    yield "minus", f"log.example/1\n-5\n{root}\n"
    yield "space", f"log.example/1\n 5\n{root}\n"
    yield "other digits", f"log.example/1\n٥\n{root}\n"
    yield "hexadecimal", f"log.example/1\n0x5\n{root}\n"
    yield "past 64 bits", f"log.example/1\n{2**63}\n{root}\n"
    yield "far past 64 bits", f"log.example/1\n{10**40}\n{root}\n"
    yield "short root", f"log.example/1\n5\n{b64(ROOT[:31])}\n"
    yield "long root", f"log.example/1\n5\n{b64(ROOT + b'x')}\n"
    yield "unpadded root", f"log.example/1\n5\n{root.rstrip('=')}\n"
    yield "root in hex", f"log.example/1\n5\n{ROOT.hex()}\n"
    yield "empty tree with another root", f"log.example/1\n0\n{root}\n"


def test_no_spoilt_checkpoint_gets_through():
    got_through = []
    for name, text in checkpoint_mutations():
        try:
            parse_checkpoint(text.encode())
            got_through.append(name)
        except CheckpointError:
            pass

    assert got_through == []


def test_bytes_that_are_not_utf8_are_refused():
    with pytest.raises(CheckpointError, match="not_utf8"):
        parse_checkpoint(b"\xff" + GOOD.encode())


def test_the_empty_tree_has_the_empty_root():
    text = render_checkpoint("log.example/1", 0, EMPTY_ROOT).encode()

    assert parse_checkpoint(text).size == 0


def test_a_signed_checkpoint_opens_with_the_published_key():
    signer = make_signer()

    opened = open_note(signer.sign(20_852_163, ROOT).encode(), [parse_vkey(signer.vkey)])

    assert opened.text.decode() == GOOD
    assert signer.origin == "log.example/1"


def test_hosts_share_the_name_and_differ_in_the_key():
    first, second = parse_vkey(make_signer(1).vkey), parse_vkey(make_signer(2).vkey)

    assert first.name == second.name
    assert first.key_id != second.key_id
