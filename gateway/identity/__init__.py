"""Who asks: partners, their keys, client assertions, proofs of possession, access tokens, grants.

Rules only: no I/O, and no clock but one that is given. What they need from a store stands in ``ports``.
"""
