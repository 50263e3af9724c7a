"""The settings of a gateway: read once at start, from ``GATEWAY_*`` variables over an optional TOML file.

For: one frozen ``Settings`` that everything is built from, or all its faults at once, each with the variable's name.
Not for: key material (``gateway.base.host_keys`` reads that from ``keys_dir``).

The table ``OPTIONS`` is the only list of settings: the reader, ``config schema``, the README and a test all use it.
A variable overrides the file. A secret has a twin ``…_file`` that names a file holding it, so that it needs to stand in
no environment (systemd ``LoadCredential=``, mounted secrets).

In production the files are refused that somebody else could change (``gateway.base.trusted_files``), and what leaves the host open
(``gateway.base.production``).
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gateway.base import setting_values as values
from gateway.base.production import careless_settings, contradictions
from gateway.base.setting_faults import PREFIX, SettingFault, SettingsError, file_faults, unknown, unreadable
from gateway.base.setting_values import Address, BadValue
from gateway.base.trusted_files import Account, read_trusted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.base.secret import Secret

CONFIG_VARIABLE: Final = "GATEWAY_CONFIG"
_NOT_SETTINGS: Final = frozenset({CONFIG_VARIABLE, "GATEWAY_PROFILE", "GATEWAY_LANG"})
GUARD_FOLDER: Final = "guard"
"""The guard's folder beside the keys, where nobody says otherwise."""
EXIT_CONFIG: Final = 78
"""``EX_CONFIG`` of sysexits.h: the process does not start because of its configuration."""


class Environment(StrEnum):
    """Whether people's data is at stake. Only the demo may use http, example keys and a database of its own."""

    PRODUCTION = "production"
    DEMO = "demo"


class NonceMode(StrEnum):
    """Whether a proof of possession must carry a nonce of ours (RFC 9449 section 8)."""

    REQUIRED = "required"
    OFF = "off"


class LogFormat(StrEnum):
    """JSON lines for machines, or aligned text for people."""

    JSON = "json"
    CONSOLE = "console"


class LogLevel(StrEnum):
    """The least severe event that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One setting: how it is read and what it is if nobody says. Described in ``gateway.base.messages.settings``."""

    name: str
    parse: Callable[[str], object]
    default: str | None = None
    required: bool = False
    secret: bool = False

    @property
    def variable(self) -> str:
        """The environment variable of the setting."""
        return PREFIX + self.name.upper()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a process of the gateway is told; built only by ``load_settings``."""

    environment: Environment
    issuer: str
    database_dsn: Secret
    feed_database_dsn: Secret
    operator_database_dsn: Secret
    bind: Address
    admin_bind: Address
    admin_network_private: bool
    workers: int
    keys_dir: Path
    guard_dir: Path
    log_id: int
    log_origin: str
    host_name: str
    feed_url: str
    feed_name: str
    feed_keys_file: Path
    feed_poll_s: int
    feed_verify_s: int
    max_stale_s: int
    dpop_nonce: NonceMode
    max_body_bytes: int
    request_timeout_ms: int
    commit_queue: int
    pool_size: int
    behind_proxy: bool
    max_connections: int
    max_connections_of_address: int
    drain_s: int
    log_level: LogLevel
    log_format: LogFormat
    sources: Mapping[str, str] = field(default_factory=dict)
    """Where each value came from: ``environment``, ``file`` or ``default``."""

    @property
    def production(self) -> bool:
        """Whether nothing of the demo is tolerated."""
        return self.environment is Environment.PRODUCTION


OPTIONS: Final[tuple[Option, ...]] = (
    Option(name="environment", parse=values.choice(Environment), default="production"),
    Option(name="issuer", parse=values.origin_url, required=True),
    Option(name="database_dsn", parse=values.dsn, required=True, secret=True),
    Option(name="feed_database_dsn", parse=values.dsn, secret=True),
    Option(name="operator_database_dsn", parse=values.dsn, secret=True),
    Option(name="bind", parse=values.address, default="127.0.0.1:8080"),
    Option(name="admin_bind", parse=values.address, default="127.0.0.1:9090"),
    Option(name="admin_network_private", parse=values.boolean, default="false"),
    Option(name="workers", parse=values.integer(1, 64), default="2"),
    Option(name="keys_dir", parse=values.path, required=True),
    Option(name="guard_dir", parse=values.path),
    Option(name="log_id", parse=values.integer(1, 32767), default="1"),
    Option(name="log_origin", parse=values.log_origin, required=True),
    Option(name="host_name", parse=values.host_name, default=values.machine_name()),
    Option(name="feed_url", parse=values.http_url, required=True),
    Option(name="feed_name", parse=values.feed_name, default="municipal"),
    Option(name="feed_keys_file", parse=values.path, required=True),
    Option(name="feed_poll_s", parse=values.integer(1, 86_400), default="60"),
    Option(name="feed_verify_s", parse=values.integer(60, 7 * 86_400), default="3600"),
    Option(name="max_stale_s", parse=values.integer(60, 31 * 86_400), default="86400"),
    Option(name="dpop_nonce", parse=values.choice(NonceMode), default="required"),
    Option(name="max_body_bytes", parse=values.integer(1024, 1 << 20), default="65536"),
    Option(name="request_timeout_ms", parse=values.integer(100, 120_000), default="10000"),
    Option(name="commit_queue", parse=values.integer(16, 65_536), default="2048"),
    Option(name="pool_size", parse=values.integer(1, 64), default="4"),
    Option(name="behind_proxy", parse=values.boolean, default="false"),
    Option(name="max_connections", parse=values.integer(64, 65_536), default="2048"),
    Option(name="max_connections_of_address", parse=values.integer(8, 65_536), default="256"),
    Option(name="drain_s", parse=values.integer(1, 300), default="20"),
    Option(name="log_level", parse=values.choice(LogLevel), default="info"),
    Option(name="log_format", parse=values.choice(LogFormat), default="json"),
)
_FALLBACKS: Final = {"feed_database_dsn": "database_dsn", "operator_database_dsn": "database_dsn"}
"""Settings that take another's value where nobody says: one database role for everything is allowed, if not advised."""


def _names() -> list[str]:
    return [option.name for option in OPTIONS] + [f"{option.name}_file" for option in OPTIONS if option.secret]


def environment_variables() -> dict[str, str]:
    """Return the variables of this process: the one place that reads them."""
    return dict(os.environ)  # noqa: TID251 - the one reader


def load_settings(
    variables: Mapping[str, str], config_file: Path | None = None, account: Account | None = None
) -> Settings:
    """Read the settings from variables over a file; raise ``SettingsError`` with every fault there is.

    ``config_file`` defaults to what ``GATEWAY_CONFIG`` names, ``account`` to that of this process.
    """
    reading = read_settings(variables, config_file, account)
    if reading.faults:
        raise SettingsError(reading.faults)
    return reading.settings()


@dataclass(slots=True, kw_only=True)
class Reading:
    """Settings as far as they could be read, and everything that is wrong with them.

    ``careless`` is what only production refuses; it stands apart until it is known where we are.
    """

    variables: Mapping[str, str]
    account: Account
    parsed: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    faults: list[SettingFault] = field(default_factory=list)
    careless: list[SettingFault] = field(default_factory=list)

    @property
    def production(self) -> bool:
        """Whether nothing of the demo is tolerated; so it is too while nobody knows."""
        return self.parsed.get("environment") is not Environment.DEMO

    def guard_folder(self) -> Path | None:
        """Return the guard's folder: beside the keys where nobody says otherwise, None where nobody says where they are."""
        keys: Path | None = self.parsed.get("keys_dir")
        return self.parsed.get("guard_dir", keys and keys / GUARD_FOLDER)

    def settings(self) -> Settings:
        """Return the settings of a reading without faults."""
        given = dict(self.parsed)
        for name, other in _FALLBACKS.items():
            given.setdefault(name, given[other])
        given["guard_dir"] = self.guard_folder()
        return Settings(**given, sources=self.sources)


def read_settings(
    variables: Mapping[str, str], config_file: Path | None = None, account: Account | None = None
) -> Reading:
    """Read what can be read and list what is wrong, for those who have more faults to add.

    1. The file. 2. The variables over it. 3. Each setting. 4. Names that are none, since a misspelt limit must not silently be the
    default. 5. Contradictions. 6. Carelessness.
    """
    reading = Reading(variables=variables, account=account or Account.current(variables))
    named = variables.get(CONFIG_VARIABLE)
    file = config_file or (Path(named) if named else None)
    given = _from_file(file, reading) if file is not None else {}  # 1
    given |= {
        name.removeprefix(PREFIX).lower(): ("environment", text)
        for name, text in variables.items()
        if name.startswith(PREFIX) and name not in _NOT_SETTINGS
    }  # 2
    for option in OPTIONS:
        _read_option(option, given, reading)  # 3
    reading.faults += [unknown(name, _names()) for name in given]  # 4
    reading.faults += contradictions(reading.parsed, demo=not reading.production)  # 5
    if reading.production:
        reading.faults += [*reading.careless, *careless_settings(reading.parsed, variables, reading.account)]  # 6
    return reading


def _from_file(file: Path, reading: Reading) -> dict[str, tuple[str, str]]:
    """Return the file's members as text; tables and lists are no settings and are reported as unknown names."""
    try:
        found = read_trusted(file, reading.account)
        members = tomllib.loads(found.content.decode("utf-8"))
    except (OSError, UnicodeError):
        reading.faults.append(unreadable(CONFIG_VARIABLE, file))
        return {}
    except tomllib.TOMLDecodeError as exc:
        params = {"file": str(file), "why": str(exc)}
        reading.faults.append(SettingFault(name=CONFIG_VARIABLE, code="not_toml", params=params))
        return {}
    secret = any(option.secret and option.name in members for option in OPTIONS)
    reading.careless += file_faults(CONFIG_VARIABLE, file, found, secret=secret)
    return {name: ("file", str(value)) for name, value in members.items()}


def _read_option(option: Option, given: dict[str, tuple[str, str]], reading: Reading) -> None:
    """Take one setting and its ``_file`` twin out of what was given; what stays there at the end is unknown."""
    try:
        source, text = _text_of(option, given, reading)
        if text is not None:
            reading.parsed[option.name] = option.parse(text)
            reading.sources[option.name] = source
        elif option.required:
            reading.faults.append(SettingFault(name=option.variable, code="missing"))
    except BadValue as exc:
        reading.faults.append(SettingFault(name=option.variable, code=exc.code, params=exc.params))


def _text_of(option: Option, given: dict[str, tuple[str, str]], reading: Reading) -> tuple[str, str | None]:
    source, text = given.pop(option.name, ("default", option.default))
    twin = given.pop(f"{option.name}_file", None) if option.secret else None
    if twin is None:
        return source, text
    if text is not None:
        msg = "both_given"
        raise BadValue(msg, file=f"{option.variable}_FILE")
    return twin[0], _secret_from(option, Path(twin[1]), reading)


def _secret_from(option: Option, file: Path, reading: Reading) -> str:
    try:
        found = read_trusted(file, reading.account)
        text = found.content.decode("utf-8").rstrip("\r\n")
    except (OSError, UnicodeError) as exc:
        msg = "not_readable"
        raise BadValue(msg, file=str(file)) from exc
    reading.careless += file_faults(f"{option.variable}_FILE", file, found, secret=True)
    return text
