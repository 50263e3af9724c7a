"""The effective-dated catalogue of credit law, and what of it is in force on a day.

For: every number, name, period and basis that an answer rests on. Not for: reading files (the caller hands in the bytes), nor
for deciding about a record (``state``, ``flags``).
A catalogue whose any row lacks a source or a first day is refused as a whole: it fails at start, not in an answer.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from gateway.base.canonical import JsonError, parse_json_object
from gateway.credit.catalogue_rows import (
    Confidence,
    DepartmentRow,
    DirectoryClassRow,
    DivisionRow,
    FamilyRow,
    FieldRow,
    ListRow,
    MeasureRow,
    ParameterRow,
    PenaltyTypeRow,
    PlatformMeasureRow,
    RepairRule,
    Row,
    RuleSubject,
    WorkflowRow,
)
from gateway.credit.identifiers import UsccTables
from gateway.credit.record import Area, Tier

FILES: Final[dict[str, type[Row]]] = {
    "authority_families.json": FamilyRow,
    "departments.json": DepartmentRow,
    "directory_classes.json": DirectoryClassRow,
    "divisions.json": DivisionRow,
    "legal_parameters.json": ParameterRow,
    "licence_fields.json": FieldRow,
    "lists.json": ListRow,
    "measures.json": MeasureRow,
    "penalty_fields.json": FieldRow,
    "penalty_types.json": PenaltyTypeRow,
    "platform_measures.json": PlatformMeasureRow,
    "repair_rules.json": RepairRule,
    "workflow.json": WorkflowRow,
}
RELEASE_FILE: Final = "release.json"
DEFAULT_FAMILY: Final = "ndrc"
PROCEDURE_FAMILY: Final = "procedure"
OTHER_PENALTY: Final = "CF-OTHER"
MAX_CONDUCT_AGE: Final = "negative_info_query_max_age"

_CACHED_DAYS: Final = 64
_CACHED_TYPES: Final = 4096
_TIERS: Final = (Tier.MINOR, Tier.GENERAL, Tier.SERIOUS)

R = TypeVar("R", bound=Row)


class CatalogueError(ValueError):
    """The catalogue cannot be used: in which file, and why."""

    def __init__(self, file: str, why: str) -> None:
        super().__init__(f"{file}: {why}")


class TierFinding(NamedTuple):
    """The tier that the kinds of a penalty give, the row that decided it, and the kinds that no row knows."""

    tier: Tier
    row: PenaltyTypeRow | None
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DayView:
    """The catalogue as it stands on one day. Made by ``Catalogue.on``; its memos are owned by it and only ever filled."""

    day: dt.date
    lists: dict[str, ListRow]
    measures: dict[str, MeasureRow]
    platform_measures: dict[str, PlatformMeasureRow]
    parameters: dict[str, ParameterRow]
    rules: tuple[RepairRule, ...]
    types: dict[str, PenaltyTypeRow]
    families: tuple[FamilyRow, ...]
    uscc_tables: UsccTables
    _rule_memo: dict[tuple[RuleSubject, str, Tier, Area | None], RepairRule | None] = field(default_factory=dict)
    _type_memo: dict[str, TierFinding] = field(default_factory=dict)
    _family_memo: dict[str, str] = field(default_factory=dict)
    flag_memo: dict[tuple[str, str, str], object] = field(default_factory=dict)
    """What ``flags`` derives from rows alone, by row and tier; bounded by the number of rows."""

    def rule_at(self, subject: RuleSubject, family: str, tier: Tier, area: Area | None = None) -> RepairRule | None:
        """Return the publication rule of this day: its family first, then the more special area, then the latest."""
        key = (subject, family, tier, area)
        if key not in self._rule_memo:
            self._rule_memo[key] = self._find_rule(subject, family, tier, area)
        return self._rule_memo[key]

    def _find_rule(self, subject: RuleSubject, family: str, tier: Tier, area: Area | None) -> RepairRule | None:
        fitting = [
            rule
            for rule in self.rules
            if rule.subject in (subject, RuleSubject.ANY)
            and rule.family in (family, DEFAULT_FAMILY)
            and tier in rule.tiers
            and (not rule.areas or area in rule.areas)
        ]
        return max(fitting, key=lambda rule: (rule.family == family, bool(rule.areas), rule.valid_from), default=None)

    def procedure(self) -> RepairRule | None:
        """Return the row that says how repair is applied for on this day."""
        return next((rule for rule in self.rules if rule.subject is RuleSubject.PROCEDURE), None)

    def tier_of(self, types: str) -> TierFinding:
        """Return the most severe tier among kinds of penalty joined by ``;``. An unknown kind counts as "other"."""
        found = self._type_memo.get(types)
        if found is None:
            found = self._find_tier(types)
            if len(self._type_memo) < _CACHED_TYPES:
                self._type_memo[types] = found
        return found

    def _find_tier(self, types: str) -> TierFinding:
        words = types.split(";")
        unknown = tuple(word for word in words if word not in self.types)
        rows = [row for word in words if (row := self.types.get(word)) is not None]
        if unknown and (other := self.types.get(OTHER_PENALTY)) is not None:
            rows.append(other)
        worst = max(rows, key=lambda row: _TIERS.index(row.tier), default=None)
        return TierFinding(Tier.GENERAL if worst is None else worst.tier, worst, unknown)

    def family_of(self, authority: str) -> str:
        """Return whose publication rules a penalty of this authority follows."""
        family = self._family_memo.get(authority)
        if family is None:
            family = self._find_family(authority)
            if len(self._family_memo) < _CACHED_TYPES:
                self._family_memo[authority] = family
        return family

    def _find_family(self, authority: str) -> str:
        for row in self.families:
            if any(part in authority for part in row.name_contains):
                return row.code
        return DEFAULT_FAMILY

    def parameter_months(self, code: str) -> int | None:
        """Return a parameter in months; ``None`` where no law sets it on this day."""
        row = self.parameters.get(code)
        return None if row is None else row.months


class Catalogue:
    """A loaded release. Immutable; ``on`` keeps the views of the days asked about last."""

    def __init__(self, version: str, rows: Mapping[str, tuple[Row, ...]]) -> None:
        self.version: Final = version
        self._rows: Final = dict(rows)
        self._views: Final[dict[dt.date, DayView]] = {}

    def rows(self, file: str) -> tuple[Row, ...]:
        """Return all rows of one file, whatever their days."""
        return self._rows[file]

    def on(self, day: dt.date) -> DayView:
        """Return what is in force on a day of Asia/Shanghai."""
        view = self._views.get(day)
        if view is None:
            if len(self._views) >= _CACHED_DAYS:
                self._views.clear()
            view = self._views[day] = self._view(day)
        return view

    def rule_at(
        self, day: dt.date, subject: RuleSubject, family: str, tier: Tier, area: Area | None = None
    ) -> RepairRule | None:
        """Return the publication rule in force on a day (see ``DayView.rule_at``)."""
        return self.on(day).rule_at(subject, family, tier, area)

    def _view(self, day: dt.date) -> DayView:
        departments = self._in_force("departments.json", DepartmentRow, day)
        types = self._in_force("penalty_types.json", PenaltyTypeRow, day)
        by_name = {name: row for row in types for name in (row.code, *row.names)}
        return DayView(
            day=day,
            lists=_by_code(self._in_force("lists.json", ListRow, day)),
            measures=_by_code(self._in_force("measures.json", MeasureRow, day)),
            platform_measures=_by_code(self._in_force("platform_measures.json", PlatformMeasureRow, day)),
            parameters=_by_code(self._in_force("legal_parameters.json", ParameterRow, day)),
            rules=tuple(self._in_force("repair_rules.json", RepairRule, day)),
            types=by_name,
            families=tuple(self._in_force("authority_families.json", FamilyRow, day)),
            uscc_tables=UsccTables(
                categories={row.code: frozenset(part.code for part in row.categories) for row in departments},
                withdrawn_divisions=frozenset(row.code for row in self._in_force("divisions.json", DivisionRow, day)),
            ),
        )

    def _in_force(self, file: str, shape: type[R], day: dt.date) -> list[R]:
        return [
            row
            for row in self._rows[file]
            if isinstance(row, shape) and row.valid_from <= day and (row.valid_to is None or day <= row.valid_to)
        ]


def load_catalogue(files: Mapping[str, bytes]) -> Catalogue:
    """Read a release from the contents of its files by name; ``*.schema.json`` are passed over.

    The version is the release's day and the first twelve hex digits of a digest over all files, so two catalogues with one
    version are equal. Raises ``CatalogueError`` for a missing or foreign file, a row of the wrong shape, without source or
    first day, with days that end before they begin, two rows of one code on one day, or a name that leads nowhere.
    """
    wanted = {name: raw for name, raw in files.items() if not name.endswith(".schema.json")}
    if wanted.keys() != FILES.keys() | {RELEASE_FILE}:
        odd = sorted(wanted.keys() ^ (FILES.keys() | {RELEASE_FILE}))
        raise CatalogueError("release", f"files missing or foreign: {', '.join(odd)}")
    rows = {name: _read_rows(name, shape, wanted[name]) for name, shape in FILES.items()}
    _check_references(rows)
    release = _read(RELEASE_FILE, wanted[RELEASE_FILE]).get("release")
    if not isinstance(release, str) or not release:
        raise CatalogueError(RELEASE_FILE, "no release")
    digest = hashlib.sha256()
    for name in sorted(wanted):
        digest.update(hashlib.sha256(name.encode()).digest() + hashlib.sha256(wanted[name]).digest())
    return Catalogue(f"{release}+{digest.hexdigest()[:12]}", rows)


def worst(confidences: Iterable[Confidence]) -> Confidence:
    """Return the weakest of some confidences; of none, ``TEXT``."""
    order = list(Confidence)
    return max(confidences, key=order.index, default=Confidence.TEXT)


def _read(name: str, raw: bytes) -> dict[str, Any]:
    try:
        return dict(parse_json_object(raw))
    except JsonError as exc:
        raise CatalogueError(name, str(exc)) from exc


def _read_rows(name: str, shape: type[Row], raw: bytes) -> tuple[Row, ...]:
    try:
        rows = msgspec.convert(_read(name, raw).get("rows"), list[shape])  # type: ignore[valid-type] # one of FILES
    except msgspec.ValidationError as exc:
        raise CatalogueError(name, str(exc)) from exc
    if not rows:
        raise CatalogueError(name, "no rows")
    _check_days(name, rows)
    return tuple(rows)


def _check_days(name: str, rows: list[Row]) -> None:
    last: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: (row.code, row.valid_from)):
        if row.valid_to is not None and row.valid_to < row.valid_from:
            raise CatalogueError(name, f"{row.code} ends before it begins")
        before = last.get(row.code)
        if before is not None and (before.valid_to is None or before.valid_to >= row.valid_from):
            raise CatalogueError(name, f"{row.code} has two rows on {row.valid_from}")
        last[row.code] = row


def _check_references(rows: Mapping[str, tuple[Row, ...]]) -> None:
    measures = {row.code for row in rows["measures.json"]}
    for row in rows["lists.json"]:
        if isinstance(row, ListRow):
            missing = {part.code for part in row.measures} - measures
            if missing or row.tier not in row.tiers:
                raise CatalogueError(
                    "lists.json", f"{row.code} names unknown measures {sorted(missing)} or a foreign tier"
                )
    if OTHER_PENALTY not in {row.code for row in rows["penalty_types.json"]}:
        raise CatalogueError("penalty_types.json", f"no {OTHER_PENALTY}")
    parameters = {row.code: row for row in rows["legal_parameters.json"] if isinstance(row, ParameterRow)}
    if MAX_CONDUCT_AGE not in parameters or parameters[MAX_CONDUCT_AGE].months is None:
        raise CatalogueError("legal_parameters.json", f"no months for {MAX_CONDUCT_AGE}")


def _by_code(rows: Iterable[R]) -> dict[str, R]:
    return {row.code: row for row in rows}
