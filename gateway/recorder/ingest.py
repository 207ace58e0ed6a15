"""Turns a batch of messages into points, and records which sequence numbers have been stored.

Neither broker nor store is used here. A batch is *prepared* (what to write), then written by the
caller, and then *committed* (which numbers are stored). Times are saved before the store is
written, the numbers after it: with the times of the next batch, :data:`LEDGER_LAG_MS` later at
the latest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import structlog

from gateway.mqtt.topics import Topics
from gateway.recorder.claims import Claims, HeldBack
from gateway.recorder.digests import UNKNOWN, UNREADABLE, Digests
from gateway.recorder.points import Origin, Point, Series, fields_of, tags_of
from gateway.recorder.rejects import (
    FOREIGN_TEXT_MOST,
    SetAside,
    decode_point,
    encode_point,
)
from gateway.recorder.sequences import (
    Key,
    Lane,
    Range,
    as_ranges,
    covers,
    is_of_second_event,
    key_of_second_event,
    merged,
    without,
)
from gateway.recorder.state import (
    JOURNALS_MOST,
    WAITING_MOST,
    Known,
    Ledger,
    RecorderState,
    Waiting,
    kernel_boot,
)
from gateway.recorder.stores.store import Rejected
from gateway.recorder.used_timestamps import SAVED_RUNS, UsedTimestamps, place
from gateway.wire import LAST_UTC_MS, PUBLISHED, Event, WireError, from_cloudevent, read_json

log = structlog.get_logger("recorder")

UNKNOWN_KEPT_MS = 86_400_000
"""A fact whose time nobody ever learns is stored after this, at the time of its receipt."""
ENDED_CHECK_EVERY_MS = 10_000
"""How often at most it is checked whether the boot of what waits for its time has ended."""
_OCCUPIED_MOST = 20_000
BELIEVED_MOST = 2_000
"""How many numbers beyond the gateway's own report the recorder accepts. Fewer than
:class:`Digests` remembers, so that another event under one of them is noticed."""
ABSENT_MOST = 1_000
OTHERS_MOST = 8
"""Further messages of one number that are held back with the first; the newest."""
LEDGER_LAG_MS = 5_000
"""What is accounted for is saved with the next times, or this much later."""


@dataclass(slots=True)
class Batch:
    """One batch: what came in, and after :meth:`Ingest.prepare` what to write."""

    events: list[tuple[Key, Event, str, str]] = field(default_factory=list)
    """Each with the key of its time, topic and text."""
    numbers: dict[Key, set[int]] = field(default_factory=dict)
    tops: dict[Key, int] = field(default_factory=dict)
    """The highest of them."""
    absent: dict[Key, list[Range]] = field(default_factory=dict)
    heads: dict[Key, int] = field(default_factory=dict)
    boots: dict[tuple[str, str], int] = field(default_factory=dict)
    aside: list[SetAside] = field(default_factory=list)

    points: list[Point] = field(default_factory=list)
    runs: dict[Series, UsedTimestamps] = field(default_factory=dict)
    """Of each series that has a point: what it occupies now."""
    texts: list[tuple[str, str]] = field(default_factory=list)
    """Topic and text behind each point, for those that are set aside."""
    seen: dict[Key, list[int]] = field(default_factory=dict)
    moved: list[tuple[Key, int, int]] = field(default_factory=list)
    others: set[tuple[Key, int]] = field(default_factory=set)
    """Further events of numbers that are taken."""
    wait: list[Waiting] = field(default_factory=list)
    done: list[Waiting] = field(default_factory=list)


class Ingest:
    """What the recorder knows of every lane of every gateway."""

    def __init__(self, state: RecorderState, *, marks: bool = True) -> None:
        """``marks``: whether the store may forget, so that it must be known what it had when."""
        self._state = state
        self._marks = marks
        self._ledger = Ledger()
        self._unsaved_since_ms: int | None = None
        self.lanes: dict[Key, Known] = state.lanes()
        self.journals: dict[str, str] = state.journals()
        self._saved_journals = dict(self.journals)
        self._boots = state.boots()
        self._kernels = {(one[0], kernel_boot(one[1])): ms for one, ms in self._boots.items()}
        """Gateway and boot of the kernel -> the offset of its newest start."""
        self._newest: dict[Key, tuple[int, str]] = {}
        """The highest number that has come of each lane, and the kernel's boot that it is of."""
        self._ended_check_ms = 0
        self._waiting: dict[Key, set[int]] = {}
        for one in state.waiting():
            self._waiting.setdefault(one.key, set()).add(one.seq)
        self._occupied: dict[Series, UsedTimestamps] = {}
        self.claims = Claims()
        self._digests = Digests(state, self._ledger.digests)
        self._given_back: dict[Key, Range] = {}
        """Numbers that have come, and their gateway has said that it does not have them."""
        self._absent: dict[Key, tuple[Range, ...]] = {}
        """Numbers that were declared absent; what comes under one of them counts all the same."""
        self.aside_counts: dict[str, int] = {}
        self.foreign_counts: dict[str, int] = {}
        self._pinned: dict[Series, set[int]] = {}
        self.read_aside()

    def read_aside(self) -> None:
        """What is set aside, as the state file says now. Its times in the store stay reserved: it
        may be sent again."""
        self.aside_counts = self._state.aside_counts()
        self.foreign_counts = self._state.foreign_counts()
        self._pinned = {}
        for one in self._state.aside_pinned():
            if one.point:
                point = decode_point(one.point)
                self._pinned.setdefault(point.series, set()).add(point.time_ms)

    # --- taking messages ----------------------------------------------------------------

    def event(self, batch: Batch, gateway: str, topic: str, payload: bytes, now_ms: int) -> None:
        """One message of ``event/#``. ``now_ms``: by the monotonic clock."""
        self._event(batch, gateway, topic, payload, now_ms)

    def again(self, batch: Batch, one: SetAside) -> str:
        """A message that was set aside, because it could not be read, is read again; why it still
        cannot be read, or nothing."""
        self._event(batch, one.gateway, one.topic, one.event.encode(), None)
        return batch.aside[0].reason if batch.aside else ""

    def _event(
        self, batch: Batch, gateway: str, topic: str, payload: bytes, now_ms: int | None
    ) -> None:
        """``now_ms``: ``None`` where it is known to be the gateway's."""
        again = now_ms is None
        try:
            text = payload.decode()
            raw = read_json(payload)
        except ValueError as error:
            self.set_foreign_aside(batch, gateway, topic, f"not JSON: {error}", payload)
            return
        try:
            event = from_cloudevent(raw)
            if event.gateway != gateway:
                raise WireError("another gateway's event")
        except WireError as error:
            key_seq = _named(raw, gateway)
            if key_seq is None:
                self.set_foreign_aside(batch, gateway, topic, str(error), payload)
                return
            key, seq = key_seq
            has = self._has(batch, key, seq)
            if not has and now_ms is not None and not self._is_confirmed(key, seq, text):
                self._hold(HeldBack(key, seq, topic, text, now_ms, str(error)))
                return
            if again or not has:
                batch.aside.append(SetAside(topic, str(error), text, gateway))
                self._account(batch, key, seq, UNREADABLE)
            elif self._digests.get(key, seq) not in {UNKNOWN, UNREADABLE}:
                reason = f"{error}; number {seq} of {key.lane} has come before, and could be read"
                self.set_foreign_aside(batch, gateway, topic, reason, payload)
            return
        key = Key(event.gateway, event.journal, event.lane)
        if now_ms is None or self._is_its_own(batch, key, event, topic, text, now_ms):
            self._take(batch, key, event, topic, text)

    def _is_its_own(
        self, batch: Batch, key: Key, event: Event, topic: str, text: str, now_ms: int
    ) -> bool:
        """Whether the event is new and may be taken for the gateway's."""
        self.claims.came(key, event.seq)
        if self._has(batch, key, event.seq):
            self._repeated(batch, key, event, topic, text)
            return False
        if self._is_doubtful(batch, key, event.seq):
            self._hold(HeldBack(key, event.seq, topic, text, now_ms))
            return False
        return True

    def _hold(self, new: HeldBack) -> None:
        before = self.claims.held_back.get((new.key, new.seq))
        if before is None:
            self.claims.hold_back(new)
        elif not any(_alike(text, new.text) for text in (before.text, *before.others)):
            # one of them is the gateway's: it is asked, and sends its own again
            self.claims.held_back[new.key, new.seq] = replace(
                before,
                reason=before.reason or "two events of one number",
                others=(*before.others, new.text)[-OTHERS_MOST:],
            )

    def _is_doubtful(self, batch: Batch, key: Key, seq: int) -> bool:
        """Whether the gateway shall be heard first: a number that leaves a gap, or is far beyond
        what it has said, or another journal than the one that it says it writes."""
        if not self.claims.is_known(key.gateway):
            return False
        known = self.lanes.get(key)
        if self.claims.journals[key.gateway] != key.journal:
            return known is None and key not in batch.tops
        top = max(0 if known is None else known.lane.head, batch.tops.get(key, 0))
        believed = min(top + 1, self.claims.reach.get(key, 0) + BELIEVED_MOST)
        return seq > believed and not self.claims.covers(key, seq)

    def _is_confirmed(self, key: Key, seq: int, text: str) -> bool:
        """Whether a message that cannot be read is the gateway's: it has sent the number, and the
        same text again when it was asked. Before it has said how far it is, there is nothing to
        compare with; what turns out otherwise is corrected by :meth:`_cut` and
        :meth:`_repeated`."""
        if not self.claims.is_known(key.gateway):
            return True
        held_back = self.claims.held_back.get((key, seq))
        if (
            held_back is None
            or not self.claims.covers(key, seq)
            or not _alike(held_back.text, text)
        ):
            return False
        del self.claims.held_back[key, seq]
        return True

    def _repeated(self, batch: Batch, key: Key, event: Event, topic: str, text: str) -> None:
        """A number that is accounted for has come again: with what it had before, as a rule."""
        before, digest = self._digests.get(key, event.seq), self._digests.of(event)
        if before == digest:
            # of two events both are written again: the store may have forgotten either
            if self._digests.is_contested(key, event.seq) and not self._is_in(batch, key, event):
                batch.events.append((key, event, topic, text))
        elif before == UNREADABLE:
            listed = self._state.aside_under(key, event.seq)
            if not any(_alike(one.event, text) for one in listed):
                self._take_second(batch, key, event, topic, text)
        elif before != UNKNOWN:
            self._take_second(batch, key, event, topic, text)

    def _is_in(self, batch: Batch, key: Key, event: Event) -> bool:
        return event.seq in batch.numbers.get(key, ())

    def _take_second(self, batch: Batch, key: Key, event: Event, topic: str, text: str) -> None:
        """Another event under a number that is taken. One of the two is not the gateway's, and
        nobody here can tell which: the store gets both, and somebody has to look."""
        self._digests.contest(key, event.seq)
        self._add_second(batch, key, event, topic, text)
        reason = (
            f"another event has come as number {event.seq} of {key.lane}, journal {key.journal}"
            f" (this one: boot {event.boot[:40]}, {event.mono_ms} ms), and one of them is not the"
            " gateway's. Both are in the store. Whoever may publish such events can forge them: see"
            " the broker's access list"
        )
        log.warning("two events under one number", topic=topic, reason=reason)
        text = text[:FOREIGN_TEXT_MOST]
        batch.aside.append(SetAside(topic, reason, text, key.gateway, standing="doubtful"))

    def _add_second(self, batch: Batch, key: Key, event: Event, topic: str, text: str) -> None:
        second = key_of_second_event(key, self._digests.of(event))
        if (second, event.seq) not in batch.others:
            batch.others.add((second, event.seq))
            batch.events.append((second, event, topic, text))

    def _account(self, batch: Batch, key: Key, seq: int, digest: int) -> None:
        self._meet(key)
        self._digests.set(key, seq, digest)
        batch.numbers.setdefault(key, set()).add(seq)
        batch.tops[key] = max(batch.tops.get(key, 0), seq)
        if covers(self._absent.get(key, ()), seq):
            self._absent[key] = without(self._absent[key], seq)

    def _take(self, batch: Batch, key: Key, event: Event, topic: str, text: str) -> None:
        """An event of its gateway."""
        gateway = key.gateway
        before, digest = self._digests.get(key, event.seq), self._digests.of(event)
        if before in {UNKNOWN, UNREADABLE, digest}:
            self._account(batch, key, event.seq, digest)
            batch.events.append((key, event, topic, text))
        elif covers([self._given_back.get(key, (0, 0))], event.seq):
            self._account(batch, key, event.seq, digest)
            self._add_second(batch, key, event, topic, text)  # at a time of its own
        else:
            self._account(batch, key, event.seq, before)
            self._take_second(batch, key, event, topic, text)
        unread = (
            self.claims.held_back.pop((key, event.seq), None) if self.claims.held_back else None
        )
        if unread is not None:
            reason = "the gateway has sent another event under this number"
            self._disown(batch, unread, reason, its=text)
        if event.seq > self._newest.get(key, (0, ""))[0]:
            self._newest[key] = event.seq, kernel_boot(event.boot)
        boot = (gateway, event.boot)
        told = event.data.get("utc_offset_ms") if event.kind == "clock_trusted" else None
        if isinstance(told, int) and abs(told) <= LAST_UTC_MS:
            batch.boots[boot] = told
        elif event.utc_ms is not None and boot not in self._boots:
            offset = event.utc_ms - event.mono_ms
            if abs(offset) <= LAST_UTC_MS:
                batch.boots.setdefault(boot, offset)

    def _has(self, batch: Batch, key: Key, seq: int) -> bool:
        if seq in batch.numbers.get(key, ()):
            return True
        known = self.lanes.get(key)
        return (
            known is not None and known.lane.has(seq) and not covers(self._absent.get(key, ()), seq)
        )

    def absent(self, batch: Batch, gateway: str, payload: bytes) -> None:
        """One message of ``absent``: numbers that will never come. Numbers above the highest known
        one are ignored: declaring them absent could hide later events."""
        raw = _object(payload)
        journal, lane, ranges = raw.get("journal"), raw.get("lane"), raw.get("ranges")
        if not isinstance(journal, str) or lane not in PUBLISHED or not isinstance(ranges, list):
            topic = Topics(gateway).absent
            self.set_foreign_aside(batch, gateway, topic, "not understood", payload)
            return
        key = Key(gateway, journal, str(lane))
        if self.claims.journals.get(gateway, journal) != journal and key not in self.lanes:
            return  # of a journal that nobody has heard of
        head = max(self._meet(key).lane.head, batch.tops.get(key, 0))
        for one in ranges:
            if isinstance(one, list) and len(one) == 2 and all(type(n) is int for n in one):
                low, high = max(one[0], 1), min(one[1], head)
                if low <= high:
                    batch.absent.setdefault(key, []).append((low, high))
                    absent = merged((*self._absent.get(key, ()), (low, high)))
                    self._absent[key] = absent[-ABSENT_MOST:]

    def health(self, batch: Batch, gateway: str, payload: bytes, now_ms: int) -> None:
        """One message of ``health``: how far each lane has been sent."""
        raw = _object(payload)
        journal, sent = raw.get("journal"), raw.get("sent")
        if not isinstance(journal, str) or not journal or not isinstance(sent, dict):
            return
        claimed, written = _heads(sent), _heads(raw.get("heads"))
        # it says it has sent a fact when the broker has acknowledged it, and that may be lost
        reach = {lane: max(head, written.get(lane, 0)) for lane, head in claimed.items()}
        its, foreign = self.claims.said(gateway, journal, reach, now_ms)
        for lane, head in claimed.items():
            key = Key(gateway, journal, lane)
            if self.claims.is_beyond(key, self._meet(key).lane.head, now_ms):
                self._cut(batch, key, reach[lane])
            batch.heads[key] = head
        for one in its:
            self._event(batch, gateway, one.topic, one.text.encode(), None)
        for one in foreign:
            had = self.claims.reach.get(Key(gateway, journal, one.key.lane), 0)
            what = f"number {one.seq} of {one.key.lane}, journal {one.key.journal}"
            self._disown(batch, one, f"{what}: the gateway has {had} of journal {journal}")

    def unheard(self, batch: Batch, now_ms: int) -> None:
        """Accept the messages held back for a gateway that has not reported its numbers in time."""
        for one in self.claims.unheard(now_ms):
            for text in (one.text, *one.others):
                self._event(batch, one.key.gateway, one.topic, text.encode(), None)

    def _disown(self, batch: Batch, one: HeldBack, reason: str, its: str | None = None) -> None:
        """What has come under this number is not its gateway's, but for the text ``its``."""
        if one.reason:
            reason = f"{one.reason}; {reason}"
        for text in (one.text, *one.others):
            if its is None or not _alike(text, its):
                self.set_foreign_aside(batch, one.key.gateway, one.topic, reason, text.encode())

    def _cut(self, batch: Batch, key: Key, head: int) -> None:
        """Numbers beyond what the gateway has sent were somebody else's: what the gateway sends
        under them shall count."""
        known = self._known(key)
        reason = (
            f"numbers up to {known.lane.head} of {key.lane} have come, and the gateway has {head}"
            f" of journal {key.journal}"
        )
        self._given_back[key] = (head + 1, known.lane.head)
        known.lane = self._ledger.lanes[key] = known.lane.cut(head)
        self._state.lower_marks(key, head)
        if self._state.aside_disown(key, head + 1, None):
            self.read_aside()
        topic = Topics(key.gateway).events
        self.set_foreign_aside(batch, key.gateway, topic, reason, b"")

    def _meet(self, key: Key) -> Known:
        """A lane that is spoken of: this is the journal that its gateway writes, unless the
        gateway itself says another."""
        self.journals[key.gateway] = self.claims.journals.get(key.gateway, key.journal)
        return self._known(key)

    def _known(self, key: Key) -> Known:
        known = self.lanes.get(key)
        if known is None:
            known = self.lanes[key] = Known()
        return known

    def set_foreign_aside(
        self, batch: Batch, gateway: str, topic: str, reason: str, payload: bytes
    ) -> None:
        """A message that is no fact of a gateway. Where it should have been one, its number is
        missing, and the gateway is asked for it."""
        log.warning("not a message of the gateway", topic=topic, reason=reason)
        text = payload[:FOREIGN_TEXT_MOST].decode("utf-8", "replace")
        batch.aside.append(SetAside(topic, reason, text, gateway, standing="foreign"))

    # --- a batch as a whole -------------------------------------------------------------

    def prepare(self, batch: Batch, now_ms: int, *, unknown_before_ms: int = 0) -> None:
        """Turn the events into points, and remember their times before they are written.

        :param unknown_before_ms: facts without a time that were received before this are
            given the time of their receipt
        """
        self._end_waits(batch, now_ms, unknown_before_ms)
        waited = {(one.key, one.seq) for one in batch.done}
        for key, event, topic, text in batch.events:
            if (key, event.seq) in waited:
                continue  # it came again in the moment in which its time became known
            utc_ms = event.utc_ms
            if utc_ms is None:
                utc_ms = _instant(event.mono_ms, self._offset_ms(batch, event))
            if utc_ms is None:
                batch.wait.append(Waiting(key, event.seq, event.boot, now_ms, text))
            else:
                self._point(batch, key, event, utc_ms, topic, text)
        seen: dict[Key, tuple[Range, ...]] = {}
        for key, numbers in batch.seen.items():
            known = self._known(key)
            seen[key] = known.seen = merged((*known.seen, *as_ranges(numbers)))
        self._save_stamps(batch, seen)

    def _end_waits(self, batch: Batch, now_ms: int, unknown_before_ms: int) -> None:
        """Take up what has waited for its time, and has it now or will never have it."""
        for boot, offset in batch.boots.items():
            if boot not in self._boots:
                for one in self._state.waiting(boot=(boot[0], kernel_boot(boot[1]))):
                    self._waited(batch, one, offset)
        if unknown_before_ms:
            for one in self._state.waiting(before_ms=unknown_before_ms):
                if one not in batch.done:
                    self._waited(batch, one, None)
        over = sum(map(len, self._waiting.values())) - WAITING_MOST
        if over > 0:
            done = {(one.key, one.seq) for one in batch.done}
            for one in self._state.waiting(oldest=over):
                if (one.key, one.seq) not in done:
                    self._waited(batch, one, None)
        if (
            any(self._waiting.values())
            and abs(now_ms - self._ended_check_ms) >= ENDED_CHECK_EVERY_MS
        ):
            self._ended_check_ms = now_ms
            for one in self._state.waiting():
                if one not in batch.done and self._is_over(one):
                    self._waited(batch, one, None)

    def _save_stamps(self, batch: Batch, seen: dict[Key, tuple[Range, ...]]) -> None:
        if not batch.points:
            return
        gaps = any(known.lane.ahead for known in self.lanes.values())
        whole = not (gaps or batch.wait or self._state.any_waiting())
        for occupied in batch.runs.values():
            occupied.trim(whole)
        # of a row that is written again and again only what may still be met
        runs = {
            series: UsedTimestamps(occupied.last(SAVED_RUNS)) if whole else occupied
            for series, occupied in batch.runs.items()
        }
        self._state.save_stamps(seen, batch.moved, runs, self._ledger)
        self._saved()

    def _offset_ms(self, batch: Batch, event: Event) -> int | None:
        """UTC minus monotonic of the event's start; else of the newest start in the same boot of
        the kernel, whose monotonic clock is the same."""
        boot = (event.gateway, event.boot)
        offset = batch.boots.get(boot, self._boots.get(boot))
        if offset is not None:
            return offset
        kernel = (event.gateway, kernel_boot(event.boot))
        for name, newer in reversed(batch.boots.items()):
            if (name[0], kernel_boot(name[1])) == kernel:
                return newer
        return self._kernels.get(kernel)

    def _is_over(self, one: Waiting) -> bool:
        """Whether the kernel's boot of this fact is over and all its events have arrived: then its
        offset to civil time cannot come any more."""
        kernel = kernel_boot(one.boot)
        for lane in PUBLISHED:
            key = Key(one.key.gateway, one.key.journal, lane)
            seq, newest = self._newest.get(key, (0, kernel))
            if newest == kernel or key not in self.lanes or self.lanes[key].lane.through < seq:
                return False
        return True

    def _waited(self, batch: Batch, one: Waiting, offset: int | None) -> None:
        batch.done.append(one)
        try:
            event = from_cloudevent(json.loads(one.event))
        except ValueError as error:  # written down by another version
            gateway = one.key.gateway
            batch.aside.append(SetAside(Topics(gateway).events, str(error), one.event, gateway))
            return
        utc_ms = _instant(event.mono_ms, offset)
        at_ms = one.received_ms if utc_ms is None else utc_ms
        topic = Topics(event.gateway).event(event.kind, event.subject)
        self._point(batch, one.key, event, at_ms, topic, one.event, time_known=utc_ms is not None)

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
        moved, seen = self._placed(key, event)
        at = place(utc_ms, seen, moved, occupied)
        pinned = self._pinned.get(series, ())
        while not seen and at in pinned:  # the time of a point that may be sent again
            at = occupied.take(at + 1)
        if not seen:
            is_second = is_of_second_event(key)
            if not is_second:
                batch.seen.setdefault(key, []).append(event.seq)
            if at != utc_ms or is_second or not time_known:  # of its receipt; the next is another
                batch.moved.append((key, event.seq, at))
        origin = Origin(event, key.lane, time_known)
        batch.points.append(Point(*series, fields_of(event, time_known), at, origin))
        batch.texts.append((topic, text))

    def _placed(self, key: Key, event: Event) -> tuple[int | None, bool]:
        """Where the event was moved to in the store, and whether it has had a time before."""
        if is_of_second_event(key):
            moved = self._state.moved(key, event.seq)
            return moved, moved is not None
        if not covers(self._known(key).seen, event.seq):
            return None, False
        # the number may have been another event's before, which has its time
        own = self._state.moved(key_of_second_event(key, self._digests.of(event)), event.seq)
        return self._state.moved(key, event.seq) if own is None else own, True

    def _series(self, series: Series) -> UsedTimestamps:
        occupied = self._occupied.get(series)
        if occupied is None:
            occupied = self._occupied[series] = self._state.occupied(series)
        return occupied

    def refused(self, batch: Batch, rejected: Iterable[Rejected]) -> None:
        """These points of the batch are to be set aside."""
        for bad in rejected:
            topic, text = batch.texts[bad.index]
            point = batch.points[bad.index]
            gateway = dict(point.tags).get("gateway", "")
            batch.aside.append(
                SetAside(topic, bad.reason, text, gateway, point=encode_point(point))
            )

    def commit(self, batch: Batch, now_ms: int, *, calm: bool = True) -> None:
        """The points are in the store, but for what was set aside: account for the batch.

        :param calm: little has come, so that this may be saved with what comes next
        """
        ledger = self._ledger
        for one in batch.wait:
            self._waiting.setdefault(one.key, set()).add(one.seq)
        for one in batch.done:
            self._waiting.get(one.key, set()).discard(one.seq)
        waited = {one.key for one in batch.done if not is_of_second_event(one.key)}
        for key in {*batch.numbers, *batch.absent, *batch.heads, *waited}:
            known = self._known(key)
            new = known.lane.account(
                (*as_ranges(batch.numbers.get(key, ())), *batch.absent.get(key, ()))
            ).expect(batch.heads.get(key, 0))
            if new != known.lane:
                known.lane = ledger.lanes[key] = new
                if self._marks:
                    ledger.mark(key, self._stored(key, new), now_ms)
        for gateway, journal in self.journals.items():
            if self._saved_journals.get(gateway) != journal:
                ledger.journals[gateway] = journal
        for boot, offset in batch.boots.items():
            if self._boots.get(boot) != offset:
                self._boots[boot] = ledger.boots[boot] = offset
                self._kernels[boot[0], kernel_boot(boot[1])] = offset
        ledger.wait += batch.wait
        ledger.done += batch.done
        ledger.aside += [replace(one, at_ms=now_ms) for one in batch.aside]
        if batch.wait or batch.done or batch.aside or not calm:
            self.save()
        elif ledger and self._unsaved_since_ms is None:
            self._unsaved_since_ms = now_ms
        if len(self._occupied) > _OCCUPIED_MOST:
            self._occupied.clear()

    def save(self) -> None:
        """Save what is accounted for, if anything."""
        aside = bool(self._ledger.aside)
        self._state.save_ledger(self._ledger)
        self._saved()
        if aside:
            self.read_aside()

    def save_if_due(self, now_ms: int) -> None:
        """The same, where it has waited for :data:`LEDGER_LAG_MS`, or the clock was set back."""
        since_ms = self._unsaved_since_ms
        if since_ms is not None and not 0 <= now_ms - since_ms < LEDGER_LAG_MS:
            self.save()

    def _saved(self) -> None:
        self._saved_journals.update(self._ledger.journals)
        self._ledger.clear()
        self._unsaved_since_ms = None

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

    def fit(self) -> None:
        """Forget journals that their gateways write no more, where there are too many of them:
        those of which the fewest facts are known."""
        self._state.fit()
        if len(self.lanes) <= JOURNALS_MOST:
            return
        heads: dict[str, dict[str, int]] = {}
        for key, known in self.lanes.items():
            if key.journal != self.journals.get(key.gateway) and not self._waiting.get(key):
                of = heads.setdefault(key.gateway, {})
                of[key.journal] = max(of.get(key.journal, 0), known.lane.head)
        over = {
            (gateway, journal)
            for gateway, of in heads.items()
            for journal in sorted(of, key=of.__getitem__)[:-JOURNALS_MOST]
        }
        keys = [key for key in self.lanes if key[:2] in over]
        if keys:
            self.save()
            self._state.drop_lanes(keys)
            for key in keys:
                del self.lanes[key]
                self._newest.pop(key, None)
                self._waiting.pop(key, None)

    def go_back(self, before_ms: int | None, now_ms: int) -> None:
        """The store may have lost what it was given since ``before_ms`` (``None``: all)."""
        self.save()
        changed = {}
        for key, known in self.lanes.items():
            mark = 0 if before_ms is None else self._state.mark_before(key, before_ms)
            changed[key] = known.lane = known.lane.back_to(mark)
            self._state.lower_marks(key, mark)
        stored = {key: lane.through for key, lane in changed.items()}
        self._state.save(changed, stored if self._marks else {}, now_ms)


def _heads(raw: object) -> dict[str, int]:
    """Lane → number, as far as it is understood."""
    found = raw if isinstance(raw, dict) else {}
    return {
        lane: head
        for lane, head in found.items()
        if lane in PUBLISHED and type(head) is int and 0 <= head < 2**63
    }


def _alike(one: str, other: str) -> bool:
    """Whether two messages are the same, but for being late."""
    a, b = _object(one.encode()), _object(other.encode())
    return a | {"late": None} == b | {"late": None}


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
