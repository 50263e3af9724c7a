"""Everything that this host is told and trusts, read at once: settings, its keys, the platform's keys.

For: the start of every process of ``serve`` and ``config check``, which name all faults in one list. Not for: the database, which is
judged when it answers (``gateway.postgres.preflight``).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from gateway.base.host_keys import read_host_keys
from gateway.base.setting_faults import SettingFault, SettingsError, file_faults, path_faults, unreadable
from gateway.base.settings import Settings, environment_variables, read_settings
from gateway.base.trusted_files import Account, judge_path, read_trusted
from gateway.municipal.envelope import PlatformKeys, parse_platform_keys

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FEED_KEYS: Final = "GATEWAY_FEED_KEYS_FILE"
_GUARD: Final = "GATEWAY_GUARD_DIR"


def load_host(
    variables: Mapping[str, str], config_file: Path | None = None, account: Account | None = None
) -> Settings:
    """Return the settings of a host that is fit to start; raise ``SettingsError`` with every fault of settings and trusted files."""
    reading = read_settings(variables, config_file, account)
    faults = list(reading.faults)
    if "keys_dir" in reading.parsed:
        faults += read_host_keys(reading.parsed["keys_dir"], reading.account, production=reading.production)[1]
    if "feed_keys_file" in reading.parsed:
        file = reading.parsed["feed_keys_file"]
        faults += _platform_keys(file, reading.account, production=reading.production)[1]
    guard = reading.guard_folder()
    if guard is not None and reading.production:
        faults += _guard_folder(guard, reading.account)
    if faults:
        raise SettingsError(faults)
    return reading.settings()


def read_platform_keys(settings: Settings, account: Account | None = None) -> PlatformKeys:
    """Read the registered public keys of the municipal platform; ``SettingsError`` if there are none to be read or trusted."""
    account = account or Account.current(environment_variables())
    keys, faults = _platform_keys(settings.feed_keys_file, account, production=settings.production)
    if keys is None or faults:
        raise SettingsError(faults)
    return keys


def _guard_folder(folder: Path, account: Account) -> list[SettingFault]:
    """Judge the guard's folder and what lies in it, or where it will be made: who can change it decides what is signed."""
    try:
        inside = sorted(folder.iterdir())
    except OSError:
        inside = []
    faults: list[SettingFault] = []
    for place in [*inside, folder] if folder.exists() else [folder.parent]:
        with contextlib.suppress(OSError):  # whoever opens it says so; a file of ours may be replaced at any moment
            faults += path_faults(_GUARD, judge_path(place, account))
    return faults


def _platform_keys(file: Path, account: Account, *, production: bool) -> tuple[PlatformKeys | None, list[SettingFault]]:
    try:
        found = read_trusted(file, account)
        keys = parse_platform_keys(found.content.decode("ascii"))
    except (OSError, ValueError):
        return None, [unreadable(_FEED_KEYS, file)]
    return keys, file_faults(_FEED_KEYS, file, found, secret=False) if production else []
