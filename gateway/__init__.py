"""Portier: runs an automatic door, watches an accessible bathroom, and records everything."""

__version__ = "0.1.0"
