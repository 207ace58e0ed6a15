"""The time-series stores that the recorder writes into, and how it lives with a bad one."""
