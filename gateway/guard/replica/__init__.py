"""Adapter to the guard's folder of one feed: digests of what the replica must hold, what was last proven, and the marker of doubt.

Not for: comparing (``gateway.worker.compare``), nor for the log's guard, which is a file beside this folder.
"""
