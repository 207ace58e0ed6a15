"""The physical world at the terminals: what the wires lead to, and how it behaves.

Pure, without chance and without people: ``contact``, ``leaf`` and ``climate`` are one piece of
behaviour each, and ``terminals`` is a whole terminal strip, as a bench has one. It knows nothing of
the core, of doors or rooms, nor of who uses it.
"""
