"""Whether the recorder may delete by the clock of its machine.

A recorder runs beside a gateway or on a server, without ``control`` to ask. So it watches the clock
itself: after a step of more than an hour, or where the first time of a start does not follow the
last settled one, nothing is deleted for a day of running. The same where no settled time has been
saved yet. The ledger and the sweep of the store both ask here.
"""

from __future__ import annotations

from gateway.core.signals.clock import AHEAD_MS, JUMP_MS, SAME_MS, SETTLE_MS

SAVE_EVERY_MS = 86_400_000


class SettledClock:
    """``saved_utc_ms``: the last settled time that was saved, ``None``: there is none."""

    def __init__(self, saved_utc_ms: int | None) -> None:
        self._saved_utc_ms = saved_utc_ms
        self._offset_ms: int | None = None
        self._doubt_ms: int | None = None
        """Since when the clock has been in doubt, by the monotonic clock."""

    def is_settled(self, now_ms: int, utc_ms: int) -> bool:
        """After a look at both clocks."""
        offset_ms = utc_ms - now_ms
        if self._offset_ms is None:
            saved = self._saved_utc_ms
            follows = saved is not None and -SAME_MS <= utc_ms - saved <= AHEAD_MS
            self._offset_ms, self._doubt_ms = offset_ms, None if follows else now_ms
        elif abs(offset_ms - self._offset_ms) > JUMP_MS:
            self._offset_ms, self._doubt_ms = offset_ms, now_ms
        if self._doubt_ms is not None and now_ms - self._doubt_ms >= SETTLE_MS:
            self._offset_ms, self._doubt_ms = offset_ms, None
            self._saved_utc_ms = None  # it may lie ahead
        return self._doubt_ms is None

    def due(self, utc_ms: int) -> bool:
        """Whether this settled time is to be saved: once a day."""
        if self._saved_utc_ms is not None and utc_ms - self._saved_utc_ms < SAVE_EVERY_MS:
            return False
        self._saved_utc_ms = utc_ms
        return True
