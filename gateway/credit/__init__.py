"""Credit rules: what is known about a merchant, which part of it is in force, and what a partner may be told.

Pure code: no I/O, no clock. Facts come through ``ports``, time and catalogue as parameters.
"""
