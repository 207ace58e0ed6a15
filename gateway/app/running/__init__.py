"""``portier run`` without systemd."""
