"""What a template prints of one door, alarm, guarantee or point: sentences, ready to be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gateway.web.shared.words import Words

State = Literal["call", "lost", "bad", "warn", "info", "unknown", "good"]
Icon = Literal[
    "check", "clock", "flask", "info", "plug", "siren", "triangle-alert", "wifi-off",
]  # fmt: skip
"""Those of the page's icons that are chosen here."""


@dataclass(frozen=True, slots=True)
class OverallScene:
    """How the whole building is, in two or three words."""

    state: State
    icon: Icon
    text: str


@dataclass(frozen=True, slots=True)
class DoorScene:
    """A door in sentences. ``why``: why staff cannot open it now, or empty."""

    id: str
    name: str
    state: str
    state_text: str
    since: str
    assumed: bool
    mode: str
    mode_text: str
    mode_detail: str
    last_request: str
    last_refusal: str
    last_opened: str
    notes: tuple[str, ...]
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
class MessageScene:
    """A message about a call: when, to whom, and what became of it."""

    time: str
    receiver: str
    result: str
    reason: str
    delivered: bool


@dataclass(frozen=True, slots=True)
class CallScene:
    """A call that stands. ``alert``: what is said aloud once, or empty. ``ringing``: nobody
    has reacted yet, and it is not a test."""

    id: str
    room: str
    room_name: str
    state: str
    test: bool
    title: str
    text: str
    todo: str
    again: str
    alert: str
    ringing: bool
    can_acknowledge: bool
    messages: tuple[MessageScene, ...]
    next_message: str


@dataclass(frozen=True, slots=True)
class RoomScene:
    """A room in sentences; empty where the room has nothing of the kind."""

    id: str
    name: str
    state: str
    state_text: str
    since: str
    notes: tuple[str, ...]
    cords: tuple[tuple[str, str, bool], ...]
    """Name of the cord, its state in words, whether it is well."""
    lamps: str
    occupancy: str
    climate: str
    leak: str
    records: tuple[str, ...]
    has_call: bool
    test: bool


@dataclass(frozen=True, slots=True)
class AlarmScene:
    id: str
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
    can_acknowledge: bool
    can_shelve: bool
    can_reset: bool


@dataclass(frozen=True, slots=True)
class GuaranteeScene:
    name: str
    text: str
    value: str
    """``yes``, ``no``, ``unknown`` or ``not_configured``."""
    since: str
    detail: str


@dataclass(frozen=True, slots=True)
class PointScene:
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
