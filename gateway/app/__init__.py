"""The composition: the only room that knows every other one, and the drivers.

Empty on purpose: ``control`` starts through here, and pays for each import.
"""
