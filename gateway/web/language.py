"""Which language the sender prefers.

Source: RFC 9110 sections 12.4.2 (quality values) and 12.5.4 (Accept-Language); RFC 4647 section 3.4 (lookup): ``zh-Hant-TW`` and
``zh`` both mean Chinese. Chinese answers whatever cannot be read: a bad header field is no reason to refuse a request.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.base.messages import Lang

MAX_HEADER_CHARS: Final = 256
"""Browsers send about 40; whoever sends more gets the default."""
_RANGE: Final = re.compile(
    r"([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*|\*)(?:[ \t]*;[ \t]*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?", re.ASCII
)


def choose_language(accept_language: str | None) -> Lang:
    """Return the better liked of the two languages, Chinese if neither or both equally."""
    if not accept_language or len(accept_language) > MAX_HEADER_CHARS:
        return Lang.ZH
    liked: dict[str, float] = {}
    for part in accept_language.split(","):
        match = _RANGE.fullmatch(part.strip(" \t"))
        if match is not None:
            primary = match[1].partition("-")[0].lower()
            liked[primary] = max(liked.get(primary, 0.0), float(match[2] or 1))
    anything = liked.get("*", 0.0)
    return Lang.EN if liked.get("en", anything) > liked.get("zh", anything) else Lang.ZH
