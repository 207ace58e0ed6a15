"""The building as JSON for programs: the snapshot with instants as RFC 3339 in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.web.building.guarantees import guarantees
from gateway.web.building.snapshot_reader import SnapshotReader
from gateway.wire import Row, calendar_time


def iso(utc_ms: int | None) -> str | None:
    """``2024-05-01T08:00:00.000Z``; ``None`` stays."""
    if utc_ms is None:
        return None
    moment = calendar_time(utc_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Times:
    def __init__(self, control: SnapshotReader) -> None:
        self._offset = control.utc_offset_ms

    def __call__(self, ms: int | None) -> str | None:
        return None if ms is None or self._offset is None else iso(ms + self._offset)


def _instants(told: Mapping[str, Any], at: _Times) -> dict[str, Any]:
    """A piece of the snapshot with every instant ``x_ms``/``x_utc_ms`` as ``x``."""
    out: dict[str, Any] = {}
    for key, value in told.items():
        if key.endswith("_utc_ms") or key == "utc_ms":
            name = "at" if key == "utc_ms" else key.removesuffix("_utc_ms")
            out[name] = out.get(name) if value is None else iso(value)
        elif key in _INSTANTS:
            name = key.removesuffix("_ms")
            out[name] = out.get(name) or at(value)
        elif isinstance(value, Mapping):
            out[key] = _instants(value, at)
        elif isinstance(value, list):
            out[key] = [_instants(v, at) if isinstance(v, Mapping) else v for v in value]
        else:
            out[key] = value
    return out


_INSTANTS = frozenset(
    {
        "since_ms", "at_ms", "last_opened_ms", "service_until_ms", "raised_ms",
        "shelved_until_ms", "started_ms", "acknowledged_ms", "attended_ms", "attend_by_ms",
        "next_message_ms", "test_until_ms", "seen_ms", "occupancy_since_ms", "evidence_ms",
    }
)  # fmt: skip


def doors_json(control: SnapshotReader) -> list[dict[str, Any]]:
    """Nobody can open a door through a ``control`` that is away."""
    found = [{"id": id, **_instants(door, _Times(control))} for id, door in control.doors.items()]
    for door in found if control.stale else ():
        staff = {
            **(door.get("can_open") or {}).get("staff", {}),
            "ok": False,
            "reason": control.away_reason,
        }
        door["can_open"] = {"staff": staff}
    return found


def rooms_json(control: SnapshotReader, *, private: bool = False) -> list[dict[str, Any]]:
    """``private``: with what tells about the person inside, and with the name of who goes to a
    call."""
    found = []
    for id, room in control.rooms.items():
        told = {"id": id, **_instants(room, _Times(control))}
        if not private:
            for key in [key for key in told if key.startswith("occupancy")]:
                del told[key]
            if told.get("call"):
                told["call"] = told["call"] | {"attends": None}
        found.append(told)
    return found


def calls_json(control: SnapshotReader, *, private: bool = False) -> list[dict[str, Any]]:
    """The calls that stand. ``private``: as of :func:`rooms_json`."""
    return [
        {"room": room["id"], **room["call"]}
        for room in rooms_json(control, private=private)
        if room.get("call") and room["call"]["state"] != "quiet"
    ]


def points_json(control: SnapshotReader) -> list[dict[str, Any]]:
    return [{"id": id, **_instants(point, _Times(control))} for id, point in control.points.items()]


def alarms_json(control: SnapshotReader) -> list[dict[str, Any]]:
    found = []
    for alarm in control.alarms:
        told = _instants(alarm, _Times(control))
        if told.get("raised") is None:
            told["raised"] = iso(alarm.get("raised_utc_ms"))
        found.append(told)
    return found


def guarantees_json(control: SnapshotReader) -> list[dict[str, Any]]:
    return [
        {"name": name, **_instants(one, _Times(control))}
        for name, one in guarantees(control).items()
    ]


def status_json(control: SnapshotReader) -> dict[str, Any]:
    """Everything the page shows. ``stale``: ``control`` is away, since ``since``."""
    at, shown = _Times(control), control.snapshot
    fire = shown.get("fire") if shown else None
    return {
        "gateway": _instants(control.gateway or {}, at),
        "now": iso(control.now_utc_ms),
        "clock_trusted": bool(shown and shown.get("clock_trusted")) and not control.stale,
        "clock_since": at(shown.get("clock_since_ms") if shown else None),
        "stale": control.stale,
        "since": iso(control.since_utc_ms),
        "fire": fire.get("active") if fire else None,
        "doors": doors_json(control),
        "rooms": rooms_json(control),
        "calls": calls_json(control),
        "alarms": alarms_json(control),
        "points": points_json(control),
        "guarantees": guarantees_json(control),
    }


def fact_json(row: Row, *, private: bool = False) -> dict[str, Any]:
    """One event as the API gives it. ``private``: with the name of who goes to a call."""
    hidden = () if private else ("attends",)
    return {
        "row": row.row,
        "lane": row.lane,
        "sequence": row.seq,
        "boot": row.boot,
        "monotonic_ms": row.mono_ms,
        "time": iso(row.utc_ms),
        "kind": row.kind,
        "subject": row.subject,
        "data": {name: value for name, value in row.data.items() if name not in hidden},
    }
