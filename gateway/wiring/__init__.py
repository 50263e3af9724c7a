"""The one place that builds: settings in, each edge's needs out.

``host`` reads what a host is told and trusts, ``worker`` builds a gateway process, ``feed`` the feed process, ``operator`` what the
command line works with, ``log_keeper`` its acts on the log. Nothing else knows which adapter stands behind a port.
"""

from gateway.wiring.feed import run_feed
from gateway.wiring.host import load_host
from gateway.wiring.log_keeper import open_log_keeping, succeed
from gateway.wiring.operator import open_operator
from gateway.wiring.worker import open_worker, run_worker

__all__ = ["load_host", "open_log_keeping", "open_operator", "open_worker", "run_feed", "run_worker", "succeed"]
