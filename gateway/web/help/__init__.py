"""Manuals and signs: what to do, for those who use Portier every day."""
