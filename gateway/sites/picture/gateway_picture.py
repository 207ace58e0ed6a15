"""What is known of one gateway from what it publishes. Pure.

Its states are put into the shape of the panel's snapshot as they come, with every instant on the
centre's monotonic clock, so that what shows a gateway's own building shows it here, too. A text
that cannot be read makes its own topic unknown, and nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from gateway.backoff import pause_after
from gateway.core.instant import Ms, UtcMs
from gateway.mqtt.topics import slashes
from gateway.sites.picture import states
from gateway.sites.picture.expected_calls import ExpectedCalls
from gateway.sites.picture.limits import (
    BYTES_MOST,
    GUARANTEES_MOST,
    LONG_TEXT_MOST,
    RECORDERS_MOST,
    STATES_MOST,
    TEXT_MOST,
)
from gateway.sites.picture.signs_of_life import ITS_OWN, SignsOfLife
from gateway.sites.picture.untrusted import Clock, fields, flag, number, text, texts, whole
from gateway.wire import Event, read_json

if TYPE_CHECKING:
    from gateway.panel.snapshot_types import GatewayShown, GuaranteeShown, Snapshot

Presence = Literal["online", "offline", "unknown"]
HEALTH_MS = 90_000
"""A gateway sends its health every 30 s; what an older one says is no evidence any more. Of which
nothing else came for so long, it is not there, whatever the broker has retained of it."""
COMPLETE_MS = 5_000
"""What a broker keeps of a gateway has come within this time, or is asked for."""
FETCH_MOST_MS = 600_000
"""The longest pause between two times that something missing is asked for."""
OFFSET_MS = 100
"""The centre's clock is moved by its time service in smaller steps all the time."""
NO_PANEL, NO_HEALTH = "no_panel", "no_health"
"""Why nothing is known of a guarantee: the gateway is not connected, its health is missing."""
ID_MOST, NUMBERS_MOST, RIGHTS_MOST = 200, 50, 100
_ALARMS, _POINT = "state/alarms", "state/point/"
_LAST_KNOWN = frozenset({"room", "alarms"})
"""Parts that stay as they were known last while what came cannot be read: a call or an alarm that
stood would be hidden otherwise. The gateway counts as incomplete meanwhile."""
_INFO = ("gateway", "name", "version", "configuration", "boot", "journal", "session")
_NOTHING: Mapping[str, Any] = {}


class Now(NamedTuple):
    """An instant of the centre: of its monotonic clock and of civil time."""

    mono_ms: Ms
    utc_ms: UtcMs

    @property
    def clock(self) -> Clock:
        return Clock(self.utc_ms - self.mono_ms)


class Part(NamedTuple):
    """What a state topic is of: ``kind`` is door, room, point or alarms."""

    kind: str
    id: str


@dataclass(slots=True)
class _State:
    """One state topic. ``shown``: as a part of the snapshot, ``None`` where the text cannot be
    read. ``stale``: the gateway itself does not vouch for it any more."""

    payload: bytes
    part: Part
    shown: Any
    stale: bool


class GatewayPicture:
    """One gateway. Everything but :meth:`take` and what changes it is for readers."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.presence: Presence = "unknown"
        self.presence_since_utc_ms: UtcMs | None = None
        """Since when it is so; ``None``: not known, it was so when the centre looked first."""
        self.heard_utc_ms: UtcMs | None = None
        """When the last message came that the gateway itself had just sent."""
        self._life = SignsOfLife(HEALTH_MS)
        self._expected = ExpectedCalls()
        self.info: Mapping[str, Any] = _NOTHING
        """What the gateway is, without its command help; empty while that is not known."""
        self.health: Mapping[str, Any] | None = None
        """As the gateway reported it last, only values of the due type."""
        self.health_utc_ms: UtcMs | None = None
        self.recorded: dict[str, Mapping[str, Any]] = {}
        """By recorder: journal, and per lane the number up to which everything is recorded."""
        self.fresh = False
        """Whether what is shown is so now: the centre is connected, the gateway is there and
        vouches for its states, and those of all doors, rooms and alarms have come since. A point
        that is missing is unknown alone."""
        self.fresh_since_utc_ms: UtcMs | None = None
        """Since when ``fresh`` has its value; ``None``: since the centre began."""
        self.refused = 0
        """Texts that were not taken because there were too many."""
        self.changes = 0
        """Counts up with every change, so that whoever renders may cache by it."""
        self._states: dict[str, _State] = {}
        self._parts: dict[str, Part] = {}
        """What the gateway says that it has, by topic."""
        self._names: dict[Part, str] = {}
        self._info_text = b""
        self._bytes = 0
        self._lacking = {"availability", "info", _ALARMS}
        self._unreadable: set[str] = set()
        self._absent: set[str] = set()
        """Points that are named and that the broker has nothing of: not to be shown outside."""
        self._stale: set[str] = set()
        self._before: tuple[Presence, UtcMs | None] = ("unknown", None)
        """Presence and since when, before the centre's connection was lost."""
        self._connected = False
        self._fetch_due_ms: Ms | None = None
        self._fetches = 0
        self._promises: Mapping[str, Any] = _NOTHING
        """The guarantees as they came."""
        self._guarantees: Mapping[str, GuaranteeShown] = {}
        self._health_ms: Ms | None = None
        self._clock = Clock(0)
        self._now = Now(0, 0)
        self._snapshot: Snapshot | None = None
        self._snapshot_of = -1

    # --- for readers --------------------------------------------------------------------

    @property
    def complete(self) -> bool:
        """Whether everything is known that the gateway says it has."""
        return not self._lacking

    @property
    def lacks(self) -> Sequence[str]:
        """Topics below the gateway's that are not known, or cannot be read, in order."""
        return sorted(self._lacking)

    @property
    def unreadable(self) -> Sequence[str]:
        """Those of them whose text cannot be read."""
        return sorted(self._unreadable)

    @property
    def health_known(self) -> bool:
        """Whether the last health is evidence of what is so now."""
        return self.fresh and self._health_ms is not None

    @property
    def silent(self) -> bool:
        """Whether the broker says that it is connected, and nothing comes from it."""
        return self._life.silent

    @property
    def health_overdue(self) -> bool:
        """Whether it is there, and its health should have come and did not."""
        return self._life.health_overdue

    @property
    def snapshot(self) -> Snapshot | None:
        """The building as the panel's snapshot; ``None`` while nothing is known of it.
        ``now_ms``: when something changed last."""
        if self._snapshot_of != self.changes:
            self._snapshot = self._build() if self._info_text or self._states else None
            self._snapshot_of = self.changes
        return self._snapshot

    # --- the connection -----------------------------------------------------------------

    def connected(self, now: Now) -> None:
        """The centre is connected: everything that the broker keeps will come again."""
        self._connected = True
        self._life.begin(now.mono_ms)
        self._expected.forget()
        known = {*self._parts, *self._states} - self._absent
        self._lacking = {"availability", "info", _ALARMS, *known}
        self._fetch_soon(now)
        self._changed(now)

    def lost(self, now: Now) -> None:
        """The centre is not connected any more: nothing is known of what is so now."""
        if self._connected:
            self._before = self.presence, self.presence_since_utc_ms
        self._connected = False
        self._be("unknown", now.utc_ms, now.mono_ms)
        self._changed(now)

    def pass_time(self, now: Now) -> bool:
        """Whether something changed because it is too old, or because a clock was set."""
        changed = self._follow(now)
        if self._health_ms is not None and now.mono_ms - self._health_ms >= HEALTH_MS:
            self._health_ms, changed = None, True
        if self._fetches and self.fetch_due(now.mono_ms):
            changed = self._give_up() or changed
        changed = self._doubt_rooms(now) or changed
        changed = self._miss(now) or changed
        if changed:
            self._changed(now)
        return changed

    def _doubt_rooms(self, now: Now) -> bool:
        """Ask again for the rooms whose state does not say what an event has said: it may have been
        lost. Whether there are any."""
        doubted = False
        for room, expected in self._expected.due(now.mono_ms):
            topic = f"state/room/{slashes(room)}"
            state = self._states.get(topic)
            call = state.shown["call"] if state is not None and state.shown is not None else None
            if state is not None and (call["state"] if call else "quiet") != expected:
                self._lacking.add(topic)
                self._fetches, self._fetch_due_ms, doubted = 0, now.mono_ms, True
        return doubted

    def _miss(self, now: Now) -> bool:
        """Whether what a gateway that is there sends all the time did not come, and that is new."""
        if not self._connected or self.presence != "online":
            return False
        missed = self._life.pass_time(now.mono_ms)
        if self.silent:
            self.presence, self.presence_since_utc_ms = "unknown", self.heard_utc_ms
        return missed

    def fetch_due(self, mono_ms: Ms) -> bool:
        """Whether something is missing and should be asked for."""
        due_ms = self._fetch_due_ms
        return self._connected and bool(self._lacking) and due_ms is not None and mono_ms >= due_ms

    def fetched(self, mono_ms: Ms) -> None:
        """It is asked for now, and again after a while if it does not come."""
        self._fetches += 1
        self._fetch_due_ms = mono_ms + pause_after(self._fetches, COMPLETE_MS, FETCH_MOST_MS)

    def _give_up(self) -> bool:
        """What did not come although it was asked for, and need not be: points that tell about a
        person, which are published nowhere although ``info`` names them, and states of what is
        there no more. Whether there was any."""
        before = len(self._lacking)
        if "info" in self._lacking:
            return False
        for topic in self._lacking - self._unreadable:
            if topic in self._parts and topic.startswith(_POINT):
                self._forget(topic)
                self._absent.add(topic)
            elif topic in self._states and topic not in self._parts and topic != _ALARMS:
                self._forget(topic)
        return len(self._lacking) < before

    def _fetch_soon(self, now: Now) -> None:
        self._fetches, self._fetch_due_ms = 0, now.mono_ms + COMPLETE_MS

    # --- messages -----------------------------------------------------------------------

    def take(self, topic: str, payload: bytes, *, retained: bool, now: Now) -> bool:
        """A message below this gateway's topics; whether anything changed by it."""
        moved = self._follow(now)
        is_online = topic == "availability" and payload == b"online"
        if is_online or topic.split("/", 1)[0] in ITS_OWN:
            moved = self.heard(retained=retained, now=now) or moved
        if topic.startswith("state/"):
            changed = self._take_state(sys.intern(topic), payload)
        elif topic == "availability":
            changed = self._take_availability(payload, retained, now)
        elif topic == "info":
            changed = self._take_info(payload, now)
        elif topic == "health":
            changed = not retained and self._take_health(payload, now)
        elif topic.startswith("recorded/"):
            changed = self._take_recorded(topic.removeprefix("recorded/"), payload)
        else:
            changed = False
        if changed or moved:
            self._changed(now)
        return changed or moved

    def heard(self, *, retained: bool, now: Now) -> bool:
        """Something came from this gateway, or the broker had it. Whether it was silent before."""
        if retained:
            return False
        self.heard_utc_ms = now.utc_ms
        was_silent = self._life.heard(now.mono_ms)
        if was_silent:
            self._be("online", now.utc_ms, now.mono_ms)
            self._changed(now)
        return was_silent

    def take_event(self, event: Event, now: Now) -> None:
        """An urgent event that has just come."""
        self._expected.take(event, now.mono_ms)
        self._changed(now)

    def _changed(self, now: Now) -> None:
        self._now = now
        self.changes += 1
        fresh = self._connected and self.presence == "online" and not self._stale
        if fresh and self._lacking:
            fresh = all(topic.startswith(_POINT) for topic in self._lacking)
        if fresh != self.fresh:
            self.fresh, self.fresh_since_utc_ms = fresh, now.utc_ms
        if self.complete:
            self._fetches, self._fetch_due_ms = 0, None
        elif self._fetch_due_ms is None:
            self._fetch_soon(now)

    def _follow(self, now: Now) -> bool:
        """Follow the centre's clock; whether it was set, so that every instant lies elsewhere on
        its monotonic clock."""
        clock = now.clock
        if abs(clock.utc_offset_ms - self._clock.utc_offset_ms) <= OFFSET_MS:
            return False
        self._clock = clock
        for state in self._states.values():
            if state.shown is not None:
                state.shown = self._show(state.part, _json(state.payload, LONG_TEXT_MOST))
        self._guarantees = _guarantees(self._promises, clock)
        return bool(self._states or self._promises)

    def _be(self, presence: Presence, since_utc_ms: UtcMs | None, mono_ms: Ms) -> None:
        if presence != self.presence or self.silent:
            self.presence, self.presence_since_utc_ms = presence, since_utc_ms
            self._life.arrived(mono_ms)

    def _take_availability(self, payload: bytes, retained: bool, now: Now) -> bool:
        if payload not in (b"online", b"offline"):
            return False
        if retained and self.silent and payload == b"online":
            return False  # as before: that is what nobody believes any more
        presence: Presence = "online" if payload == b"online" else "offline"
        new = presence != self.presence or "availability" in self._lacking
        before, since_utc_ms = self._before
        if not retained:
            since_utc_ms = now.utc_ms
        elif presence != before:
            since_utc_ms = None
        self._be(presence, since_utc_ms, now.mono_ms)
        self._lacking.discard("availability")
        return new

    def _take_info(self, payload: bytes, now: Now) -> bool:
        found = _object(payload)
        if not found or not self._fits(len(payload) - len(self._info_text)):
            known = "info" in self._lacking
            self._unreadable.add("info")
            self._lacking.add("info")
            return not known
        same = payload == self._info_text and "info" not in self._lacking
        if same:
            return False
        self._unreadable.discard("info")
        self._lacking.discard("info")
        if payload != self._info_text:
            self._bytes += len(payload) - len(self._info_text)
            self._info_text = payload
            issuers = found.get("issuers")
            self.info = (
                {key: text(found.get(key)) for key in _INFO if key in found}
                | {key: _names_of(found.get(key)) for key in ("doors", "rooms", "points")}
                # an older gateway does not say what it lets others ask for
                | ({"issuers": _rights(issuers)} if isinstance(issuers, dict) else {})
            )
            for id in texts(found.get("unpublished"), STATES_MOST):
                self.info["points"].pop(id, None)
            self._name_parts(listed=isinstance(found.get("points"), dict))
            self._fetch_soon(now)
        return True

    def _name_parts(self, *, listed: bool) -> None:
        """Which states there have to be. Without the lists, which a gateway leaves out where the
        broker takes no long messages, all that comes belongs to it."""
        before = self._parts
        self._parts, self._names = {}, {}
        for kind, key in (("door", "doors"), ("room", "rooms"), ("point", "points")):
            for id, name in self.info[key].items():
                part = Part(kind, id)
                self._parts[sys.intern(f"state/{kind}/{slashes(id)}")] = part
                self._names[part] = name
        if listed:
            for topic in [topic for topic in self._states if topic not in self._parts]:
                if topic != _ALARMS:
                    self._forget(topic)
        for topic, part in self._parts.items():
            state = self._states.get(topic)
            if state is not None and state.part != part:
                self._put(topic, state.payload, part)
            elif state is None and topic not in before:
                self._lacking.add(topic)
        self._lacking.difference_update(before.keys() - self._parts.keys())
        self._absent &= self._parts.keys()
        self._unreadable &= {*self._parts, _ALARMS}

    def _take_state(self, topic: str, payload: bytes) -> bool:
        before = self._states.get(topic)
        if not payload:
            return self._take_back(topic)
        if before is not None and before.payload == payload:
            new = topic in self._lacking and before.shown is not None
            if new:
                self._lacking.discard(topic)
                self._unreadable.discard(topic)
            return new
        part = self._parts.get(topic) or _part(topic)
        if part is None:
            return False
        more = len(payload) - (len(before.payload) if before is not None else 0)
        if (before is None and len(self._states) >= STATES_MOST) or not self._fits(more):
            self.refused += 1
            return self._doubt(topic)
        self._put(topic, payload, part)
        return True

    def _doubt(self, topic: str) -> bool:
        """There is no room for what this state says now, so that the one before is not so any more.
        Whether that is new; what nobody waits for is passed over."""
        if topic in self._unreadable or not (topic in self._parts or topic in self._states):
            return False
        self._unreadable.add(topic)
        self._lacking.add(topic)
        return True

    def _take_back(self, topic: str) -> bool:
        """The gateway publishes this state no more, or never does."""
        known = topic in self._states
        self._forget(topic)
        if topic in self._parts and topic.startswith(_POINT):
            self._lacking.discard(topic)
            self._absent.add(topic)
        elif topic in self._parts or topic == _ALARMS:
            self._lacking.add(topic)
        return known

    def _put(self, topic: str, payload: bytes, part: Part) -> None:
        found = _json(payload, LONG_TEXT_MOST if part.kind == "alarms" else TEXT_MOST)
        shown = self._show(part, found)
        before = self._states.get(topic)
        if shown is None and before is not None and part.kind in _LAST_KNOWN:
            self._doubt(topic)
            return
        self._bytes += len(payload) - (len(before.payload) if before is not None else 0)
        stale = _is_stale(found)
        self._states[topic] = _State(payload, part, shown, stale)
        self._absent.discard(topic)
        if shown is None:
            self._unreadable.add(topic)
            self._lacking.add(topic)
        else:
            self._unreadable.discard(topic)
            self._lacking.discard(topic)
        if stale:
            self._stale.add(topic)
        else:
            self._stale.discard(topic)

    def _forget(self, topic: str) -> None:
        state = self._states.pop(topic, None)
        if state is not None:
            self._bytes -= len(state.payload)
        self._stale.discard(topic)
        self._unreadable.discard(topic)
        self._lacking.discard(topic)

    def _fits(self, more: int) -> bool:
        return self._bytes + more <= BYTES_MOST

    def _show(self, part: Part, found: object) -> Any:
        """A part of the snapshot; ``None`` where the text is none."""
        if part.kind == "alarms":
            return states.alarms(found, self._clock) if isinstance(found, list) else None
        if not isinstance(found, dict):
            return None
        name = self._names.get(part, "")
        if part.kind == "door":
            return states.door(name or part.id, found, self._clock)
        if part.kind == "room":
            return states.room(name or part.id, found, self._clock)
        return states.point(name, found, self._clock)

    def _take_health(self, payload: bytes, now: Now) -> bool:
        found = _object(payload)
        if not found:
            return False
        self.health = _health(found)
        self._promises = _few(found.get("guarantees"), GUARANTEES_MOST)
        self._guarantees = _guarantees(self._promises, self._clock)
        self._health_ms, self.health_utc_ms = now.mono_ms, now.utc_ms
        self._life.took_health(now.mono_ms)
        return True

    def _take_recorded(self, recorder: str, payload: bytes) -> bool:
        known = self.recorded.get(recorder)
        if not payload:
            self.recorded.pop(recorder, None)
            return known is not None
        found = _object(payload)
        if not found or (known is None and len(self.recorded) >= RECORDERS_MOST):
            return False
        lanes = {
            lane: seq
            for lane in ("urgent", "routine")
            if (seq := whole(fields(found.get("lanes")).get(lane))) is not None
        }
        shown = {"journal": text(found.get("journal")), "lanes": lanes} | {
            key: count
            for key in ("aside", "foreign")
            if (count := whole(found.get(key))) is not None
        }
        self.recorded[text(recorder)] = shown
        return shown != known

    # --- the snapshot -------------------------------------------------------------------

    def _build(self) -> Snapshot:
        now, health = self._now, self.health or _NOTHING
        parts: dict[str, dict[str, Any]] = {"door": {}, "room": {}, "point": {}}
        for part, shown in self._shown():
            parts[part.kind][part.id] = shown
        alarms = self._states.get(_ALARMS)
        trusted = flag(fields(health.get("clock")).get("trusted"))
        building: dict[str, object] = {
            "now_ms": now.mono_ms,
            "utc_offset_ms": self._clock.utc_offset_ms,
            "clock_trusted": trusted is not False,
            "clock_since_ms": None,
            "clock_settled": False,
            "clock_doubt": "",
            "clock_settles_in_ms": None,
            "clock_mark_utc_ms": None,
            "uptime_ms": None,
            "doors": parts["door"],
            "points": parts["point"],
            "alarms": (alarms.shown if alarms is not None else None) or [],
            "fire": None,
            "rooms": parts["room"],
            "receivers": {},
            "messages": [],
            "gateway": self._gateway(),
            "link": None,
            "guarantees": self._evaluated(),
        }
        return cast("Snapshot", building)

    def _shown(self) -> Iterator[tuple[Part, Any]]:
        """Every part in the gateway's own order, then what it has not named yet."""
        for topic, part in self._parts.items():
            state = self._states.get(topic)
            shown = state.shown if state is not None else None
            if shown is None or (part.kind == "point" and self._is_old(topic)):
                shown = self._show(part, {})
            yield part, shown
        for topic, state in self._states.items():
            if topic not in self._parts and topic != _ALARMS:
                yield state.part, state.shown or self._show(state.part, {})

    def _is_old(self, topic: str) -> bool:
        """Whether this is from before the present connection. The centre shows that of doors and
        rooms meanwhile, as not fresh, so that no call goes away and comes back."""
        return self._connected and topic in self._lacking

    def _gateway(self) -> GatewayShown:
        info = self.info
        shown: dict[str, object] = {
            "id": self.id,
            "name": info.get("name") or self.id,
            "timezone": "",
            "version": info.get("version", ""),
            "boot": info.get("boot", ""),
            "started_ms": None,
            "configuration": info.get("configuration", ""),
            "journal": info.get("journal", ""),
            "overflows": 0,
        }
        return cast("GatewayShown", shown)

    def _evaluated(self) -> Mapping[str, GuaranteeShown]:
        """The guarantees, all unknown without a fresh health."""
        if self.health_known:
            return self._guarantees
        reason = NO_HEALTH if self.fresh else NO_PANEL
        since = self.fresh_since_utc_ms if not self.fresh else self.health_utc_ms
        since_ms = None if since is None else since - self._clock.utc_offset_ms
        return {
            name: states.unknown_guarantee(known, since_ms, reason)
            for name, known in self._guarantees.items()
        }


def _json(payload: bytes, most: int) -> object:
    """``None`` where it cannot be read."""
    if len(payload) > most:
        return None
    try:
        return read_json(payload)
    except ValueError:
        return None


def _object(payload: bytes) -> Mapping[str, Any]:
    return fields(_json(payload, LONG_TEXT_MOST))


def _is_stale(found: object) -> bool:
    """Whether the gateway itself says that it does not vouch for this state any more."""
    if isinstance(found, list):
        return any(fields(one).get("stale") is True for one in found)
    return fields(found).get("stale") is True


def _part(topic: str) -> Part | None:
    """What a topic is of where the gateway has not named it: slashes were dots, as far as anybody
    can tell."""
    if topic == _ALARMS:
        return Part("alarms", "")
    _, kind, *rest = topic.split("/", 2)
    if kind not in ("door", "room", "point") or not rest or not rest[0]:
        return None
    return Part(kind, rest[0].replace("/", "."))


def _names_of(found: object) -> dict[str, str]:
    """Ids and what they are called, as far as there is room for their states."""
    named = _few(found, STATES_MOST).items()
    return {sys.intern(id): text(name) for id, name in named if 0 < len(id) <= ID_MOST}


def _rights(found: object) -> dict[str, Any]:
    """What the gateway lets others ask for, by issuer."""
    return {
        text(issuer): {
            "may": texts(fields(one).get("may"), RIGHTS_MOST),
            "doors": {
                text(door): texts(hours, RIGHTS_MOST)
                for door, hours in _few(fields(one).get("doors"), RIGHTS_MOST).items()
            },
        }
        for issuer, one in _few(found, RIGHTS_MOST).items()
    }


def _health(found: Mapping[str, Any]) -> dict[str, Any]:
    """Everything in it that has the type that is due."""
    aside = found.get("aside")
    return {
        "journal": text(found.get("journal")),
        "boot": text(found.get("boot")),
        "sent": _numbers(found.get("sent")),
        "heads": _numbers(found.get("heads")),
        "backlog": whole(found.get("backlog")),
        "oldest_unsent_s": number(found.get("oldest_unsent_s")),
        "clock": {
            "trusted": flag(fields(found.get("clock")).get("trusted")),
            "utc_offset_ms": whole(fields(found.get("clock")).get("utc_offset_ms")),
        },
        "disk": _numbers(found.get("disk")),
        "temperature_c": number(found.get("temperature_c")),
        "aside": [texts(one, 2) for one in aside[:100]] if isinstance(aside, list) else [],
        "aside_count": whole(found.get("aside_count")) or 0,
        "places": {
            text(point): {text(key): text(value) for key, value in _few(place, 8).items()}
            for point, place in _few(found.get("places"), STATES_MOST).items()
        },
    }


def _few(found: object, most: int) -> Mapping[str, Any]:
    """The first fields of an object of JSON."""
    return dict(islice(fields(found).items(), most))


def _numbers(found: object) -> dict[str, int]:
    named = _few(found, NUMBERS_MOST).items()
    return {text(name): value for name, one in named if (value := whole(one)) is not None}


def _guarantees(promises: Mapping[str, Any], clock: Clock) -> dict[str, GuaranteeShown]:
    return {text(name): states.guarantee(one, clock) for name, one in promises.items()}
