"""Whether the ``htu`` of a proof names the address that was called.

For: comparing with the configured public origin and the raw path of the request line; the ``Host`` header is the
caller's and plays no part. Query and fragment inside ``htu`` are ignored (RFC 9449 section 4.3, check 9).
Not for: routing.
Source: RFC 3986 section 6.2.2 (case, percent-encoding) and 6.2.3 (default port, empty path). Dot segments are not
removed but refused, encoded ones too: no client of ours has a reason to send one, and two readers of such a path rarely
agree.
"""

from __future__ import annotations

import re
from typing import Final

MAX_HTU_CHARS: Final = 2048
_CACHE_ENTRIES: Final = 256

_URI: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{0,5}))?"
    r"(?P<path>(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*)"
    r"(?:\?[\x21-\x7e]*)?(?:#[\x21-\x7e]*)?"
)  # no user information: "@" before the path does not match
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
        # Pairs that matched, at most _CACHE_ENTRIES. Owner: the event loop's thread.
        self._known: Final[set[tuple[str, str]]] = set()

    def matches(self, htu: str, path: str) -> bool:
        """Tell whether ``htu`` names the resource at a raw path (no query) of our origin."""
        if (htu, path) in self._known:
            return True
        if path[:1] != "/" or "?" in path or "#" in path:  # an absolute-form target would run on from our host's name
            return False
        ours = normalise_uri(self._origin + path)
        if ours is None or normalise_uri(htu) != ours:
            return False
        if len(self._known) < _CACHE_ENTRIES and len(htu) + len(path) <= MAX_HTU_CHARS:
            self._known.add((htu, path))
        return True
