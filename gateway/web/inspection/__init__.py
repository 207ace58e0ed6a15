"""The test book: guided walks and their signed pages."""
