"""The configuration with everything that is known of drivers, and the plans made of it."""
