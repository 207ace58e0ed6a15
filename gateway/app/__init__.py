"""The composition: the only package that knows every other one, and the drivers.

Empty on purpose: ``control`` starts through here, and pays for each import.
"""
