"""Devices that take push messages: the page stores what a browser says of itself, and ``notify``
sends there. What both have to agree on is here."""
