"""A partner's profile: where the gateway is, who the partner is to it, and with which key and trust policy it works.

For: ``credit-gateway verify`` and the demo, which writes one. A JSON file; the private key stays in its own file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from gateway.base.canonical import JsonError, parse_json_object
from gateway.base.settings import environment_variables
from gateway.demo.home import PROFILE_FILE, default_demo_directory
from gateway.terminal.failures import CommandError
from gateway.terminal.terminal import Exit

PROFILE_VARIABLE: Final = "GATEWAY_PROFILE"
_MAX_BYTES: Final = 65_536


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Paths are as written: absolute, or relative to the profile's own directory."""

    api: str
    issuer: str
    token_endpoint: str
    client_id: str
    kid: str
    private_key_file: str
    log_policy_file: str


def read_profile(file: Path | None) -> Profile:
    """Return the profile of a file; by default of ``GATEWAY_PROFILE``, else the demo's. Members it does not know are ignored."""
    chosen = file or default_profile()
    try:
        with chosen.open("rb") as stream:
            raw = stream.read(_MAX_BYTES)
    except OSError as exc:
        raise CommandError(Exit.USAGE, "no_profile", file=str(chosen)) from exc
    try:
        profile = msgspec.convert(parse_json_object(raw), Profile)
    except (JsonError, msgspec.ValidationError) as exc:
        raise CommandError(Exit.USAGE, "file_malformed", file=str(chosen), why=str(exc)) from exc
    here = chosen.absolute().parent
    return msgspec.structs.replace(
        profile,
        private_key_file=str(here / profile.private_key_file),
        log_policy_file=str(here / profile.log_policy_file),
    )


def default_profile() -> Path:
    """Return the profile used when none is named."""
    named = environment_variables().get(PROFILE_VARIABLE)
    return Path(named) if named else default_demo_directory() / PROFILE_FILE
