"""Whether the recorder may delete by the clock of its machine.

A recorder runs beside a gateway or on a server, without ``control`` to ask. So it watches the clock
itself: after a step of more than an hour, or where the first time of a start does not follow the
last settled one, nothing is deleted for a day of running. The same where no settled time has been
saved yet. The day is summed over starts that follow each other: a recorder that is started anew
every few hours would never delete anything. The ledger and the sweep of the store both ask here.
"""

from __future__ import annotations

from gateway.core.signals.clock import AHEAD_MS, JUMP_MS, SAME_MS, SETTLE_MS

SAVE_EVERY_MS = 86_400_000
SAVE_DOUBT_EVERY_MS = 3_600_000


class DeletionClock:
    """``saved_utc_ms``: the last settled time that was saved, ``None``: there is none. ``doubt``:
    as :meth:`doubt` returned it in the run before."""

    def __init__(self, saved_utc_ms: int | None, doubt: str = "") -> None:
        self._saved_utc_ms = saved_utc_ms
        waited, _, utc = doubt.partition(" ")
        known = waited.isdecimal() and utc.isdecimal()
        self._before = (int(waited), int(utc)) if known else None
        """For how long the clock was in doubt before this start, and its time then."""
        self._doubt_saved_ms = 0
        self._offset_ms: int | None = None
        self._doubt_ms: int | None = None
        """Since when the clock has been in doubt, by the monotonic clock."""

    def is_settled(self, now_ms: int, utc_ms: int) -> bool:
        """After a look at both clocks."""
        offset_ms = utc_ms - now_ms
        if self._offset_ms is None:
            self._offset_ms, self._doubt_saved_ms = offset_ms, now_ms
            if not _follows(utc_ms, self._saved_utc_ms):
                waited_ms, before_utc_ms = self._before or (0, None)
                self._doubt_ms = now_ms - (waited_ms if _follows(utc_ms, before_utc_ms) else 0)
        elif abs(offset_ms - self._offset_ms) > JUMP_MS:
            self._offset_ms, self._doubt_ms = offset_ms, now_ms
        if self._doubt_ms is not None and now_ms - self._doubt_ms >= SETTLE_MS:
            self._offset_ms, self._doubt_ms = offset_ms, None
            self._saved_utc_ms = None  # it may lie ahead
        return self._doubt_ms is None

    def doubt(self, now_ms: int, utc_ms: int) -> str:
        """What is to be saved of a doubt; empty where there is none."""
        self._doubt_saved_ms = now_ms
        return "" if self._doubt_ms is None else f"{now_ms - self._doubt_ms} {utc_ms}"

    def doubt_due(self, now_ms: int) -> bool:
        """Whether a doubt is to be saved: once an hour."""
        return self._doubt_ms is not None and now_ms - self._doubt_saved_ms >= SAVE_DOUBT_EVERY_MS

    def due(self, utc_ms: int) -> bool:
        """Whether this settled time is to be saved: once a day."""
        if self._saved_utc_ms is not None and utc_ms - self._saved_utc_ms < SAVE_EVERY_MS:
            return False
        self._saved_utc_ms = utc_ms
        return True


def _follows(utc_ms: int, before_utc_ms: int | None) -> bool:
    """Whether the time of a start may come after this one of the run before."""
    return before_utc_ms is not None and -SAME_MS <= utc_ms - before_utc_ms <= AHEAD_MS
