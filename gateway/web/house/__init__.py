"""The building as this process knows it: the newest snapshot, the journal, and their shapes."""
