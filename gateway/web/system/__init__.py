"""How the system did: what it promises, and how well that was so over time."""
