"""Targets and verdicts."""

import pytest

from bench.stats import spread
from bench.targets import BY_NAME, TARGETS, judge


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("T1", 0.44, "missed"),
        ("T1", 0.45, "must"),
        ("T1", 0.65, "stretch"),
        ("T10", 251, "missed"),
        ("T10", 250, "must"),
        ("T10", 100, "stretch"),
        ("T18a", 6.0, "missed"),
        ("T18a", 0.9, "stretch"),
    ],
)
def test_a_value_at_the_limit_reaches_it(name, value, expected):
    assert BY_NAME[name].reached(value) == expected


def test_a_stretch_is_never_easier_than_a_must():
    easier = [target.name for target in TARGETS if target.reached(target.stretch) != "stretch"]

    assert easier == []


def test_a_target_that_was_not_measured_says_so_and_why():
    judged = judge({}, {"T4": "the peer is not installed"})

    assert judged["T4"]["value"] is None
    assert judged["T4"]["reached"] == "not measured"
    assert judged["T4"]["note"] == "the peer is not installed"


def test_a_measured_target_carries_value_limits_and_verdict():
    judged = judge({"T1": spread([0.4, 0.5, 0.6])}, {})["T1"]

    assert (judged["value"], judged["must"], judged["stretch"], judged["reached"]) == (0.5, 0.45, 0.65, "must")


def test_every_target_has_a_name_of_its_own():
    assert len(BY_NAME) == len(TARGETS)
