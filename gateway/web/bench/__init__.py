"""Playing the people and the wires of a simulated building."""
