"""The one place that builds: settings in, each edge's needs out.

``worker`` builds a gateway process, ``feed`` the feed process, ``operator`` what the command line works with. Nothing else
knows which adapter stands behind a port.
"""
