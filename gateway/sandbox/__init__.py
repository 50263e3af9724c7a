"""A synthetic city and a simulated municipal platform, for the demo and the tests. Refused in production.

Everything here is invented. Division code 990000 is unassigned in GB/T 2260, so no code collides with a real organisation.
"""
