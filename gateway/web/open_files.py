"""How many connections this process may really hold: a connection is an open file, and the system bounds those too.

For: a worker at its start. A process that runs out of files accepts nothing, not even partners, so the bound on connections lies below.
Source: setrlimit(2).
"""

from __future__ import annotations

import contextlib
import resource
from typing import Final

SPARE_FILES: Final = 128
"""For everything but clients: database, log, metrics, libraries."""


def fitting_connections(wanted: int) -> int:
    """Return how many of the wanted connections the limit of open files allows, having raised it as far as this process may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        raised = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with contextlib.suppress(OSError, ValueError):  # a hardened unit forbids it; then what is there must do
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
        return max(1, min(wanted, soft - SPARE_FILES))
    return wanted
