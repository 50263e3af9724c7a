"""Entries for the audit commit, and a committer that runs for the length of a block."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.audit.checkpoint import CheckpointSigner
from gateway.audit.committer import BatchGuardian, Committer, Pace
from gateway.audit.entry import LeafFields, LeafKind, encode_leaf
from gateway.audit.merkle import leaf_hash
from gateway.audit.note import NoteSigner
from gateway.audit.plaintext import NOTHING, seal_plaintext
from gateway.audit.ports import IdempotencyClaim, LogStore, PendingEntry
from gateway.base.clock import Millis, SystemClock, rfc3339
from gateway.base.crypto import Ed25519Signer
from gateway.base.onetime import OneTimeId
from gateway.base.sealing import Sealer
from gateway.base.secret import Secret

ORIGIN = "audit.test.example/log1"
CREDENTIAL = "k" * 43
DAY = dt.datetime.now(dt.UTC).date()
SEALER = Sealer({1: Secret(b"\x05" * 32)}, current=1)
_numbers = itertools.count()


def make_leaf(index: int, **members: object) -> bytes:
    """Return the leaf of a call that named no credential and kept no plaintext."""
    req_id = hashlib.sha256(b"request %d" % index).hexdigest()[:32]
    values = {
        "decision": "allow:clear",
        "kind": LeafKind.QUERY,
        "id": f"ver_{index}",
        "purpose": "risk",
        "req_id": req_id,
    }
    fixed = {"gw": "gw", "log": ORIGIN, "n": 1, "op": "verify", "partner": "prt_1", "status": 200}
    return encode_leaf(LeafFields(**(fixed | values | {"ts": "2026-01-01T12:00:00.000Z"} | members)))


class NoMetrics:
    def batch_committed(self, entries: int, seconds: float) -> None:
        pass

    def batch_failed(self, reason: str) -> None:
        pass


def make_signer() -> CheckpointSigner:
    return CheckpointSigner(NoteSigner(ORIGIN, Ed25519Signer(Secret(b"\x01" * 32))))


def make_entry(
    *,
    claim: bytes | None = None,
    credential: str | None = None,
    idempotency: str | None = None,
    number: int | None = None,
) -> PendingEntry:
    unique = next(_numbers) if number is None else number
    digest = claim if claim is not None else hashlib.sha256(b"claim %d" % unique).digest()[:16]
    verification_id = f"ver_{next(_numbers)}"
    leaf = make_leaf(unique, id=verification_id, req_id=digest.hex(), ts=rfc3339(SystemClock().now_ms()))
    salt = hashlib.sha256(b"salt %d" % unique).digest()
    kept = None
    if idempotency is not None:
        kept = IdempotencyClaim(
            partner_id="prt_1",
            operation="verify",
            key_hash=hashlib.sha256(idempotency.encode()).digest(),
            body_hash=bytes(32),
            verification_id=verification_id,
            created_ms=Millis(1_000_000),
        )
    return PendingEntry(
        leaf=leaf,
        leaf_hash=leaf_hash(leaf),
        kind="query",
        operation="verify",
        decision="allow:clear",
        salt=salt,
        key_id=1,
        sealed=seal_plaintext(SEALER, NOTHING, leaf_hash(leaf), salt),
        partner_id="prt_1",
        purpose="risk",
        verification_id=verification_id,
        claims=(OneTimeId(DAY, digest),),
        credential=credential,
        idempotency=kept,
    )


@asynccontextmanager
async def running(store: LogStore, guardian: BatchGuardian, pace: Pace | None = None) -> AsyncIterator[Committer]:
    committer = Committer(store, guardian, NoMetrics(), writer="test/0", pace=pace or Pace(linger_s=0.0))
    task = asyncio.create_task(committer.run())
    try:
        yield committer
    finally:
        committer.close()
        await task
