"""The command line's way into the house: an ``Operator`` for the time of one command, and the settings of a host that is fit to start.

Both are built by ``gateway.wiring``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway import wiring
from gateway.base.settings import environment_variables

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from gateway.base.settings import Settings
    from gateway.cli.common import Common
    from gateway.cli.operator import Operator


def operating(settings: Settings) -> AbstractAsyncContextManager[Operator]:
    """Return what gives an operator's powers while it is entered."""
    operator: AbstractAsyncContextManager[Operator] = wiring.open_operator(settings)
    return operator


def fit_host(options: Common) -> Settings:
    """Return the settings of a host whose keys and trusted files were read and judged, or raise every fault at once."""
    return wiring.load_host(environment_variables(), options.config)
