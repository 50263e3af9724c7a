"""The command ``credit-gateway``, and ``python -m gateway``: ``gateway.cli.main`` once everything it needs has been loaded.

Until then Ctrl-C ends the process as it ends any other: there is nothing to put in order yet, and a traceback of half an import
tells nobody anything.
"""

from __future__ import annotations

import signal
import sys

_at_first = signal.getsignal(signal.SIGINT)
if _at_first is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from gateway.cli.main import main  # noqa: E402 - see above

if _at_first is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.default_int_handler)

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
