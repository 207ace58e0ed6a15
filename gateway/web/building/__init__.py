"""What the page knows of the building: the newest snapshot, the journal, and their API models."""
