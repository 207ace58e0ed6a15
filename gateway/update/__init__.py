"""``portier-update``: releases side by side, one of which runs, with a way back.

Runs with the system's own Python, before there is any environment: standard library only, and of
this package nothing that needs more.
"""
