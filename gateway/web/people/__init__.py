"""Users and tokens for the administration, and the audit chain."""
