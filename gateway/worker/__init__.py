"""Loops beside the requests: what starts from rows or from the clock, in the shape claim, pure decision, act, settle."""
