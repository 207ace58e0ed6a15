"""The backup of a whole gateway: one encrypted archive, and putting it back on any machine."""
