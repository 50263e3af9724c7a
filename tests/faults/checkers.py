"""Offline checkers: what a history of answers and the stored log must say together, whatever happened in between.

I1 every answer has its leaf; I2 no gap, no fork; I3 receipts verify; I6 no proof is answered twice; I7 one idempotency key, one verdict.
They read the history's file and the database only, so they judge what a partner and an auditor could judge.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from gateway.audit.batch_mac import BatchMac
from gateway.audit.fsck import Checks, fsck
from gateway.audit.fsck_report import FsckReport
from gateway.audit.policy import Policy
from gateway.audit.receipt import VerifiedReceipt, verify_receipt
from gateway.base.canonical import parse_json_object
from gateway.base.codec import parse_b64
from gateway.base.host_keys import BATCH_MAC, SEALING
from gateway.base.sealing import Sealer
from gateway.base.secret import Secret
from gateway.postgres.fsck_reader import PostgresFsckReader
from gateway.postgres.queries import Queries
from gateway.verification.registrations import RULES
from tests.conftest import LOG_ID, ORIGIN, Database
from tests.fakes.entries import SEALER
from tests.fakes.guard import make_batch_mac
from tests.fakes.load import parse_history


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was checked: answers of the history, leaves of the log, and leaves of answers that nobody received."""

    answers: int
    leaves: int
    unanswered: int


def checks_of(home: Path | None) -> Checks:
    """Return what a host whose keys lie in ``home/keys`` knows of its log; None: the host of ``tests.fakes.entries``."""
    today = dt.datetime.now(dt.UTC).date()
    mac, sealer = make_batch_mac(), SEALER
    if home is not None:
        secret = {name: Secret(bytes.fromhex((home / "keys" / name).read_text())) for name in (BATCH_MAC, SEALING)}
        mac, sealer = BatchMac(secret[BATCH_MAC], ORIGIN), Sealer({1: secret[SEALING]}, current=1)
    return Checks(origin=ORIGIN, batch_mac=mac, sealer=sealer, today=today, shallow=False, against=(), holders=RULES)


async def check_log(database: Database, home: Path | None = None) -> FsckReport:
    """Check the whole log and what stands beside it; every index from 0 is there once."""
    pool = await asyncpg.create_pool(database.dsn, min_size=1, max_size=1)
    try:
        report = await fsck(PostgresFsckReader(pool, Queries.load(), log_id=LOG_ID), checks_of(home))
        row = await pool.fetchrow("SELECT count(*) AS n, coalesce(max(leaf_index) + 1, 0) AS next FROM audit.entry")
    finally:
        await pool.close()
    assert report.clean, report.faults
    assert (row["n"], row["next"]) == (report.head_size, report.head_size)
    return report


async def check_history(file: Path, database: Database, policy: Policy, home: Path) -> Checked:
    """Judge a history against the log."""
    report = await check_log(database, home)
    lines = parse_history(file)
    answers = [line for line in lines if line["status"] == 200]
    assert not [line for line in lines if line["status"] >= 500 and line["status"] != 503], "a defect was answered"
    assert all("retry_after" in line for line in lines if line["status"] == 503), "a 503 without Retry-After"
    _check_proofs(answers)
    _check_keys(answers)
    stored, roots = await _read_log(database)
    for answer in answers:
        _check_answer(answer, policy, stored, roots)
    queries = [leaf for leaf in stored.values() if leaf["kind"] == "query"]
    known = {parse_json_object(answer["document"].encode())["id"] for answer in answers}
    unanswered = sum(leaf["verification_id"] not in known for leaf in queries)
    return Checked(answers=len(answers), leaves=report.leaves, unanswered=unanswered)


def _check_proofs(answers: list[dict[str, Any]]) -> None:
    repeated = [proof for proof, times in Counter(answer["proof"] for answer in answers).items() if times > 1]
    assert not repeated, f"{len(repeated)} proofs were answered twice"


def _check_keys(answers: list[dict[str, Any]]) -> None:
    by_key: dict[str, set[str]] = defaultdict(set)
    for answer in answers:
        document = parse_json_object(answer["document"].encode())
        by_key[answer["key"]].add(document["id"])
    assert not {key: ids for key, ids in by_key.items() if len(ids) > 1}, "one key, two verdicts"


def _check_answer(
    answer: dict[str, Any], policy: Policy, stored: dict[int, asyncpg.Record], roots: dict[int, bytes]
) -> VerifiedReceipt:
    document = answer["document"].encode()
    receipt = verify_receipt(document, policy)
    members = parse_json_object(document)
    leaf = stored[receipt.leaf_index]
    assert bytes(leaf["leaf"]) == parse_b64(members["receipt"]["leaf"])
    assert leaf["verification_id"] == members["id"]
    assert roots[receipt.proven.checkpoint.size] == receipt.proven.checkpoint.root
    return receipt


async def _read_log(database: Database) -> tuple[dict[int, asyncpg.Record], dict[int, bytes]]:
    connection = await database.connect()
    try:
        rows = await connection.fetch("SELECT leaf_index, leaf, kind, verification_id FROM audit.entry")
        batches = await connection.fetch("SELECT size, root FROM audit.batch")
    finally:
        await connection.close()
    return {row["leaf_index"]: row for row in rows}, {row["size"]: bytes(row["root"]) for row in batches}
