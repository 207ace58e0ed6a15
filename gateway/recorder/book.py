"""The recorder's books: from a batch of messages to points, and what that accounts for.

No broker and no store in here. A batch is *prepared* (what to write), then written by the
caller, and then *committed* (what is accounted for). The state file sees the times before
the store does and the accounts after it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.recorder.points import Point, Series, fields_of, tags_of
from gateway.recorder.sequences import Key, Lane, Range, as_ranges, covers, merged
from gateway.recorder.stamps import Occupied, place
from gateway.recorder.state import Aside, Known, RecorderState, Waiting
from gateway.recorder.store import Rejected
from gateway.wire import LAST_UTC_MS, PUBLISHED, Event, WireError, from_cloudevent, read_json

UNKNOWN_KEPT_MS = 86_400_000
"""A fact whose time nobody ever learns is stored after this, at the time of its receipt."""
_OCCUPIED_MOST = 20_000
_ASIDE_TEXT_MOST = 4_000


@dataclass(slots=True)
class Batch:
    """One batch: what came in, and after :meth:`Book.prepare` what to write."""

    events: list[tuple[Key, Event, str, str]] = field(default_factory=list)
    """Each with its lane, topic and text."""
    numbers: dict[Key, set[int]] = field(default_factory=dict)
    absent: dict[Key, list[Range]] = field(default_factory=dict)
    heads: dict[Key, int] = field(default_factory=dict)
    boots: dict[tuple[str, str], int] = field(default_factory=dict)
    aside: list[Aside] = field(default_factory=list)

    points: list[Point] = field(default_factory=list)
    runs: dict[Series, Occupied] = field(default_factory=dict)
    """Of each series that has a point: what it occupies now."""
    texts: list[tuple[str, str]] = field(default_factory=list)
    """Topic and text behind each point, for those that are set aside."""
    seen: dict[Key, list[int]] = field(default_factory=dict)
    moved: list[tuple[Key, int, int]] = field(default_factory=list)
    wait: list[Waiting] = field(default_factory=list)
    done: list[Waiting] = field(default_factory=list)


class Book:
    """What the recorder knows of every lane of every gateway."""

    def __init__(self, state: RecorderState) -> None:
        self._state = state
        self.lanes: dict[Key, Known] = state.lanes()
        self.journals: dict[str, str] = state.journals()
        self._boots = state.boots()
        self._waiting: dict[Key, set[int]] = {}
        for one in state.waiting():
            self._waiting.setdefault(one.key, set()).add(one.seq)
        self._occupied: dict[Series, Occupied] = {}

    # --- taking messages ----------------------------------------------------------------

    def event(self, batch: Batch, gateway: str, topic: str, payload: bytes) -> None:
        """One message of ``event/#``."""
        try:
            text = payload.decode()
            raw = read_json(payload)
        except ValueError as error:
            self._set_aside(batch, topic, f"not JSON: {error}", payload)
            return
        try:
            event = from_cloudevent(raw)
            if event.gateway != gateway:
                raise WireError("another gateway's event")
        except WireError as error:
            self._set_aside(batch, topic, str(error), payload)
            key_seq = _named(raw, gateway)
            if key_seq is not None:
                self._meet(key_seq[0])
                batch.numbers.setdefault(key_seq[0], set()).add(key_seq[1])
            return
        key = Key(event.gateway, event.journal, event.lane)
        known = self._meet(key)
        taken = batch.numbers.setdefault(key, set())
        if event.seq in taken or known.lane.has(event.seq):
            return
        taken.add(event.seq)
        boot = (gateway, event.boot)
        told = event.data.get("utc_offset_ms") if event.kind == "clock_trusted" else None
        if isinstance(told, int) and abs(told) <= LAST_UTC_MS:
            batch.boots[boot] = told
        elif event.utc_ms is not None and boot not in self._boots:
            offset = event.utc_ms - event.mono_ms
            if abs(offset) <= LAST_UTC_MS:
                batch.boots.setdefault(boot, offset)
        batch.events.append((key, event, topic, text))

    def absent(self, batch: Batch, gateway: str, payload: bytes) -> None:
        """One message of ``absent``: numbers that will never come. Numbers that nobody is
        known to have sent are not taken: they could only hide what is yet to come."""
        raw = _object(payload)
        journal, lane, ranges = raw.get("journal"), raw.get("lane"), raw.get("ranges")
        if not isinstance(journal, str) or lane not in PUBLISHED or not isinstance(ranges, list):
            self._set_aside(batch, f"portier/{gateway}/absent", "not understood", payload)
            return
        key = Key(gateway, journal, str(lane))
        head = max(self._meet(key).lane.head, max(batch.numbers.get(key, ()), default=0))
        for one in ranges:
            if isinstance(one, list) and len(one) == 2 and all(type(n) is int for n in one):
                low, high = max(one[0], 1), min(one[1], head)
                if low <= high:
                    batch.absent.setdefault(key, []).append((low, high))

    def health(self, batch: Batch, gateway: str, payload: bytes) -> None:
        """One message of ``health``: how far each lane has been sent."""
        raw = _object(payload)
        journal, sent = raw.get("journal"), raw.get("sent")
        if not isinstance(journal, str) or not journal or not isinstance(sent, dict):
            return
        for lane, head in sent.items():
            if lane in PUBLISHED and type(head) is int and 0 <= head < 2**63:
                key = Key(gateway, journal, lane)
                self._meet(key)
                batch.heads[key] = head

    def _meet(self, key: Key) -> Known:
        """A lane that its gateway speaks of now: this is the journal it writes."""
        self.journals[key.gateway] = key.journal
        return self._known(key)

    def _known(self, key: Key) -> Known:
        known = self.lanes.get(key)
        if known is None:
            known = self.lanes[key] = Known()
        return known

    def _set_aside(self, batch: Batch, topic: str, reason: str, payload: bytes) -> None:
        text = payload[:_ASIDE_TEXT_MOST].decode("utf-8", "replace")
        batch.aside.append(Aside(topic, reason, text))

    # --- a batch as a whole -------------------------------------------------------------

    def prepare(self, batch: Batch, now_ms: int, *, unknown_before_ms: int = 0) -> None:
        """Turn the events into points, and remember their times before they are written.

        :param unknown_before_ms: facts without a time that were received before this are
            given the time of their receipt
        """
        for boot, offset in batch.boots.items():
            if boot not in self._boots:
                for one in self._state.waiting(boot=boot):
                    self._waited(batch, one, offset)
        if unknown_before_ms:
            for one in self._state.waiting(before_ms=unknown_before_ms):
                if one not in batch.done:
                    self._waited(batch, one, None)
        waited = {(one.key, one.seq) for one in batch.done}
        for key, event, topic, text in batch.events:
            if (key, event.seq) in waited:
                continue  # it came again in the moment in which its time became known
            utc_ms = event.utc_ms
            if utc_ms is None:
                boot = (event.gateway, event.boot)
                found = batch.boots.get(boot, self._boots.get(boot))
                utc_ms = _instant(event.mono_ms, found)
            if utc_ms is None:
                batch.wait.append(Waiting(key, event.seq, event.boot, now_ms, text))
            else:
                self._point(batch, key, event, utc_ms, topic, text)
        seen = {}
        for key, numbers in batch.seen.items():
            known = self._known(key)
            seen[key] = known.seen = merged((*known.seen, *as_ranges(numbers)))
        self._save_stamps(batch, seen)

    def _save_stamps(self, batch: Batch, seen: dict[Key, tuple[Range, ...]]) -> None:
        if not batch.points:
            return
        gaps = any(known.lane.ahead for known in self.lanes.values())
        whole = not (gaps or batch.wait or self._state.any_waiting())
        for occupied in batch.runs.values():
            occupied.trim(whole)
        self._state.save_stamps(seen, batch.moved, batch.runs)

    def _waited(self, batch: Batch, one: Waiting, offset: int | None) -> None:
        event = from_cloudevent(json.loads(one.event))
        utc_ms = _instant(event.mono_ms, offset)
        at_ms = one.received_ms if utc_ms is None else utc_ms
        self._point(batch, one.key, event, at_ms, "", one.event, time_known=utc_ms is not None)
        batch.done.append(one)

    def _point(
        self,
        batch: Batch,
        key: Key,
        event: Event,
        utc_ms: int,
        topic: str,
        text: str,
        *,
        time_known: bool = True,
    ) -> None:
        series = (event.kind, tags_of(event))
        occupied = batch.runs.get(series)
        if occupied is None:
            occupied = batch.runs[series] = self._series(series)
        seen = covers(self._known(key).seen, event.seq)
        moved = self._state.moved(key, event.seq) if seen else None
        at = place(utc_ms, seen, moved, occupied)
        if not seen:
            batch.seen.setdefault(key, []).append(event.seq)
            if at != utc_ms:
                batch.moved.append((key, event.seq, at))
        batch.points.append(Point(*series, fields_of(event, time_known), at))
        batch.texts.append((topic, text))

    def _series(self, series: Series) -> Occupied:
        occupied = self._occupied.get(series)
        if occupied is None:
            occupied = self._occupied[series] = self._state.occupied(series)
        return occupied

    def commit(self, batch: Batch, rejected: Iterable[Rejected], now_ms: int) -> None:
        """The points are in the store, but for the rejected ones: account for the batch."""
        for bad in rejected:
            topic, text = batch.texts[bad.index]
            batch.aside.append(Aside(topic, bad.reason, text[:_ASIDE_TEXT_MOST]))
        changed: dict[Key, Lane] = {}
        for key in {*batch.numbers, *batch.absent, *batch.heads}:
            lane = self._known(key).lane
            new = lane.account(
                (*as_ranges(batch.numbers.get(key, ())), *batch.absent.get(key, ()))
            ).expect(batch.heads.get(key, 0))
            if new != lane:
                changed[key] = new
        for one in batch.wait:
            self._waiting.setdefault(one.key, set()).add(one.seq)
        for one in batch.done:
            self._waiting.get(one.key, set()).discard(one.seq)
        self._state.save(
            changed,
            {key: self._stored(key, lane) for key, lane in changed.items()},
            now_ms,
            journals=self.journals,
            boots=batch.boots,
            wait=batch.wait,
            done=batch.done,
            aside=batch.aside,
        )
        for key, new in changed.items():
            self.lanes[key].lane = new
        self._boots.update(batch.boots)
        if len(self._occupied) > _OCCUPIED_MOST:
            self._occupied.clear()

    # --- what is known ------------------------------------------------------------------

    def recorded(self, gateway: str) -> tuple[str, dict[str, int]] | None:
        """Journal and highest number per lane up to which the store has everything."""
        journal = self.journals.get(gateway)
        if journal is None:
            return None
        lanes: dict[str, int] = {}
        for lane in PUBLISHED:
            known = self.lanes.get(Key(gateway, journal, lane))
            lanes[lane] = self._stored(Key(gateway, journal, lane), (known or Known()).lane)
        return journal, lanes

    def _stored(self, key: Key, lane: Lane) -> int:
        """Up to where the store has everything: what waits for its time is only accounted for."""
        waiting = self._waiting.get(key)
        return min(lane.through, min(waiting) - 1) if waiting else lane.through

    def go_back(self, before_ms: int | None, now_ms: int) -> None:
        """The store may have lost what it was given since ``before_ms`` (``None``: all)."""
        changed = {}
        for key, known in self.lanes.items():
            mark = 0 if before_ms is None else self._state.mark_before(key, before_ms)
            changed[key] = known.lane = known.lane.back_to(mark)
            self._state.lower_marks(key, mark)
        self._state.save(changed, {key: lane.through for key, lane in changed.items()}, now_ms)


def _instant(mono_ms: int, offset: int | None) -> int | None:
    """UTC ms, where that is an instant that stores and calendars know."""
    if offset is None or not 0 <= mono_ms + offset <= LAST_UTC_MS:
        return None
    return mono_ms + offset


def _object(payload: bytes) -> dict[str, object]:
    try:
        raw = read_json(payload)
    except ValueError:
        return {}
    return raw if isinstance(raw, dict) else {}


def _named(raw: object, gateway: str) -> tuple[Key, int] | None:
    """The number of an event that cannot be understood, so that it is not asked for again."""
    name = raw.get("id") if isinstance(raw, dict) else None
    parts = name.split("/") if isinstance(name, str) else []
    if len(parts) == 4 and parts[0] == gateway and parts[2] in PUBLISHED and parts[3].isdecimal():
        number = int(parts[3]) if len(parts[3]) < 19 else 0
        if number > 0:
            return Key(gateway, parts[1], parts[2]), number
    return None
