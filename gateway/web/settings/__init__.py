"""What an admin may change of the configuration."""
