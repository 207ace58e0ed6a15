"""Pauses between attempts: each twice as long as the one before it, up to a longest one. Pure.

Whatever tries again with growing pauses takes them from here. A pause is a number of seconds or
of milliseconds, as its caller counts.
"""

from __future__ import annotations

from typing import Generic, TypeVar

Pause = TypeVar("Pause", int, float)


def pause_after(failures: int, first: Pause, most: Pause) -> Pause:
    """The pause after so many failures before this one."""
    return min(first * (1 << min(failures, 16)), most)


class BackOff(Generic[Pause]):
    """The pauses of one thing that is tried again and again."""

    __slots__ = ("_first", "most", "pause")

    def __init__(self, first: Pause, most: Pause) -> None:
        self._first: Pause = first
        self.pause: Pause = first
        """The pause before the next attempt."""
        self.most: Pause = most

    def next(self) -> Pause:
        """The pause before the next attempt; the one after that is twice as long."""
        pause = min(self.pause, self.most)
        self.pause = min(pause * 2, self.most)
        return pause

    def reset(self) -> None:
        """It worked: the next pause is the first one."""
        self.pause = self._first


def spread(pause_s: float, chance: float) -> float:
    """Half to all of a pause: ``chance``, from 0 to 1, is drawn by each client for itself, so that
    a fleet does not come back in one instant."""
    return pause_s * (0.5 + chance / 2)
