"""The benchmark harness: what one verified, durable, provable answer costs, beside what it cannot cost less than.

For: ratios measured side by side in one run (``python -m bench``) and the profile of the worker (``python -m bench.profile``).
Not for: pass or fail of a change; timings never live in tests.
"""
