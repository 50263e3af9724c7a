"""RFC 6962 section 2.1, word for word: slow, recursive, and written without looking at ours."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def mth(leaf_hashes: Sequence[bytes]) -> bytes:
    """MTH over leaf hashes."""
    if not leaf_hashes:
        return hashlib.sha256(b"").digest()
    if len(leaf_hashes) == 1:
        return leaf_hashes[0]
    k = split(len(leaf_hashes))
    return hashlib.sha256(b"\x01" + mth(leaf_hashes[:k]) + mth(leaf_hashes[k:])).digest()


def path(m: int, leaf_hashes: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n])."""
    if len(leaf_hashes) == 1:
        return []
    k = split(len(leaf_hashes))
    if m < k:
        return [*path(m, leaf_hashes[:k]), mth(leaf_hashes[k:])]
    return [*path(m - k, leaf_hashes[k:]), mth(leaf_hashes[:k])]


def proof(m: int, leaf_hashes: Sequence[bytes]) -> list[bytes]:
    """PROOF(m, D[n])."""
    return _subproof(m, leaf_hashes, whole=True)


def _subproof(m: int, leaf_hashes: Sequence[bytes], *, whole: bool) -> list[bytes]:
    n = len(leaf_hashes)
    if m == n:
        return [] if whole else [mth(leaf_hashes)]
    k = split(n)
    if m <= k:
        return [*_subproof(m, leaf_hashes[:k], whole=whole), mth(leaf_hashes[k:])]
    return [*_subproof(m - k, leaf_hashes[k:], whole=False), mth(leaf_hashes[:k])]


def split(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k
