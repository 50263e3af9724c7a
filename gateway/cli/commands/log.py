"""``log status | join | resolve | succeed``: what this host has signed, and what an operator does when the log contradicts it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from asyncpg.exceptions import InsufficientPrivilegeError
from cyclopts import Parameter
from cyclopts.validators import Number

from gateway import wiring
from gateway.audit.batch_mac import TreePoint
from gateway.audit.note import NoteError
from gateway.audit.policy import QuorumError
from gateway.base.codec import b64
from gateway.base.setting_values import BadValue, log_origin
from gateway.cli.commands.receipt import read_policy
from gateway.cli.common import CommonOptions, given, read_file, run
from gateway.terminal.failures import CommandError
from gateway.terminal.terminal import Exit
from gateway.verification.log_keeping import Because, Standing

MAX_LOG_ID = 32_767
MAX_WORDS = 200


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Who acts and why; both go into the leaf."""

    by: Annotated[str, Parameter(help="经办人 · who does it")]
    reason: Annotated[str, Parameter(help="事由,记入日志 · why, for the record")]

    def because(self) -> Because:
        """Return it if it may be recorded."""
        for text in (self.by, self.reason):
            if not text.strip() or len(text) > MAX_WORDS or not text.isprintable():
                raise CommandError(Exit.USAGE, "words_malformed", most=MAX_WORDS)
        return Because(by=self.by, reason=self.reason)


def status(*, common: CommonOptions = None) -> int:
    """Show what this host has signed and whether the database still agrees."""
    options = given(common)
    terminal = options.terminal()

    async def work() -> Standing:
        async with wiring.open_log_keeping(options.settings()) as keeping:
            return await keeping.standing()

    found = run(work())
    doubt = found.guarded.doubt or found.verdict
    if terminal.json:
        terminal.document(
            {
                "log": found.origin,
                "signed": _shown(found.guarded.last),
                "head": _shown(found.head),
                "doubt": found.guarded.doubt,
                "comparison": found.verdict or "agrees",
            }
        )
    else:
        terminal.tell("log_standing", log=found.origin, signed=found.guarded.last.size, head=found.head.size)
        terminal.tell("log_agrees" if doubt is None else doubt)
        if found.guarded.doubt is not None and found.verdict is None:
            terminal.tell("log_agrees_again")
    return Exit.OK if doubt is None else Exit.INTEGRITY


def join(
    *,
    act: Act,
    against: Annotated[Path | None, Parameter(help="他人保存的检查点 · a checkpoint that somebody kept")] = None,
    policy: Annotated[Path | None, Parameter(help="其信任策略 · the policy to check it by")] = None,
    trust_database: Annotated[
        bool, Parameter(negative="", help="没有检查点,采信数据库现状 · no checkpoint: believe the database as it is")
    ] = False,
    common: CommonOptions = None,
) -> int:
    """Begin to guard a log that has leaves already: on a new host, or after the guard was lost."""
    options = given(common)
    terminal = options.terminal()
    if (against is None) is not trust_database or (against is None) is not (policy is None):
        raise CommandError(Exit.USAGE, "log_join_choice")
    known = None if against is None or policy is None else _known(against, policy, options.settings().log_origin)

    async def work() -> int:
        async with wiring.open_log_keeping(options.settings()) as keeping:
            return await keeping.join(known, act.because())

    leaf = run(work())
    terminal.document({"leaf": leaf}) if terminal.json else terminal.tell("log_joined", leaf=leaf)
    return Exit.OK


def resolve(*, act: Act, common: CommonOptions = None) -> int:
    """Forget a doubt whose cause is gone; refused while the database still contradicts what this host has signed."""
    options = given(common)
    terminal = options.terminal()

    async def work() -> int:
        async with wiring.open_log_keeping(options.settings()) as keeping:
            return await keeping.resolve(act.because())

    leaf = run(work())
    terminal.document({"leaf": leaf}) if terminal.json else terminal.tell("log_resolved", leaf=leaf)
    return Exit.OK


def succeed(
    *,
    log_id: Annotated[
        int, Parameter(validator=Number(gte=1, lte=MAX_LOG_ID), help="新日志编号 · number of the new log")
    ],
    origin: Annotated[str, Parameter(help="新日志名称 · name of the new log")],
    act: Act,
    common: CommonOptions = None,
) -> int:
    """Close the log and open its successor, whose first leaf names it; with the rights of the schema's owner."""
    options = given(common)
    terminal = options.terminal()
    try:
        name = log_origin(origin)
    except BadValue as exc:
        raise CommandError(Exit.USAGE, "log_origin_malformed", origin=origin) from exc
    work = wiring.succeed(options.settings(), log_id=log_id, origin=name, because=act.because())
    try:
        leaf = run(work)
    except InsufficientPrivilegeError as exc:
        raise CommandError(Exit.FAILED, "needs_owner") from exc
    if terminal.json:
        terminal.document({"log_id": log_id, "log_origin": name, "leaf": leaf})
    terminal.tell("log_succeeded", log_id=log_id, origin=name, leaf=leaf)
    return Exit.OK


def _known(file: Path, policy: Path, origin: str) -> TreePoint:
    """Return the tree of a signed checkpoint of this log, judged by a policy."""
    try:
        checkpoint = read_policy(policy).open_checkpoint(read_file(file)).checkpoint
    except (NoteError, QuorumError) as exc:
        raise CommandError(Exit.INTEGRITY, "checkpoint_refused", file=str(file), why=str(exc.args[0])) from exc
    if checkpoint.origin != origin:
        raise CommandError(Exit.INTEGRITY, "checkpoint_refused", file=str(file), why=checkpoint.origin)
    return TreePoint(checkpoint.size, checkpoint.root)


def _shown(point: TreePoint) -> dict[str, object]:
    return {"size": point.size, "root": b64(point.root)}
