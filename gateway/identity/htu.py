"""Whether the ``htu`` of a proof names the address that was called.

For: comparing with the configured public origin and the raw path of the request line; the ``Host`` header is the
caller's and plays no part. Query and fragment inside ``htu`` are ignored (RFC 9449 section 4.3, check 9).
Not for: routing.
Source: RFC 3986 section 6.2.2 (case, percent-encoding) and 6.2.3 (default port, empty path). Dot segments are not
removed but refused, encoded ones too: no client of ours has a reason to send one, and two readers of such a path rarely
agree.

Anybody may send one before we know who asks, so the pattern is such that every character is looked at once: no two parts of it that
can take the same character stand beside or within each other (tested for every pattern of the package).
"""

from __future__ import annotations

import re
from typing import Final

from gateway.identity.lru import LruCache

MAX_HTU_CHARS: Final = 2048
_CACHE_ENTRIES: Final = 256
"""Pairs of one's address and its spelling by a client. Honest ones are few: an entry that nobody asks for makes room."""

_URI: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*+)://"
    r"(?P<host>[A-Za-z0-9._-]++|\[[0-9A-Fa-f:.]++\])(?::(?P<port>[0-9]{0,5}+))?"
    r"(?P<path>(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*+)?)"
    r"(?:\?[\x21\x22\x24-\x7e]*+)?(?:#[\x21-\x7e]*+)?"
)  # no user information: "@" before the path does not match; a query ends at the first "#"
_ENCODED: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_DEFAULT_PORTS: Final = {"https": "443", "http": "80"}


def normalise_uri(uri: str) -> str | None:
    """Return scheme, authority and path in normal form, or None for what no honest client sends."""
    if len(uri) > MAX_HTU_CHARS:
        return None
    match = _URI.fullmatch(uri)
    if match is None:
        return None
    scheme, port = match["scheme"].lower(), match["port"]
    path = _ENCODED.sub(_decode_unreserved, match["path"]) or "/"
    if not {".", ".."}.isdisjoint(path.split("/")):
        return None
    authority = match["host"].lower()
    if port and port != _DEFAULT_PORTS.get(scheme):
        authority += f":{port}"
    return f"{scheme}://{authority}{path}"


def _decode_unreserved(match: re.Match[str]) -> str:
    character = chr(int(match[0][1:], 16))
    return character if character in _UNRESERVED else match[0].upper()


class AddressMatcher:
    """Compares ``htu`` values with addresses under one public origin, such as ``https://gateway.example``."""

    __slots__ = ("_known", "_origin")

    def __init__(self, origin: str) -> None:
        if normalise_uri(origin) is None or origin.endswith("/") or "?" in origin or "#" in origin:
            msg = "the origin must be a URL without query, fragment and final slash"
            raise ValueError(msg)
        self._origin: Final = origin
        # Pairs that matched, as one text: neither half of a pair that matched holds a space.
        self._known: Final = LruCache[bool](_CACHE_ENTRIES)

    def matches(self, htu: str, path: str) -> bool:
        """Tell whether ``htu`` names the resource at a raw path (no query) of our origin."""
        pair = f"{htu} {path}"
        if self._known.get(pair):
            return True
        if path[:1] != "/" or "?" in path or "#" in path:  # an absolute-form target would run on from our host's name
            return False
        ours = normalise_uri(self._origin + path)
        if ours is None or normalise_uri(htu) != ours:
            return False
        if len(pair) <= MAX_HTU_CHARS:
            self._known.put(pair, True)  # noqa: FBT003 - there is nothing else to know
        return True
