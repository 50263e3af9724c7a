"""The alarm: each contradiction is counted, and logged once."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.base.log import FIELDS
from gateway.verification.alarm import MAX_NOTED, Alarm, Record


@dataclass
class Heard:
    lines: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    counted: list[tuple[str, str]] = field(default_factory=list)

    def error(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))

    def record_contradicted(self, record: str, column: str) -> None:
        self.counted.append((record, column))


def test_one_line_for_a_contradiction_however_often_it_is_met():
    heard = Heard()
    alarm = Alarm(heard, heard)

    for _ in range(3):
        alarm.entry(Record.ANSWER, "salt", 7, partner_id="prt_1")
    alarm.entry(Record.ANSWER, "salt", 8, partner_id="prt_1")
    alarm.entry(Record.ANSWER, "sealed", 7, partner_id="prt_1")
    for _ in range(2):
        alarm.key("thumb", "scopes", 3)

    assert len(heard.counted) == 7
    assert heard.lines == [
        ("record_contradicted", {"record": "answer", "column": "salt", "leaf_index": 7, "partner_id": "prt_1"}),
        ("record_contradicted", {"record": "answer", "column": "salt", "leaf_index": 8, "partner_id": "prt_1"}),
        ("record_contradicted", {"record": "answer", "column": "sealed", "leaf_index": 7, "partner_id": "prt_1"}),
        ("record_contradicted", {"record": "registration", "column": "scopes", "leaf_index": 3, "thumbprint": "thumb"}),
    ]


def test_every_field_may_be_logged():
    heard = Heard()
    alarm = Alarm(heard, heard)
    alarm.entry(Record.IDEMPOTENCY, "key_hash", None, partner_id="prt_1")
    alarm.key("thumb", "unregistered", None)

    assert {name for _event, fields in heard.lines for name in fields} <= set(FIELDS)


def test_its_memory_is_bounded():
    heard = Heard()
    alarm = Alarm(heard, heard)

    for index in range(MAX_NOTED + 1):
        alarm.entry(Record.ANSWER, "salt", index, partner_id="prt_1")
    alarm.entry(Record.ANSWER, "salt", 0, partner_id="prt_1")

    assert len(heard.lines) == MAX_NOTED + 2
