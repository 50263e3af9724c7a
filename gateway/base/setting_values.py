"""How the text of one setting becomes a value: the parsers of ``gateway.base.settings``.

For: refusing, with a code that has a sentence, what a setting may not be. Not for: what concerns two settings at once.
"""

from __future__ import annotations

import ipaddress
import platform
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import SplitResult, urlsplit

from gateway.base.dsn import SCHEMES, DsnError, parse_dsn
from gateway.base.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

Choice = TypeVar("Choice", bound=StrEnum)

_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_FEED_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LOG_ORIGIN: Final = re.compile(r"[a-z0-9][a-z0-9.:-]*(?:/[A-Za-z0-9._-]+)+")
_MAX_ORIGIN: Final = 200
_MAX_PORT: Final = 65_535


class BadValue(ValueError):  # noqa: N818 - named for what it says
    """A setting's text does not fit; ``code`` names the sentence, ``params`` fill it."""

    def __init__(self, code: str, **params: str | int) -> None:
        super().__init__(code)
        self.code: Final = code
        self.params: Final = params


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to listen. Port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def integer(least: int, most: int) -> Callable[[str], int]:
    """Return a parser of whole numbers within bounds."""

    def parse(text: str) -> int:
        if _INTEGER.fullmatch(text) is None:
            msg = "not_integer"
            raise BadValue(msg)
        number = int(text)
        if not least <= number <= most:
            msg = "out_of_range"
            raise BadValue(msg, least=least, most=most)
        return number

    return parse


def boolean(text: str) -> bool:
    """Read ``true`` or ``false``; TOML's own truth values arrive here as Python writes them."""
    values = {"true": True, "false": False}
    if text.lower() not in values:
        msg = "not_boolean"
        raise BadValue(msg)
    return values[text.lower()]


def choice(kind: type[Choice]) -> Callable[[str], Choice]:
    """Return a parser of one of the words of an enumeration."""

    def parse(text: str) -> Choice:
        try:
            return kind(text)
        except ValueError as exc:
            msg = "not_choice"
            raise BadValue(msg, allowed=", ".join(kind)) from exc

    return parse


def path(text: str) -> Path:
    """Read a path; relative ones are from the working directory."""
    if not text:
        msg = "missing"
        raise BadValue(msg)
    return Path(text)


def dsn(text: str) -> Secret:
    """Read a PostgreSQL connection URI."""
    msg = "not_dsn"
    if not text.startswith(tuple(f"{scheme}://" for scheme in SCHEMES)):
        raise BadValue(msg)
    try:
        parse_dsn(text, {})
    except DsnError as exc:
        raise BadValue(msg) from exc
    return Secret(text.encode())


def address(text: str) -> Address:
    """Read ``host:port``, with brackets around an IPv6 address."""
    host, _, port = text.rpartition(":")
    if not host or _INTEGER.fullmatch(port) is None or not 0 <= int(port) <= _MAX_PORT:
        msg = "not_address"
        raise BadValue(msg)
    bare = host.removeprefix("[").removesuffix("]")
    if ":" in bare and bare == host:
        msg = "not_address"
        raise BadValue(msg)
    return Address(host=bare, port=int(port))


def http_url(text: str) -> str:
    """Read an absolute http or https URL without user, query and fragment; a trailing slash is taken off."""
    parts = _split(text)
    if parts.username is not None or parts.password is not None or "?" in text or "#" in text:
        msg = "not_url"
        raise BadValue(msg)
    return text.rstrip("/")


def origin_url(text: str) -> str:
    """Read an issuer (RFC 8414 section 2): an origin in its one spelling, compared byte by byte everywhere."""
    parts = _split(text)
    if text != f"{parts.scheme}://{parts.netloc}" or text != text.lower() or "@" in parts.netloc:
        msg = "not_origin"
        raise BadValue(msg)
    if (parts.scheme, parts.port) in {("https", 443), ("http", 80)}:
        msg = "not_origin"
        raise BadValue(msg)  # the default port is a second spelling of the same origin
    return text


def log_origin(text: str) -> str:
    """Read the name of the log (C2SP tlog-checkpoint: a schema-less URL such as ``audit.example.cn/log1``)."""
    if len(text) > _MAX_ORIGIN or _LOG_ORIGIN.fullmatch(text) is None:
        msg = "not_log_origin"
        raise BadValue(msg)
    return text


def host_name(text: str) -> str:
    """Read the name of this host in the log's leaves and batches."""
    if _HOST_NAME.fullmatch(text) is None:
        msg = "not_host_name"
        raise BadValue(msg)
    return text


def feed_name(text: str) -> str:
    """Read the name of the feed: every document the platform signs carries it."""
    if _FEED_NAME.fullmatch(text) is None:
        msg = "not_feed_name"
        raise BadValue(msg)
    return text


def machine_name() -> str:
    """Return the machine's own name in the form ``host_name`` accepts."""
    name = re.sub(r"[^A-Za-z0-9._-]", "-", platform.node())[:63].strip("-._")
    return name or "gateway"


def is_loopback_url(url: str) -> bool:
    """Tell whether a URL names this machine by loopback address or as ``localhost``."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError as exc:
        msg = "not_url"
        raise BadValue(msg) from exc
    if not usable or not text.isascii() or not text.isprintable() or " " in text:
        msg = "not_url"
        raise BadValue(msg)
    return parts
