"""What the page may change: the overlay as a file, tried, written and taken back."""
