"""The synthetic city: the published codes, every state, always the same."""

import datetime as dt
import itertools

import pytest

from gateway.credit.feed import FeedLine, LineError, parse_line
from gateway.credit.identifiers import is_organisation_code, is_uscc, registration_number_checks
from gateway.sandbox.city import City
from gateway.sandbox.lines import encode, make_reg_no, make_uscc
from gateway.sandbox.merchants import MERCHANTS, NOT_IN_THE_CITY
from gateway.sandbox.states import ALL
from tests.fakes.municipal import TODAY

PUBLISHED = {
    "active_clean": "919900000000000192",
    "abnormal_list": "91990000000000027W",
    "serious_violation": "91990000000000035P",
    "revoked": "91990000000000043J",
    "deregistered": "91990000000000051D",
    "name_mismatch": "9199000000000006X5",
    "legal_representative_mismatch": "919900000000000785",
    "licence_expired": "919900000000000860",
    "food_licence_missing": "91990000000000094T",
    "individual_business": "92990000000000107D",
    "source_timeout": "919900000000001236",
    "partial": "919900000000001311",
    "slow": "9199000000000014XQ",
    "status_change": "91990000000000158Q",
    "disputed": "91990000000000166K",
    "judgment_defaulter": "91990000000000174E",
    "consent_missing": "919900000000001829",
    "personal_information": "919900000000001904",
    "server_error": "91990000000000203R",
}
CITY = City(size=300, seed=7, today=TODAY)


def read(line):
    try:
        return parse_line(encode(line))
    except LineError as exc:
        return exc


def test_the_sandbox_merchants_have_the_published_codes():
    assert {merchant.scenario: merchant.firm.uscc for merchant in MERCHANTS} == PUBLISHED


def test_no_line_is_about_the_merchant_that_is_not_in_the_city():
    assert NOT_IN_THE_CITY == "91990000000000115B"
    assert not any(NOT_IN_THE_CITY in encode(line).decode() for line in CITY.lines())


def test_the_generators_agree_with_the_checks():
    assert is_uscc(make_uscc("91990000", "ABCDEFGH"))
    assert is_organisation_code(make_uscc("91990000", "12345678")[8:17])
    assert all(registration_number_checks(make_reg_no(number)) for number in range(200))


def test_every_line_is_readable_but_the_one_that_makes_its_merchant_partial():
    bad = [found for found in map(read, CITY.lines()) if isinstance(found, LineError)]

    assert [error.subject_key for error in bad] == [PUBLISHED["partial"]]


def test_every_record_state_is_in_a_city_of_any_size():
    small = City(size=len(ALL), seed=3, today=TODAY)

    assert [small.state_of(index) for index in range(len(ALL))] == [name for name, _ in ALL]


def test_every_id_is_used_once():
    ids = [(line["kind"], line["id"]) for line in City(size=3000, seed=1, today=TODAY).lines()]

    assert len(ids) == len(set(ids))


def test_the_same_seed_and_day_give_the_same_bytes_and_others_do_not():
    def content(seed, day):
        return b"".join(encode(line) for line in City(size=50, seed=seed, today=day).lines())

    assert content(7, TODAY) == content(7, TODAY)
    assert content(7, TODAY) != content(8, TODAY)
    assert content(7, TODAY) != content(7, TODAY - dt.timedelta(days=1))


def test_a_city_of_a_million_begins_at_once():
    first = list(itertools.islice(City(size=1_000_000, seed=1, today=TODAY).lines(), 3))

    assert [read(line).kind for line in first] == ["registration"] * 3


@pytest.mark.parametrize(("name", "state"), ALL, ids=[name for name, _ in ALL])
def test_each_state_is_a_line_that_reads(name, state):
    firm = CITY.firm(0)

    found = read(state(firm, TODAY))

    assert isinstance(found, FeedLine), name
    assert found.subject_key in {firm.uscc, f"R:{firm.reg_no}"}
