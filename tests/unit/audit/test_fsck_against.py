"""Checkpoints that somebody kept: what was once signed is compared with what the leaves give now."""

from __future__ import annotations

import pytest

from gateway.audit.fsck import Checks, fsck
from gateway.audit.fsck_against import KeptCheckpoint, UnverifiedKept, read_kept
from gateway.audit.fsck_report import FaultCode, FsckReport, LogFault
from gateway.audit.policy import parse_policy, render_policy
from gateway.verification.registrations import RULES
from tests.fakes.entries import ORIGIN, SEALER, make_leaf, make_signer
from tests.fakes.guard import make_batch_mac
from tests.fakes.memory_log import BEGAN, MemoryLog, make_calls

SIZES = [1, 3, 200, 60, 500, 17, 243, 256, 9]


def make_log(leaves: list[bytes] | None = None) -> MemoryLog:
    log = MemoryLog()
    given = make_calls(sum(SIZES)) if leaves is None else leaves
    for size in SIZES:
        log.append(given[log.frontier.size : log.frontier.size + size])
    return log


async def check(log: MemoryLog, against: tuple[KeptCheckpoint, ...]) -> FsckReport:
    checks = Checks(
        origin=ORIGIN,
        batch_mac=make_batch_mac(),
        sealer=SEALER,
        today=BEGAN.date(),
        shallow=False,
        against=against,
        holders=RULES,
    )
    return await fsck(log, checks)


async def test_a_log_that_was_written_anew_contradicts_what_somebody_kept():
    """Whoever holds all keys can write another history that is sound in itself; a checkpoint in other hands tells."""
    short = MemoryLog()
    short.append(make_calls(1280))
    kept = KeptCheckpoint("mine", 1280, short.frontier.root)
    leaves = make_calls(sum(SIZES))
    leaves[300] = make_leaf(300, decision="allow:restricted")
    anew = make_log(leaves)

    alone = await check(anew, ())
    against = await check(anew, (kept,))

    assert alone.clean
    assert against.faults == (LogFault(FaultCode.CHECKPOINT_CONTRADICTED, "1280 mine"),)


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 264, 300, 1288, 1289])
async def test_a_kept_checkpoint_of_any_size_is_compared(size):
    log = make_log()
    short = MemoryLog()
    if size:
        short.append(make_calls(size))

    good = await check(log, (KeptCheckpoint("mine", size, short.frontier.root),))
    bad = await check(log, (KeptCheckpoint("mine", size, bytes(32)),))

    assert good.clean
    assert bad.faults == (LogFault(FaultCode.CHECKPOINT_CONTRADICTED, f"{size} mine"),)


async def test_a_kept_checkpoint_of_a_longer_log_says_that_this_one_was_cut():
    report = await check(make_log(), (KeptCheckpoint("mine", 1290, bytes(32)),))

    assert report.faults == (LogFault(FaultCode.CHECKPOINT_BEYOND_HEAD, "1290 mine"),)


def test_a_kept_file_must_verify_under_the_policy():
    signer = make_signer()
    policy = parse_policy(render_policy([signer.vkey]).encode())
    note = signer.sign(7, b"\x01" * 32).encode()

    assert read_kept("mine", note, policy, ORIGIN) == KeptCheckpoint("mine", 7, b"\x01" * 32)
    for content, origin in [
        (note.replace(b"\n7\n", b"\n8\n"), ORIGIN),
        (note, "other"),
        (b"{}", ORIGIN),
        (b"", ORIGIN),
    ]:
        with pytest.raises(UnverifiedKept):
            read_kept("mine", content, policy, origin)
