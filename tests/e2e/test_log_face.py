"""The public face of the log: what anyone can fetch proves the whole tree, and nothing else can be fetched.

Every hash is recomputed here from the tiles alone, with RFC 9162's own recursion, not with the gateway's code.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.audit.merkle import leaf_hash
from gateway.audit.proofs import verify_consistency, verify_inclusion
from gateway.audit.receipt import verify_receipt
from gateway.audit.tlog_proof import parse_tlog_proof
from gateway.base.canonical import canonical_json
from gateway.base.codec import parse_b64
from tests.conftest import ORIGIN, fresh_database
from tests.fakes import gateway as kit
from tests.fakes.entries import make_entry
from tests.fakes.gateway import Gateway, PartnerClient, RawAnswer, running_gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILLED = 700
"""Two full tiles, a partial one, and a partial tile of level 1."""
WIDTH = 256


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(postgres, tmp_path_factory) -> AsyncIterator[Gateway]:
    """A gateway whose log has grown in uneven batches, through its own committer."""
    database = await fresh_database(postgres)
    async with running_gateway(database, tmp_path_factory.mktemp("gateway")) as running:
        submit = running.worker.committer.submit
        for count in (1, 2, 13, 250, FILLED - 266):
            await asyncio.gather(*(submit(make_entry()) for _ in range(count)))
        yield running
    await postgres.drop_database(database.name)


@pytest_asyncio.fixture(loop_scope="module")
async def anyone(gateway) -> PartnerClient:
    """Somebody without any credentials."""
    return PartnerClient(gateway.session, gateway.base, gateway.settings.issuer, "nobody", kit.SigningKey.generate())


def tree_hash(hashes: list[bytes]) -> bytes:
    """RFC 9162 section 2.1.1, over leaf hashes."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + tree_hash(hashes[:split]) + tree_hash(hashes[split:])).digest()


async def fetch(client: PartnerClient, path: str) -> RawAnswer:
    return await client.raw("GET", f"/v1/log/{path}")


async def checkpoint(gateway: Gateway, client: PartnerClient) -> tuple[int, bytes]:
    """The size and root that the gateway's key vouches for now."""
    answer = await fetch(client, "checkpoint")
    opened = gateway.policy.open_checkpoint(answer.body).checkpoint
    return opened.size, opened.root


def chunks(raw: bytes) -> list[bytes]:
    return [raw[at : at + 32] for at in range(0, len(raw), 32)]


async def read_level(client: PartnerClient, level: int, count: int) -> list[bytes]:
    """All hashes of one level of tiles, full tiles and the partial one."""
    hashes: list[bytes] = []
    for index in range(-(-count // WIDTH)):
        width = min(WIDTH, count - index * WIDTH)
        partial = "" if width == WIDTH else f".p/{width}"
        answer = await fetch(client, f"tile/{level}/{index:03d}{partial}")
        assert (answer.status, len(answer.body)) == (200, width * 32)
        hashes += chunks(answer.body)
    return hashes


async def test_the_checkpoint_opens_with_the_policy(gateway, anyone):
    """A signed note (c2sp.org/tlog-checkpoint) whose first line is the origin, opened with nothing but the log policy."""
    answer = await fetch(anyone, "checkpoint")

    size, _root = await checkpoint(gateway, anyone)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.body.startswith(f"{ORIGIN}\n{size}\n".encode())
    assert size == await gateway.ask("SELECT size FROM audit.head") >= FILLED


async def test_the_tiles_hash_up_to_the_root(gateway, anyone):
    """Leaf hashes of level 0 give the root of the checkpoint, partial tile included, and every level is made from the one below."""
    size, root = await checkpoint(gateway, anyone)
    leaves = await read_level(anyone, 0, size)
    parents = await read_level(anyone, 1, size // WIDTH)

    assert len(leaves) == size
    assert tree_hash(leaves) == root
    assert parents == [tree_hash(leaves[at : at + WIDTH]) for at in range(0, size // WIDTH * WIDTH, WIDTH)]


async def test_full_tiles_never_change_and_partial_ones_briefly_hold(gateway, anyone):
    """A full tile may be cached for ever; a partial one, a beginning of the full one, may not."""
    size, _root = await checkpoint(gateway, anyone)
    full = await fetch(anyone, "tile/0/000")
    beginning = await fetch(anyone, "tile/0/000.p/7")
    partial = await fetch(anyone, f"tile/0/{size // WIDTH:03d}.p/1")

    assert "immutable" in full.headers["Cache-Control"]
    assert beginning.body == full.body[: 7 * 32]
    assert "immutable" not in partial.headers["Cache-Control"]
    assert {one.headers["Content-Type"] for one in (full, partial)} == {"application/octet-stream"}


@pytest.mark.parametrize("index", [0, 1, 2, 15, 255, 256, 511, 512, 699])
async def test_inclusion_proofs_verify(gateway, anyone, index):
    """The proof of any leaf leads to the root of the checkpoint it carries, at the head and at an earlier size."""
    size, root = await checkpoint(gateway, anyone)
    leaves = await read_level(anyone, 0, size)

    for wanted in (size, FILLED, index + 1):
        answer = await fetch(anyone, f"proofs/inclusion?index={index}&size={wanted}")
        proof = parse_tlog_proof(answer.body)
        vouched = gateway.policy.open_checkpoint(proof.checkpoint).checkpoint
        assert (proof.index, vouched.size, vouched.root) == (index, wanted, tree_hash(leaves[:wanted]))
        verify_inclusion(
            leaf_hash=leaves[index], index=index, size=wanted, path=proof.path, root=tree_hash(leaves[:wanted])
        )
    latest = parse_tlog_proof((await fetch(anyone, f"proofs/inclusion?index={index}")).body)
    assert gateway.policy.open_checkpoint(latest.checkpoint).checkpoint.root == root


@pytest.mark.parametrize(("old", "new"), [(1, 2), (3, 700), (255, 256), (256, 512), (512, 700), (699, 700), (700, 700)])
async def test_consistency_proofs_verify(anyone, old, new):
    """The tree of an earlier size is a prefix of the later one."""
    leaves = await read_level(anyone, 0, FILLED)

    answer = (await fetch(anyone, f"proofs/consistency?from={old}&to={new}")).json

    assert (answer["from"], answer["to"]) == (old, new)
    path = [parse_b64(text) for text in answer["hashes"]]
    verify_consistency(
        old_size=old, old_root=tree_hash(leaves[:old]), new_size=new, new_root=tree_hash(leaves[:new]), path=path
    )


async def test_an_empty_tree_is_a_prefix_of_every_tree(anyone):
    """From size 0 there is nothing to prove."""
    assert (await fetch(anyone, "proofs/consistency?from=0&to=700")).json["hashes"] == []


async def test_an_answer_is_in_the_tree_that_anyone_sees(gateway, anyone):
    """The leaf of a receipt is the leaf hash of the public tile, and the receipt's tree is a prefix of the public tree."""
    partner = await gateway.partner(f"partner-{secrets.token_hex(6)}")
    _status, _headers, answer = await partner.verify(kit.CLEAR)
    proven = verify_receipt(canonical_json(answer), gateway.policy)
    proof = parse_tlog_proof(answer["receipt"]["proof"].encode())
    then = gateway.policy.open_checkpoint(proof.checkpoint).checkpoint
    await partner.verify(kit.CLEAR)

    size, root = await checkpoint(gateway, anyone)
    leaves = await read_level(anyone, 0, size)
    path = (await fetch(anyone, f"proofs/consistency?from={then.size}&to={size}")).json["hashes"]

    assert proven.answer_checked
    assert leaves[proof.index] == leaf_hash(parse_b64(answer["receipt"]["leaf"]))
    verify_consistency(
        old_size=then.size,
        old_root=then.root,
        new_size=size,
        new_root=root,
        path=[parse_b64(text) for text in path],
    )


async def test_both_workers_show_the_same_log(gateway, anyone):
    """Whichever worker one asks: the same checkpoint, byte for byte, and the same tiles."""
    async with gateway.second_worker() as base:
        there = anyone.at(base)
        for path in ("checkpoint", "tile/0/001", "proofs/inclusion?index=5&size=600"):
            assert (await fetch(anyone, path)).body == (await fetch(there, path)).body


@pytest.mark.parametrize(
    "path", ["tile/entries/000", "tile/entries/000.p/1", "tile/entries/x001/000", "entries/0", "leaf/0"]
)
async def test_entries_are_not_public(anyone, path):
    """A leaf names partner and purpose: bundles are 404 like what does not exist."""
    answer = await fetch(anyone, path)

    assert (answer.status, answer.json["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/999",
        "tile/0/002.p/255",
        "tile/1/000",
        "tile/1/000.p/200",
        "tile/2/000.p/1",
        "tile/8/000",
        "tile/63/000.p/1",
        "tile/0/x001/000",
        "tile/0/0",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/x000/001",
        "tile/00/000",
        "tile/-1/000",
        "proofs/inclusion?index=100000",
        "proofs/inclusion?index=5&size=100000",
        "proofs/inclusion?index=5&size=5",
        "proofs/inclusion?index=9223372036854775807",
        "proofs/consistency?from=5&to=100000",
        "proofs/consistency?from=9&to=5",
        "proofs/nothing",
    ],
)
async def test_what_the_log_has_not_is_not_found(anyone, path):
    """Beyond the head, misspelt or out of range: 404, never an error of ours."""
    answer = await fetch(anyone, path)

    assert (answer.status, answer.json["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("inclusion", "required"),
        ("inclusion?index=-1", "not_a_number"),
        ("inclusion?index=1e3", "not_a_number"),
        ("inclusion?index=1&index=2", "repeated"),
        ("inclusion?index=01", "not_a_number"),
        ("inclusion?index=10000000000000000000", "not_a_number"),
        ("consistency?from=1", "required"),
        ("consistency?from=&to=2", "not_a_number"),
    ],
)
async def test_bad_numbers_are_named(anyone, query, fault):
    """400 with the parameter and what is wrong with it."""
    answer = await fetch(anyone, f"proofs/{query}")

    assert (answer.status, answer.json["code"]) == (400, "invalid_request")
    assert fault in {one["code"] for one in answer.json["errors"]}
