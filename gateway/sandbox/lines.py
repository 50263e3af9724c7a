"""Feed lines as a municipal platform writes them: the public spelling, as dictionaries and as bytes.

For: the synthetic city and for whoever publishes a delta by hand. Not for: reading lines (``gateway.credit.feed``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from gateway.base.canonical import canonical_json
from gateway.credit.identifiers import check_character

if TYPE_CHECKING:
    import datetime as dt

Member: TypeAlias = str | int | dict[str, str] | None
Line: TypeAlias = dict[str, Member]

ENTERPRISE: Final = "91990000"
HOUSEHOLD: Final = "92990000"
_AUTHORITY: Final = "11990000"
_WEIGHTS: Final = (3, 7, 9, 10, 5, 8, 4, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Firm:
    """Who a line is about."""

    uscc: str
    name: str
    reg_no: str | None = None


def make_uscc(prefix: str, body: str) -> str:
    """Return the code of eight characters of department, category and division, and eight of the organisation code.

    ``make_uscc("91990000", "00000001") == "919900000000000192"``. Sources: GB 11714 and GB 32100-2015.
    """
    rest = 11 - sum(int(character, 36) * weight for character, weight in zip(body, _WEIGHTS, strict=True)) % 11
    first17 = prefix + body + ("X" if rest == 10 else "0" if rest == 11 else str(rest))  # noqa: PLR2004 - GB 11714
    return first17 + check_character(first17)


def make_reg_no(number: int) -> str:
    """Return an old 15-digit registration number with its check digit (ISO 7064 MOD 11,10)."""
    first14 = f"990000{number:08d}"
    product = 10
    for digit in first14:
        product = ((product + int(digit)) % 10 or 10) * 2 % 11
    return first14 + str((11 - product) % 10)


@dataclass(frozen=True, slots=True)
class Authority:
    """A body that decides, with its own code."""

    name: str
    code: str


MARKET: Final = Authority("沙箱市市场监督管理局", make_uscc(_AUTHORITY, "00000001"))
COURT: Final = Authority("沙箱市第一人民法院", make_uscc(_AUTHORITY, "00000002"))
TAX: Final = Authority("沙箱市税务局", make_uscc(_AUTHORITY, "00000003"))
LABOUR: Final = Authority("沙箱市人力资源和社会保障局", make_uscc(_AUTHORITY, "00000004"))
EMERGENCY: Final = Authority("沙箱市应急管理局", make_uscc(_AUTHORITY, "00000005"))
TRANSPORT: Final = Authority("沙箱市交通运输委员会", make_uscc(_AUTHORITY, "00000006"))
ENVIRONMENT: Final = Authority("沙箱市生态环境局", make_uscc(_AUTHORITY, "00000007"))


def registration(firm: Firm, *, status: str = "active", established: dt.date, person: str | None = None) -> Line:
    """Return the line of a registration. ``person``: the legal representative, which the gateway does not keep."""
    line: Line = {
        "op": "put",
        "kind": "registration",
        "id": firm.uscc,
        "uscc": firm.uscc,
        "name": firm.name,
        "status": status,
        "established": established.isoformat(),
    }
    if firm.reg_no is not None:
        line["reg_no"] = firm.reg_no
    if person is not None:
        line["legal_representative"] = person
    return line


def list_entry(  # noqa: PLR0913 - a record has that many necessary parts
    firm: Firm,
    list_code: str,
    authority: Authority,
    *,
    document_no: str,
    decided_on: dt.date,
    grounds: str,
    more: Line | None = None,
) -> Line:
    """Return the line of an entry in a list; its id is made of list and document number."""
    return {
        "op": "put",
        "kind": "list_entry",
        "id": f"{list_code}.{firm.uscc}",
        "list_code": list_code,
        "uscc": firm.uscc,
        "name": firm.name,
        "document_no": document_no,
        "decided_on": decided_on.isoformat(),
        "published_on": decided_on.isoformat(),
        "authority": authority.name,
        "authority_code": authority.code,
        "grounds": grounds,
        **(more or {}),
    }


def penalty(  # noqa: PLR0913 - a record has that many necessary parts
    firm: Firm,
    types: str,
    authority: Authority,
    *,
    document_no: str,
    decided_on: dt.date,
    conduct: str,
    more: Line | None = None,
) -> Line:
    """Return the line of a penalty in the 2021 double-publicity spelling."""
    return {
        "op": "put",
        "kind": "penalty",
        "id": f"CF.{firm.uscc}",
        "CF_XDR_MC": firm.name,
        "CF_XDR_LB": "法人及非法人组织",
        "CF_XDR_SHXYM": firm.uscc,
        "CF_WSH": document_no,
        "CF_WFXW": conduct,
        "CF_YJ": "《中华人民共和国行政处罚法》",
        "CF_CFLB": types,
        "CF_NR": f"{types}。",
        "CF_JDRQ": decided_on.strftime("%Y/%m/%d"),
        "CF_CFJG": authority.name,
        "CF_CFJGDM": authority.code,
        "published_on": decided_on.isoformat(),
        **(more or {}),
    }


def deletion(kind: str, record_id: str) -> Line:
    """Return the line that takes a record out of the feed."""
    return {"op": "delete", "kind": kind, "id": record_id}


def encode(line: Line) -> bytes:
    """Return the bytes of a line with its line feed."""
    return canonical_json(line) + b"\n"
