"""How long to wait between two connections. Pure."""

from __future__ import annotations

from dataclasses import dataclass

BACK_OFF_FIRST_S = 0.5
BACK_OFF_MOST_S = 60.0
TAKEN_OVER_FIRST_S = 15.0
TAKEN_OVER_MOST_S = 300.0
TAKEN_OVER_FOR_S = 600.0
"""For how long after the session was taken over the pauses stay long."""


@dataclass(slots=True)
class BackOff:
    """How long to wait before the next attempt."""

    pause_s: float = BACK_OFF_FIRST_S
    taken_pause_s: float = TAKEN_OVER_FIRST_S
    taken_at: float = float("-inf")

    def after(self, reason: str, lived_s: float, now: float) -> float:
        """Seconds to wait after a connection that ended for ``reason`` (0 s: never was one)."""
        if reason == "taken_over":
            again = now - self.taken_at < TAKEN_OVER_FOR_S
            self.taken_pause_s = (
                min(self.taken_pause_s * 2, TAKEN_OVER_MOST_S) if again else TAKEN_OVER_FIRST_S
            )
            self.taken_at = now
            return self.taken_pause_s
        if lived_s > BACK_OFF_MOST_S:
            self.pause_s = BACK_OFF_FIRST_S
        wait_s = self.pause_s
        self.pause_s = min(self.pause_s * 2, BACK_OFF_MOST_S)
        return wait_s
