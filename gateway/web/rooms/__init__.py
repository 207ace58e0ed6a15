"""Rooms and their calls; the signed link of a message."""
