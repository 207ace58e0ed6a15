"""Logging in, and what people change about themselves."""
