"""The outbox: the journal behind a cursor. Pure.

A lane is sent in the order of its numbers, some of them in flight at a time. The cursor is the
highest number up to which every number is finished: acknowledged by the broker, set aside, or not
in the journal any more (thinned, expired). The cursor alone is saved, by the journal; after a lost
connection all numbers above it are sent again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

MOST_REPLAYED = 10_000
"""Numbers in one replay."""
REPLAY_REST_MS = 200
"""Between two replays of one lane for one recorder."""
MOST_RECORDERS = 16
LATE_MS = 60_000


@dataclass(slots=True)
class LaneWindow:
    """One lane on its way out."""

    cursor: int
    """Every number up to here is finished."""
    next: int = 0
    """The next number to read from the journal."""
    _order: deque[int] = field(default_factory=deque)
    _open: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.next = self.cursor + 1

    def sent(self, seq: int) -> None:
        """This number went out."""
        self._order.append(seq)
        self._open.add(seq)
        self.next = seq + 1

    def finished(self, seq: int) -> bool:
        """The broker has taken this number, or it is set aside. Returns whether the cursor
        moved."""
        self._open.discard(seq)
        before = self.cursor
        while self._order and self._order[0] not in self._open:
            self.cursor = self._order.popleft()
        return self.cursor != before

    def skip_to(self, seq: int) -> None:
        """Move the cursor here: nothing is in flight, and nothing up to here will ever come."""
        self.cursor, self.next = seq, seq + 1

    def lost(self) -> None:
        """The connection is gone: what was in flight is sent again."""
        self._order.clear()
        self._open.clear()
        self.next = self.cursor + 1

    @property
    def in_flight(self) -> int:
        return len(self._open)


@dataclass(slots=True)
class Replay:
    """One answered request: ``next`` up to ``last``, for one recorder and lane."""

    recorder: str
    lane: str
    next: int
    last: int


@dataclass(slots=True)
class Replays:
    """Open requests, one per recorder and lane; one more of each may wait."""

    open: dict[tuple[str, str], Replay] = field(default_factory=dict)
    waiting: dict[tuple[str, str], Replay] = field(default_factory=dict)
    done_ms: dict[tuple[str, str], int] = field(default_factory=dict)

    def request(self, replay: Replay) -> bool:
        """Take a request; ``False`` if it is more than the gateway serves."""
        if not 0 < replay.next <= replay.last or replay.last - replay.next >= MOST_REPLAYED:
            return False
        key = (replay.recorder, replay.lane)
        recorders = {recorder for recorder, _ in (*self.open, *self.waiting, *self.done_ms)}
        if replay.recorder not in recorders and len(recorders) >= MOST_RECORDERS:
            return False
        self.waiting[key] = replay
        return True

    def current(self, lane: str, now_ms: int) -> Replay | None:
        """The replay of this lane to go on with now."""
        for key, replay in list(self.waiting.items()):
            rested = now_ms - self.done_ms.get(key, -REPLAY_REST_MS) >= REPLAY_REST_MS
            if key[1] == lane and key not in self.open and rested:
                self.open[key] = self.waiting.pop(key)
                return replay
        return next((one for key, one in self.open.items() if key[1] == lane), None)

    def done(self, replay: Replay, now_ms: int) -> None:
        """Every number of it has its answer."""
        key = (replay.recorder, replay.lane)
        self.open.pop(key, None)
        self.done_ms[key] = now_ms

    def lost(self) -> None:
        """The connection is gone; who still misses something asks again."""
        self.open.clear()
        self.waiting.clear()


def missing(low: int, high: int, have: list[int]) -> list[tuple[int, int]]:
    """The numbers from ``low`` to ``high`` that are not in the ordered ``have``, as ranges."""
    ranges = []
    at = low
    for seq in have:
        if seq > at:
            ranges.append((at, seq - 1))
        at = seq + 1
    if at <= high:
        ranges.append((at, high))
    return ranges


def is_late(
    boot: str, mono_ms: int, utc_ms: int | None, now_boot: str, now_ms: int, now_utc_ms: int | None
) -> bool:
    """Whether a fact is older than 60 s when it is sent. One of another boot whose time is
    not known is late: that boot is over."""
    if boot == now_boot:
        return now_ms - mono_ms > LATE_MS
    if utc_ms is None or now_utc_ms is None:
        return True
    return now_utc_ms - utc_ms > LATE_MS
