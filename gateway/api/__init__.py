"""The HTTP edge: routes, wire types and handlers for partners and for anyone who checks the log.

Imports neither adapters nor other edges: what it needs is declared in ``needs`` and given by ``gateway.wiring``.
"""
