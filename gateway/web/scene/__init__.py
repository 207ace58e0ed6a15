"""The building in words: what templates print."""
