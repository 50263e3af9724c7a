"""Facts for tests of the credit rules: each factory makes a plain valid thing; a test names only what it is about."""

from __future__ import annotations

import datetime as dt
import json
from functools import cache
from pathlib import Path
from typing import Any

from gateway.base.clock import Millis, from_datetime
from gateway.credit.answer import Answer, Asked, decide_answer
from gateway.credit.catalogue import Catalogue, load_catalogue
from gateway.credit.facts import SourceState, SubjectFacts
from gateway.credit.identifiers import Uscc
from gateway.credit.record import ListEntry, Penalty, Record, Registration, RegistrationStatus

CATALOGUE_FOLDER = Path(__file__).parents[3] / "schemas" / "catalogue"
CODE = Uscc("919900000000000192")
AUTHORITY = "12120000000000019L"
MAX_STALE_MS = 86_400_000
SHANGHAI = dt.timezone(dt.timedelta(hours=8))
TODAY = dt.date(2026, 11, 22)


def catalogue_files() -> dict[str, bytes]:
    """The bytes of the project's catalogue by file name."""
    return {path.name: path.read_bytes() for path in CATALOGUE_FOLDER.glob("*.json")}


@cache
def catalogue() -> Catalogue:
    """The project's catalogue."""
    return load_catalogue(catalogue_files())


def noon(day: dt.date) -> Millis:
    """Noon of a day in Asia/Shanghai."""
    return from_datetime(dt.datetime.combine(day, dt.time(12), SHANGHAI))


def make_source(at: Millis, **changes: Any) -> SourceState:
    """A feed whose facts are a minute old."""
    members: dict[str, Any] = {"feed": "tianjin", "version": 7, "as_of_ms": Millis(at - 60_000), "slot": 0}
    return SourceState(**members | changes)


def make_registration(**changes: Any) -> Registration:
    """An active company."""
    members: dict[str, Any] = {"uscc": CODE, "name": "天津测试有限公司", "status": RegistrationStatus.ACTIVE}
    return Registration(**members | changes)


def make_penalty(**changes: Any) -> Penalty:
    """A fine by ordinary procedure, of general tier, by an authority without rules of its own."""
    members: dict[str, Any] = {
        "record_id": "cf-1",
        "uscc": CODE,
        "name": "天津测试有限公司",
        "document_no": "津应急罚〔2026〕1号",
        "types": "罚款",
        "decided_on": dt.date(2026, 5, 20),
        "authority": "天津市应急管理局",
        "authority_code": AUTHORITY,
    }
    return Penalty(**members | changes)


def make_entry(**changes: Any) -> ListEntry:
    """An entry in the list of judgment defaulters."""
    members: dict[str, Any] = {
        "record_id": "sx-1",
        "uscc": CODE,
        "name": "天津测试有限公司",
        "list_code": "SX-JUD",
        "document_no": "(2026)津01执1号",
        "decided_on": dt.date(2026, 3, 1),
        "authority": "天津市第一中级人民法院",
        "authority_code": AUTHORITY,
    }
    return ListEntry(**members | changes)


def make_facts(*records: Record, on: dt.date = TODAY, **changes: Any) -> SubjectFacts:
    """The facts about a registered subject, from a fresh source."""
    members: dict[str, Any] = {
        "source": make_source(noon(on)),
        "registration": make_registration(),
        "records": records,
        "quarantined": 0,
    }
    return SubjectFacts(**members | changes)


def answer_on(day: dt.date, *records: Record, name: str | None = None, **changes: Any) -> Answer:
    """What is answered about the subject at noon of a day."""
    return decide_answer(
        Asked(uscc=CODE, name=name),
        make_facts(*records, on=day, **changes),
        catalogue(),
        verification_id="ver_1",
        at=noon(day),
        max_stale_ms=MAX_STALE_MS,
    )


def codes(answer: Answer) -> set[str]:
    """The codes of an answer's reasons."""
    return {reason.code for reason in answer.reasons}


def line(**members: Any) -> bytes:
    """A feed line; a member set to ``None`` is left out."""
    kept = {name: value for name, value in members.items() if value is not None}
    return json.dumps(kept, ensure_ascii=False).encode()


def registration_line(**changes: Any) -> bytes:
    """A registration as published."""
    members: dict[str, Any] = {
        "op": "put",
        "kind": "registration",
        "id": CODE,
        "uscc": CODE,
        "name": "天津测试有限公司",
        "status": "active",
        "established": "2019-04-01",
    }
    return line(**members | changes)


def penalty_line(**changes: Any) -> bytes:
    """A penalty as published, in the spelling of 2021."""
    members: dict[str, Any] = {
        "op": "put",
        "kind": "penalty",
        "id": "cf-1",
        "CF_XDR_MC": "天津测试有限公司",
        "CF_XDR_LB": "法人及非法人组织",
        "CF_XDR_SHXYM": CODE,
        "CF_WSH": "津应急罚〔2026〕1号",
        "CF_WFXW": "未按规定设置安全警示标志",
        "CF_SY": "经查,当事人张三未设置标志。",
        "CF_YJ": "《中华人民共和国安全生产法》第九十九条",
        "CF_CFLB": "罚款",
        "CF_NR": "罚款五万元",
        "CF_NR_FK": "5",
        "CF_JDRQ": "2026-05-20",
        "CF_GSJZQ": "2027-05-20",
        "CF_CFJG": "天津市应急管理局",
        "CF_CFJGDM": AUTHORITY,
        "CF_SJLY": "天津市应急管理局",
        "CF_SJLYDM": AUTHORITY,
        "published_on": "2026-05-25",
    }
    return line(**members | changes)


def entry_line(**changes: Any) -> bytes:
    """A list entry as published."""
    members: dict[str, Any] = {
        "op": "put",
        "kind": "list_entry",
        "id": "sx-1",
        "uscc": CODE,
        "name": "天津测试有限公司",
        "list_code": "SX-JUD",
        "grounds": "有履行能力而拒不履行",
        "document_no": "(2026)津01执1号",
        "decided_on": "2026-03-01",
        "published_on": "2026-03-03",
        "authority": "天津市第一中级人民法院",
        "authority_code": AUTHORITY,
    }
    return line(**members | changes)
