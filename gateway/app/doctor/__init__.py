"""``portier doctor``: what keeps the gateway from working."""
