import itertools

import pytest

from gateway.audit.merkle import EMPTY_FRONTIER, EMPTY_ROOT, MAX_SIZE, grow, leaf_hash
from gateway.audit.proofs import (
    ProofError,
    consistency_ranges,
    inclusion_ranges,
    root_from_inclusion,
    verify_consistency,
    verify_inclusion,
)
from tests.fakes.memory_log import make_leaves
from tests.fakes.reference_tree import mth, path, proof

HASHES = [leaf_hash(leaf) for leaf in make_leaves(64)]
ROOTS = [mth(HASHES[:size]) for size in range(64)]


def test_every_inclusion_proof_below_forty():
    for size in range(1, 40):
        for index in range(size):
            expected = path(index, HASHES[:size])

            assert [mth(HASHES[a:b]) for a, b in inclusion_ranges(index, size)] == expected
            verify_inclusion(leaf_hash=HASHES[index], index=index, size=size, path=expected, root=ROOTS[size])


def test_every_consistency_proof_below_forty():
    for old, new in itertools.combinations_with_replacement(range(1, 40), 2):
        expected = proof(old, HASHES[:new])

        assert [mth(HASHES[a:b]) for a, b in consistency_ranges(old, new)] == expected
        verify_consistency(old_size=old, old_root=ROOTS[old], new_size=new, new_root=ROOTS[new], path=expected)


def test_lengths_of_the_seven_leaf_example():
    """RFC 6962 section 2.1.3."""
    inclusion = [len(inclusion_ranges(index, 7)) for index in (0, 3, 4, 6)]
    consistency = [len(consistency_ranges(old, 7)) for old in (3, 4, 6)]

    assert (inclusion, consistency) == ([3, 3, 3, 2], [4, 1, 3])


def inclusion_mutations(index, size, leaf, hashes, root):
    """Name every way to spoil one inclusion proof."""
    good = {"leaf_hash": leaf, "index": index, "size": size, "path": hashes, "root": root}
    yield "index + 1", good | {"index": index + 1}
    yield "index - 1", good | {"index": index - 1}
    yield "index ^ 2", good | {"index": index ^ 2}
    yield "size * 2", good | {"size": size * 2}
    yield "size of zero", good | {"size": 0}
    yield "size past 64 bits", good | {"size": 2**63}
    yield "negative size", good | {"size": -1}
    yield "empty root", good | {"root": b""}
    yield "random root", good | {"root": bytes(31) + b"\x01"}
    yield "root of the empty tree", good | {"root": EMPTY_ROOT}
    yield "empty leaf hash", good | {"leaf_hash": b""}
    yield "long leaf hash", good | {"leaf_hash": leaf + b"\x00"}
    yield "trailing garbage", good | {"path": [*hashes, b""]}
    yield "trailing root", good | {"path": [*hashes, root]}
    yield "preceding garbage", good | {"path": [b"", *hashes]}
    yield "preceding root", good | {"path": [root, *hashes]}
    yield "too many hashes", good | {"path": [root] * 65}
    for at, digest in enumerate(hashes):
        spoilt = bytes([digest[0] ^ 0x10]) + digest[1:]
        yield f"bit of hash {at}", good | {"path": [*hashes[:at], spoilt, *hashes[at + 1 :]]}
        yield f"removed hash {at}", good | {"path": [*hashes[:at], *hashes[at + 1 :]]}
        yield f"inserted hash {at}", good | {"path": [*hashes[:at], digest, *hashes[at:]]}
        yield f"cut hash {at}", good | {"path": [*hashes[:at], digest[:-1], *hashes[at + 1 :]]}


def test_no_spoilt_inclusion_proof_gets_through():
    got_through = []
    for size in range(1, 34):
        for index in range(size):
            hashes = path(index, HASHES[:size])
            for name, spoilt in inclusion_mutations(index, size, HASHES[index], hashes, ROOTS[size]):
                try:
                    verify_inclusion(**spoilt)
                    got_through.append((index, size, name))
                except ProofError:
                    pass

    assert got_through == []


def consistency_mutations(old, new, hashes, old_root, new_root):
    """Name every way to spoil one consistency proof."""
    good = {"old_size": old, "old_root": old_root, "new_size": new, "new_root": new_root, "path": hashes}
    yield "swapped roots", good | {"old_root": new_root, "new_root": old_root}
    yield "swapped sizes", good | {"old_size": new, "new_size": old}
    yield "old size of zero", good | {"old_size": 0}
    yield "old size + 1", good | {"old_size": old + 1}
    yield "old size - 1", good | {"old_size": old - 1}
    yield "new size * 2", good | {"new_size": new * 2}
    yield "new size past 64 bits", good | {"new_size": 2**63}
    yield "empty old root", good | {"old_root": b""}
    yield "empty new root", good | {"new_root": b""}
    yield "empty roots", good | {"old_root": b"", "new_root": b""}
    yield "old root of the empty tree", good | {"old_root": EMPTY_ROOT}
    yield "no path", good | {"path": []}
    yield "trailing root", good | {"path": [*hashes, new_root]}
    yield "preceding root", good | {"path": [old_root, *hashes]}
    yield "proof for equal sizes", good | {"new_size": old, "new_root": old_root}
    for at, digest in enumerate(hashes):
        spoilt = digest[:-1] + bytes([digest[-1] ^ 1])
        yield f"bit of hash {at}", good | {"path": [*hashes[:at], spoilt, *hashes[at + 1 :]]}
        yield f"removed hash {at}", good | {"path": [*hashes[:at], *hashes[at + 1 :]]}
        yield f"inserted hash {at}", good | {"path": [*hashes[:at], digest, *hashes[at:]]}


def test_no_spoilt_consistency_proof_gets_through():
    got_through = []
    for old, new in itertools.combinations(range(1, 34), 2):
        hashes = proof(old, HASHES[:new])
        for name, spoilt in consistency_mutations(old, new, hashes, ROOTS[old], ROOTS[new]):
            try:
                verify_consistency(**spoilt)
                got_through.append((old, new, name))
            except ProofError:
                pass

    assert got_through == []


def test_equal_sizes_need_equal_roots_and_no_path():
    verify_consistency(old_size=5, old_root=ROOTS[5], new_size=5, new_root=ROOTS[5], path=[])

    with pytest.raises(ProofError, match="path_too_long"):
        verify_consistency(old_size=5, old_root=ROOTS[5], new_size=5, new_root=ROOTS[5], path=[ROOTS[5]])
    with pytest.raises(ProofError, match="root_mismatch"):
        verify_consistency(old_size=5, old_root=ROOTS[5], new_size=5, new_root=ROOTS[6], path=[])


def test_the_largest_tree_has_a_path_of_63_hashes():
    hashes = [bytes(32)] * 63

    root = root_from_inclusion(leaf_hash=bytes(32), index=0, size=MAX_SIZE, path=hashes)

    assert len(root) == 32
    assert len(inclusion_ranges(0, MAX_SIZE)) == 63


def test_a_tree_of_one_leaf_is_that_leaf():
    assert grow(EMPTY_FRONTIER, HASHES[:1]).hash_paths() == [()]
    verify_inclusion(leaf_hash=HASHES[0], index=0, size=1, path=[], root=HASHES[0])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 4), (3, 2**63)])
def test_there_is_no_path_for_a_leaf_outside_the_tree(index, size):
    with pytest.raises(ProofError):
        inclusion_ranges(index, size)


@pytest.mark.parametrize(("old", "new"), [(0, 4), (5, 4), (1, 2**63)])
def test_there_is_no_consistency_proof_outside_the_tree(old, new):
    with pytest.raises(ProofError):
        consistency_ranges(old, new)
