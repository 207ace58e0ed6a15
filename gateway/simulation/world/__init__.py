"""The physical world at the terminals: what the wires lead to, and how it behaves.

Pure, and without chance: ``contact``, ``leaf`` and ``climate`` are one piece of behaviour each, and
``terminals`` is a whole terminal strip, as a bench has one. It knows nothing of the core and draws
no people: whoever uses it says what they do.
"""
