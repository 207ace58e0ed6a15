"""Puts the building into words for the templates."""
