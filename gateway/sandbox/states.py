"""Every state a record can be in, as invented facts: one function for each, from a firm and a day to its lines.

For: the synthetic city, which gives each state to some firms. Not for: saying what a state means (``gateway.credit.state``): here are only
the facts a platform would publish.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Final

from gateway.sandbox.lines import (
    COURT,
    EMERGENCY,
    ENVIRONMENT,
    LABOUR,
    MARKET,
    TAX,
    TRANSPORT,
    Firm,
    Line,
    list_entry,
    penalty,
)

State = Callable[[Firm, dt.date], Line]


def _days(count: int) -> dt.timedelta:
    return dt.timedelta(days=count)


def _iso(day: dt.date) -> str:
    return day.isoformat()


def serious_list(firm: Firm, today: dt.date) -> Line:
    """A serious list entry in force for almost three more years."""
    return list_entry(
        firm, "SX-SAMR", MARKET, document_no="沙市监严字〔2026〕1号", decided_on=today - _days(60),
        grounds="提交虚假材料取得市场主体登记", more={"valid_to": _iso(today + _days(1035))},
    )  # fmt: skip


def judgment_defaulter(firm: Firm, today: dt.date) -> Line:
    """An entry without an end of its own: until the judgment is performed."""
    return list_entry(
        firm, "SX-JUD", COURT, document_no="（2026）沙0101执17号", decided_on=today - _days(90),
        grounds="有履行能力而拒不履行生效法律文书确定义务",
    )  # fmt: skip


def abnormal_operations(firm: Firm, today: dt.date) -> Line:
    """Minor tier, published because the list's own regulation says so; the catalogue knows that, not this line."""
    return list_entry(
        firm, "SX-ABN", MARKET, document_no="沙市监异字〔2026〕27号", decided_on=today - _days(40),
        grounds="未依照规定的期限公示年度报告",
    )  # fmt: skip


def tax_violator(firm: Firm, today: dt.date) -> Line:
    """A serious entry that counts from its publication."""
    return list_entry(
        firm, "SX-TAX", TAX, document_no="沙税稽罚〔2026〕3号", decided_on=today - _days(200),
        grounds="虚开增值税专用发票", more={"published_on": _iso(today - _days(190))},
    )  # fmt: skip


def unverified_list(firm: Firm, today: dt.date) -> Line:
    """An entry in a list whose catalogue row nobody has confirmed yet."""
    return list_entry(
        firm, "SX-TRANS", TRANSPORT, document_no="沙交失字〔2026〕5号", decided_on=today - _days(100),
        grounds="伪造运输单据", more={"valid_to": _iso(today + _days(265))},
    )  # fmt: skip


def under_objection(firm: Firm, today: dt.date) -> Line:
    """In force, and disputed since ten days."""
    return list_entry(
        firm, "SX-WAGE", LABOUR, document_no="沙人社欠字〔2026〕8号", decided_on=today - _days(120),
        grounds="克扣、无故拖欠农民工工资",
        more={"valid_to": _iso(today + _days(975)), "objection_since": _iso(today - _days(10))},
    )  # fmt: skip


def shielded(firm: Firm, today: dt.date) -> Line:
    """Not shown while a reorganisation runs."""
    return list_entry(
        firm, "SX-TAX", TAX, document_no="沙税稽罚〔2026〕4号", decided_on=today - _days(300), grounds="偷税",
        more={"shielded_from": _iso(today - _days(30)), "shielded_to": _iso(today + _days(150))},
    )  # fmt: skip


def _removed(reason: str) -> State:
    def state(firm: Firm, today: dt.date) -> Line:
        return list_entry(
            firm, "SX-SAFE", EMERGENCY, document_no="沙应急失字〔2025〕2号", decided_on=today - _days(500),
            grounds="发生较大生产安全责任事故",
            more={"removed_on": _iso(today - _days(20)), "removal_reason": reason},
        )  # fmt: skip

    return state


def expired_list(firm: Firm, today: dt.date) -> Line:
    """Over by its own end, and still in the feed."""
    return list_entry(
        firm, "SX-CONST", MARKET, document_no="沙住建黑字〔2023〕1号", decided_on=today - _days(1100),
        grounds="转包工程", more={"valid_to": _iso(today - _days(735))},
    )  # fmt: skip


def observation(firm: Firm, today: dt.date) -> Line:
    """Shown as observation: a flag that may trigger little."""
    return list_entry(
        firm, "SX-ENV", ENVIRONMENT, document_no="沙环失字〔2026〕6号", decided_on=today - _days(80),
        grounds="环境影响评价文件弄虚作假",
        more={
            "valid_to": _iso(today + _days(285)),
            "observation_from": _iso(today - _days(10)),
            "observation_to": _iso(today + _days(80)),
        },
    )  # fmt: skip


def listed_person(firm: Firm, today: dt.date) -> Line:
    """The legal representative is listed, not the firm: a linked notice."""
    return list_entry(
        firm, "SX-JUD", COURT, document_no="（2026）沙0101执88号", decided_on=today - _days(70),
        grounds="违反限制消费令", more={"person": {"role": "legal_representative", "name": "沙小箱"}},
    )  # fmt: skip


def fine(firm: Firm, today: dt.date) -> Line:
    """General tier, in force. The amount is in units of 10,000 yuan."""
    return penalty(
        firm, "罚款", MARKET, document_no="沙市监处罚〔2026〕101号", decided_on=today - _days(45), conduct="虚假宣传",
        more={"CF_NR_FK": "5.5", "CF_GSJZQ": _iso(today + _days(320))},
    )  # fmt: skip


def closure(firm: Firm, today: dt.date) -> Line:
    """Several kinds at once: the most severe gives the tier."""
    return penalty(
        firm, "警告;罚款;责令停产停业", EMERGENCY, document_no="沙应急罚〔2026〕9号", decided_on=today - _days(150),
        conduct="未取得安全生产许可证擅自生产", more={"CF_NR_FK": "12"},
    )  # fmt: skip


def warning(firm: Firm, today: dt.date) -> Line:
    """Minor tier: not published in principle."""
    return penalty(
        firm, "警告", MARKET, document_no="沙市监处罚〔2026〕102号", decided_on=today - _days(20), conduct="未明码标价"
    )


def simple_procedure(firm: Firm, today: dt.date) -> Line:
    """A small fine on the spot is not dishonesty."""
    return penalty(
        firm, "罚款", MARKET, document_no="沙市监当罚〔2026〕103号", decided_on=today - _days(15), conduct="占道经营",
        more={"CF_NR_FK": "0.02", "procedure": "simple"},
    )  # fmt: skip


def no_penalty(firm: Firm, today: dt.date) -> Line:
    """A first offence that is not punished (Administrative Penalty Law, article 33): never a flag."""
    return penalty(
        firm, "其他", MARKET, document_no="沙市监不罚〔2026〕104号", decided_on=today - _days(25),
        conduct="首次逾期公示年报", more={"decision": "no_penalty"},
    )  # fmt: skip


def _ended_penalty(member: str) -> State:
    def state(firm: Firm, today: dt.date) -> Line:
        return penalty(
            firm, "罚款", TRANSPORT, document_no="沙交罚〔2026〕11号", decided_on=today - _days(180), conduct="超限运输",
            more={"CF_NR_FK": "1", member: _iso(today - _days(5))},
        )  # fmt: skip

    return state


def expired_penalty(firm: Firm, today: dt.date) -> Line:
    """Beyond any maximum of publication, and the conduct ended over five years ago."""
    return penalty(
        firm, "罚款", TRANSPORT, document_no="沙交罚〔2019〕7号", decided_on=today - _days(2200), conduct="超限运输",
        more={"CF_NR_FK": "2", "conduct_ended_on": _iso(today - _days(2300))},
    )  # fmt: skip


def old_spelling(firm: Firm, today: dt.date) -> Line:
    """Spelled as before 2021, and naming the firm by its old registration number only: must merge with the code."""
    return {
        "op": "put",
        "kind": "penalty",
        "id": f"CF.{firm.reg_no or firm.uscc}",
        "CF_XDR_MC": firm.name,
        "CF_XDR_GSDJ": firm.reg_no,
        "CF_WSH": "沙工商处字〔2026〕12号",
        "CF_CFLB1": "罚款",
        "CF_CFLB2": "没收违法所得",
        "CF_JG": "罚款三万元，没收违法所得一万元。",
        "CF_NR_FK": "3",
        "CF_NR_WFFF": "1",
        "CF_JDRQ": (today - _days(35)).isoformat(),
        "CF_XZJG": MARKET.name,
        "CF_CFJGDM": MARKET.code,
    }


ALL: Final[tuple[tuple[str, State], ...]] = (
    ("serious_list", serious_list),
    ("judgment_defaulter", judgment_defaulter),
    ("abnormal_operations", abnormal_operations),
    ("tax_violator", tax_violator),
    ("unverified_list", unverified_list),
    ("under_objection", under_objection),
    ("shielded", shielded),
    ("repaired_list", _removed("repaired")),
    ("revoked_list", _removed("revoked")),
    ("corrected_list", _removed("corrected")),
    ("expired_list", expired_list),
    ("observation", observation),
    ("listed_person", listed_person),
    ("fine", fine),
    ("closure", closure),
    ("warning", warning),
    ("simple_procedure", simple_procedure),
    ("no_penalty", no_penalty),
    ("repaired_penalty", _ended_penalty("repaired_on")),
    ("revoked_penalty", _ended_penalty("revoked_on")),
    ("corrected_penalty", _ended_penalty("corrected_on")),
    ("expired_penalty", expired_penalty),
    ("old_spelling", old_spelling),
)
"""By name, in the order in which the first firms of a city get them."""
