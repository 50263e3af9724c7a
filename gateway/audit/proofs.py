"""Inclusion and consistency proofs: what they consist of, and their verification.

For: every check that a leaf is in a tree and that a tree is a prefix of another; the ranges of leaves whose hashes
make a proof.
Not for: reading those hashes (``tiles``), the proofs of a fresh batch (``merkle.Growth.paths``).
Source: RFC 9162 sections 2.1.3.2 and 2.1.4.2 for verification, 2.1.3.1 and 2.1.4.1 for construction.

Corners that the RFC leaves open are refused here: a hash that has not 32 bytes, a size above 2^63-1, an index not
below the size, a consistency proof from size 0 (any tree extends the empty one, so such a proof proves nothing).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from gateway.audit.merkle import HASH_BYTES, MAX_SIZE, node_hash

MAX_PROOF_HASHES: Final = 64
"""An inclusion path in the largest tree has 63 hashes, a consistency proof 64 with its starting subtree."""


class ProofError(ValueError):
    """A proof does not prove what it was given for; ``args[0]`` is a short machine word."""


class LeafRange(NamedTuple):
    """The leaves ``[first, end)``; their hash is one part of a proof."""

    first: int
    end: int


def verify_inclusion(*, leaf_hash: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Return if the path leads from the leaf hash at an index to the root of a tree of that size.

    Raise ``ProofError`` otherwise.
    """
    if root_from_inclusion(leaf_hash=leaf_hash, index=index, size=size, path=path) != _checked(root):
        raise ProofError("root_mismatch")


def root_from_inclusion(*, leaf_hash: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the root to which a path leads (RFC 9162 section 2.1.3.2).

    Raise ``ProofError`` if it has the wrong length.
    """
    _check_size(size)
    if not 0 <= index < size:
        raise ProofError("index_out_of_range")
    fn, sn = index, size - 1
    root = _checked(leaf_hash)
    for sibling in _checked_path(path):
        if sn == 0:
            raise ProofError("path_too_long")
        if fn & 1 or fn == sn:
            root = node_hash(sibling, root)
            # A node at the right edge without a sibling at this height rises until it has one.
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            root = node_hash(root, sibling)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise ProofError("path_too_short")
    return root


def verify_consistency(
    *, old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]
) -> None:
    """Return if the tree of the old size is a prefix of the tree of the new size; raise ``ProofError`` otherwise.

    RFC 9162 section 2.1.4.2. Equal sizes need an empty path and equal roots. An old size of 0 is refused.
    """
    _check_size(new_size)
    if not 0 < old_size <= new_size:
        raise ProofError("size_out_of_range")
    _checked(old_root)
    _checked(new_root)
    if old_size == new_size:
        if path:
            raise ProofError("path_too_long")
        if old_root != new_root:
            raise ProofError("root_mismatch")
        return
    # Where the old tree is itself a perfect subtree of the new one, its root starts the path without being sent.
    full = [old_root, *_checked_path(path)] if old_size & (old_size - 1) == 0 else list(_checked_path(path))
    if not full:
        raise ProofError("path_too_short")
    if _consistent_roots(full, old_size - 1, new_size - 1) != (old_root, new_root):
        raise ProofError("root_mismatch")


def _consistent_roots(path: Sequence[bytes], fn: int, sn: int) -> tuple[bytes, bytes]:
    """Return the old and the new root to which a path leads (steps 3 to 7 of RFC 9162 section 2.1.4.2)."""
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if sn == 0:
            raise ProofError("path_too_long")
        if fn & 1 or fn == sn:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            new = node_hash(new, sibling)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise ProofError("path_too_short")
    return old, new


def inclusion_ranges(index: int, size: int) -> list[LeafRange]:
    """Return the ranges whose hashes are the inclusion path of a leaf, its sibling first (RFC 9162 section 2.1.3.1)."""
    _check_size(size)
    if not 0 <= index < size:
        raise ProofError("index_out_of_range")
    first, end = 0, size
    ranges: list[LeafRange] = []
    while end - first > 1:
        middle = first + _split(end - first)
        if index < middle:
            ranges.append(LeafRange(middle, end))
            end = middle
        else:
            ranges.append(LeafRange(first, middle))
            first = middle
    return ranges[::-1]


def consistency_ranges(old_size: int, new_size: int) -> list[LeafRange]:
    """Return the ranges whose hashes are the consistency proof between two sizes (RFC 9162 section 2.1.4.1).

    Sizes count from 1.
    """
    _check_size(new_size)
    if not 0 < old_size <= new_size:
        raise ProofError("size_out_of_range")
    first, end = 0, new_size
    ranges: list[LeafRange] = []
    while end != old_size:
        middle = first + _split(end - first)
        if old_size <= middle:
            ranges.append(LeafRange(middle, end))
            end = middle
        else:
            ranges.append(LeafRange(first, middle))
            first = middle
    if first:  # otherwise the old tree is this very subtree, whose hash the verifier has
        ranges.append(LeafRange(first, end))
    return ranges[::-1]


def _split(count: int) -> int:
    """Return the largest power of two below a count of at least 2."""
    return 1 << (count - 1).bit_length() - 1


def _check_size(size: int) -> None:
    if not 0 <= size <= MAX_SIZE:
        raise ProofError("size_out_of_range")


def _checked(digest: bytes) -> bytes:
    # Not in the RFC's text: without it an empty "hash" passes through the arithmetic and only fails by luck.
    if len(digest) != HASH_BYTES:
        raise ProofError("hash_length")
    return digest


def _checked_path(path: Sequence[bytes]) -> Sequence[bytes]:
    if len(path) > MAX_PROOF_HASHES:
        raise ProofError("path_too_long")
    for digest in path:
        _checked(digest)
    return path
