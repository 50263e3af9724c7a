"""``receipt verify``: whether an answer is the one the log recorded, offline, by anyone."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gateway.audit.policy import Policy, PolicyError, parse_policy
from gateway.audit.receipt import ReceiptError, VerifiedReceipt, verify_receipt
from gateway.base.messages.receipt import ANSWER_NOT_CHECKED, DETAILS, STEPS
from gateway.cli.common import CommonOptions, file_or_input, given, read_file
from gateway.terminal.failures import CommandError
from gateway.terminal.terminal import Exit, Terminal


def verify(
    file: Annotated[Path, file_or_input("答复或回执文件", "answer or receipt")],
    *,
    policy: Annotated[Path, Parameter(help="日志信任策略(C2SP tlog-policy)· trust policy of the log")],
    common: CommonOptions = None,
) -> int:
    """Verify an answer with its receipt, or a bare receipt; say which step fails."""
    terminal = given(common).terminal()
    document = read_file(file)
    trusted = read_policy(policy)
    try:
        verified = verify_receipt(document, trusted)
    except ReceiptError as refusal:
        _report_failure(terminal, refusal)
        return Exit.INTEGRITY
    _report_success(terminal, verified)
    return Exit.OK


def read_policy(file: Path) -> Policy:
    """Return the policy of a file, or say in which line it is wrong."""
    try:
        return parse_policy(read_file(file))
    except PolicyError as exc:
        why, line = exc.args
        raise CommandError(Exit.USAGE, "policy_malformed", line=line, why=why) from exc


def _report_failure(terminal: Terminal, refusal: ReceiptError) -> None:
    if terminal.json:
        terminal.document({"verified": False, "failed_step": refusal.step.value, "detail": refusal.detail})
        return
    detail = DETAILS.get(refusal.detail)
    step = terminal.pick(STEPS[refusal.step.value])
    terminal.tell("receipt_bad", step=step, detail=terminal.pick(detail) if detail else refusal.detail)


def _report_success(terminal: Terminal, verified: VerifiedReceipt) -> None:
    checkpoint = verified.proven.checkpoint
    if terminal.json:
        terminal.document(
            {
                "verified": True,
                "steps": [step.value for step in verified.passed],
                "answer_checked": verified.answer_checked,
                "log": checkpoint.origin,
                "leaf_index": verified.leaf_index,
                "tree_size": checkpoint.size,
            }
        )
        return
    for step in verified.passed:
        terminal.line(f"  ✔ {terminal.pick(STEPS[step.value])}")
    if not verified.answer_checked:
        terminal.line(f"  {terminal.pick(ANSWER_NOT_CHECKED)}")
    terminal.tell("receipt_good", log=checkpoint.origin, index=verified.leaf_index, size=checkpoint.size)
