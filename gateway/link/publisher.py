"""Sending the journal: first sends, replays and everything else through one window.

Nothing waits in the MQTT client's memory: a row is read from the journal when there is room
for it in the window and the broker is connected, and read again after a lost connection.
Order of precedence: urgent facts and, by turns, answers and states; urgent replays, routine
facts, routine replays. A part of the window is for urgent facts alone.

A message that the broker does not take is set aside (``refused_messages.py``), whichever way the
broker says so: an answer with a reason, a limit in its CONNACK, no answer at all, or the end of the
connection. Then nobody names the message: so the next connection begins with one message in flight
at a time, and who is the oldest in flight a second time is it.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gateway.core.facts import Lane
from gateway.link.outbox import LaneWindow, Replay, Replays, is_late, missing
from gateway.link.refused_messages import RETRY_FACTS_MS, RETRY_MS, Refusal, RefusedMessages
from gateway.mqtt.limits import TOO_LARGE, Limits
from gateway.mqtt.topics import Topics
from gateway.wire import PUBLISHED, Row, to_cloudevent

READ_ROWS = 256
IN_FLIGHT_MOST_MS = 15_000
"""A broker that acknowledges nothing for this long is frozen."""
UNANSWERED_MS = 30_000
"""A message without an answer for this long, while the broker answers others, is not taken."""
SMALL_MOST = 500
"""Answers and absences that may wait; the oldest go first."""
LATE_MOST = 1_000
CAREFUL_MOST = 500
SHORT_MS = 60_000
"""A connection that the broker ended so soon, as it may end the next one over the same."""
ENDED_WITHIN_MS = 2_000
"""A connection that ends so soon after a refusal ended over it."""
NAMED_FOR_MS = 3 * RETRY_MS
"""A topic that was not refused again for this long is not named any more."""
DISCONNECTED = "the broker ends the connection"
NO_ANSWER = "no answer"
ABSENT_BYTES = 48
"""One range of an absence at its longest."""

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


@dataclass(frozen=True, slots=True)
class _Sent:
    """One message in flight."""

    what: str
    """``fact`` (first send), ``retry``, ``replay``, ``state``, ``small`` or ``answer``."""
    topic: str
    at_ms: int
    lane: Lane = "urgent"
    seq: int = 0
    """Of a fact."""
    small: Small | None = None

    @property
    def rank(self) -> int:
        """Whose part of the window it takes: 0 urgent facts, 1 other facts, 2 anything else."""
        if self.small is not None:
            return 2
        return 0 if self.what == "fact" and self.lane == PUBLISHED[0] else 1

    @property
    def key(self) -> tuple[str, int]:
        """The same for the same message of another connection."""
        return (self.lane, self.seq) if self.seq else (self.topic, 0)


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
        aside: RefusedMessages | None = None,
        on_aside: Callable[[str, str], None] = lambda _topic, _reason: None,
        on_retained: Callable[[str, str], None] = lambda _topic, _reason: None,
    ) -> None:
        """``on_aside(topic, reason)``: a message was set aside. ``on_retained(topic, reason)``:
        a retained message was taken (no reason) or refused."""
        self._gateway = gateway
        self._topics = Topics(gateway)
        self._reader = reader
        self._publish = publish
        self._on_cursor = on_cursor
        self._on_aside = on_aside
        self._on_retained = on_retained
        self.aside = RefusedMessages() if aside is None else aside
        self.limits = Limits()
        self.journal = ""
        self.flights: dict[Lane, LaneWindow] = {}
        self.replays = Replays()
        self.heads: dict[Lane, int] = {}
        self.ages = Ages()
        self._sources: dict[Lane, _Source] = {lane: _Source() for lane in PUBLISHED}
        self._replayed: dict[tuple[str, str], deque[Row]] = {}
        self._small: deque[Small] = deque()
        self._states: dict[str, Small] = {}
        self._refused_states: dict[str, Small] = {}
        """States that the broker refused; their newest text is tried again."""
        self._open: dict[int, _Sent] = {}
        self._late: dict[int, _Sent] = {}
        self._retries: dict[Lane, deque[int]] = {lane: deque() for lane in PUBLISHED}
        self._retry_ms = 0
        self._blocked_ms: dict[Lane, int] = {}
        """Lanes that wait because their list is full, and until when."""
        self._last_refused: tuple[_Sent, Refusal, int] | None = None
        """The newest answer, if it was a refusal, and when it came."""
        self._ending = {
            one.topic: one
            for mine in self.aside.facts.values()
            for one in mine.values()
            if one.ends and one.reason != DISCONNECTED
        }
        """Topics of facts over which the broker ends the connection, by what it said."""
        self._blamed: tuple[str, int] | None = None
        """The oldest message in flight when the broker ended the connection."""
        self._careful = 0
        """So many messages are sent one by one, or until there is nothing more to send."""
        self._connected_ms = 0
        self._flying = [0, 0, 0]
        """Messages in flight by rank."""
        self._optional_next = False
        self._window = 0
        self._now_ms = 0
        self._moved_ms = 0

    # --- what happens -------------------------------------------------------------------

    def begin(self, journal: str, cursors: Mapping[Lane, int], heads: Mapping[Lane, int]) -> None:
        """The journal is readable, or is another one: go on behind these cursors."""
        self.aside.of_journal(journal)
        self.journal = journal
        self.heads = dict(heads)
        self.flights = {
            lane: LaneWindow(min(cursors.get(lane, 0), heads.get(lane, 0))) for lane in PUBLISHED
        }
        self._again()

    def grown(self, heads: Mapping[Lane, int]) -> None:
        """The journal has grown."""
        self.heads = dict(heads)
        for source in self._sources.values():
            source.end = False

    def connected(self, window: int, now_ms: int, limits: Limits | None = None) -> None:
        """A new connection with room for ``window`` messages in flight."""
        self._again()
        self._window = window
        self._moved_ms = self._connected_ms = now_ms
        self.limits = limits or Limits()
        self._blocked_ms.clear()
        self._refused_states.clear()
        self._try_again(now_ms)

    def lost(self, now_ms: int = 0, *, by_broker: bool = False) -> bool:
        """No connection: nothing is in flight any more. ``by_broker``: it ended it, or stopped
        to answer; perhaps over a message of ours. Whether that one is known now, and was set
        aside: the next connection will not end over it."""
        self._window = 0
        known = False
        oldest = next(iter(self._open.values()), None)
        last = self._last_refused
        if by_broker and last is not None and now_ms - last[2] <= ENDED_WITHIN_MS:
            self._ended_by(last[0], last[1], now_ms)
            known = True
        elif by_broker and oldest is not None:
            known = self._blame(oldest, now_ms)
            soon = now_ms - self._connected_ms < SHORT_MS
            self._careful = CAREFUL_MOST if soon and not known else 0
        self._small.clear()
        self._states.clear()
        self._again()
        return known

    def _again(self) -> None:
        self._last_refused = None
        self._open.clear()
        self._flying = [0, 0, 0]
        self._late.clear()
        self._replayed.clear()
        self.replays.lost()
        for flight in self.flights.values():
            flight.lost()
        self._sources = {lane: _Source() for lane in PUBLISHED}

    def _try_again(self, now_ms: int) -> None:
        """What was refused is refused no more, perhaps."""
        self._retry_ms = now_ms + RETRY_FACTS_MS
        for lane, mine in self.aside.facts.items():
            self._retries[lane] = deque(sorted(seq for seq, one in mine.items() if not one.ends))
        for refusal in self.aside.topics.values():
            if not refusal.ends:
                refusal.due_ms = now_ms

    def heard(self, now_ms: int) -> None:
        """The broker lives."""
        self._moved_ms = max(self._moved_ms, now_ms)

    def acknowledged(self, mid: int, now_ms: int) -> None:
        """The broker has this message."""
        self._moved_ms = max(self._moved_ms, now_ms)
        sent = self._landed(mid) or self._late.pop(mid, None)
        self._last_refused = None
        if sent is None:
            return
        if sent.key == self._blamed:
            self._blamed = None
        if sent.small is not None:
            if sent.small.retain or sent.what == "small":
                self.aside.topics.pop(sent.topic, None)
            if sent.small.retain:
                self._on_retained(sent.topic, "")
        elif sent.seq:
            self._taken(sent)
            if sent.what == "fact":
                self._finish_number(sent.lane, sent.seq)

    def _landed(self, mid: int) -> _Sent | None:
        """Take a message out of those in flight."""
        sent = self._open.pop(mid, None)
        if sent is not None:
            self._flying[sent.rank] -= 1
            self._careful = max(0, self._careful - 1)
        return sent

    def _taken(self, sent: _Sent) -> None:
        """The broker has a fact, perhaps one that it refused before; then the others of its topic
        may come, too."""
        refusal = self.aside.facts[sent.lane].get(sent.seq)
        self.aside.drop_fact(sent.lane, sent.seq)
        if refusal is None:
            return
        self._ending.pop(sent.topic, None)
        if refusal.ends:  # what was read back after a restart shares one refusal for each topic
            refusal.ends = False
            for lane, mine in self.aside.facts.items():
                self._retries[lane] += sorted(seq for seq, one in mine.items() if one is refusal)

    def _finish_number(self, lane: Lane, seq: int) -> None:
        """The cursor need not wait for this number any more."""
        flight = self.flights[lane]
        if flight.finished(seq):
            self._on_cursor(lane, flight.cursor)

    def refused(self, mid: int, reason: str, now_ms: int) -> None:
        """The broker will not take this message; the connection goes on."""
        self._moved_ms = max(self._moved_ms, now_ms)
        sent = self._landed(mid)
        if sent is not None:
            refusal = Refusal(sent.topic, reason)
            self._last_refused = (sent, refusal, now_ms)
            self._set_aside(sent, refusal, now_ms)

    # --- what is not taken --------------------------------------------------------------

    def _set_aside(self, sent: _Sent, refusal: Refusal, now_ms: int) -> None:
        if sent.what == "answer" and not refusal.ends:
            return  # its asker chose the topic; nobody else misses it
        self._on_aside(refusal.topic, refusal.reason)
        if sent.seq:
            self._set_fact_aside(sent, refusal, now_ms)
            return
        if not refusal.ends:
            refusal.due_ms = now_ms + RETRY_MS
        refusal.named_ms = now_ms
        self.aside.name(refusal)
        if sent.small is not None and sent.small.retain:
            newer = self._states.pop(sent.topic, None) or self._refused_states.get(sent.topic)
            self._refused_states[sent.topic] = newer or sent.small
            self._on_retained(sent.topic, refusal.reason)

    def _set_fact_aside(self, sent: _Sent, refusal: Refusal, now_ms: int) -> None:
        lane, seq = sent.lane, sent.seq
        if self.aside.add_fact(lane, seq, refusal):
            if sent.what == "fact":
                self._finish_number(lane, seq)
        elif sent.what == "fact":
            # No room to remember it: the lane stops here, and only this lane.
            self._blocked_ms[lane] = now_ms + RETRY_MS
            self.flights[lane].lost()
            self._sources[lane] = _Source()

    def _ended_by(self, sent: _Sent, refusal: Refusal, now_ms: int) -> None:
        """The broker has refused this, and ended the connection over it: some do both."""
        known = self._ending.get(sent.topic) if sent.seq else self.aside.topics.get(sent.topic)
        if known is not None and known is not refusal:
            refusal.back_off = known.back_off
        refusal.ends = True
        refusal.again(now_ms)
        if sent.seq:
            self._ending[sent.topic] = refusal
            for mine in self.aside.facts.values():
                mine.update({q: refusal for q, one in mine.items() if one.topic == sent.topic})
            self.aside.dirty = True
        else:
            refusal.named_ms = now_ms
            self.aside.name(refusal)

    def _blame(self, oldest: _Sent, now_ms: int) -> bool:
        """The broker has ended the connection while this was the oldest message in flight;
        whether it is known to be the reason."""
        if oldest.seq:
            known = self.aside.facts[oldest.lane].get(oldest.seq)
        else:
            known = self.aside.topics.get(oldest.topic)
        if known is not None and known.ends:
            known.again(now_ms)
            return True
        if oldest.key != self._blamed:
            self._blamed = oldest.key
            return False
        self._blamed = None
        refusal = Refusal(oldest.topic, DISCONNECTED, ends=True, due_ms=now_ms)
        self._set_aside(oldest, refusal, now_ms)
        return True

    def tick(self, now_ms: int, heard_ms: int | None = None) -> None:
        """What is due. ``heard_ms``: when the broker was heard last."""
        for mid, sent in list(self._open.items()):
            if now_ms - sent.at_ms <= UNANSWERED_MS:
                break  # in order of time
            if heard_ms is not None and heard_ms - sent.at_ms >= UNANSWERED_MS // 3:
                self._landed(mid)
                if len(self._late) < LATE_MOST:
                    self._late[mid] = sent
                self._set_aside(sent, Refusal(sent.topic, NO_ANSWER), now_ms)
        for topic, small in list(self._refused_states.items()):
            refusal = self.aside.topics.get(topic)
            if refusal is None or (not refusal.ends and refusal.due_ms <= now_ms):
                self._states[topic] = self._refused_states.pop(topic, small)
        for lane in [lane for lane, until_ms in self._blocked_ms.items() if until_ms <= now_ms]:
            del self._blocked_ms[lane]
        if now_ms >= self._retry_ms and self._window:
            self._try_again(now_ms)
        for topic, refusal in list(self.aside.topics.items()):
            old = now_ms - refusal.named_ms > NAMED_FOR_MS and topic not in self._refused_states
            if old and not refusal.ends and not refusal.lasting:
                del self.aside.topics[topic]

    def waits_ms(self, now_ms: int) -> int | None:
        """In how many ms something is due here, if nothing comes before."""
        return 50 if self._window and self.replays.waiting else None

    def say(self, small: Small) -> None:
        """Send something small before the facts."""
        refusal = self.aside.topics.get(small.topic) if small.answer else None
        if refusal is not None and refusal.ends:
            return
        if len(self._small) >= SMALL_MOST:
            self._small.popleft()
        self._small.append(small)

    def show(self, topic: str, payload: bytes) -> None:
        """A retained state; only its newest text is sent, behind the states before it."""
        small = Small(topic, payload, retain=True)
        refusal = self.aside.topics.get(topic)
        self._states.pop(topic, None)
        if refusal is not None and (refusal.ends or refusal.due_ms > self._now_ms):
            self._refused_states[topic] = small
        else:
            self._refused_states.pop(topic, None)
            self._states[topic] = small

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
        self._now_ms = now_ms
        while self._window and len(self._open) < (1 if self._careful else self._window):
            if not self._one(now_ms):
                if not self._open:
                    self._careful = 0
                return

    def _one(self, now_ms: int) -> bool:
        optional = (self._small or self._states) and self._room(self._flying[2], 2)
        if optional and (self._optional_next or not self._urgent_waits()):
            self._optional_next = False
            return self._one_small(now_ms)
        if not self.journal or self._no_qos():
            return False
        for lane in PUBLISHED:
            room = self._room(self._flying[1] + self._flying[2], 4)
            if lane != PUBLISHED[0] and not room:
                return False
            row = self._next(lane)
            if row is not None:
                self._optional_next = True
                return self._send(row, "fact", now_ms, late=self._is_late(row))
            self._skip_absent(lane)
            if room and (self._retry_one(lane, now_ms) or self._replay_one(lane, now_ms)):
                return True
        return self._alone(now_ms)

    def _room(self, flying: int, part: int) -> bool:
        """Whether one more message that is not urgent may be in flight: a part of the window
        (one half, one fourth) is not for them."""
        return flying < max(1, self._window - self._window // part)

    def _urgent_waits(self) -> bool:
        return bool(self.journal) and not self._no_qos() and self._next(PUBLISHED[0]) is not None

    def _no_qos(self) -> bool:
        """Without QoS 1 no fact is ever acknowledged: they wait in the journal."""
        return self.limits.maximum_qos < 1

    def _one_small(self, now_ms: int) -> bool:
        if self._small:
            small, what = self._small.popleft(), "small"
        else:
            small, what = self._states.pop(next(iter(self._states))), "state"
        what = "answer" if small.answer else what
        return self._send_small(small, what, now_ms)

    def _send_small(self, small: Small, what: str, now_ms: int) -> bool:
        sent = _Sent(what, small.topic, now_ms, small=small)
        if self.limits.too_large(small.topic, small.payload, small.correlation):
            self._set_aside(sent, Refusal(small.topic, TOO_LARGE), now_ms)
            return True
        mid = self._publish(
            small.topic,
            small.payload,
            qos=min(1, self.limits.maximum_qos),
            retain=small.retain and self.limits.retain_available,
            correlation=small.correlation,
        )
        return self._sent(mid, sent, now_ms)

    def _is_late(self, row: Row) -> bool:
        ages = self.ages
        return is_late(row.boot, row.mono_ms, row.utc_ms, ages.boot, ages.now_ms, ages.utc_ms)

    def _retry_one(self, lane: Lane, now_ms: int) -> bool:
        """Try one fact again that was set aside."""
        waiting = self._retries[lane]
        while waiting:
            refusal = self.aside.facts[lane].get(waiting[0])
            row = None if refusal is None else self._row(lane, waiting[0])
            if row is None:
                self.aside.drop_fact(lane, waiting.popleft())
                continue
            if not self._send(row, "retry", now_ms, late=self._is_late(row)):
                return False
            waiting.popleft()
            return True
        return False

    def _alone(self, now_ms: int) -> bool:
        """Try something again that has ended a connection: with nothing older in flight, so that
        it alone is to blame."""
        if self._open:
            return False
        for lane, mine in self.aside.facts.items():
            for seq, refusal in mine.items():
                if refusal.ends and refusal.due_ms <= now_ms:
                    row = self._row(lane, seq)
                    if row is None:
                        self.aside.drop_fact(lane, seq)
                        return True
                    refusal.due_ms = now_ms + refusal.back_off.pause
                    return self._send(row, "retry", now_ms, late=self._is_late(row))
        for topic, small in self._refused_states.items():
            refused = self.aside.topics.get(topic)
            if refused is not None and refused.ends and refused.due_ms <= now_ms:
                refused.due_ms = now_ms + refused.back_off.pause
                return self._send_small(small, "state", now_ms)
        return False

    def _row(self, lane: Lane, seq: int) -> Row | None:
        rows = self._reader.lane(lane, seq, 1)
        return rows[0] if rows and rows[0].seq == seq else None

    def _skip_absent(self, lane: Lane) -> None:
        """The newest numbers of a lane may be absent: no row behind them would move the cursor.

        What was read last was read after the head, so that nothing up to it can still come.
        """
        flight, head = self.flights[lane], self.heads.get(lane, 0)
        if self._sources[lane].end and not flight.in_flight and flight.cursor < head:
            flight.skip_to(head)
            self._on_cursor(lane, head)

    def _sent(self, mid: int | None, sent: _Sent, now_ms: int) -> bool:
        if mid is None:
            return False
        if not self._open:
            self._moved_ms = max(self._moved_ms, now_ms)
        self._open[mid] = sent
        self._flying[sent.rank] += 1
        return True

    def _send(self, row: Row, what: str, now_ms: int, *, late: bool) -> bool:
        """Send a fact; ``False`` while not connected. One that is too large is set aside."""
        lane, seq = row.lane, row.seq
        topic = self._topics.event(row.kind, row.subject)
        payload = _encode(to_cloudevent(self._gateway, self.journal, row, late=late)).encode()
        sent = _Sent(what, topic, now_ms, lane, seq)
        refusal = Refusal(topic, TOO_LARGE) if self.limits.too_large(topic, payload) else None
        if what != "retry":
            refusal = self._ending.get(topic, refusal)
        mid = None if refusal else self._publish(topic, payload)
        if mid is None and refusal is None:
            return False
        if what == "fact":
            self._sources[lane].rows.popleft()
            self.flights[lane].sent(seq)
        if refusal is not None:
            self._set_aside(sent, refusal, now_ms)
            return True
        return self._sent(mid, sent, now_ms)

    def _next(self, lane: Lane) -> Row | None:
        if lane in self._blocked_ms:
            return None
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
            if not self._send(rows[0], "replay", now_ms, late=True):
                return False
            replay.next = rows.popleft().seq + 1
        if replay.next > replay.last:
            self._replayed.pop(key, None)
            self.replays.done(replay, now_ms)
        return True

    def _read_replay(self, replay: Replay, lane: Lane) -> deque[Row]:
        """The next rows of a replay. What is not among them is said to be absent; what was set
        aside is neither sent nor said to be absent: it is tried again."""
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
        rows = [row for row in rows if row.seq not in self.aside.facts[lane]]
        if not rows:
            replay.next = high + 1
        elif high == replay.last:
            replay.last = rows[-1].seq
        return deque(rows)

    def _say_absent(self, lane: Lane, absent: list[tuple[int, int, str]], journal: str) -> None:
        size = self.limits.maximum_packet_size
        room = 500 if size is None else (size - 100 - len(self._topics.absent)) // ABSENT_BYTES
        step = min(500, max(1, room - 4))
        for reason in sorted({reason for *_, reason in absent}):
            ranges = sorted([low, high] for low, high, why in absent if why == reason)
            for at in range(0, len(ranges), step):
                text = {
                    "journal": journal,
                    "lane": lane,
                    "ranges": ranges[at : at + step],
                    "reason": reason,
                }
                self.say(Small(self._topics.absent, _encode(text).encode()))
