"""T10 and T17: what one worker does over a longer time. How commits are shared at part load, and whether memory stays flat."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bench import machine, processes

if TYPE_CHECKING:
    from bench.ground import Ground
    from bench.rounds import Say
    from bench.window import Plan

SHARE_OF_SATURATION: Final = 0.3
FIRST_REQUESTS: Final = 10_000
STEP_REQUESTS: Final = 50_000
"""Requests signed and sent at a time: their proofs must not grow old."""


def commits_per_1000(ground: Ground, saturation: float, plan: Plan, say: Say) -> tuple[float, list[str]]:
    """T10: send at a fixed share of saturation and count the batches that the answers needed; say what spoils the count."""
    count = ground.world.counter("SELECT count(*) FROM audit.batch WHERE log_id = 1")
    before = asyncio.run(count())
    window = ground.bench.measure(ground.subjects["L5"], replace(plan, rate=saturation * SHARE_OF_SATURATION))
    batches = asyncio.run(count()) - before
    say(
        f"  {window.rate:,.0f}/s offered openly: {batches:,} commits for {window.total:,} answers, p50 {window.p50_ms:.1f} ms, "
        f"p99 {window.p99_ms:.1f} ms{'; '.join(['', *window.faults])}"
    )
    return float(batches / window.total * 1000), window.faults


def memory_mb(ground: Ground, requests: int, connections: int, say: Say) -> tuple[float, float]:
    """T17: a fresh worker's resident memory after the first 10,000 requests and after all of them, in MB."""
    cores = ground.bench.cores
    arguments = ["bench.service", "L5", "--core", str(cores.service), "--setup", str(ground.world.setup_file())]
    with ExitStack() as stack:
        log = ground.folder / "memory.log"
        server = stack.enter_context(processes.running("L5 memory", arguments, log=log))
        subject = replace(ground.subjects["L5"], server=server)
        done = ground.bench.send(subject, FIRST_REQUESTS, connections)
        first = machine.resident_mb(server.pid)
        while done < requests:
            done += ground.bench.send(subject, min(STEP_REQUESTS, requests - done), connections)
            say(
                f"  {done:,} requests: {machine.resident_mb(server.pid):.1f} MB (after {FIRST_REQUESTS:,}: {first:.1f} MB)"
            )
        return first, machine.resident_mb(server.pid)
