"""``feed pull | verify | status``: what the answers rest on."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from gateway.cli.common import CommonOptions, Result, given, run
from gateway.cli.open import operating
from gateway.cli.shapes import feed_shape, part_word, proof_shape
from gateway.credit.feed_version import MAX_VERSION, FeedReason
from gateway.postgres.feed_status import FeedStatus
from gateway.terminal.terminal import Exit, Terminal
from gateway.worker.compare import FeedProof, RoundResult
from gateway.worker.feed import TickOutcome, TickResult

_EXITS = {
    TickResult.REFUSED: Exit.INTEGRITY,
    TickResult.UNREACHABLE: Exit.UNHEALTHY,
    TickResult.STORE_FAILED: Exit.UNHEALTHY,
    TickResult.BUSY: Exit.CONFLICT,
}


def pull(
    *,
    approve: Annotated[
        int | None,
        Parameter(
            validator=Number(gte=1, lte=MAX_VERSION),
            help="已核实并同意该版本的大量删除 · version whose mass deletion you have examined and want",
        ),
    ] = None,
    reload: Annotated[
        bool,
        Parameter(
            negative="",
            help="从已签发文件重新载入全部数据并核对 · load everything once more from the signed files, and compare",
        ),
    ] = False,
    common: CommonOptions = None,
) -> int:
    """Look for a new version now, and apply what is there."""
    options = given(common)
    terminal = options.terminal()

    async def work(progress: Callable[[int], None]) -> tuple[TickOutcome, FeedProof | None]:
        async with operating(options.settings()) as operator:
            if reload:
                return await operator.feed_reload(progress, approve=approve)
            return await operator.feed_pull(approve=approve), None

    outcome, proof = _watched(terminal, work)
    if terminal.json:
        terminal.document({**_pull_shape(outcome), **({} if proof is None else {"proof": proof_shape(proof)})})
    else:
        _tell_pull(terminal, outcome)
        if proof is not None:
            _tell_proof(terminal, proof)
    code = _EXITS.get(outcome.result, Exit.OK)
    return code if proof is None else _exit_of(proof)


def verify(*, common: CommonOptions = None) -> int:
    """Compare every row that answers rest on with this host's digests of what the platform signed."""
    options = given(common)
    terminal = options.terminal()

    async def work(progress: Callable[[int], None]) -> FeedProof:
        async with operating(options.settings()) as operator:
            return await operator.feed_verify(progress)

    proof = _watched(terminal, work)
    if terminal.json:
        terminal.document(proof_shape(proof))
    else:
        _tell_proof(terminal, proof)
    return _exit_of(proof)


def status(*, common: CommonOptions = None) -> int:
    """Show which version is answered from and what happened lately."""
    options = given(common)
    terminal = options.terminal()

    async def work() -> FeedStatus:
        async with operating(options.settings()) as operator:
            return await operator.feed_status()

    found = run(work())
    if terminal.json:
        terminal.document(feed_shape(found))
        return Exit.OK
    if found.version is None:
        terminal.tell("feed_never")
    else:
        terminal.tell(
            "feed_state",
            feed=found.feed,
            version=found.version,
            as_of=terminal.moment(found.as_of_ms),
            records=found.records,
            quarantined=found.quarantined,
        )
    terminal.table(
        ("time", "version", "result", "reason", "records", "quarantined"),
        [(terminal.moment(e.at_ms), e.version, e.result, e.reason, e.records, e.quarantined) for e in found.events],
    )
    return Exit.OK


def _watched(terminal: Terminal, work: Callable[[Callable[[int], None]], Coroutine[Any, Any, Result]]) -> Result:
    """Run work and show on stderr how far it has come."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=terminal.err, transient=True, disable=not terminal.err.is_terminal) as progress:
        task = progress.add_task("", total=None)

        def show(rows: int) -> None:
            progress.update(task, description=terminal.word("feed_progress", rows=rows))

        return run(work(show))


def _exit_of(proof: FeedProof) -> Exit:
    if proof.round.result is RoundResult.UNKNOWN and not proof.doubted:
        return Exit.UNHEALTHY
    return Exit.OK if proof.sound else Exit.INTEGRITY


def _pull_shape(outcome: TickOutcome) -> dict[str, Any]:
    return {
        "result": outcome.result.value,
        "applied": list(outcome.applied),
        "version": outcome.version,
        "reason": outcome.reason,
    }


def _tell_pull(terminal: Terminal, outcome: TickOutcome) -> None:
    versions = ", ".join(map(str, outcome.applied))
    version = outcome.version if outcome.version is not None else "-"
    if outcome.result is TickResult.CURRENT and outcome.applied:
        terminal.tell("feed_applied", versions=versions)
        return
    reason = outcome.reason or "-"
    terminal.tell(f"feed_{outcome.result.value}", versions=versions or "-", version=version, reason=reason)
    if outcome.reason == FeedReason.MASS_DELETION.value:
        terminal.tell("feed_approve", version=version)


def _tell_proof(terminal: Terminal, proof: FeedProof) -> None:
    found = proof.round
    count = sum(found.counts.values())
    match found.result:
        case RoundResult.CLEAN:
            terminal.tell("feed_verified", version=found.version or 0, rows=found.rows)
        case RoundResult.UNKNOWN:
            digests = "-" if found.digests_version is None else found.digests_version
            terminal.tell("feed_unproven", version=found.version or 0, digests=digests)
        case RoundResult.DIFFERS:
            terminal.table(
                ("difference", "part", "key", "subject"),
                [(one.kind.value, part_word(one.part), one.key, one.subject) for one in found.named],
            )
            if count > len(found.named):
                terminal.tell("feed_more", count=count - len(found.named))
            terminal.tell("feed_differs", count=count)
    if proof.doubted and found.result is not RoundResult.DIFFERS:
        terminal.tell("feed_doubt_stands")
