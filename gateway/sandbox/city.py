"""A synthetic city: any number of merchants, always the same for a seed and a day, never all in memory.

For: the demo, tests and benchmarks. Not for: anything real; every name is invented, every code has the unassigned division 990000.
The first merchants have one state each, in the order of ``states.ALL``, so even a small city has every state; of the others
about one in seven has a record.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.sandbox.lines import ENTERPRISE, HOUSEHOLD, Firm, Line, make_reg_no, make_uscc, registration
from gateway.sandbox.merchants import MERCHANTS, sandbox_records, sandbox_registrations
from gateway.sandbox.states import ALL

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_SIZE: Final = 20_000
MAX_SIZE: Final = 50_000_000
_FIRST_BODY: Final = 10_000_000
"""Organisation codes of the city begin here, above those of the sandbox merchants."""

_PLACES: Final = "东西南北中江河湖海山林石金玉云"
_WORDS: Final = (
    "顺达",
    "恒通",
    "宏远",
    "瑞丰",
    "安泰",
    "锦程",
    "万和",
    "嘉禾",
    "启明",
    "致远",
    "汇川",
    "百川",
    "润泽",
    "盛源",
    "永昌",
    "天成",
)
_TRADES: Final = (
    "物流",
    "货运",
    "供应链",
    "科技",
    "信息服务",
    "人力资源",
    "再生资源",
    "设备租赁",
    "机械",
    "食品",
    "商贸",
    "环保",
)
_MASK: Final = 2**64 - 1
_RECORD_SHARE: Final = 7
_HOUSEHOLD_SHARE: Final = 6
_STATUSES: Final = ("active",) * 29 + ("dormant", "revoked", "deregistered")


@dataclass(frozen=True, slots=True, kw_only=True)
class City:
    """``size`` merchants beside the sandbox merchants. Days of records are counted back from ``today``."""

    size: int
    seed: int
    today: dt.date

    def lines(self) -> Iterator[Line]:
        """Yield the whole feed: first every registration, then every record."""
        yield from sandbox_registrations(self.today)
        for index in range(self.size):
            yield self._registration(index)
        yield from sandbox_records(self.today)
        for index in range(self.size):
            record = self._record(index)
            if record is not None:
                yield record

    def firm(self, index: int) -> Firm:
        """Return one merchant of the city, from 0."""
        chance = self._chance(index)
        household = chance % _HOUSEHOLD_SHARE == 0 and index >= len(ALL)
        place = _PLACES[chance // 7 % len(_PLACES)] + _PLACES[chance // 131 % len(_PLACES)]
        word, trade = _WORDS[chance // 1009 % len(_WORDS)], _TRADES[chance // 10_007 % len(_TRADES)]
        ending = f"{trade}经营部" if household else f"{trade}有限公司"
        return Firm(
            uscc=make_uscc(HOUSEHOLD if household else ENTERPRISE, f"{_FIRST_BODY + index:08d}"),
            name=f"沙箱{place}{word}{index % 10_000}号{ending}",
            reg_no=make_reg_no(_FIRST_BODY + index) if chance % 3 == 0 or index < len(ALL) else None,
        )

    def state_of(self, index: int) -> str | None:
        """Return the name of the state that a merchant's record is in, or ``None`` if it has no record."""
        number = self._state_number(index)
        return None if number is None else ALL[number][0]

    def _registration(self, index: int) -> Line:
        chance = self._chance(index)
        status = "active" if index < len(ALL) else _STATUSES[chance // 77 % len(_STATUSES)]
        established = self.today - dt.timedelta(days=200 + chance % 9000)
        return registration(self.firm(index), status=status, established=established)

    def _record(self, index: int) -> Line | None:
        number = self._state_number(index)
        return None if number is None else ALL[number][1](self.firm(index), self.today)

    def _state_number(self, index: int) -> int | None:
        if index < len(ALL):
            return index
        chance = self._chance(index) // 501
        if chance % _RECORD_SHARE:
            return None
        number = chance // _RECORD_SHARE % len(ALL)
        has_old_number = self._chance(index) % 3 == 0
        return number if ALL[number][0] != "old_spelling" or has_old_number else 0

    def _chance(self, index: int) -> int:
        """Return 64 well-mixed bits of seed and index (SplitMix64): the same on every machine and Python."""
        z = (index * 0x9E3779B97F4A7C15 + self.seed * 0xD1B54A32D192ED03) & _MASK
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & _MASK
        return z ^ (z >> 31)


def sandbox_code(scenario: str) -> str:
    """Return the code of a sandbox merchant by the scenario it stands for."""
    return next(merchant.firm.uscc for merchant in MERCHANTS if merchant.scenario == scenario)
