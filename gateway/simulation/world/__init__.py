"""The physical world at the terminals: what the wires lead to, and how it behaves.

Pure, without chance and without people: ``terminals`` is a whole terminal strip, as a bench has
one. It knows nothing of the core, of doors or rooms, nor of who uses it.
"""
