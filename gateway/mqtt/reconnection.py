"""How long to wait between two connections to the broker.

A session that was taken over by another client of the same name has pauses of its own: two that
have one name would otherwise throw each other out in a tight loop.
"""

from __future__ import annotations

import random

from gateway.backoff import BackOff, spread

FIRST_S, MOST_S = 0.5, 60.0
TAKEN_OVER_FIRST_S, TAKEN_OVER_MOST_S = 15.0, 300.0
TAKEN_OVER_FOR_S = 600.0
"""For how long after the session was taken over the pauses stay long."""


class Reconnection:
    """The pauses of one client."""

    def __init__(self) -> None:
        self._ended = BackOff(FIRST_S, MOST_S)
        self._taken_over = BackOff(TAKEN_OVER_FIRST_S, TAKEN_OVER_MOST_S)
        self._taken_over_at = float("-inf")

    def pause_s(self, now: float, *, taken_over: bool, steady: bool) -> float:
        """Seconds to wait after a connection that ended, or was never made. ``steady``: it
        lasted."""
        if taken_over:
            if now - self._taken_over_at >= TAKEN_OVER_FOR_S:
                self._taken_over.reset()
            self._taken_over_at = now
            return self._taken_over.next()
        if steady:
            self._ended.reset()
        return spread(self._ended.next(), random.random())
