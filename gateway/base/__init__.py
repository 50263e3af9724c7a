"""The ground floor: errors, settings, clock, identifiers, strict JSON and base64, cryptography, log, messages.

No I/O (settings read the environment once, at start), nothing of ours is imported from here upward.
"""
