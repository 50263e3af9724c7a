"""``partner add | list``: who may ask."""

from typing import Annotated

from cyclopts import Parameter

from gateway.base.clock import SystemClock
from gateway.base.ids import new_id
from gateway.cli.common import CommonOptions, given, run
from gateway.cli.open import operating
from gateway.cli.shapes import partner_shape
from gateway.identity.grants import Scope
from gateway.identity.partner import CLIENT_ID, Partner, PartnerState
from gateway.terminal.failures import CommandError
from gateway.terminal.terminal import Exit
from gateway.verification.question import Purpose


def add(
    client_id: Annotated[str, Parameter(help="客户端标识 · client identifier: a-z 0-9 -, 3-63")],
    *,
    name: Annotated[str, Parameter(help="机构名称 · name of the partner")],
    sector: Annotated[str, Parameter(help="平台类型 · kind of platform, e.g. network_freight")],
    purpose: Annotated[
        tuple[Purpose, ...],
        Parameter(
            negative="", show_choices=False, help=f"查询用途,可多次 · purposes, repeatable: {' | '.join(Purpose)}"
        ),
    ] = (),
    common: CommonOptions = None,
) -> int:
    """Bring a partner on."""
    options = given(common)
    terminal = options.terminal()
    if CLIENT_ID.fullmatch(client_id) is None:
        raise CommandError(Exit.USAGE, "not_client_id")
    if not purpose:
        raise CommandError(Exit.USAGE, "nothing_allowed")
    partner = Partner(
        partner_id=new_id("prt", SystemClock().now_ms()),
        client_id=client_id,
        name=name,
        sector=sector,
        scopes=frozenset({Scope.VERIFICATIONS.value}),
        purposes=frozenset(word.value for word in purpose),
        state=PartnerState.ACTIVE,
    )

    async def work() -> int:
        async with operating(options.settings()) as operator:
            return await operator.add_partner(partner)

    leaf = run(work())
    if terminal.json:
        terminal.document({**partner_shape(partner), "leaf_index": leaf})
    terminal.tell("partner_added", client=client_id, partner=partner.partner_id, leaf=leaf)
    return Exit.OK


def list_(*, common: CommonOptions = None) -> int:
    """List all partners."""
    options = given(common)
    terminal = options.terminal()

    async def work() -> list[tuple[Partner, int]]:
        async with operating(options.settings()) as operator:
            return [(listed.partner, listed.live_keys) for listed in await operator.list_partners()]

    found = run(work())
    if terminal.json:
        terminal.document([{**partner_shape(partner), "live_keys": keys} for partner, keys in found])
        return Exit.OK
    terminal.table(
        ("client", "name", "sector", "state", "live_keys", "purposes"),
        [(p.client_id, p.name, p.sector, p.state.value, keys, " ".join(sorted(p.purposes))) for p, keys in found],
    )
    return Exit.OK
