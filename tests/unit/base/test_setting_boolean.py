"""A setting that is true or false, from a variable or as TOML has it."""

from __future__ import annotations

import pytest

from gateway.base.setting_values import BadValue, boolean


@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False), (str(True), True), (str(False), False)])
def test_the_two_values(text, value):
    assert boolean(text) is value


@pytest.mark.parametrize("text", ["", "1", "0", "yes", "on", "true ", "truth"])
def test_anything_else_is_refused(text):
    with pytest.raises(BadValue, match="not_boolean"):
        boolean(text)
