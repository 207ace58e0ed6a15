"""Every terminal live, tests of relays, and service mode."""
