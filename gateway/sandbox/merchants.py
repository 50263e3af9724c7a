"""The sandbox merchants: fixed codes whose answers partners may rely on, made of ordinary feed lines.

For: tests of partners and the demo. Nothing in the answer path knows these codes; they answer as they do because of the facts below.
``919900000000001311`` is partial because one line about it cannot be read; ``91990000000000115B`` is unknown because no line is about it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.sandbox import states
from gateway.sandbox.lines import (
    ENTERPRISE,
    HOUSEHOLD,
    MARKET,
    Firm,
    Line,
    make_reg_no,
    make_uscc,
    penalty,
    registration,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.sandbox.states import State


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxMerchant:
    """One merchant of the published table. ``scenario`` is what a partner tests with it."""

    number: int
    scenario: str
    prefix: str = ENTERPRISE
    name: str | None = None
    status: str = "active"
    person: str | None = None
    record: State | None = None

    @property
    def firm(self) -> Firm:
        """Code and name, and for a firm with history its old number."""
        name = self.name or f"沙箱测试商户{self.number:02d}有限公司"
        return Firm(uscc=make_uscc(self.prefix, f"{self.number:08d}"), name=name, reg_no=make_reg_no(self.number))


def _unreadable(firm: Firm, today: dt.date) -> Line:
    """A penalty decided on a day that no calendar has."""
    line = penalty(
        firm, "罚款", MARKET, document_no="沙市监处罚〔2026〕113号", decided_on=today, conduct="无法读取的记录"
    )
    return {**line, "CF_JDRQ": "2026-02-30"}


NOT_IN_THE_CITY: Final = make_uscc(ENTERPRISE, "00000011")
MERCHANTS: Final = (
    SandboxMerchant(number=1, scenario="active_clean"),
    SandboxMerchant(number=2, scenario="abnormal_list", record=states.abnormal_operations),
    SandboxMerchant(number=3, scenario="serious_violation", record=states.serious_list),
    SandboxMerchant(number=4, scenario="revoked", status="revoked"),
    SandboxMerchant(number=5, scenario="deregistered", status="deregistered"),
    SandboxMerchant(number=6, scenario="name_mismatch", name="沙箱更名商户06有限公司"),
    SandboxMerchant(number=7, scenario="legal_representative_mismatch", person="沙更人"),
    SandboxMerchant(number=8, scenario="licence_expired"),
    SandboxMerchant(number=9, scenario="food_licence_missing"),
    SandboxMerchant(number=10, scenario="individual_business", prefix=HOUSEHOLD, name="沙箱市测试小吃店（个体工商户）"),
    SandboxMerchant(number=12, scenario="source_timeout"),
    SandboxMerchant(number=13, scenario="partial", record=_unreadable),
    SandboxMerchant(number=14, scenario="slow"),
    SandboxMerchant(number=15, scenario="status_change"),
    SandboxMerchant(number=16, scenario="disputed", record=states.under_objection),
    SandboxMerchant(number=17, scenario="judgment_defaulter", record=states.judgment_defaulter),
    SandboxMerchant(number=18, scenario="consent_missing"),
    SandboxMerchant(number=19, scenario="personal_information"),
    SandboxMerchant(number=20, scenario="server_error"),
)


def sandbox_registrations(today: dt.date) -> Iterator[Line]:
    """Yield the registrations of all sandbox merchants."""
    established = today - dt.timedelta(days=2000)
    for merchant in MERCHANTS:
        yield registration(merchant.firm, status=merchant.status, established=established, person=merchant.person)


def sandbox_records(today: dt.date) -> Iterator[Line]:
    """Yield their records, one of them unreadable."""
    for merchant in MERCHANTS:
        if merchant.record is not None:
            yield merchant.record(merchant.firm, today)
