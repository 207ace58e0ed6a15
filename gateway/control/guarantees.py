"""What holds right now, and since when: door by button, door by staff, journal, forwarding,
recording, clock; where there is a cord, the call; and where somebody is told: messages and the
heartbeat.

A guarantee speaks of the equipment and the wires, not of the timetable: a door that is
locked for the night as planned keeps its promise. ``reason`` is a key that the page has
words for; the first of several in the order of the doors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.core.machine import Ms, UtcMs

NAMES = ("door_by_button", "door_by_staff", "journal", "forwarding", "recording", "clock")


@dataclass(frozen=True, slots=True)
class Outside:
    """What is known of the world behind the journal.

    ``link``: the broker's connection, ``None`` where no broker is configured, ``""`` while it
    stands, else why it does not. ``recorded_until_utc_ms``: every recorder has everything up to
    here; ``expected``: the recorders that are asked for, ``missing`` those never heard of."""

    journal: str = ""
    link: str | None = None
    backlog: int = 0
    oldest_unsent_ms: Ms = 0
    expected: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    behind: int = 0
    recorded_until_utc_ms: UtcMs | None = None
    trusted: bool = False
    messages: str | None = None
    """Why no message would go out; empty: they do; ``None``: nobody is named."""
    heartbeat: str | None = None
    """Why nobody outside hears that the gateway lives; ``None``: nobody shall."""


@dataclass(slots=True)
class Guarantees:
    """Remembers since when each holds or does not. ``activators`` and ``relays`` name, for each
    door, the points that its buttons and its activation hang on."""

    activators: Mapping[str, tuple[str, ...]]
    relays: Mapping[str, tuple[str, ...]]
    lamps: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The relays that a call of each room drives."""
    _since: dict[str, tuple[bool, Ms]] = field(default_factory=dict)

    def look(
        self, snapshot: Mapping[str, Any], outside: Outside, now: Ms
    ) -> dict[str, dict[str, object]]:
        """The guarantees as they stand, for the snapshot."""
        button, staff = self._doors(snapshot)
        recording: dict[str, object] = {
            "recorded_until_utc_ms": outside.recorded_until_utc_ms,
            "backlog": outside.behind,
        }
        forwarding: dict[str, object] = {
            "backlog": outside.backlog,
            "oldest_unsent_ms": outside.oldest_unsent_ms,
        }
        made = {
            "door_by_button": self._one("door_by_button", button, now),
            "door_by_staff": self._one("door_by_staff", staff, now),
            "journal": self._one("journal", outside.journal, now),
            "forwarding": self._one("forwarding", _forwarding(outside), now) | forwarding,
            "recording": self._one("recording", _recording(outside), now) | recording,
            "clock": self._one("clock", "" if outside.trusted else "clock_untrusted", now),
        }
        call = self._call(snapshot)
        if call is not None:
            made["call"] = self._one("call", call, now)
        for name, reason in (("messages", outside.messages), ("heartbeat", outside.heartbeat)):
            if reason is not None:
                made[name] = self._one(name, reason, now)
        return made

    def _one(self, name: str, reason: str, now: Ms) -> dict[str, object]:
        ok = not reason or reason == "not_configured"
        before = self._since.get(name)
        if before is None or before[0] != ok:
            self._since[name] = before = (ok, now)
        return {"ok": ok, "since_ms": before[1], "reason": reason}

    def _doors(self, snapshot: Mapping[str, Any]) -> tuple[str, str]:
        button = staff = ""
        points = snapshot["points"]
        for name, door in snapshot["doors"].items():
            broken = self._broken(name, door, points)
            heard = [points[point] for point in self.activators.get(name, ()) if point in points]
            deaf = _deaf(heard)
            button = button or broken or deaf
            staff = staff or broken
        return button, staff

    def _call(self, snapshot: Mapping[str, Any]) -> str | None:
        """Why somebody might call in vain; ``None``: there is nothing to call with."""
        rooms = {n: r for n, r in snapshot.get("rooms", {}).items() if r.get("call") is not None}
        for name, room in rooms.items():
            wrong = [level for level in room["cords"].values() if level in DEAF_CORDS]
            if wrong:
                return f"cord_{wrong[0]}"
            if any(alarm.endswith("/cord_stuck") for alarm in room["alarms"]):
                return "cord_stuck"
            points = snapshot["points"]
            if any(points.get(point, {}).get("faults") for point in self.lamps.get(name, ())):
                return "relay_fault"
        return "" if rooms else None

    def _broken(self, name: str, door: Mapping[str, Any], points: Mapping[str, Any]) -> str:
        if door["operator_fault"]:
            return "operator_fault"
        if door["mode"] == "off":
            return "mode_off"
        for point in self.relays.get(name, ()):
            if points.get(point, {}).get("faults"):
                return "relay_fault"
        return ""


def _deaf(heard: list[Mapping[str, Any]]) -> str:
    """Why not one of a door's activators can be heard; empty where there are none, or one can."""
    reasons = [
        "contact_unknown" if point["active"] is None else str((point["faults"] or [""])[0])
        for point in heard
    ]
    return reasons[0] if reasons and all(reasons) else ""


def _forwarding(outside: Outside) -> str:
    return "not_configured" if outside.link is None else outside.link


def _recording(outside: Outside) -> str:
    if not outside.expected:
        return "not_configured"
    if outside.missing:
        return "recorder_missing"
    if outside.journal:
        return "journal"
    return "recorder_behind" if outside.behind > BEHIND_MOST else ""


DEAF_CORDS = frozenset({"cut", "short", "unknown"})
BEHIND_MOST = 1_000
"""Facts that a recorder may be behind before the page says so."""
