"""``audit list | get | fsck``: the log as operators and regulators see it."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from gateway.audit.fsck_against import KeptCheckpoint, UnverifiedKept, read_kept
from gateway.audit.fsck_report import FsckReport
from gateway.audit.policy import Policy, parse_policy
from gateway.base.canonical import parse_json
from gateway.base.clock import from_datetime
from gateway.base.messages.fsck import FAULTS
from gateway.cli.commands.receipt import read_policy
from gateway.cli.common import CommonOptions, given, read_file, run
from gateway.cli.open import operating
from gateway.cli.shapes import fsck_shape, leaf_shape
from gateway.postgres.log_reader import RecentLeaf
from gateway.terminal.failures import CommandError
from gateway.terminal.terminal import Exit, Terminal

MAX_LISTED = 1000


def list_(
    *,
    limit: Annotated[int, Parameter(validator=Number(gte=1, lte=MAX_LISTED), help="条数 · how many")] = 20,
    common: CommonOptions = None,
) -> int:
    """List the latest leaves, newest first."""
    options = given(common)
    terminal = options.terminal()

    async def work() -> list[RecentLeaf]:
        async with operating(options.settings()) as operator:
            return list(await operator.recent_leaves(limit))

    leaves = run(work())
    if terminal.json:
        terminal.document([leaf_shape(leaf) for leaf in leaves])
        return Exit.OK
    rows = [
        (
            leaf.leaf_index,
            terminal.moment(from_datetime(leaf.logged_at)),
            leaf.kind,
            leaf.partner_id,
            leaf.operation,
            leaf.decision,
            leaf.verification_id,
        )
        for leaf in leaves
    ]
    terminal.table(("index", "time", "kind", "partner", "operation", "decision", "verification"), rows)
    return Exit.OK


def get(
    index: Annotated[int, Parameter(validator=Number(gte=0), help="序号 · index of the leaf")],
    *,
    common: CommonOptions = None,
) -> int:
    """Show one leaf, and its plaintext if it was not erased."""
    options = given(common)
    terminal = options.terminal()

    async def work() -> tuple[RecentLeaf, bytes | None]:
        async with operating(options.settings()) as operator:
            return await operator.leaf(index), await operator.opened(index)

    leaf, plaintext = run(work())
    shape = {**leaf_shape(leaf), "opened": None if plaintext is None else parse_json(plaintext)}
    if terminal.json:
        terminal.document(shape)
    else:
        terminal.tree(shape)
    return Exit.OK


def fsck(
    *,
    against: Annotated[
        list[Path] | None,
        Parameter(
            help="留存的检查点、答复或回执文件,可多次给出 · a checkpoint, answer or receipt that was kept; may be repeated",
            negative=(),
        ),
    ] = None,
    policy: Annotated[
        Path | None, Parameter(help="日志信任策略,缺省为本机密钥 · trust policy of the log; by default this host's key")
    ] = None,
    shallow: Annotated[
        bool, Parameter(help="不打开密文 · leave the secrets of partners' calls closed", negative=())
    ] = False,
    common: CommonOptions = None,
) -> int:
    """Check the whole log: all that is stored must follow from the leaves, and the leaves from hosts of this log."""
    options = given(common)
    terminal = options.terminal()
    contents = [(str(file), read_file(file)) for file in against or ()]
    trusted = None if policy is None else read_policy(policy)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=terminal.err, transient=True, disable=not terminal.err.is_terminal) as progress:
        task = progress.add_task("", total=None)

        def show(leaves: int) -> None:
            progress.update(task, description=terminal.word("fsck_progress", leaves=leaves))

        async def work() -> tuple[FsckReport, KeptCheckpoint | None]:
            async with operating(options.settings()) as operator:
                own = trusted or parse_policy((await operator.log_policy()).encode())
                kept = tuple(_kept(name, content, own, operator.origin) for name, content in contents)
                guard = operator.guarded()  # before the log is read, which only grows meanwhile
                own_point = () if guard is None else (guard,)
                return await operator.fsck((*kept, *own_point), show, shallow=shallow), guard

        report, guard = run(work())
    if terminal.json:
        terminal.document(fsck_shape(report, guard))
    else:
        _tell_report(terminal, report)
        if guard is None:
            terminal.tell("fsck_unguarded")
    return Exit.OK if report.clean else Exit.INTEGRITY


def _kept(name: str, content: bytes, policy: Policy, origin: str) -> KeptCheckpoint:
    try:
        return read_kept(name, content, policy, origin)
    except UnverifiedKept as exc:
        raise CommandError(Exit.USAGE, "kept_unverified", file=name, why=exc.args[0]) from exc


def _tell_report(terminal: Terminal, report: FsckReport) -> None:
    for fault in report.faults:
        meaning = terminal.pick(FAULTS[fault.code])
        terminal.tell("fsck_fault", fault=fault.code.value, where=fault.where, meaning=meaning)
    if report.clean:
        terminal.tell(
            "fsck_clean",
            leaves=report.leaves,
            batches=report.batches,
            tiles=report.tiles,
            secrets=report.secrets,
            requests=report.requests,
            root=report.root.hex(),
        )
    elif not report.complete:
        terminal.tell("fsck_incomplete")
    if report.unopened:
        terminal.tell("fsck_unopened", unopened=report.unopened)
    if not report.clean:
        terminal.tell("fsck_broken")
