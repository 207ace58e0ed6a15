"""History and events of all sites, read from what the recorder has stored."""
