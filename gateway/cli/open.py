"""The command line's way into the house: an ``Operator`` built by ``gateway.wiring``, for the time of one command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway import wiring

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from gateway.base.settings import Settings
    from gateway.cli.operator import Operator


def operating(settings: Settings) -> AbstractAsyncContextManager[Operator]:
    """Return what gives an operator's powers while it is entered."""
    operator: AbstractAsyncContextManager[Operator] = wiring.open_operator(settings)
    return operator
