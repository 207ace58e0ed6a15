"""The first page: doors, rooms and guarantees, and what can be done there."""
