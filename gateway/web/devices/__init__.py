"""One's own devices that take push messages."""
