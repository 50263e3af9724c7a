"""How well two samples are told apart, and that every field that may grow can be built."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.growing import FIELDS, FILLERS, filled
from bench.tell_apart import error_rate
from tests.e2e.test_refusals_grow_linearly import sender_of
from tests.fakes.use_cases import World


@pytest.mark.parametrize(
    ("one", "other", "rate"),
    [
        ([1, 2, 3], [1, 2, 3], 0.5),
        ([1, 2, 3], [4, 5, 6], 0.0),
        ([4, 5, 6], [1, 2, 3], 0.0),
        ([1, 2, 3, 4], [3, 4, 5, 6], 0.25),
        ([1, 1, 1, 1], [1, 1], 0.5),
        ([1], [1, 2], 0.25),
    ],
)
def test_the_best_threshold_errs_so_often(one, other, rate):
    assert error_rate(one, other) == pytest.approx(rate)


@given(st.lists(st.integers(0, 20), min_size=1), st.lists(st.integers(0, 20), min_size=1))
def test_it_is_the_best_of_all_thresholds(one, other):
    """Tried one by one, whichever side means which."""

    def wrong(limit):
        below = sum(value <= limit for value in one) / len(one)
        missed = sum(value > limit for value in other) / len(other)
        share = (below + missed) / 2
        return min(share, 1 - share)

    assert error_rate(one, other) == pytest.approx(min(wrong(limit) for limit in range(-1, 21)))


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_can_be_sent_at_its_largest(name):
    sender = sender_of(World())

    wires = [FIELDS[name].build(sender, filled(filler, FIELDS[name].largest)) for filler in FILLERS]

    assert all(wire.count(b"\r\n\r\n") >= 1 for wire in wires)
