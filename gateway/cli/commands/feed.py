"""``feed pull | status``: what the answers rest on."""

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from gateway.cli.common import CommonOptions, given, run
from gateway.cli.open import operating
from gateway.cli.shapes import feed_shape
from gateway.cli.terminal import Exit
from gateway.credit.feed_version import MAX_VERSION, FeedReason
from gateway.postgres.feed_status import FeedStatus
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
    common: CommonOptions = None,
) -> int:
    """Look for a new version now, and apply what is there."""
    options = given(common)
    terminal = options.terminal()

    async def work() -> TickOutcome:
        async with operating(options.settings()) as operator:
            return await operator.feed_pull(approve=approve)

    outcome = run(work())
    versions = ", ".join(map(str, outcome.applied))
    version = outcome.version if outcome.version is not None else "-"
    if terminal.json:
        terminal.document(
            {
                "result": outcome.result.value,
                "applied": list(outcome.applied),
                "version": outcome.version,
                "reason": outcome.reason,
            }
        )
    elif outcome.result is TickResult.CURRENT and outcome.applied:
        terminal.tell("feed_applied", versions=versions)
    else:
        terminal.tell(
            f"feed_{outcome.result.value}",
            versions=versions or "-",
            version=version,
            reason=outcome.reason or "-",
        )
        if outcome.reason == FeedReason.MASS_DELETION.value:
            terminal.tell("feed_approve", version=version)
    return _EXITS.get(outcome.result, Exit.OK)


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
