"""Any tree, any batch sizes, any two sizes: ours equals the recursive definition, and nothing spoilt verifies."""

import contextlib
import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audit.merkle import EMPTY_FRONTIER, Frontier, grow, leaf_hash
from gateway.audit.proofs import ProofError, root_from_inclusion, verify_consistency, verify_inclusion
from gateway.audit.tiles import StoredTree, TileAddress, TilePathError, parse_tile_path
from tests.fakes.memory_log import MemoryLog, make_leaves
from tests.fakes.reference_tree import mth, path, proof

HASHES = [leaf_hash(leaf) for leaf in make_leaves(1500)]
DIGEST = st.binary(min_size=32, max_size=32)


@functools.cache
def root(size):
    return mth(HASHES[:size])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=5))
def test_batches_of_any_size_grow_the_defined_tree(sizes):
    log = MemoryLog()
    for size in sizes:
        before = log.frontier.size
        appended = log.append(make_leaves(size, before))

        assert appended.root == root(before + size)
        assert Frontier.from_bytes(before + size, appended.frontier.to_bytes()) == appended.frontier
        for index, found in zip(range(before, before + size), appended.growth.hash_paths(), strict=True):
            verify_inclusion(leaf_hash=HASHES[index], index=index, size=before + size, path=found, root=appended.root)


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_any_inclusion_proof_verifies_and_no_changed_one_does(data):
    size = data.draw(st.integers(1, 600))
    index = data.draw(st.integers(0, size - 1))
    good = path(index, HASHES[:size])
    verify_inclusion(leaf_hash=HASHES[index], index=index, size=size, path=good, root=root(size))

    changed = data.draw(
        st.lists(st.sampled_from([*good, HASHES[0], bytes(32)]) | DIGEST, max_size=12).filter(
            lambda found: found != good
        )
    )

    with pytest.raises(ProofError):
        verify_inclusion(leaf_hash=HASHES[index], index=index, size=size, path=changed, root=root(size))


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_any_consistency_proof_verifies_and_no_changed_one_does(data):
    new = data.draw(st.integers(2, 600))
    old = data.draw(st.integers(1, new - 1))
    good = proof(old, HASHES[:new])
    verify_consistency(old_size=old, old_root=root(old), new_size=new, new_root=root(new), path=good)

    changed = data.draw(
        st.lists(st.sampled_from([*good, root(old), root(new)]) | DIGEST, max_size=12).filter(
            lambda found: found != good
        )
    )

    with pytest.raises(ProofError):
        verify_consistency(old_size=old, old_root=root(old), new_size=new, new_root=root(new), path=changed)


@given(
    leaf=st.binary(max_size=40),
    index=st.integers(-2, 2**64),
    size=st.integers(-2, 2**64),
    hashes=st.lists(st.binary(max_size=40) | DIGEST, max_size=70),
)
def test_verification_is_total(leaf, index, size, hashes):
    """Whatever a stranger sends: a root or a refusal, nothing else."""
    with contextlib.suppress(ProofError):
        assert len(root_from_inclusion(leaf_hash=leaf, index=index, size=size, path=hashes)) == 32
    with pytest.raises(ProofError):
        verify_consistency(old_size=index, old_root=leaf, new_size=size, new_root=HASHES[0], path=hashes)


@functools.cache
def stored_log():
    log = MemoryLog()
    for size in [37, 463, 12, 600, 388]:
        log.append(make_leaves(size, log.frontier.size))
    return log


@settings(deadline=None, max_examples=60)
@given(st.data())
async def test_stored_tiles_give_the_defined_proofs(data):
    log = stored_log()
    tree = StoredTree(log, log.frontier.size)
    size = data.draw(st.integers(1, log.frontier.size))
    index = data.draw(st.integers(0, size - 1))

    assert await tree.root(size) == root(size)
    assert await tree.inclusion(index, size) == path(index, HASHES[:size])
    assert await tree.consistency(index + 1, size) == proof(index + 1, HASHES[:size])


@given(st.integers(1, 10**7), st.integers(1, 300))
def test_growth_agrees_with_one_leaf_at_a_time(size, count):
    """From any edge, a batch gives the same tree as its leaves one by one."""
    edge = Frontier(size, tuple(leaf_hash(bytes([at])) for at in range(size.bit_count())))
    step = edge
    for digest in HASHES[:count]:
        step = grow(step, [digest]).after

    assert grow(edge, HASHES[:count]).after == step


@given(st.integers(0, 63), st.integers(0, 2**63 - 1), st.integers(1, 256))
def test_every_tile_address_has_one_path(level, index, width):
    address = TileAddress(level, index, width)

    assert parse_tile_path(str(address)) == address


@given(st.from_regex(r"tile/[0-9]{1,2}/(x?[0-9]{3}/)*[0-9]{3}(\.p/[0-9]{1,3})?", fullmatch=True) | st.text(max_size=40))
def test_a_tile_path_that_is_read_is_the_only_spelling(text):
    with contextlib.suppress(TilePathError):
        assert str(parse_tile_path(text)) == text


def test_the_empty_frontier_grows_like_any_other():
    assert grow(EMPTY_FRONTIER, HASHES[:5]).root == root(5)
