"""``verify``: the partner's command: one question, the answer as a card, its receipt checked before anything is shown."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gateway.audit.receipt import Expected, ReceiptError, VerifiedReceipt, verify_receipt
from gateway.base.canonical import Json, JsonError, parse_json_object
from gateway.base.clock import SystemClock
from gateway.base.messages.receipt import STEPS
from gateway.base.secret import Secret
from gateway.cli.card import show_card
from gateway.cli.commands.receipt import read_policy
from gateway.cli.common import CommonOptions, given, read_file, run, word_of
from gateway.cli.partner_client import PartnerClient, Received
from gateway.cli.profile import Profile, read_profile
from gateway.identity.jwk import JwkError
from gateway.identity.signing_key import SigningKey
from gateway.terminal.failures import CommandError
from gateway.terminal.terminal import Exit, Terminal
from gateway.verification.question import Purpose, Relation


def verify(  # noqa: PLR0913 - the options of one command
    uscc: Annotated[str | None, Parameter(help="统一社会信用代码 · unified social credit code")] = None,
    *,
    purpose: Annotated[Purpose, word_of(Purpose, "查询用途 · purpose of the question")],
    business_ref: Annotated[str, Parameter(help="业务编号 · your own reference of the business")],
    name: Annotated[str | None, Parameter(help="名称;与代码不符会说明 · name, compared with the code")] = None,
    relation: Annotated[
        Relation, word_of(Relation, "与本机构的关系 · what the subject is to you")
    ] = Relation.SIGNED_MERCHANT,
    profile: Annotated[
        Path | None, Parameter(help="机构配置文件,缺省为演示的 · profile file, the demo's if absent")
    ] = None,
    common: CommonOptions = None,
) -> int:
    """Ask about one merchant or participant."""
    terminal = given(common).terminal()
    if uscc is None and name is None:
        raise CommandError(Exit.USAGE, "nobody_named")
    known = read_profile(profile)
    policy = read_policy(Path(known.log_policy_file))
    key = _private_key(known)
    subject: dict[str, Json] = {member: text for member, text in (("uscc", uscc), ("name", name)) if text is not None}
    question: Json = {
        "subject": subject,
        "purpose": purpose.value,
        "business_ref": business_ref,
        "relation": relation.value,
    }
    received = run(_ask(known, key, question, terminal))
    try:
        verified = verify_receipt(
            received.document,
            policy,
            expected=Expected(request_hash=received.request_hash, request_body=received.body),
        )
    except ReceiptError as exc:
        step = terminal.pick(STEPS[exc.step.value])
        raise CommandError(Exit.INTEGRITY, "receipt_not_ours", step=step) from exc
    _show(terminal, received, verified)
    return Exit.OK


async def _ask(profile: Profile, key: SigningKey, question: Json, terminal: Terminal) -> Received:
    async with PartnerClient(profile, key, clock=SystemClock(), lang=terminal.lang) as client:
        return await client.verify(question)


def _show(terminal: Terminal, received: Received, verified: VerifiedReceipt) -> None:
    if terminal.json:
        terminal.received(received.document)  # its receipt was verified, so it is JSON
        return
    try:
        show_card(terminal, parse_json_object(received.document), verified)
    except JsonError as exc:  # the receipt's verification has read the same bytes
        raise CommandError(Exit.FAILED, "answer_malformed", url="") from exc


def _private_key(profile: Profile) -> SigningKey:
    file = profile.private_key_file
    try:
        return SigningKey.from_pem(Secret(read_file(Path(file))))
    except (ValueError, JwkError) as exc:
        raise CommandError(Exit.USAGE, "not_private_key", file=file, why=str(exc)) from exc
