import pytest

from gateway.audit.merkle import EMPTY_FRONTIER, grow, leaf_hash
from gateway.audit.tlog_proof import (
    TlogProofError,
    parse_tlog_proof,
    render_batch_proofs,
    render_tlog_proof,
)
from gateway.base.codec import b64
from tests.fakes.memory_log import make_leaves

CHECKPOINT = f"log.example/1\n9\n{b64(bytes(32))}\n\n— log.example/1 AAAAAAAA\n"
PATH = (bytes([1]) * 32, bytes([2]) * 32)
GOOD = render_tlog_proof(73_894, PATH, CHECKPOINT)


def test_the_text_is_the_one_of_the_specification():
    assert GOOD == (
        "c2sp.org/tlog-proof@v1\n"
        "index 73894\n"
        "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"
        "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n"
        "\n" + CHECKPOINT
    )


def test_a_proof_is_read_as_written():
    proof = parse_tlog_proof(GOOD.encode())

    assert (proof.index, proof.path, proof.checkpoint.decode(), proof.extra) == (73_894, PATH, CHECKPOINT, b"")


def test_a_tree_of_one_leaf_has_a_proof_without_hashes():
    growth = grow(EMPTY_FRONTIER, [leaf_hash(b"")])

    (text,) = render_batch_proofs(growth, CHECKPOINT)

    assert text == f"c2sp.org/tlog-proof@v1\nindex 0\n\n{CHECKPOINT}"
    assert parse_tlog_proof(text.encode()).path == ()


@pytest.mark.parametrize(("before", "count"), [(0, 1), (0, 5), (1, 1), (6, 7), (255, 3), (300, 256)])
def test_batch_proofs_equal_single_proofs(before, count):
    """The fast rendering of a batch gives the bytes of the plain one."""
    hashes = [leaf_hash(leaf) for leaf in make_leaves(before + count)]
    growth = grow(grow(EMPTY_FRONTIER, hashes[:before]).after, hashes[before:])

    batch = render_batch_proofs(growth, CHECKPOINT)

    paths = growth.hash_paths()
    assert batch == [render_tlog_proof(before + at, path, CHECKPOINT) for at, path in enumerate(paths)]


def test_extra_data_is_read_and_not_part_of_the_path():
    text = GOOD.replace("index", "extra aGVsbG8=\nindex")

    proof = parse_tlog_proof(text.encode())

    assert (proof.extra, proof.path) == (b"hello", PATH)


def proof_mutations():
    """Name every way to spoil the form of a proof."""
    yield "empty", ""
    yield "version 2", GOOD.replace("@v1", "@v2")
    yield "no header", GOOD.partition("\n")[2]
    yield "no index", GOOD.replace("index 73894\n", "")
    yield "two indexes", GOOD.replace("index 73894\n", "index 73894\nindex 73894\n")
    yield "leading zero", GOOD.replace("73894", "073894")
    yield "minus", GOOD.replace("73894", "-1")
    yield "other digits", GOOD.replace("73894", "٧")
    yield "index past 64 bits", GOOD.replace("73894", str(2**63 - 1))
    yield "index far past 64 bits", GOOD.replace("73894", "9" * 5000)
    yield "two spaces", GOOD.replace("index ", "index  ")
    yield "trailing space", GOOD.replace("73894\n", "73894 \n")
    yield "no blank line", GOOD.replace("\n\n", "\n")
    yield "carriage returns", GOOD.replace("\n", "\r\n")
    yield "extra after index", GOOD.replace("73894\n", "73894\nextra AAAA\n")
    yield "extra not base64", GOOD.replace("index", "extra ~\nindex")
    yield "two extras", GOOD.replace("index", "extra AAAA\nextra AAAA\nindex")
    yield "short hash", GOOD.replace(b64(PATH[0]), b64(PATH[0][:31]))
    yield "empty hash", GOOD.replace(b64(PATH[0]) + "\n", "\n")
    yield "unpadded hash", GOOD.replace(b64(PATH[0]), b64(PATH[0]).rstrip("="))
    yield "surplus bits", GOOD.replace(b64(PATH[0]), b64(PATH[0])[:-2] + "F=")
    yield "too many hashes", GOOD.replace(b64(PATH[0]), "\n".join([b64(PATH[0])] * 65))
    yield "too long", GOOD + "x" * 300_000


def test_no_spoilt_proof_gets_through():
    got_through = []
    for name, text in proof_mutations():
        try:
            proof = parse_tlog_proof(text.encode())
        except TlogProofError:
            continue
        # A blank line too early makes the rest a checkpoint, which is refused when it is opened.
        if proof.checkpoint.decode() == CHECKPOINT:
            got_through.append(name)

    assert got_through == []
