"""What both clients of the broker have in common: settings, TLS, limits, topics, pauses, words."""
