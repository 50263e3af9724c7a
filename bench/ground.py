"""Setting up a run: the world, one server a level, who judges its answers; and taking it all down again."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench import machine, processes
from bench.corpus import Corpus
from bench.judge import Judge, policy_of
from bench.window import Bench, Subject
from bench.world import ISSUER, LOG_ORIGIN, World, open_world, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

REFERENCE: Final = "A"
_LEAVES: Final = "SELECT size FROM audit.head WHERE log_id = 1"
_REFERENCE_ROWS: Final = "SELECT count(*) FROM reference_a.audit_row"
_KEEPS_ROWS: Final = frozenset({"L4", "L5"})
_USES_NO_PROOF: Final = frozenset({"B0", "B0V", "L0", "L1", "L1c"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A run that is set up: servers by level, ready to be measured."""

    world: World
    bench: Bench
    subjects: dict[str, Subject]
    folder: Path


@contextlib.contextmanager
def open_ground(levels: Sequence[str], folder: Path, *, merchants: int) -> Iterator[Ground]:
    """Start everything the levels need, in a folder that ``bench.guard`` removes.

    The calling process becomes the load generator and stays on the other core.
    """
    cores = machine.choose_cores()
    with contextlib.ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        world_context = open_world(folder, cores, merchants)
        world = runner.run(world_context.__aenter__())
        stack.callback(lambda: runner.run(world_context.__aexit__(None, None, None)))
        corpus = Corpus(world.callers(), list(world.expected), workers=len(os.sched_getaffinity(0)))
        stack.callback(corpus.close)
        judge = Judge(world.expected, policy_of(world.keys_folder, LOG_ORIGIN))
        subjects = {level: _start(stack, level, world, judge, cores) for level in levels}
        machine.pin(cores.other)
        yield Ground(world=world, bench=Bench(corpus, cores, world, ISSUER), subjects=subjects, folder=folder)


def _start(stack: contextlib.ExitStack, level: str, world: World, judge: Judge, cores: machine.Cores) -> Subject:
    log = world.folder / f"{level}.log"
    if level == REFERENCE:
        server = stack.enter_context(processes.running(level, _reference_command(world, cores), log=log))
        return Subject(server=server, check=judge.outcome, count_rows=world.counter(_REFERENCE_ROWS))
    command = ["bench.service", level, "--core", str(cores.service), "--setup", str(world.setup_file())]
    server = stack.enter_context(processes.running(level, command, log=log))
    if level in _USES_NO_PROOF:
        return Subject(server=server, repeat=True)
    count_rows = world.counter(_LEAVES) if level in _KEEPS_ROWS else None
    return Subject(server=server, check=judge.for_level(level), count_rows=count_rows)


def _reference_command(world: World, cores: machine.Cores) -> list[str]:
    from bench.peers import reference_a  # noqa: PLC0415 - needs the libraries of the peer, which the other levels do not

    merchants = [
        {
            "uscc": code,
            "name": f"合成市第{number:06d}号商贸有限公司",
            "flags": judge_flags(outcome),
            "as_of": world.loaded_at,
        }
        for number, (code, outcome) in enumerate(world.expected.items())
    ]
    asyncio.run(reference_a.create_tables(world.database, merchants))
    setup = write_json(
        world.folder / "A.json",
        {"database": world.database, "issuer": ISSUER, "token_key": dict(world.token_key.public.jwk)},
    )
    return ["bench.peers.reference_a", "--core", str(cores.service), "--setup", str(setup)]


def judge_flags(outcome: str) -> list[dict[str, str]]:
    """Return what the reference stores as the flags of a merchant."""
    if outcome == "clear":
        return []
    return [
        {
            "list": "abnormal_operations",
            "authority": "合成市市场监督管理局",
            "document_no": "合市监列异〔2026〕1号",
            "legal_basis": "企业经营异常名录管理暂行办法",
            "from": "2026-08-24",
            "state": "in_force",
        }
    ]
