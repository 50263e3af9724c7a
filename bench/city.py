"""A city of synthetic merchants, written straight into the replica: enough to look up, and an outcome known for each.

Not for: showing what the gateway can do (``gateway.sandbox``); the feed has no part in the figures.
"""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any, Final

from bench.database import copy
from gateway.credit.identifiers import check_character, name_key
from gateway.credit.record import ListEntry, Registration, RegistrationStatus, encode_value

if TYPE_CHECKING:
    from collections.abc import Sequence

FEED: Final = "municipal"
LISTED_EVERY: Final = 10
"""One merchant in ten stands on a list, so that answers with flags and answers without are both in the figures."""
LIST_CODE: Final = "SX-SAMR"
_SUBJECT: Final = ("slot", "uscc", "reg_no", "name", "name_key", "body")
_RECORD: Final = ("slot", "record_id", "subject_key", "kind", "body")


def synthetic_codes(count: int) -> list[str]:
    """Return unified social credit codes with right check characters (department 9, enterprises, a division of no city)."""
    codes = []
    for number in range(count):
        body = f"{number:08d}"
        weights = (3, 7, 9, 10, 5, 8, 4, 2)
        check = 11 - sum(int(digit) * weight for digit, weight in zip(body, weights, strict=True)) % 11
        first17 = f"91990000{body}{'X' if check == 10 else 0 if check == 11 else check}"
        codes.append(first17 + check_character(first17))
    return codes


def expected_outcome(number: int) -> str:
    """Return what the merchant of a number must be answered with."""
    return "restricted" if number % LISTED_EVERY == 0 else "clear"


async def load_city(connection: Any, codes: Sequence[str]) -> None:
    """Fill slot 0 of the replica as an applied feed version would."""
    today = dt.datetime.now(dt.UTC).date()
    subjects: list[tuple[object, ...]] = []
    records: list[tuple[object, ...]] = []
    for number, code in enumerate(codes):
        name = f"合成市第{number:06d}号商贸有限公司"
        firm = Registration(uscc=code, name=name, status=RegistrationStatus.ACTIVE, established=dt.date(2019, 5, 6))
        subjects.append((0, code, None, name, name_key(name), encode_value(firm)))
        if expected_outcome(number) == "restricted":
            entry = _list_entry(number, code, name, today)
            records.append((0, entry.record_id, code, "list_entry", encode_value(entry)))
    await copy(connection, "replica.subject", _SUBJECT, subjects)
    await copy(connection, "replica.record", _RECORD, records)
    now = time.time_ns() // 1_000_000
    await connection.execute(
        "INSERT INTO replica.feed_head (feed, slot, version, manifest_sha256, as_of_ms, record_count, applied_ms)"
        " VALUES ($4, 0, 1, $1, $2, $3, $2)",
        bytes(32), now, len(subjects) + len(records), FEED,
    )  # fmt: skip
    await connection.execute("ANALYZE")


def _list_entry(number: int, code: str, name: str, today: dt.date) -> ListEntry:
    return ListEntry(
        record_id=f"LE-{number:010d}",
        list_code=LIST_CODE,
        name=name,
        document_no=f"合市监列异〔2026〕{number}号",
        decided_on=today - dt.timedelta(days=90),
        published_on=today - dt.timedelta(days=88),
        authority="合成市市场监督管理局",
        authority_code="11990000MB0000001X",
        uscc=code,
        grounds="通过登记的住所或者经营场所无法联系",
    )
