"""Accept-Language chooses between two languages; whatever cannot be read means Chinese."""

from __future__ import annotations

import pytest

from gateway.base.messages import Lang
from gateway.web.language import choose_language


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, Lang.ZH),
        ("", Lang.ZH),
        ("en", Lang.EN),
        ("EN-us", Lang.EN),
        ("zh-CN,zh;q=0.9,en;q=0.8", Lang.ZH),
        ("en-GB, zh;q=0.9", Lang.EN),
        ("fr, en;q=0.5, zh;q=0.7", Lang.ZH),
        ("fr", Lang.ZH),
        ("*", Lang.ZH),
        ("en;q=0", Lang.ZH),
        ("zh;q=0, *;q=0.5", Lang.EN),
        ("en;q=0.001", Lang.EN),
        ("en ; q=1.000", Lang.EN),
        ("en;q=1.5", Lang.ZH),
        ("en;q=NaN", Lang.ZH),
        ("en\t,zh;q=0.1", Lang.EN),
        ("en," * 200, Lang.ZH),
        ("\x00", Lang.ZH),
    ],
)
def test_the_better_liked_language_is_chosen(header, expected):
    assert choose_language(header) is expected
