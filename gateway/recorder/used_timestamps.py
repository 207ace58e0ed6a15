"""Gives each point of a series an instant of its own, in whole milliseconds. Pure.

Time-series stores know a point by its series and its time. Two facts of one series in the
same millisecond would become one, so the later one, in the order in which the recorder
meets them (which is the order of the sequence), moves on by 1 ms until it is alone.

The same fact must get the same time whenever it comes again. Three things are remembered
for that (by the recorder's state, *before* the store is written):

* which numbers have ever been given a time (``Stamped.seen``),
* which of them were moved, and where to (``Stamped.moved``); all others keep their own,
* the milliseconds that the last facts of each series occupy (``UsedTimestamps``).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field

from gateway.recorder.sequences import Range, covers

KEPT_RUNS = 32
SAVED_RUNS = 4
"""Of these, where nothing is missing: after a restart the last ones are enough."""
MOST_RUNS = 4096


@dataclass(slots=True)
class UsedTimestamps:
    """Runs of milliseconds that the facts of one series occupy, ordered, newest last."""

    runs: list[Range] = field(default_factory=list)
    given: deque[int] = field(default_factory=lambda: deque(maxlen=KEPT_RUNS), compare=False)
    """The milliseconds that were given or held last, oldest first."""

    def take(self, ms: int) -> int:
        """The first free millisecond at or after ``ms``, from now on occupied."""
        runs = self.runs
        at = len(runs)
        while at and runs[at - 1][0] > ms:
            at -= 1
        if at and ms <= runs[at - 1][1]:
            ms = runs[at - 1][1] + 1
        if at and runs[at - 1][1] + 1 == ms:
            runs[at - 1] = (runs[at - 1][0], ms)
            at -= 1
        else:
            runs.insert(at, (ms, ms))
        if at + 1 < len(runs) and runs[at + 1][0] == ms + 1:
            runs[at] = (runs[at][0], runs[at + 1][1])
            del runs[at + 1]
        self.given.append(ms)
        return ms

    def hold(self, ms: int) -> None:
        """Occupied already, as the store knows; nothing changes where it is known."""
        if not covers(self.runs, ms):
            self.take(ms)
        else:
            self.given.append(ms)

    def trim(self, whole: bool) -> None:
        """Forget the oldest. While a lane has a gap or a fact waits for its time, what lies after
        it must stay known."""
        self.runs = self.last(KEPT_RUNS if whole else MOST_RUNS)

    def last(self, most: int) -> list[Range]:
        """So many of the newest runs, and those in which time was given last: facts of long ago may
        be sent again under a new name, and the next of them is of the same millisecond."""
        runs = self.runs
        if len(runs) <= most:
            return runs
        keep = set(range(len(runs) - most, len(runs)))
        for ms in list(self.given)[-most:]:
            at = bisect_left(runs, (ms + 1,)) - 1
            if at >= 0 and ms <= runs[at][1]:
                keep.add(at)
        return [runs[at] for at in sorted(keep)]


def place(own_ms: int, seen: bool, moved_ms: int | None, occupied: UsedTimestamps) -> int:
    """The time of one fact in the store.

    :param own_ms: when it happened, UTC ms
    :param seen: it has had a time before
    :param moved_ms: where it was moved to, if it was
    """
    if moved_ms is not None or seen:
        at = own_ms if moved_ms is None else moved_ms
        occupied.hold(at)
        return at
    return occupied.take(own_ms)
