"""The role that moves relays: its loop, its points, and what it reports to the other roles."""
