"""The credit gateway: between a city's credit-information-sharing platform and the platform enterprises.

A partner proves who it is, asks about a merchant it has signed, and gets the dishonesty-restriction flags in
force together with a receipt from an append-only log. ``docs/architecture.md`` is the map of this package.
"""

__version__ = "0.1.0"
