"""Adapter to the municipal platform: its signed feed, fetched with limits and verified before anything is believed.

Not for: what the records mean (``gateway.credit``), when to poll and what to apply (``gateway.worker``).
"""
