"""As many connections as the system allows this process to hold."""

from __future__ import annotations

import resource

import pytest

from gateway.web.open_files import SPARE_FILES, fitting_connections


@pytest.fixture
def limits():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield soft, hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_limit_is_raised_as_far_as_it_is_needed(limits):
    _soft, hard = limits
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))

    assert fitting_connections(400) == 400
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 400 + SPARE_FILES


def test_past_the_hard_limit_there_are_fewer(limits):
    _soft, hard = limits
    wanted = hard * 2

    assert fitting_connections(wanted) == hard - SPARE_FILES


def test_a_limit_that_is_wide_enough_is_left_alone(limits):
    soft, _hard = limits

    assert fitting_connections(1) == 1
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == soft
