"""What belongs together, what forbids each other, and what could be better."""
