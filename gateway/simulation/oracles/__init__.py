"""What must never be, and what must come: judged by the truth of the simulated world."""
