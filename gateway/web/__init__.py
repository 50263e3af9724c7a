"""The HTTP kit: how bytes of a stranger become a bounded, authenticated request, and how every answer leaves.

Not for: what any route means (``gateway.api``). Knows aiohttp; nothing above this package does.
"""
