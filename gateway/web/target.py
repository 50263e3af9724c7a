"""Request targets in absolute form: what they name, if it is ours.

For: ``GET https://gateway.example/v1/status HTTP/1.1``, as sent to a proxy and by some to anybody. A server must take it (RFC 9112 section
3.2.2), and what it says of host and scheme takes the place of ``Host``.
Not for: targets in origin form, the ordinary ones; those in authority and asterisk form, which nothing here serves.
Source: RFC 9112 sections 3.2.2 and 3.3; RFC 9110 sections 4.2.4 (user information), 7.4 (misdirected requests).
"""

from __future__ import annotations

import re
from typing import Final

from gateway.base.errors import ErrorKind, GatewayError

HOST: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?", re.ASCII
)
"""A name or an address, and a port."""
MAX_PORT: Final = 65_535
_ABSOLUTE: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]{0,31})://([^/?#]*)((?:[/#][^?]*)?)(?:\?(.*))?", re.ASCII | re.DOTALL
)


def split_absolute(target: str, scheme: str | None) -> tuple[str, str, str]:
    """Return authority, path and query of a target in absolute form; ``scheme`` is ours, None where any is taken.

    Raises:
        GatewayError: ``MALFORMED_REQUEST`` for what is in no form that we serve, ``MISDIRECTED_REQUEST`` for another scheme.
    """
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise GatewayError(ErrorKind.MALFORMED_REQUEST, reason="target_form")
    named, authority, path, query = match.groups()
    check_host(authority)
    if scheme is not None and named.lower() != scheme:
        raise GatewayError(ErrorKind.MISDIRECTED_REQUEST)
    return authority, path or "/", query or ""


def check_host(host: str) -> None:
    """Return if a text can be a host with an optional port, whosever it is; ``MALFORMED_REQUEST`` otherwise."""
    match = HOST.fullmatch(host)
    if match is None or int(match[1] or 0) > MAX_PORT:
        raise GatewayError(ErrorKind.MALFORMED_REQUEST, reason="bad_host")
