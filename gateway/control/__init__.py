"""The one process that moves relays: its loop, its points, and what it tells the other roles."""
