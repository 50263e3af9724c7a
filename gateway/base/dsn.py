"""Where a PostgreSQL connection URI leads, and which files it names: read as asyncpg reads it, which will connect by it.

For: telling a database on this host from one beyond it. Not for: connecting (``gateway.postgres.pool``).
Source: PostgreSQL manual, "Connection Strings" (URIs; several hosts; parameters after ``?``). The form of keywords and values
(``host=db dbname=gateway``) is refused where settings are read: asyncpg does not know it.

What the URI leaves open, libpq's variables fill (``PGHOST``, ``PGSERVICE``), and so they count here. ``PGSSLMODE`` does not: the
rule is that the URI itself demands a verified server, because it goes from host to host, and the variables of one shell do not.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

VERIFIED: Final = "verify-full"
SCHEMES: Final = frozenset({"postgresql", "postgres"})
_PUBLIC_FILES: Final = ("sslrootcert", "sslcert", "sslcrl")
_SECRET_FILES: Final = ("sslkey", "passfile")
_FILE_VARIABLES: Final = {
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslcrl": "PGSSLCRL",
    "sslkey": "PGSSLKEY",
    "passfile": "PGPASSFILE",
}


class DsnError(ValueError):
    """The text is no connection URI."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dsn:
    """What a URI says. ``hosts`` is empty where it names none and the socket of this machine is tried."""

    hosts: tuple[str, ...]
    sslmode: str
    public_files: tuple[Path, ...]
    secret_files: tuple[Path, ...]

    @property
    def beyond(self) -> tuple[str, ...]:
        """The hosts that are not this one: neither a directory of sockets nor a loopback address."""
        return tuple(host for host in self.hosts if not is_local(host))


def parse_dsn(text: str, variables: Mapping[str, str]) -> Dsn:
    """Read a URI; ``DsnError`` for what is none."""
    try:
        parts = urlsplit(text)
        members = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}  # the last of a name counts
        hosts = _hosts(parts.netloc.partition("@")[2] if "@" in parts.netloc else parts.netloc, decode=True)
        hosts = hosts or _hosts(members.get("host", ""), decode=False)
    except ValueError as exc:
        raise DsnError from exc
    if parts.scheme not in SCHEMES:
        raise DsnError
    if not hosts:
        service = members.get("service") or variables.get("PGSERVICE", "")
        hosts = (service,) if service else _hosts(variables.get("PGHOST", ""), decode=False)
    named = {name: members.get(name) or variables.get(other, "") for name, other in _FILE_VARIABLES.items()}
    return Dsn(
        hosts=hosts,
        sslmode=members.get("sslmode", ""),
        public_files=tuple(Path(named[name]) for name in _PUBLIC_FILES if named[name]),
        secret_files=tuple(Path(named[name]) for name in _SECRET_FILES if named[name]),
    )


def is_local(host: str) -> bool:
    """Tell whether a host is this one by its very spelling: nobody is asked, and a name that could be anybody is beyond."""
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _hosts(text: str, *, decode: bool) -> tuple[str, ...]:
    """Read a list ``host[:port],…``; an IPv6 address stands in brackets. A place that is empty between commas is no URI."""
    if not text:
        return ()
    return tuple(_host(item, decode=decode) for item in text.split(","))


def _host(item: str, *, decode: bool) -> str:
    if item.startswith("/"):
        host = item
    elif item.startswith("["):
        host, bracket, _ = item[1:].partition("]")
        if not bracket:
            raise DsnError
    else:
        host = item.partition(":")[0]
    if not host:
        raise DsnError
    return unquote(host) if decode else host
