"""Retained states: what is shown of the building, topic by topic. Pure.

Made from the panel's snapshot; published when a text changed, and all of them after each
reconnect. Instants become UTC where the clock is trusted, and are ``null`` where not. While
nothing is heard of ``control`` they are marked as ``stale``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.core.snapshot_types import RequestShown, ResultShown, RoomShown
from gateway.mqtt.topics import Topics
from gateway.panel.snapshot_types import Snapshot
from gateway.wire import read_json, rfc3339

_DOOR = (
    "name", "mode", "mode_source", "mode_by", "scheduled_mode", "state", "assumed", "leaf",
    "activation", "strike", "hold_open", "fire", "bolt", "operator_fault", "press_to_open_ms",
    "alarms",
)  # fmt: skip
_ROOM = ("name", "lamps", "cords", "leak", "alarms")
_POINT = ("kind", "active", "reason", "faults")
_CALL = (
    "id", "state", "test", "cause", "points", "pulls", "acknowledged_by", "attends", "seen_by",
)  # fmt: skip
_CALL_INSTANTS = ("seen", "acknowledged", "attended", "attend_by")
_ALARM = ("id", "subject", "kind", "severity", "state", "count", "acknowledged_by", "detail")
_GUARANTEE = ("subject", "void_after_ms", "aside", "aside_count", "foreign")
"""Keys of the snapshot that are shown as they are."""
NOWHERE: Mapping[str, Mapping[str, str]] = {}
NOBODY: Mapping[str, Mapping[str, object]] = {}
Instant = Callable[[object], str | None]
"""RFC 3339 from monotonic ms, ``None`` where the clock is not trusted."""


def encode(value: object) -> bytes:
    """Compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _iso(utc_ms: object) -> str | None:
    try:
        return rfc3339(utc_ms) if isinstance(utc_ms, int) else None
    except ValueError:
        return None


def _instant(mono_ms: object, offset: object) -> str | None:
    if not isinstance(mono_ms, int) or not isinstance(offset, int):
        return None
    return _iso(mono_ms + offset)


def stale(payload: bytes) -> bytes:
    """The text of a state that nobody vouches for any more: ``"stale": true`` beside what was
    known last; in each of a list. A text that is none of ours stays as it is."""
    try:
        known = read_json(payload) if payload else None
    except ValueError:
        return payload
    if isinstance(known, dict):
        return encode(known | {"stale": True})
    if isinstance(known, list):
        return encode([one | {"stale": True} if isinstance(one, dict) else one for one in known])
    return payload


def states(topics: Topics, snapshot: Snapshot) -> dict[str, bytes]:
    """Every retained state topic with its text."""
    offset = snapshot.get("utc_offset_ms")

    def instant(mono_ms: object) -> str | None:
        return _instant(mono_ms, offset)

    found: dict[str, bytes] = {}
    for name, door in snapshot.get("doors", {}).items():
        shown: dict[str, Any] = {key: door.get(key) for key in _DOOR}
        shown["since"] = instant(door.get("since_ms"))
        shown["mode_until"] = _iso(door.get("mode_until_utc_ms"))
        shown["last_request"] = _last(door.get("last_request"), instant)
        shown["last_result"] = _last(door.get("last_result"), instant)
        shown["last_opened"] = instant(door.get("last_opened_ms"))
        shown["service_until"] = instant(door.get("service_until_ms"))
        shown["can_open"] = door.get("can_open", {}).get("staff")
        following = door.get("next_mode")
        shown["next_mode"] = following and {
            "mode": following["mode"],
            "at": _iso(following["utc_ms"]),
        }
        found[topics.door(name)] = encode(shown)
    for name, room in snapshot.get("rooms", {}).items():
        found[topics.room(name)] = encode(_room(room, instant))
    for name, point in snapshot.get("points", {}).items():
        shown = {key: point.get(key) for key in _POINT}
        shown["since"] = instant(point.get("since_ms"))
        if quantities := point.get("quantities"):
            shown["quantities"] = {
                quantity: {"value": one.get("value"), "at": instant(one.get("at_ms"))}
                for quantity, one in quantities.items()
            }
        # What tells about a person is shown nowhere; a text kept from before is taken back.
        found[topics.point(name)] = encode(shown) if point.get("exported", True) else b""
    alarms = []
    for alarm in snapshot.get("alarms", ()):
        shown = {key: alarm.get(key) for key in _ALARM}
        utc_ms = alarm.get("raised_utc_ms")
        shown["raised"] = _iso(utc_ms) or instant(alarm.get("raised_ms"))
        alarms.append(shown)
    found[topics.alarms] = encode(alarms)
    return found


def _last(last: RequestShown | ResultShown | None, instant: Instant) -> dict[str, object] | None:
    if last is None:
        return None
    rest = {key: value for key, value in last.items() if key != "at_ms"}
    return rest | {"at": instant(last.get("at_ms"))}


def _room(room: RoomShown, instant: Instant) -> dict[str, Any]:
    """A room. Who was told of a call stays on the gateway, and so does, unless the configuration
    exports it, whether somebody is in there."""
    shown: dict[str, Any] = {key: room.get(key) for key in _ROOM}
    if room.get("exported"):
        shown["occupancy"] = room.get("occupancy")
        shown["occupancy_since"] = instant(room.get("occupancy_since_ms"))
    shown["test_until"] = instant(room.get("test_until_ms"))
    call, climate = room.get("call"), room.get("climate")
    shown["call"] = call and {key: call.get(key) for key in _CALL} | {
        "since": instant(call.get("since_ms")),
        "raised": _iso(call.get("raised_utc_ms")) or instant(call.get("raised_ms")),
        **{name: instant(call.get(f"{name}_ms")) for name in _CALL_INSTANTS},
    }
    shown["climate"] = climate and {
        key: value for key, value in climate.items() if key not in ("at_ms", "point")
    } | {"at": instant(climate.get("at_ms"))}
    return shown


def info(
    snapshot: Snapshot,
    window: int,
    session: str,
    *,
    issuers: Mapping[str, Mapping[str, object]] = NOBODY,
    brief: bool = False,
) -> bytes:
    """What the gateway is and how it is commanded. ``issuers``: those with limited rights, and what
    they may; ``brief``: without the lists."""
    gateway = snapshot.get("gateway", {})
    whole: dict[str, Any] = {
        "gateway": gateway.get("id"),
        "name": gateway.get("name"),
        "version": gateway.get("version"),
        "configuration": gateway.get("configuration"),
        "boot": gateway.get("boot"),
        "journal": gateway.get("journal"),
        "doors": {name: door.get("name") for name, door in snapshot.get("doors", {}).items()},
        "rooms": {name: room.get("name") for name, room in snapshot.get("rooms", {}).items()},
        "points": {name: one.get("kind") for name, one in snapshot.get("points", {}).items()},
        # what tells about a person has no state: nobody shall wait for it
        "unpublished": [
            name
            for name, one in snapshot.get("points", {}).items()
            if not one.get("exported", True)
        ],
        "window": window,
        "session": session,
        "issuers": {name: dict(rights) for name, rights in issuers.items()},
        "commands": {
            "command/door/<door>/open": {"reason": "text, needed at night"},
            "command/door/<door>/mode": {
                "mode": "automatic | exit_only | hold_open | night | off | schedule",
                "until": "RFC 3339, or for_s: seconds",
            },
            "command/alarm/<alarm>/acknowledge": {},
            "command/call/<room or call>/acknowledge": {
                "attends": "who goes; without it an issuer with limited rights has only seen it",
            },
            "issuer/<issuer>/command/…": "the same, for an issuer without a key: there alone",
            "envelope": {
                "id": "unique, at most 64 characters",
                "issued_at": "RFC 3339",
                "ttl": "seconds, 5 unless said, at most 30",
                "by": "who asks: a claim",
                "issuer": "whose key signs",
                "sig": "hex HMAC-SHA256 of topic, id, issued_at, ttl, by, each with a line"
                " feed, and the rest as sorted compact JSON",
            },
        },
    }
    if brief:
        whole = {key: one for key, one in whole.items() if not isinstance(one, dict | list)}
    return encode(whole)


def health(
    snapshot: Snapshot,
    *,
    journal: str,
    sent: Mapping[str, int],
    heads: Mapping[str, int],
    backlog: int,
    oldest_unsent_ms: int | None,
    disk: Mapping[str, int],
    temperature_c: float | None,
    aside: Sequence[Sequence[str]] = (),
    aside_count: int = 0,
    places: Mapping[str, Mapping[str, str]] = NOWHERE,
) -> bytes:
    """How the gateway is. ``sent`` tells recorders how far each lane went out, so that they
    miss the last facts too when the broker has lost them; ``places`` where its points are, so that
    a store can show them by room and door."""
    offset = snapshot.get("utc_offset_ms")
    guarantees: dict[str, dict[str, Any]] = {}
    for name, one in snapshot.get("guarantees", {}).items():
        guarantees[name] = {
            "ok": one.get("ok"),
            "value": one.get("value", "unknown"),
            "reason": one.get("reason", ""),
            "since": _instant(one.get("since_ms"), offset),
            "evidence": _instant(one.get("evidence_ms"), offset),
        }
        for key in _GUARANTEE:
            if one.get(key):
                guarantees[name][key] = one.get(key)
    return encode(
        {
            "guarantees": guarantees,
            "journal": journal,
            "boot": snapshot.get("gateway", {}).get("boot"),
            "sent": dict(sent),
            "heads": dict(heads),
            "backlog": backlog,
            "oldest_unsent_s": None if oldest_unsent_ms is None else oldest_unsent_ms / 1000,
            "clock": {"trusted": snapshot.get("clock_trusted"), "utc_offset_ms": offset},
            "disk": dict(disk),
            "temperature_c": temperature_c,
            "aside": [list(one) for one in aside],
            "aside_count": aside_count,
            "places": {point: dict(place) for point, place in places.items()},
        }
    )
