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
from gateway.audit.merkle import leaf_hash
from gateway.audit.note import NoteSigner
from gateway.audit.ports import IdempotencyClaim, LogStore, PendingEntry
from gateway.base.clock import Millis
from gateway.base.crypto import Ed25519Signer
from gateway.base.onetime import OneTimeId
from gateway.base.secret import Secret

ORIGIN = "audit.test.example/log1"
CREDENTIAL = "k" * 43
DAY = dt.datetime.now(dt.UTC).date()
_numbers = itertools.count()


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
    leaf = b'{"n":%d}' % (next(_numbers) if number is None else number)
    digest = claim if claim is not None else hashlib.sha256(leaf + b"claim").digest()[:16]
    verification_id = f"ver_{next(_numbers)}"
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
        salt=bytes(32),
        key_id=1,
        sealed=b"",
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
