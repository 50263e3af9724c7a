"""What is proven: entries of the log, its Merkle tree, checkpoints, receipts, and the commit that makes them durable.

Rules only: no I/O but over the Protocols of ``ports`` and ``readers``, no clock of its own.
"""
