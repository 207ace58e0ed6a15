"""Sending the journal: first sends, replays and everything else through one window.

Nothing waits in the MQTT client's memory: a row is read from the journal when there is room
for it in the window and the broker is connected, and read again after a lost connection.
Order of precedence: answers and states (few), urgent facts, urgent replays, routine facts,
routine replays.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gateway.core.facts import Lane
from gateway.link.outbox import Flight, Replay, Replays, is_late, missing
from gateway.link.topics import Topics
from gateway.wire import PUBLISHED, Row, to_cloudevent

READ_ROWS = 256
IN_FLIGHT_MOST_MS = 15_000
"""A broker that acknowledges nothing for this long is frozen."""
SMALL_MOST = 500
"""Answers and absences that may wait; the oldest go first."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class JournalReader(Protocol):
    """What the link reads. Raises ``JournalUnavailable``."""

    def journal_id(self) -> str: ...
    def heads(self) -> dict[Lane, int]: ...
    def lane(self, lane: Lane, from_seq: int, limit: int) -> list[Row]: ...
    def absent(self, lane: Lane, first: int, last: int) -> list[tuple[int, int, str]]: ...


class Publish(Protocol):
    """Hands one message to the broker; its number, or ``None`` while not connected."""

    def __call__(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        correlation: bytes | None = None,
    ) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Small:
    """An answer, an absence or a state that waits for its turn."""

    topic: str
    payload: bytes
    retain: bool = False
    correlation: bytes | None = None
    answer: bool = False
    """Its asker chose the topic, and the broker may not let us write there."""


@dataclass(slots=True)
class Ages:
    """What is needed to tell a late fact: the present, by the clock of the facts."""

    boot: str = ""
    now_ms: int = 0
    utc_ms: int | None = None


@dataclass(slots=True)
class _Source:
    """Rows of one lane that were read and not sent yet."""

    rows: deque[Row] = field(default_factory=deque)
    end: bool = False
    """Nothing more was there when it was read last."""


class Publisher:
    """One thread only. ``on_cursor(lane, seq)`` is called when a cursor moves."""

    def __init__(
        self,
        gateway: str,
        reader: JournalReader,
        publish: Publish,
        on_cursor: Callable[[Lane, int], None],
    ) -> None:
        self._gateway = gateway
        self._topics = Topics(gateway)
        self._reader = reader
        self._publish = publish
        self._on_cursor = on_cursor
        self.journal = ""
        self.flights: dict[Lane, Flight] = {}
        self.replays = Replays()
        self.heads: dict[Lane, int] = {}
        self.ages = Ages()
        self._sources: dict[Lane, _Source] = {lane: _Source() for lane in PUBLISHED}
        self._replayed: dict[tuple[str, str], deque[Row]] = {}
        self._small: deque[Small] = deque()
        self._states: dict[str, Small] = {}
        self._open: dict[int, tuple[Lane, int] | None] = {}
        self._answers: set[int] = set()
        self._window = 0
        self._moved_ms = 0

    # --- what happens -------------------------------------------------------------------

    def begin(self, journal: str, cursors: Mapping[Lane, int], heads: Mapping[Lane, int]) -> None:
        """The journal is readable, or is another one: go on behind these cursors."""
        self.journal = journal
        self.heads = dict(heads)
        self.flights = {
            lane: Flight(min(cursors.get(lane, 0), heads.get(lane, 0))) for lane in PUBLISHED
        }
        self._again()

    def grown(self, heads: Mapping[Lane, int]) -> None:
        """The journal has grown."""
        self.heads = dict(heads)
        for source in self._sources.values():
            source.end = False

    def connected(self, window: int, now_ms: int) -> None:
        """A new connection with room for ``window`` messages in flight."""
        self._again()
        self._window = window
        self._moved_ms = now_ms

    def lost(self) -> None:
        """No connection: nothing is in flight any more."""
        self._window = 0
        self._small.clear()
        self._states.clear()
        self._again()

    def _again(self) -> None:
        self._open.clear()
        self._answers.clear()
        self._replayed.clear()
        self.replays.lost()
        for flight in self.flights.values():
            flight.lost()
        self._sources = {lane: _Source() for lane in PUBLISHED}

    def acknowledged(self, mid: int, now_ms: int) -> None:
        """The broker has this message."""
        self._moved_ms = now_ms
        self._answers.discard(mid)
        sent = self._open.pop(mid, None)
        if sent is None:
            return
        lane, seq = sent
        flight = self.flights[lane]
        if flight.acknowledged(seq):
            self._on_cursor(lane, flight.cursor)

    def refused(self, mid: int, now_ms: int) -> bool:
        """The broker will not take this message; whether that is more than a lost answer."""
        if mid not in self._answers:
            return True
        self.acknowledged(mid, now_ms)
        return False

    def say(self, small: Small) -> None:
        """Send something small before the facts."""
        if len(self._small) >= SMALL_MOST:
            self._small.popleft()
        self._small.append(small)

    def show(self, topic: str, payload: bytes) -> None:
        """A retained state; only its newest text is sent."""
        self._states[topic] = Small(topic, payload, retain=True)

    def replay(self, recorder: str, journal: str, lane: Lane, first: int, last: int) -> bool:
        """Answer each of these numbers for this recorder; ``False``: not served."""
        if journal != self.journal:
            if not 0 < first <= last:
                return False
            self._say_absent(lane, [(first, last, "lost")], journal)
            return True
        last = min(last, self.heads.get(lane, 0))
        return first > last or self.replays.request(Replay(recorder, lane, first, last))

    # --- sending ------------------------------------------------------------------------

    def frozen(self, now_ms: int) -> bool:
        """Messages are in flight and none was acknowledged for too long."""
        return bool(self._open) and now_ms - self._moved_ms > IN_FLIGHT_MOST_MS

    @property
    def backlog(self) -> int:
        """Numbers behind the cursors that are not acknowledged yet."""
        return sum(
            max(0, self.heads.get(lane, 0) - flight.cursor) for lane, flight in self.flights.items()
        )

    def oldest_unsent(self) -> Row | None:
        """The oldest fact that is not acknowledged yet, urgent before routine."""
        for lane, flight in self.flights.items():
            rows = self._reader.lane(lane, flight.cursor + 1, 1)
            if rows:
                return rows[0]
        return None

    def fill(self, now_ms: int) -> None:
        """Send what there is room for."""
        while len(self._open) < self._window:
            if not self._one(now_ms):
                return

    def _one(self, now_ms: int) -> bool:
        if self._small or self._states:
            small = (
                self._small.popleft() if self._small else self._states.pop(next(iter(self._states)))
            )
            mid = self._publish(
                small.topic, small.payload, retain=small.retain, correlation=small.correlation
            )
            if small.answer and mid is not None:
                self._answers.add(mid)
            return self._sent(mid, None, now_ms)
        if not self.journal:
            return False
        for lane in PUBLISHED:
            row = self._next(lane)
            if row is not None:
                late = is_late(
                    row.boot, row.mono_ms, row.utc_ms,
                    self.ages.boot, self.ages.now_ms, self.ages.utc_ms,
                )  # fmt: skip
                mid = self._send(row, late)
                if mid is None:
                    return False
                self._sources[lane].rows.popleft()
                self.flights[lane].sent(row.seq)
                return self._sent(mid, (lane, row.seq), now_ms)
            self._pass_over(lane)
            if self._replay_one(lane, now_ms):
                return True
        return False

    def _pass_over(self, lane: Lane) -> None:
        """The newest numbers of a lane may be absent: no row behind them would move the cursor.

        What was read last was read after the head, so that nothing up to it can still come.
        """
        flight, head = self.flights[lane], self.heads.get(lane, 0)
        if self._sources[lane].end and not flight.in_flight and flight.cursor < head:
            flight.passed(head)
            self._on_cursor(lane, head)

    def _sent(self, mid: int | None, what: tuple[Lane, int] | None, now_ms: int) -> bool:
        if mid is None:
            return False
        if not self._open:
            self._moved_ms = now_ms
        self._open[mid] = what
        return True

    def _send(self, row: Row, late: bool) -> int | None:
        event = to_cloudevent(self._gateway, self.journal, row, late=late)
        return self._publish(self._topics.event(row.kind, row.subject), _encode(event).encode())

    def _next(self, lane: Lane) -> Row | None:
        source = self._sources[lane]
        if not source.rows and not source.end:
            rows = self._reader.lane(lane, self.flights[lane].next, READ_ROWS)
            source.rows.extend(rows)
            source.end = len(rows) < READ_ROWS
        return source.rows[0] if source.rows else None

    def _replay_one(self, lane: Lane, now_ms: int) -> bool:
        """Send one message of a replay: an event, or what is known to be absent."""
        replay = self.replays.current(lane, now_ms)
        if replay is None:
            return False
        key = (replay.recorder, replay.lane)
        rows = self._replayed.get(key)
        if not rows:
            rows = self._replayed[key] = self._read_replay(replay, lane)
        if rows:
            mid = self._send(rows[0], late=True)
            if mid is None:
                return False
            replay.next = rows.popleft().seq + 1
            self._sent(mid, None, now_ms)
        if replay.next > replay.last:
            self._replayed.pop(key, None)
            self.replays.done(replay, now_ms)
        return True

    def _read_replay(self, replay: Replay, lane: Lane) -> deque[Row]:
        """The next rows of a replay. What is not among them is said to be absent."""
        found = self._reader.lane(lane, replay.next, READ_ROWS)
        rows = [row for row in found if row.seq <= replay.last]
        high = rows[-1].seq if rows and len(rows) == READ_ROWS else replay.last
        holes = missing(replay.next, high, [row.seq for row in rows])
        absent: list[tuple[int, int, str]] = []
        for first, last in holes:
            known = self._reader.absent(lane, first, last)
            absent += known
            flat = [seq for low, top, _ in known for seq in range(low, top + 1)]
            absent += [(low, top, "lost") for low, top in missing(first, last, flat)]
        if absent:
            self._say_absent(lane, absent, self.journal)
        if not rows:
            replay.next = replay.last + 1
        elif high == replay.last:
            replay.last = rows[-1].seq
        return deque(rows)

    def _say_absent(self, lane: Lane, absent: list[tuple[int, int, str]], journal: str) -> None:
        for reason in sorted({reason for *_, reason in absent}):
            ranges = sorted([low, high] for low, high, why in absent if why == reason)
            for at in range(0, len(ranges), 500):
                text = {
                    "journal": journal,
                    "lane": lane,
                    "ranges": ranges[at : at + 500],
                    "reason": reason,
                }
                self.say(Small(self._topics.absent, _encode(text).encode()))
