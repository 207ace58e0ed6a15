"""View models: finished sentences that a template prints of a door, alarm, guarantee or point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gateway.web.shared.words import Words

State = Literal["call", "lost", "bad", "warn", "info", "unknown", "good"]
Icon = Literal[
    "activity", "bell", "check", "clock", "door-closed", "door-open", "droplet", "flask", "hand",
    "help", "info", "lock", "lock-open", "message", "moon", "plug", "siren", "sun", "thermometer",
    "triangle-alert", "user", "wifi-off", "wrench", "x",
]  # fmt: skip
"""Those of the page's icons that are chosen here."""


@dataclass(frozen=True, slots=True)
class OverallView:
    """How the whole building is, in two or three words."""

    state: State
    icon: Icon
    text: str


@dataclass(frozen=True, slots=True)
class BadgeView:
    """Something about a door or room that is not as usual, and what to do about it."""

    tone: State
    icon: Icon
    text: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class TileView:
    """One fact about a room. ``tone``: empty while it is as usual."""

    name: str
    icon: Icon
    label: str
    text: str
    note: str = ""
    tone: State | Literal[""] = ""


@dataclass(frozen=True, slots=True)
class SparkView:
    """A curve of the last 24 hours, in a box of 100 × 30: its lines, and the same in words."""

    lines: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class BarView:
    """One hour. ``now``: it is this one."""

    x: int
    y: int
    width: int
    height: int
    now: bool


@dataclass(frozen=True, slots=True)
class BarsView:
    """How often a door opened in each hour of today that has openings or is now: its bars, the
    width of the picture, and the same in words."""

    name: str
    count: str
    bars: tuple[BarView, ...]
    width: int
    text: str


@dataclass(frozen=True, slots=True)
class DoorView:
    """A door in sentences. ``why``: why staff cannot open it now, or empty. ``icon`` shows the
    leaf; ``by_hand``: somebody has set the mode, so there is a way back to the schedule.
    ``next_change``: when the schedule changes the mode next (civil ms and in words), or ``None``
    while it does not rule or nothing is foreseen."""

    id: str
    name: str
    state: str
    state_text: str
    icon: Icon
    since: str
    assumed: bool
    mode: str
    mode_text: str
    mode_icon: Icon
    mode_until: str
    mode_detail: str
    by_hand: bool
    override_for: str
    next_change: tuple[int, str] | None
    service: str
    last_request: str
    last_refusal: str
    last_opened: str
    badges: tuple[BadgeView, ...]
    ok: bool
    needs_reason: bool
    why: str
    command: str
    answer: str
    settled: bool
    result: str
    now: str
    """Changes with everything that an answer to a request may speak of."""

    def answer_to(self, note: Mapping[str, str], words: Words) -> str:
        """What to say after a form: what the leaf did once that is known, else what we were told,
        as long as nothing has changed since."""
        if note.get("command") and note["command"] == self.command:
            return self.answer
        if note.get("now", self.now) != self.now:
            return ""
        return f"{words.get(note.get('text', ''))} {words.get(note.get('why', ''))}".strip()


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message about a call: when, to whom, and what became of it."""

    time: str
    receiver: str
    result: str
    reason: str
    delivered: bool
    icon: Icon
    tone: State | Literal[""]


@dataclass(frozen=True, slots=True)
class CallView:
    """A call that stands. ``alert``: what is said aloud once, or empty. ``ringing``: nobody
    has reacted yet, and it is not a test."""

    id: str
    room: str
    room_name: str
    state: str
    test: bool
    title: str
    text: str
    raised_utc_ms: int | None
    """Its start, from which the page reckons how long it has lasted."""
    lasts: str
    """The same in words, when the page is made."""
    again_utc_ms: int | None
    """It is raised again then, if nobody has come."""
    again_in: str
    todo: str
    again: str
    alert: str
    ringing: bool
    can_acknowledge: bool
    messages: tuple[MessageView, ...]
    no_message: str
    """What is said while there is no message."""
    unreachable: str
    """That nobody will get one, or empty."""
    next_message: str


@dataclass(frozen=True, slots=True)
class RoomView:
    """A room in sentences; empty where the room has nothing of the kind."""

    id: str
    name: str
    state: str
    state_text: str
    since: str
    notes: tuple[str, ...]
    tiles: tuple[TileView, ...]
    cords: tuple[tuple[str, str, bool], ...]
    """Name of the cord, its state in words, whether it is well."""
    lamps: str
    records: tuple[tuple[str, str], ...]
    """The id of a call that is over, and what became of it."""
    spark: SparkView | None
    has_call: bool
    test: bool


@dataclass(frozen=True, slots=True)
class AlarmView:
    id: str
    subject: str
    kind: str
    severity: str
    severity_text: str
    state: str
    state_text: str
    what: str
    means: str
    todo: str
    raised: str
    count: str
    detail: str
    seen_by: str
    icon: Icon
    can_acknowledge: bool
    can_shelve: bool
    can_reset: bool


@dataclass(frozen=True, slots=True)
class GuaranteeView:
    name: str
    text: str
    value: str
    """``yes``, ``no``, ``unknown`` or ``not_configured``."""
    since: str
    detail: str
    fails: str
    """What does not work where it is ``no``, as a sentence."""
    remedy: str
    """The page where an administrator mends that, or empty."""


@dataclass(frozen=True, slots=True)
class PointView:
    """``name`` is for people, ``label`` what the electrician wrote beside the terminal."""

    id: str
    name: str
    label: str
    kind: str
    kind_text: str
    level: str
    active: bool
    raw: str
    since: str
    changes: int
    faults: str
    known: bool
