"""Facts grouped into entries of the logbook: one opening, one call, one alarm is one entry.

A pure function of the journal's rows, without words and without a clock. An entry stands where
its first fact stands. A fact that ends something long after it began (:data:`SPAN_ROWS`) is an
entry of its own, so that what ended today is seen today, and so that a page needs only so many
rows around its own to group them as every other page does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from gateway.core.facts import KINDS
from gateway.wire import Row

SPAN_ROWS = 3_000
"""A fact joins an entry whose first fact is at most so many rows of the journal before it."""
REPEAT_MS = 60_000
"""Equal refusals at most this far apart are one entry."""
TOGETHER_MS = 2_000
"""Doors that a schedule switches at one time are one entry."""
RESTART_MS = 60_000
"""A restart at most this long after a change of the settings is part of it."""

Family = Literal["door", "call", "room", "alarm", "operation", "system"]
Sort = Literal[
    "opening", "refused", "mode", "service", "call", "room_test", "alarm", "fire", "visit",
    "delivery", "settings", "restart", "guarantee", "single",
]  # fmt: skip
FAMILIES: tuple[Family, ...] = ("door", "call", "room", "alarm", "operation", "system")
_FAMILY_OF_SORT: dict[Sort, Family] = {
    "opening": "door", "refused": "door", "mode": "operation", "service": "operation",
    "call": "call", "room_test": "call", "alarm": "alarm", "fire": "alarm", "visit": "room",
    "delivery": "system", "settings": "operation", "restart": "system", "guarantee": "system",
}  # fmt: skip
_FAMILY_OF_KIND: dict[str, Family] = {
    "command_refused": "operation", "relay_tested": "operation", "leak": "room",
    "occupancy_hour": "room", "occupancy_changed": "room", "presence_changed": "room",
    "message": "system", "message_confirmed": "system",
}  # fmt: skip
KINDS_OF: dict[Family, tuple[str, ...]] = {
    "door": ("door_request", "door_opened", "door_closed", "opened_by_hand", "refusals_counted"),
    "call": (
        "call_raised", "call_seen", "call_acknowledged", "call_attended", "call_cancelled",
        "room_test", "message",
    ),
    "room": ("occupancy_changed", "leak"),
    "alarm": (
        "alarm_raised", "alarm_acknowledged", "alarm_cleared", "alarm_shelved", "fire_alarm",
        "leak",
    ),
    "operation": (
        "door_mode", "door_service", "command_refused", "relay_tested", "configuration_changed",
    ),
    "system": (
        "gateway_started", "gateway_stopped", "clock_stepped", "journal_recovered", "message",
        "message_confirmed", "guarantee_changed",
    ),
}  # fmt: skip
"""The kinds that begin or continue entries of each family. What is in none of them (levels,
readings, counts) is for the charts, and in the logbook only where somebody asks for everything."""
CONTEXT = ("alarm_raised", "gateway_stopped", "gateway_started")
"""Read with every family: they say what became of an opening."""
SHOWN = tuple(dict.fromkeys(kind for family in FAMILIES for kind in KINDS_OF[family]))
"""What the logbook shows where nothing is chosen."""


@dataclass(slots=True)
class Entry:
    """``facts`` in the order of the journal. ``end``: the fact that ended it. ``restarted``:
    control started again meanwhile. ``lost``: it never ended as far as the journal knows, though
    the same began once more. ``outcome``: the alarm that says what became of an opening."""

    sort: Sort
    subject: str
    facts: list[Row] = field(default_factory=list)
    end: Row | None = None
    restarted: bool = False
    lost: bool = False
    outcome: str = ""
    subjects: list[str] = field(default_factory=list)
    """Doors whose mode changed together."""

    @property
    def first(self) -> Row:
        return self.facts[0]

    @property
    def row(self) -> int:
        """The number of its first fact, which is the entry's own."""
        return self.facts[0].row

    @property
    def last_row(self) -> int:
        return self.facts[-1].row

    @property
    def family(self) -> Family:
        kind = self.first.kind
        if self.sort == "single":
            return _FAMILY_OF_KIND.get(kind) or _by_life(kind)
        return _FAMILY_OF_SORT[self.sort]

    def of(self, *kinds: str) -> list[Row]:
        """Its facts of these kinds."""
        return [row for row in self.facts if row.kind in kinds]

    @property
    def opened(self) -> Row | None:
        """Of an opening: the leaf left closed."""
        return next(iter(self.of("door_opened", "opened_by_hand")), None)

    @property
    def begun(self) -> bool:
        """Whether its beginning is known, not its end alone or what came in between."""
        return self.first is not self.end and self.first.kind not in _LATER

    def about(self, subject: str) -> bool:
        """Whether it is about a door, room, point or alarm."""
        named = {self.subject, *self.subjects}
        if subject in named or any(name.partition("/")[0] == subject for name in named):
            return True
        return any(
            subject in (row.subject, row.data.get("activator"), row.data.get("point"))
            for row in self.facts
        )


_LATER = frozenset(
    {"alarm_acknowledged", "alarm_shelved", "call_seen", "call_acknowledged", "call_attended"}
)  # fmt: skip


def _by_life(kind: str) -> Family:
    life = KINDS[kind].life if kind in KINDS else "gateway"
    families: dict[str, Family] = {
        "calls": "call", "doors": "door", "alarms": "alarm", "occupancy": "room", "counts": "room",
        "climate": "room",
    }  # fmt: skip
    return families.get(life, "system")


def entries(rows: Iterable[Row]) -> list[Entry]:
    """The entries that facts (oldest first) make, in the order of their first facts. Each fact is
    in exactly one of them."""
    grouping = _Grouping()
    for row in rows:
        grouping.take(row)
    return grouping.made


class _Grouping:
    """What has begun and may go on, by what it is about."""

    def __init__(self) -> None:
        self.made: list[Entry] = []
        self._going: dict[tuple[str, str], Entry] = {}
        self._calls: dict[str, str] = {}
        """The id of a call after a restart -> the one that it had first."""
        self._take: dict[str, Callable[[Row], None]] = {
            "door_request": self._request,
            "door_opened": self._opened,
            "opened_by_hand": self._by_hand,
            "door_closed": self._closed,
            "refusals_counted": self._counted,
            "command_refused": self._command_refused,
            "door_mode": self._mode,
            "door_service": lambda row: self._active(row, "service"),
            "room_test": lambda row: self._active(row, "room_test"),
            "fire_alarm": lambda row: self._active(row, "fire"),
            "occupancy_changed": self._occupancy,
            "leak": self._leak,
            "message": self._message,
            "message_confirmed": self._message,
            "gateway_stopped": self._stopped,
            "gateway_started": self._started,
            "configuration_changed": self._settings,
            "guarantee_changed": self._guarantee,
        }

    def take(self, row: Row) -> None:
        if row.kind.startswith("alarm_"):
            self._alarm(row)
        elif row.kind.startswith("call_"):
            self._call(row)
        else:
            self._take.get(row.kind, self._single)(row)

    def _new(self, row: Row, sort: Sort, key: tuple[str, str] | None = None) -> Entry:
        entry = Entry(sort, row.subject, [row])
        self.made.append(entry)
        if key is not None:
            before = self._going.get(key)
            if before is not None and before.end is None and before.sort == sort:
                before.lost = True
            self._going[key] = entry
        return entry

    def _at(self, row: Row, *key: str) -> Entry | None:
        """What goes on under this key, where ``row`` may still join it."""
        found = self._going.get((key[0], key[1]))
        near = found is not None and row.row - found.row <= SPAN_ROWS
        return found if near else None

    def _single(self, row: Row) -> None:
        self._new(row, "single")

    # --- doors

    def _request(self, row: Row) -> None:
        outcome, door = row.data.get("outcome"), row.subject
        if outcome == "refused":
            self._refused(row, str(row.data.get("activator") or row.data.get("by")))
            return
        opening = self._at(row, "door", door)
        going = opening is not None and opening.end is None
        if opening is not None and going and (outcome != "accepted" or opening.opened):
            opening.facts.append(row)
        else:
            self._new(row, "opening", ("door", door))

    def _opened(self, row: Row) -> None:
        opening = self._at(row, "door", row.subject)
        waits = opening is not None and opening.end is None and opening.opened is None
        unasked = row.data.get("cause") in ("hand", "forced")
        if opening is not None and waits and not unasked:
            opening.facts.append(row)
        else:
            self._new(row, "opening", ("door", row.subject))

    def _by_hand(self, row: Row) -> None:
        opening = self._at(row, "door", row.subject)
        same = opening is not None and opening.end is None and opening.facts[-1].boot == row.boot
        if opening is not None and same and opening.facts[-1].mono_ms == row.mono_ms:
            opening.facts.append(row)
        else:
            self._new(row, "opening", ("door", row.subject))

    def _closed(self, row: Row) -> None:
        opening = self._at(row, "door", row.subject)
        if opening is None or opening.end is not None:
            opening = self._new(row, "opening", ("door", row.subject))
        else:
            opening.facts.append(row)
        opening.end = row

    def _refused(self, row: Row, asker: str) -> None:
        key = ("refused", f"{row.subject} {asker} {row.data.get('reason')}")
        before = self._at(row, *key)
        if before is not None and _within(before.facts[-1], row, REPEAT_MS):
            before.facts.append(row)
        else:
            self._new(row, "refused", key)

    def _counted(self, row: Row) -> None:
        """Beyond ten a minute: they go with the last of those that were told one by one."""
        if row.data.get("outcome") != "refused":
            opening = self._at(row, "door", row.subject)
            if opening is not None:
                opening.facts.append(row)
                return
        else:
            for entry in reversed(self.made[-50:]):
                last = entry.facts[-1]
                same = last.data.get("reason") == row.data.get("reason")
                by = row.data.get("by") in (None, last.data.get("by"), last.data.get("activator"))
                mine = entry.sort == "refused" and entry.subject == row.subject and same and by
                if mine and row.row - entry.row <= SPAN_ROWS:
                    entry.facts.append(row)
                    return
        self._new(row, "refused")

    def _command_refused(self, row: Row) -> None:
        data = row.data
        key = ("command", f"{row.subject} {data.get('by')} {data.get('name')} {data.get('reason')}")
        before = self._at(row, *key)
        if before is not None and _within(before.facts[-1], row, REPEAT_MS):
            before.facts.append(row)
        else:
            self._new(row, "single", key)

    def _mode(self, row: Row) -> None:
        data = row.data
        how = [str(data.get(name)) for name in ("mode", "source", "until_utc_ms", "by")]
        key = ("mode", " ".join(how))
        before = self._at(row, *key)
        together = before is not None and _within(before.facts[-1], row, TOGETHER_MS)
        if before is not None and together and row.subject not in before.subjects:
            before.facts.append(row)
        else:
            before = self._new(row, "mode", key)
        before.subjects.append(row.subject)

    # --- what begins and ends by its own fact

    def _active(self, row: Row, sort: Sort) -> None:
        key = (sort, row.subject)
        before = self._at(row, *key)
        if row.data.get("active") is not False:
            if before is not None and before.end is None:  # prolonged
                before.facts.append(row)
            else:
                self._new(row, sort, key)
            return
        if before is None or before.end is not None:
            before = self._new(row, sort, key)
        else:
            before.facts.append(row)
        before.end = row

    def _occupancy(self, row: Row) -> None:
        key = ("visit", row.subject)
        before = self._at(row, *key)
        if row.data.get("occupancy") == "occupied":
            self._new(row, "visit", key)
        elif before is None or before.end is not None:
            self._new(row, "single")
        else:
            before.facts.append(row)
            before.end = row

    def _guarantee(self, row: Row) -> None:
        key = ("guarantee", row.subject)
        before = self._at(row, *key)
        stands = before is not None and before.end is None
        good = row.data.get("value") in ("yes", "not_configured")
        if before is not None and stands:
            before.facts.append(row)
            if good:
                before.end = row
        elif good and row.data.get("before") is None and (start := self._at(row, "run", "")):
            start.facts.append(row)  # the first that is known after a start
        else:
            entry = self._new(row, "guarantee", key)
            if good:
                entry.end = row

    # --- calls, alarms, messages

    def _call(self, row: Row) -> None:
        call, was = str(row.data.get("call")), row.data.get("was")
        if was:
            self._calls[call] = self._calls.get(str(was), str(was))
        key = ("call", self._calls.get(call, call))
        before = self._at(row, *key)
        if before is None:
            before = self._new(row, "call", key)
        else:
            before.facts.append(row)
        if row.kind == "call_cancelled":
            before.end = row

    def _alarm(self, row: Row) -> None:
        key = ("alarm", row.subject)
        before = self._at(row, *key)
        again = row.kind == "alarm_raised" and before is not None and before.end is not None
        if before is None or again:
            before = self._new(row, "alarm", key)
        else:
            before.facts.append(row)
        if row.kind == "alarm_cleared":
            before.end = row
        elif row.kind == "alarm_raised":
            self._became(row)

    def _became(self, row: Row) -> None:
        """An alarm about a door says what became of its opening."""
        door, _, kind = row.subject.partition("/")
        opening = self._at(row, "door", door)
        if opening is not None and opening.end is None and kind in _OUTCOMES:
            opening.outcome = kind

    def _leak(self, row: Row) -> None:
        """Part of the alarm that it raises or that stands."""
        key = ("alarm", f"{row.subject}/leak")
        before = self._at(row, *key)
        if before is not None and before.end is None:
            before.facts.append(row)
        elif row.data.get("wet"):
            entry = self._new(row, "alarm", key)
            entry.subject = key[1]
        else:
            self._new(row, "single")

    def _message(self, row: Row) -> None:
        """Part of the call or alarm that it is about, or else with the other facts about it."""
        about = str(row.data.get("about") or "")
        delivery = str(row.data.get("delivery") or "")
        call = self._calls.get(about, about)
        entry = (
            self._at(row, "call", call)
            or self._at(row, "alarm", about)
            or self._at(row, "delivery", delivery)
        )
        if entry is not None:
            entry.facts.append(row)
        else:
            self._new(row, "delivery", ("delivery", delivery))

    # --- the gateway

    def _settings(self, row: Row) -> None:
        self._new(row, "settings", ("run", ""))

    def _stopped(self, row: Row) -> None:
        before = self._at(row, "run", "")
        change = before is not None and before.sort == "settings" and len(before.facts) == 1
        if before is not None and change and _within(before.first, row, RESTART_MS):
            before.facts.append(row)
        else:
            self._new(row, "restart", ("run", ""))

    def _started(self, row: Row) -> None:
        before = self._at(row, "run", "")
        if before is not None and before.facts[-1].kind == "gateway_stopped":
            before.facts.append(row)
        else:
            before = self._new(row, "restart", ("run", ""))
        before.end = row
        for (kind, _), entry in self._going.items():
            if kind in ("door", "call", "visit") and entry.end is None:
                entry.restarted = True


_OUTCOMES = frozenset({"did_not_open", "left_open", "did_not_close"})


def _within(before: Row, row: Row, most_ms: int) -> bool:
    """Whether two facts lie at most so far apart; of two runs of the machine by civil time."""
    if before.boot == row.boot:
        return row.mono_ms - before.mono_ms <= most_ms
    if before.utc_ms is None or row.utc_ms is None:
        return False
    return row.utc_ms - before.utc_ms <= most_ms
