"""One door: its rules, its opening, its leaf, its mode; and the interlock of several."""
