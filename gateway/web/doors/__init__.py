"""Opening doors and setting their mode."""
