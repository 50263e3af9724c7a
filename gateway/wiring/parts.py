"""Parts that more than one process is built from: sealing, the catalogue, what this host is called."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

from gateway.base.host_keys import HostKeys
from gateway.base.sealing import Sealer
from gateway.base.settings import Settings
from gateway.credit.catalogue import Catalogue, load_catalogue
from gateway.verification.ledger import Names

SEALING_KEY: Final = 1
"""The number of the first sealing key; a second one gets the next number."""
BLIND_INDEX_EPOCH: Final = 1


def names(settings: Settings) -> Names:
    """Return what this host is called in the log."""
    return Names(origin=settings.log_origin, gateway=settings.host_name)


def make_sealer(keys: HostKeys) -> Sealer:
    """Return the sealer of stored plaintext."""
    return Sealer({SEALING_KEY: keys.sealing}, current=SEALING_KEY)


def read_catalogue() -> Catalogue:
    """Read the catalogue that was installed with the program, or that of the source tree."""
    return load_catalogue(_catalogue_files())


def _catalogue_files() -> Mapping[str, bytes]:
    packaged = files("gateway").joinpath("schemas", "catalogue")
    folder = packaged if packaged.is_dir() else Path(__file__).parents[2] / "schemas" / "catalogue"
    return {item.name: item.read_bytes() for item in folder.iterdir() if item.name.endswith(".json")}
