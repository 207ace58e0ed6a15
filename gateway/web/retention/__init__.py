"""What is stored, for how long, and who removes it."""
