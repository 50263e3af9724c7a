"""What is wrong with the settings of a host: one value for each fault, and the one error that carries all of them.

For: whatever reads a setting or a file that a setting names. Not for: the sentences (``gateway.base.messages.settings``).
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from gateway.base.trusted_files import PathFault, TrustedFile

PREFIX: Final = "GATEWAY_"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingFault:
    """One thing wrong with one setting; ``code`` names a sentence in ``gateway.base.messages.settings``."""

    name: str
    code: str
    params: Mapping[str, str | int] = field(default_factory=dict)


class SettingsError(Exception):
    """The settings do not fit; ``faults`` says everything that is wrong, each once, in the order of the table."""

    def __init__(self, faults: Iterable[SettingFault]) -> None:
        self.faults: Final = _each_once(faults)
        super().__init__(", ".join(f"{fault.name}: {fault.code}" for fault in self.faults))


def path_faults(name: str, found: Iterable[PathFault]) -> list[SettingFault]:
    """Return what is wrong on the way to the file or folder that a setting names."""
    return [
        SettingFault(
            name=name,
            code=fault.code,
            params={"place": fault.place, "mode": f"{fault.mode:04o}", "owner": fault.owner},
        )
        for fault in found
    ]


def file_faults(
    name: str, file: Path, found: TrustedFile, *, secret: bool, exposed: str = "secret_exposed"
) -> list[SettingFault]:
    """Return what only production refuses about a file that was read: who could change it, and of a secret who could read it."""
    faults = path_faults(name, found.faults)
    if secret and found.exposed:
        faults.append(SettingFault(name=name, code=exposed, params={"file": str(file), "mode": f"{found.mode:04o}"}))
    return faults


def unreadable(name: str, file: Path) -> SettingFault:
    """Return the fault of a file that cannot be read, or holds no text."""
    return SettingFault(name=name, code="not_readable", params={"file": str(file)})


def unknown(name: str, names: Iterable[str]) -> SettingFault:
    """Return the fault of a name that is no setting, with the one that may be meant."""
    near = difflib.get_close_matches(name, names, n=1)
    variable = PREFIX + name.upper()
    if not near:
        return SettingFault(name=variable, code="unknown")
    return SettingFault(name=variable, code="unknown_near", params={"near": PREFIX + near[0].upper()})


def _each_once(faults: Iterable[SettingFault]) -> tuple[SettingFault, ...]:
    """Drop repetitions: of five keys in a folder that others may write, each names the folder, and one sentence will do."""
    kept: dict[tuple[str, tuple[tuple[str, str | int], ...]], SettingFault] = {}
    for fault in faults:
        about = tuple(sorted(fault.params.items()))
        shared = fault.code.startswith("path_")  # whoever named it: the place is to be mended once
        kept.setdefault(("" if shared else fault.name, (("code", fault.code), *about)), fault)
    return tuple(kept.values())
