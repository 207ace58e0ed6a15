"""Who somebody is, and what they may: users, log-ins, tokens, second factor. It knows no page."""
