"""The arithmetic of a benchmark run."""

import pytest

from bench.stats import drift, floor_rate, percentile, ratios, spread


def test_a_spread_is_median_least_and_greatest():
    found = spread([3.0, 1.0, 2.0, 10.0])

    assert found.as_json() == {"median": 2.5, "min": 1.0, "max": 10.0}


def test_no_rounds_give_no_figure():
    with pytest.raises(ValueError, match="no round"):
        spread([])


def test_a_ratio_is_made_inside_each_round():
    """A machine that is twice as slow in one round slows both sides, so the ratio of that round is still right."""
    ours, peer = [100.0, 50.0], [10.0, 5.0]

    assert ratios(ours, peer) == [10.0, 10.0]


def test_a_round_that_one_side_lacks_is_refused():
    with pytest.raises(ValueError, match="zip"):
        ratios([1.0, 2.0], [1.0])


def test_drift_does_not_depend_on_the_order():
    assert drift(100.0, 107.0) == drift(107.0, 100.0) == pytest.approx(0.07)


def test_the_floor_is_the_bare_server_and_one_signature():
    """45 µs of bare server and 74 µs of signature are 119 µs: 8,403 a second."""
    assert floor_rate(1e6 / 45, 74e-6) == pytest.approx(8403.4, abs=0.1)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 6), (0.99, 10), (1.0, 10)])
def test_percentiles_of_ordered_values(share, expected):
    assert percentile(list(range(1, 11)), share) == expected


def test_the_percentile_of_nothing_is_zero():
    assert percentile([], 0.5) == 0
