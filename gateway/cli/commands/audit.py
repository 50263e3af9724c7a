"""``audit list | get | fsck``: the log as operators and regulators see it."""

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from gateway.audit.fsck import FsckReport
from gateway.base.canonical import parse_json
from gateway.base.clock import from_datetime
from gateway.cli.common import CommonOptions, given, run
from gateway.cli.open import operating
from gateway.cli.shapes import leaf_shape
from gateway.cli.terminal import Exit
from gateway.postgres.log_reader import RecentLeaf

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


def fsck(*, common: CommonOptions = None) -> int:
    """Re-derive every tile, root and batch of the log from its leaves."""
    options = given(common)
    terminal = options.terminal()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=terminal.err, transient=True, disable=not terminal.err.is_terminal) as progress:
        task = progress.add_task("", total=None)

        def show(leaves: int) -> None:
            progress.update(task, description=terminal.word("fsck_progress", leaves=leaves))

        async def work() -> FsckReport:
            async with operating(options.settings()) as operator:
                return await operator.fsck(show)

        report = run(work())
    if terminal.json:
        terminal.document(
            {
                "clean": report.clean,
                "complete": report.complete,
                "leaves": report.leaves,
                "batches": report.batches,
                "tiles": report.tiles,
                "head_size": report.head_size,
                "root": report.root.hex(),
                "faults": [{"code": fault.code.value, "where": fault.where} for fault in report.faults],
            }
        )
    elif report.clean:
        terminal.tell(
            "fsck_clean", leaves=report.leaves, batches=report.batches, tiles=report.tiles, root=report.root.hex()
        )
    else:
        for fault in report.faults:
            terminal.tell("fsck_fault", fault=fault.code.value, where=fault.where)
        terminal.tell("fsck_broken")
    return Exit.OK if report.clean else Exit.INTEGRITY
