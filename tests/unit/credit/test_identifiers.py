"""Identifiers: domain.md "Identifiers" and point 7, against every fixture of the domain catalogue."""

from __future__ import annotations

import datetime as dt

import pytest

from gateway.credit.identifiers import (
    IdentifierError,
    Uscc,
    is_citizen_id,
    is_organisation_code,
    is_registration_number,
    mask_name,
    name_key,
    organisation_part,
    parse_uscc,
    registration_number_checks,
    uscc_warnings,
)
from tests.unit.credit.factories import catalogue

PUBLIC_CODES = """
914403001922038216 91440300708461136T 9144030071526726XG 91330100799655058B 91110000802100433B 91110108717743469K
91110000710926094P 91110000710925462X 9111000071093123XX 911100007109250324 91100000100003962T 911000001000013428
911100001000044477 911100001000054748 9152000071430580XT 91110108551385082Q 91110108562144110X 911101085923662400
91440300192317458F 91350900587527783P 91440400192548256N 91370200264574251E 12100000400000624D 12100000400002259P
12100000401359321Q 91110000600037341L
""".split()  # noqa: SIM905 - a list of literals takes a line each
FIXTURES = """
91120116MAXT00011U 92120104MAXT0002X4 93120225MAXT00038K 12120000000000019L 52120000MJXT00049X N2120223MFXT000526
A1120000MXXT00066B Y1120000MYXT000780 54120110MEXT00083M 81120101MCXT00094T
""".split()  # noqa: SIM905 - a list of literals takes a line each
SANDBOX = """
919900000000000192 91990000000000115B 91990000000000027W 919900000000001236 91990000000000035P 919900000000001311
91990000000000043J 9199000000000014XQ 91990000000000051D 91990000000000158Q 9199000000000006X5 91990000000000166K
919900000000000785 91990000000000174E 919900000000000860 919900000000001829 91990000000000094T 919900000000001904
92990000000000107D 91990000000000203R 91350100M000100Y43
""".split()  # noqa: SIM905 - a list of literals takes a line each


@pytest.mark.parametrize("code", PUBLIC_CODES + FIXTURES + SANDBOX)
def test_a_right_code_is_read_as_it_stands(code):
    """Real public codes, the fixtures and the sandbox merchants pass; a first character that is a letter is no fault."""
    assert parse_uscc(code) == code
    assert is_organisation_code(organisation_part(Uscc(code)))


@pytest.mark.parametrize(
    "typed", [" 91120116maxt00011u\n", "９１１２０１１６ＭＡＸＴ０００１１Ｕ", "\u300091120116MAXT00011U"]
)
def test_a_code_is_normalised_by_trim_nfkc_and_upper_case_only(typed):
    """Normalise: trim, NFKC, upper case."""
    assert parse_uscc(typed) == "91120116MAXT00011U"


@pytest.mark.parametrize(
    "typed", ["", "9112", "91120116MAXT00011", "91120116MAXT00011UU", "9" * 65, "9 1120116MAXT00011U"]
)
def test_a_code_of_another_length_is_refused(typed):
    with pytest.raises(IdentifierError) as caught:
        parse_uscc(typed)

    assert (caught.value.code, caught.value.position, caught.value.suggestions) == ("bad_length", None, ())


@pytest.mark.parametrize(
    ("typed", "position"),
    [("91440300708461136O", 18), ("I1120116MAXT00011U", 1), ("91A20116MAXT00011U", 3), ("9112011é MAXT00011U"[:18], 8)],
)
def test_a_character_outside_the_alphabet_is_refused_with_its_position(typed, position):
    """A code with a wrong check character is refused with the position; so is a wrong character."""
    with pytest.raises(IdentifierError) as caught:
        parse_uscc(typed)

    assert (caught.value.code, caught.value.position) == ("bad_character", position)


def test_a_wrong_check_character_is_refused_with_position_and_the_one_expected():
    """The placeholder found in public code: both checks fail, and nothing explains it."""
    with pytest.raises(IdentifierError) as caught:
        parse_uscc("91120116MA05K8N3X7")

    assert (caught.value.code, caught.value.position, caught.value.expected) == ("bad_check_character", 18, "L")
    assert caught.value.suggestions == ()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("91440300708461163T", "91440300708461136T"),
        ("9144O300708461136T", "91440300708461136T"),
        ("9144O3OO7O8461136T", "91440300708461136T"),
        ("9I440300708461136T", "91440300708461136T"),
        ("9144030071S26726XG", "9144030071526726XG"),
        ("9L120116MAXT00011U", "91120116MAXT00011U"),
        ("911Z0116MAXT00011U", "91120116MAXT00011U"),
        ("91120116MAXT00011V", "91120116MAXT00011U"),
        ("91990000000000O27W", "91990000000000027W"),
    ],
)
def test_one_confusion_or_transposition_is_suggested_and_never_corrected(typed, meant):
    """Where one character confusion explains it, a suggestion; never silently corrected."""
    with pytest.raises(IdentifierError) as caught:
        parse_uscc(typed)

    assert caught.value.suggestions == (meant,)


@pytest.mark.parametrize(
    ("code", "warnings"),
    [
        ("91120116MAXT00011U", ()),
        ("54120110MEXT00083M", ("unknown_category",)),
        ("N2120223MFXT000526", ("withdrawn_division",)),
        ("93120225MAXT00038K", ("withdrawn_division",)),
        ("A1120000MXXT00066B", ()),
        ("Y1120000MYXT000780", ()),
    ],
)
def test_oddities_are_warnings_not_refusals(code, warnings):
    """Organisation-code check, unknown department/category pair, withdrawn division: warn."""
    tables = catalogue().on(dt.date(2026, 11, 22)).uscc_tables

    assert uscc_warnings(parse_uscc(code), tables) == warnings


def test_a_code_with_a_failing_organisation_code_is_accepted_with_a_warning():
    tables = catalogue().on(dt.date(2026, 11, 22)).uscc_tables

    assert uscc_warnings(parse_uscc("91120116MA05K8N3XL"), tables) == ("organisation_code_check",)


@pytest.mark.parametrize("code", ["D21437094", "71526726X", "00000001-9", "100003962"])
def test_organisation_codes_of_gb_11714(code):
    expected = code in {"71526726X", "00000001-9", "100003962"}

    assert is_organisation_code(code) is expected


@pytest.mark.parametrize("code", ["", "71526726x", "71526726é", "7152672", "-71526726X", "7152672-6X"])
def test_what_is_no_organisation_code(code):
    assert not is_organisation_code(code)


def test_a_registration_number_is_checked_by_iso_7064():
    """Old registration number (15 digits): ISO 7064 MOD 11,10; a failure is a warning."""
    assert registration_number_checks("110108000000016")
    assert registration_number_checks("440301103097413")
    assert not registration_number_checks("440301103097414")
    assert is_registration_number("440301103097414")
    assert not is_registration_number("44030110309741")
    assert not is_registration_number("４４０３０１１０３０９７４１３")


@pytest.mark.parametrize(
    "number", ["120101199001010017", "12011619851231002X", "120101200002290036", "810000199003070015"]
)
def test_citizen_numbers_of_the_fixtures_pass(number):
    assert is_citizen_id(number)


@pytest.mark.parametrize(
    "number",
    [
        "120101199001010018",
        "120101190002290036",
        "12011619851231002x",
        "810001199003070015",
        "1201011990010100",
        "12010119901301001X",
    ],
)
def test_a_wrong_citizen_number_does_not(number):
    assert not is_citizen_id(number)


def test_spellings_of_one_name_have_one_key():
    keys = {
        name_key(name)
        for name in (
            "天津(测试)有限公司",
            "天津（测试）有限公司 ",
            "天津 〔测试〕\u200b有限公司",
            "天津【测试】有限公司",
        )
    }

    assert keys == {"天津(测试)有限公司"}
    assert name_key("ＡＢＣ Ltd") == name_key("abcltd")


@pytest.mark.parametrize(
    ("name", "masked"),
    [("张三", "张*"), ("欧阳修远", "欧***"), ("买买提·艾力江江", "买***"), ("王", "王*"), (" ", "*")],
)
def test_a_personal_name_is_masked(name, masked):
    """Personal identifiers are shown masked."""
    assert mask_name(name) == masked
