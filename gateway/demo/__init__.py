"""Everything at once on one machine, for people who want to see it work."""
