"""T18: what proofs cost when the log is long.

A log of 10,000,000 leaves is written as its tiles (the leaves themselves have no part in a proof, but for the last, partial
tile) and inclusion proofs of random leaves are made through the store and verified. A second log of 1,000,000 whole leaves, with
batches and tiles, is re-derived from its leaves as ``audit fsck`` does: the tree, not what stands beside each leaf. Both are filled
by COPY; filling is not measured.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import random
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bench import machine
from bench.database import connected, copy
from bench.stats import Spread, percentile, spread
from gateway.audit.batch_mac import BatchMac, TreePoint
from gateway.audit.fsck_report import Faults
from gateway.audit.fsck_tree import TreeWalk
from gateway.audit.merkle import EMPTY_FRONTIER, TILE_HEIGHT, TILE_WIDTH, Frontier, FullTile, leaf_hash, perfect_root
from gateway.audit.proofs import verify_inclusion
from gateway.audit.readers import StoredEntry
from gateway.audit.tiles import StoredTree
from gateway.base.secret import Secret
from gateway.postgres.fsck_reader import PostgresFsckReader
from gateway.postgres.log_reader import PostgresLogReader
from gateway.postgres.migrate import ensure_log
from gateway.postgres.pool import Target, open_pool
from gateway.postgres.queries import Queries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.world import World

LONG_LOG: Final = 2
WHOLE_LOG: Final = 3
BATCH: Final = 128
PROOFS: Final = 2000
LEAF_FILLER: Final = "x" * 560
_TILES_A_JOB: Final = 256
_ENTRY: Final = ["log_id", "leaf_index", "logged_at", "leaf_hash", "leaf", "kind", "op", "decision"]
_TILE: Final = ["log_id", "level", "idx", "hashes", "root"]
_BATCH: Final = ["log_id", "size", "prev_size", "root", "ts", "writer", "mac"]
_ORIGIN: Final = "audit.bench.example/whole"
_MAC: Final = BatchMac(Secret(b"\x01" * 32), _ORIGIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofCost:
    """Milliseconds of an inclusion proof: spread of five runs' medians, and the 99th percentile of all."""

    median_ms: Spread
    p99_ms: float


async def proof_cost(world: World, cores: machine.Cores, leaves: int) -> ProofCost:
    """Write a log of so many leaves and time inclusion proofs from it."""
    async with connected(world.database) as connection:
        await ensure_log(connection, LONG_LOG, "audit.bench.example/long")
        await _write_long_log(connection, leaves)
    machine.pin(cores.service)
    pool = await open_pool(Target(dsn=Secret(world.database.encode()), application_name="bench-trees"))
    try:
        tree = StoredTree(PostgresLogReader(pool, Queries.load("audit"), log_id=LONG_LOG), leaves)
        return await _time_proofs(tree, leaves)
    finally:
        await pool.close()
        machine.pin(cores.other)


async def _time_proofs(tree: StoredTree, leaves: int) -> ProofCost:
    root = await tree.root(leaves)
    chosen = random.Random(18)
    medians, all_ms = [], []
    for _ in range(5):
        run_ms = []
        for _ in range(PROOFS // 5):
            index = chosen.randrange(leaves)
            started = time.perf_counter()
            path = await tree.inclusion(index, leaves)
            run_ms.append((time.perf_counter() - started) * 1e3)
            verify_inclusion(leaf_hash=_short_leaf_hash(index), index=index, size=leaves, path=path, root=root)
        medians.append(percentile(sorted(run_ms), 0.5))
        all_ms += run_ms
    return ProofCost(median_ms=spread(medians), p99_ms=percentile(sorted(all_ms), 0.99))


async def _write_long_log(connection: Any, leaves: int) -> None:
    """1. Tiles of level 0, hashed on all cores. 2. Tiles above from their roots. 3. The leaves of the last, partial tile. 4. The head."""
    # 1
    roots: list[bytes] = []
    full = leaves // TILE_WIDTH
    with ProcessPoolExecutor(initializer=_use_all_cores) as pool:
        jobs = [range(first, min(first + _TILES_A_JOB, full)) for first in range(0, full, _TILES_A_JOB)]
        for made in pool.map(_hash_tiles, jobs):
            await copy(connection, "audit.tile", _TILE, [(LONG_LOG, 0, at, hashes, root) for at, hashes, root in made])
            roots += [root for _, _, root in made]
    # 2
    level = 1
    while len(roots) >= TILE_WIDTH:
        chunks = [roots[at : at + TILE_WIDTH] for at in range(0, len(roots) - TILE_WIDTH + 1, TILE_WIDTH)]
        rows = [(LONG_LOG, level, at, b"".join(chunk), perfect_root(chunk)) for at, chunk in enumerate(chunks)]
        await copy(connection, "audit.tile", _TILE, rows)
        roots = [row[4] for row in rows]
        level += 1
    # 3
    now = dt.datetime.now(dt.UTC)
    rest = [
        (LONG_LOG, index, now, _short_leaf_hash(index), _short_leaf(index), "query", "bench", "allow")
        for index in range(full * TILE_WIDTH, leaves)
    ]
    await copy(connection, "audit.entry", _ENTRY, rest)
    # 4
    await connection.execute("ANALYZE audit.tile")


async def rederive_seconds(world: World, cores: machine.Cores, leaves: int) -> float:
    """Write a log of so many whole leaves, with batches and tiles, and time its full re-derivation from the database."""
    async with connected(world.database) as connection:
        await ensure_log(connection, WHOLE_LOG, _ORIGIN)
        await _write_whole_log(connection, leaves)
        await connection.execute("ANALYZE audit.entry")
    machine.pin(cores.service)
    pool = await open_pool(Target(dsn=Secret(world.database.encode()), application_name="bench-trees"))
    try:
        started = time.perf_counter()
        reader = PostgresFsckReader(pool, Queries.load(), log_id=WHOLE_LOG)
        walk = TreeWalk(reader=reader, head=await reader.head(), faults=Faults(), mac=_MAC)
        await walk.walk(_nothing_beside, lambda _leaves: None)
        walk.compare_head()
        seconds = time.perf_counter() - started
    finally:
        await pool.close()
        machine.pin(cores.other)
    if walk.faults.found or walk.frontier.size != leaves:
        msg = f"the log that was written does not re-derive: {walk.faults.found}"
        raise SystemExit(msg)
    return seconds


async def _nothing_beside(_page: Sequence[StoredEntry]) -> None:
    """The log that is timed has leaves and a tree, and no secrets."""


async def _write_whole_log(connection: Any, leaves: int) -> None:
    now = dt.datetime.now(dt.UTC)
    frontier = EMPTY_FRONTIER
    entries: list[tuple[object, ...]] = []
    tiles: list[FullTile] = []
    batches: list[tuple[object, ...]] = []
    open_tiles: dict[int, list[bytes]] = {}
    for chunk in _batches_of_leaves(leaves):
        hashes = [leaf_hash(leaf) for leaf in chunk]
        before = TreePoint(frontier.size, frontier.root)
        first = frontier.size
        entries += [
            (WHOLE_LOG, index, now, digest, leaf, "query", "bench", "allow")
            for index, (digest, leaf) in enumerate(zip(hashes, chunk, strict=True), start=first)
        ]
        frontier, completed = _append(frontier, hashes, open_tiles)
        tiles += completed
        mac = _MAC.make(before, TreePoint(frontier.size, frontier.root))
        batches.append((WHOLE_LOG, frontier.size, first, frontier.root, now, "bench", mac))
        if len(entries) >= 20_000 or frontier.size == leaves:
            await copy(connection, "audit.entry", _ENTRY, entries)
            entries.clear()
    rows = [(WHOLE_LOG, tile.level, tile.index, tile.hashes, tile.root) for tile in tiles]
    await copy(connection, "audit.tile", _TILE, rows)
    await copy(connection, "audit.batch", _BATCH, batches)
    await connection.execute(
        "UPDATE audit.head SET size = $2, root = $3, frontier = $4, ts = $5 WHERE log_id = $1",
        WHOLE_LOG, frontier.size, frontier.root, frontier.to_bytes(), now,
    )  # fmt: skip


def _append(
    frontier: Frontier, hashes: list[bytes], open_tiles: dict[int, list[bytes]]
) -> tuple[Frontier, tuple[FullTile, ...]]:
    """Append as the committer does; what it would read of an unfinished tile is remembered here."""
    plan = frontier.plan(len(hashes))
    grown = plan.append(hashes, [open_tiles[gap.level][-gap.count :] for gap in plan.missing])
    open_tiles.setdefault(0, []).extend(hashes)
    for tile in grown.tiles:
        open_tiles.setdefault(tile.level + 1, []).append(tile.root)
    for level, kept in open_tiles.items():
        del kept[: len(kept) - (frontier.size + len(hashes) >> (TILE_HEIGHT * level)) % TILE_WIDTH]
    return grown.frontier, grown.tiles


def _batches_of_leaves(leaves: int) -> Iterator[list[bytes]]:
    for first in range(0, leaves, BATCH):
        yield [
            f'{{"n":{index},"salt":"{os.urandom(16).hex()}","rest":"{LEAF_FILLER}"}}'.encode("ascii")
            for index in range(first, min(first + BATCH, leaves))
        ]


def _hash_tiles(tiles: range) -> list[tuple[int, bytes, bytes]]:
    """Return index, hashes and root of some tiles of the long log."""
    made = []
    for tile in tiles:
        hashes = [_short_leaf_hash(index) for index in range(tile * TILE_WIDTH, (tile + 1) * TILE_WIDTH)]
        made.append((tile, b"".join(hashes), perfect_root(hashes)))
    return made


def _short_leaf(index: int) -> bytes:
    return index.to_bytes(8, "big")


def _short_leaf_hash(index: int) -> bytes:
    return hashlib.sha256(b"\x00" + _short_leaf(index)).digest()


def _use_all_cores() -> None:
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
