"""What comes from and goes to the terminals: contacts, meters, relays, watches, and the clock."""
