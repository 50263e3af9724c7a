"""What settings may not say together, and what a host in production may not be told: an unverified database, an open port.

For: ``gateway.base.settings``, after every setting has been read for itself. Not for: how the files of
settings and keys lie; whoever reads one judges it (``gateway.base.trusted_files``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gateway.base.dsn import VERIFIED, Dsn, is_local, parse_dsn
from gateway.base.setting_faults import PREFIX, SettingFault, file_faults, unreadable
from gateway.base.setting_values import is_loopback_url
from gateway.base.trusted_files import Account, read_trusted

if TYPE_CHECKING:
    from collections.abc import Mapping

DATABASES: Final = ("database_dsn", "feed_database_dsn", "operator_database_dsn")
_PROMISES: Final = {"bind": ("behind_proxy", "bind_open"), "admin_bind": ("admin_network_private", "admin_open")}
"""Each address, the setting that promises who cannot reach it, and the fault where nobody does.

``bind`` serves plain HTTP: a proxy in front must end TLS. ``admin_bind`` asks nobody who he is: its network must be private.
"""


def contradictions(parsed: Mapping[str, Any], *, demo: bool) -> list[SettingFault]:
    """Return what is wrong between settings: the demo's ease outside the demo."""
    faults: list[SettingFault] = []
    for name in ("issuer", "feed_url"):
        url = parsed.get(name, "")
        if url.startswith("http://") and not (demo and is_loopback_url(url)):
            faults.append(SettingFault(name=PREFIX + name.upper(), code="https_required"))
    if parsed.get("bind") is not None and parsed.get("bind") == parsed.get("admin_bind") and parsed["bind"].port:
        faults.append(SettingFault(name="GATEWAY_ADMIN_BIND", code="same_address", params={"other": "GATEWAY_BIND"}))
    return faults


def careless_settings(parsed: Mapping[str, Any], variables: Mapping[str, str], account: Account) -> list[SettingFault]:
    """Return every fault there is in production among settings that were read; what could not be read is passed over."""
    faults: list[SettingFault] = []
    for name in DATABASES:
        if name in parsed:
            said = parse_dsn(parsed[name].reveal().decode(), variables)
            faults += _database(PREFIX + name.upper(), said, account)
    for name, (promise, code) in _PROMISES.items():
        if name in parsed and not is_local(parsed[name].host) and not parsed.get(promise, False):
            params = {"address": str(parsed[name]), "promise": PREFIX + promise.upper()}
            faults.append(SettingFault(name=PREFIX + name.upper(), code=code, params=params))
    return faults


def _database(variable: str, said: Dsn, account: Account) -> list[SettingFault]:
    """Judge one connection URI.

    A server beyond this host must be verified, and the URI itself must demand it: less than ``verify-full`` encrypts at most, to
    whoever answers (PostgreSQL manual, "Protection Provided in Different Modes"). Of several hosts one beyond is enough. Whoever
    can change the certificates that it names chooses the server.
    """
    faults: list[SettingFault] = []
    if said.beyond and said.sslmode != VERIFIED:
        params = {"host": ", ".join(said.beyond)}
        faults.append(SettingFault(name=variable, code="database_unverified", params=params))
    for file in (*said.public_files, *said.secret_files):
        try:
            found = read_trusted(file, account)
        except OSError:
            faults.append(unreadable(variable, file))
        else:
            faults += file_faults(variable, file, found, secret=file in said.secret_files)
    return faults
