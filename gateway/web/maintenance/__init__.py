"""Counters, drift, gaps, and what is removed once a day."""
