"""The catalogue: domain.md, first paragraph and point 4."""

from __future__ import annotations

import datetime as dt
import json

import msgspec
import pytest

from gateway.credit.catalogue import FILES, CatalogueError, load_catalogue
from gateway.credit.catalogue_rows import Confidence, Exposure, RuleSubject
from gateway.credit.record import Area, Tier
from tests.unit.credit.factories import CATALOGUE_FOLDER, catalogue, catalogue_files

LISTS = """
SX-JUD SX-TAX SX-WAGE SX-SAMR SX-ABN SX-SAFE SX-FIRE-TJ SX-GOVP SX-CUST SX-STAT SX-TOUR SX-IP SX-TRANS SX-OVERLOAD SX-MED
SX-SI SX-SCI SX-CONST SX-ENV SX-NPO SX-SEC SX-FUND SX-FIN SX-MIN SX-CPA SX-CHILD SX-MIL SX-EXPR SX-AGRI SX-BID
""".split()  # noqa: SIM905 - a list of literals takes a line each


def edited(file: str, change) -> dict[str, bytes]:
    """The catalogue's files with the first row of one of them changed."""
    files = catalogue_files()
    content = json.loads(files[file])
    change(content["rows"])
    return files | {file: json.dumps(content, ensure_ascii=False).encode()}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("member", ["source", "valid_from"])
def test_a_row_without_source_or_first_day_fails_the_build(file, member):
    """A row without a source and a valid-from date fails the build."""
    files = edited(file, lambda rows: rows[0].pop(member))

    with pytest.raises(CatalogueError, match=file):
        load_catalogue(files)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda rows: rows[0].update(source={"document": "", "article": None}), "document"),
        (lambda rows: rows[0].update(valid_from=None), "valid_from"),
        (lambda rows: rows[0].update(valid_from="2026"), "valid_from"),
        (lambda rows: rows[0].update(valid_to="2001-01-01"), "ends before it begins"),
        (lambda rows: rows.append(rows[0]), "two rows"),
        (lambda rows: rows[0].update(confidence="certain"), "confidence"),
        (lambda rows: rows[0].update(surprise=1), "surprise"),
        (lambda rows: rows[0].update(measures=[{"code": "M99", "scope": ""}]), "M99"),
        (lambda rows: rows[0].update(tier="minor"), "tier"),
        (lambda rows: rows.clear(), "no rows"),
    ],
)
def test_a_broken_list_row_is_refused_with_its_reason(change, why):
    with pytest.raises(CatalogueError, match=why):
        load_catalogue(edited("lists.json", change))


@pytest.mark.parametrize(
    "change",
    [
        lambda files: files.pop("lists.json"),
        lambda files: files.pop("release.json"),
        lambda files: files.update({"more.json": b"{}"}),
        lambda files: files.update({"lists.json": b"{"}),
        lambda files: files.update({"lists.json": b'{"rows": 1}'}),
        lambda files: files.update({"release.json": b"{}"}),
    ],
)
def test_a_missing_foreign_or_unreadable_file_is_refused(change):
    files = catalogue_files()
    change(files)

    with pytest.raises(CatalogueError):
        load_catalogue(files)


def test_rules_that_answers_compute_with_must_be_there():
    without_other = edited("penalty_types.json", lambda rows: rows.pop())
    without_age = edited("legal_parameters.json", lambda rows: [row.update(months=None) for row in rows])

    for files in (without_other, without_age):
        with pytest.raises(CatalogueError):
            load_catalogue(files)


def test_every_code_of_the_domain_is_kept():
    """Lists, measures, platform measures, directory classes, departments, workflow, parameters and fields."""
    held = {file: {row.code for row in catalogue().rows(file)} for file in FILES}

    assert held["lists.json"] == set(LISTS)
    assert held["measures.json"] == {f"M{number:02}" for number in range(1, 15)}
    assert held["platform_measures.json"] == {"P00", "P10", "P20", "P30", "P40", "P50"}
    assert held["directory_classes.json"] == {f"PCI-{number:02}" for number in range(1, 14)}
    assert held["departments.json"] == set("123456789ANY")
    assert len(held["workflow.json"]) == 8
    assert len(held["legal_parameters.json"]) == 42
    assert (len(held["licence_fields.json"]), len(held["penalty_fields.json"])) == (26, 33)


def test_measures_are_exposed_as_the_domain_rules():
    """M04, M05, M11 and M12 are never shown to platforms; M02 only as a linked-person notice."""
    exposure = {row.code: row.exposure for row in catalogue().on(dt.date(2026, 11, 22)).measures.values()}

    assert {code for code, seen in exposure.items() if seen is Exposure.NEVER} == {"M04", "M05", "M11", "M12"}
    assert {code for code, seen in exposure.items() if seen is Exposure.LINKED_NOTICE} == {"M02"}


def test_the_version_follows_the_content():
    files = catalogue_files()

    changed = load_catalogue(edited("lists.json", lambda rows: rows[0].update(en="Other")))

    assert catalogue().version == load_catalogue(files).version
    assert catalogue().version.startswith("2026-11-22+")
    assert changed.version != catalogue().version


@pytest.mark.parametrize(
    ("day", "family", "tier", "area", "rule"),
    [
        ("2022-01-01", "ndrc", Tier.SERIOUS, None, "FGCJ2019-527"),
        ("2023-04-30", "ndrc", Tier.GENERAL, None, "FGCJ2019-527"),
        ("2023-05-01", "ndrc", Tier.GENERAL, None, "NDRC58-ORDINARY"),
        ("2023-05-17", "ndrc", Tier.SERIOUS, Area.FOOD, "NDRC58-AREAS"),
        ("2026-03-31", "ndrc", Tier.GENERAL, None, "NDRC58-ORDINARY"),
        ("2026-03-31", "ndrc", Tier.MINOR, None, "TJ-CREDIT-12"),
        ("2026-04-01", "ndrc", Tier.MINOR, None, "NDRC36-MINOR"),
        ("2026-04-01", "ndrc", Tier.GENERAL, Area.FOOD, "NDRC36-GENERAL"),
        ("2026-04-01", "ndrc", Tier.SERIOUS, None, "NDRC36-SERIOUS"),
        ("2025-12-24", "samr", Tier.GENERAL, None, "SAMR45-OTHER"),
        ("2025-12-25", "samr", Tier.GENERAL, None, "SAMR107-MODERATE"),
        ("2026-11-22", "samr", Tier.SERIOUS, None, "SAMR107-SERIOUS"),
        ("2026-11-22", "samr", Tier.MINOR, None, "SAMR107-MINOR"),
    ],
)
def test_rules_are_effective_dated(day, family, tier, area, rule):
    """NDRC Order 58 (from 2023-05-01) was replaced by NDRC Order 36 (from 2026-04-01)."""
    found = catalogue().rule_at(dt.date.fromisoformat(day), RuleSubject.PENALTY, family, tier, area)

    assert found is not None
    assert found.code == rule


def test_no_rule_fits_a_day_before_all_rules():
    assert catalogue().rule_at(dt.date(2015, 1, 1), RuleSubject.PENALTY, "ndrc", Tier.GENERAL) is None


@pytest.mark.parametrize(
    ("types", "tier", "unknown"),
    [
        ("警告", Tier.MINOR, ()),
        ("警告;通报批评", Tier.MINOR, ()),
        ("警告;罚款", Tier.GENERAL, ()),
        ("罚款;没收违法所得;没收非法财物", Tier.GENERAL, ()),
        ("警告;吊销许可证件;罚款", Tier.SERIOUS, ()),
        ("罚款;责令停产停业", Tier.SERIOUS, ()),
        ("训诫", Tier.GENERAL, ("训诫",)),
        ("警告;训诫", Tier.GENERAL, ("训诫",)),
        ("责令关闭;训诫", Tier.SERIOUS, ("训诫",)),
    ],
)
def test_the_tier_of_a_multi_valued_penalty_is_the_most_severe(types, tier, unknown):
    """Trap 7: multi-valued kinds of penalty: tier = most severe. An unknown kind is reported, not dropped."""
    finding = catalogue().on(dt.date(2026, 11, 22)).tier_of(types)

    assert (finding.tier, finding.unknown) == (tier, unknown)


def test_views_of_many_days_do_not_pile_up():
    fresh = load_catalogue(catalogue_files())

    views = [fresh.on(dt.date(2026, 1, 1) + dt.timedelta(days=day)) for day in range(200)]

    assert len(fresh._views) <= 64
    assert views[0].lists.keys() == fresh.on(dt.date(2026, 1, 1)).lists.keys()


def test_an_unverified_row_is_marked_so():
    rows = {row.code: row.confidence for row in catalogue().rows("lists.json")}

    assert (rows["SX-TRANS"], rows["SX-JUD"]) == (Confidence.UNVERIFIED, Confidence.TEXT)


def test_the_schema_of_the_catalogue_is_in_step_with_its_types():
    """``catalogue.schema.json`` describes, file by file, what the loader takes."""
    written = json.loads((CATALOGUE_FOLDER / "catalogue.schema.json").read_bytes())

    assert written == catalogue_schema()


def catalogue_schema() -> dict[str, object]:
    """The JSON Schema of the catalogue's files, from the types of their rows."""
    _, shapes = msgspec.json.schema_components(FILES.values(), ref_template="#/$defs/{name}")
    files = {
        file: {
            "type": "object",
            "required": ["about", "rows"],
            "properties": {
                "about": {"type": "string"},
                "rows": {"type": "array", "minItems": 1, "items": {"$ref": f"#/$defs/{shape.__name__}"}},
            },
        }
        for file, shape in FILES.items()
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Files of the credit catalogue, by name",
        "properties": files,
        "$defs": shapes,
    }
