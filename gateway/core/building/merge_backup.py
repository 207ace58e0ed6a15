"""A backup that is put back: its state, over which what stands now goes on.

A call is ended in its room, and by nothing else, so no older state may end one. If the call number
of a room has grown since the backup, the present state counts: no call gets an id twice.

What staff want of the doors is what they want now, also where that is nothing. Where the present
cannot be read or there is none, service mode and clock are those of the backup, and of its modes
count those that keep a door shut.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.building.saved_state import read
from gateway.core.door.schedule import RESTRICTIVE
from gateway.core.facts import Json
from gateway.core.room import call_saved
from gateway.core.saved_values import WHOLE, Times

Entry = Mapping[str, Json]
WISHES = ("overrides", "modes", "service", "clock")
"""What staff want of the doors, and the clock by which that ends."""


def standing(saved: Entry) -> list[str]:
    """The ids of the calls that stand in a saved state; those of tests are none."""
    return [name for name in map(call_saved.standing, read(saved).calls.values()) if name]


def unreadable(saved: Entry) -> bool:
    """Whether a call may stand in a saved state and cannot be read."""
    known = not read(saved).unknown_format
    rooms = _part(saved, "calls").values()
    return not known or any(call_saved.unreadable(entry, known=known) for entry in rooms)


def merge_backup(backup: Entry, present: Entry) -> dict[str, Json]:
    """The state of a backup with what stands at present. A room of which the present does not say
    whether its call stands has a call that cannot be read, which a person ends by an alarm."""
    was, now = _part(backup, "calls"), _part(present, "calls")
    doubtful = bool(read(present).unknown_format)
    calls: dict[str, Json] = {}
    for room in {**was, **now}:
        calls[room] = _call(_entry(was.get(room)), _entry(now.get(room)), doubtful=doubtful)
    alarms = {**_alarms(backup), **_alarms(present)}
    later = {room for room, entry in calls.items() if _record(entry) == _record(now.get(room))}
    later |= _alarms(present).keys()
    names = {_standing(_entry(entry)) for entry in calls.values()}
    parts: dict[str, Json] = {
        "calls": calls,
        "alarms": [*alarms.values()],
        "leaks": [*dict.fromkeys(map(str, [*_rows(backup, "leaks"), *_rows(present, "leaks")]))],
        "escalations": {
            about: chain
            for about, chain in _counted(backup, present, "escalations", later).items()
            if "/" in about or about in names
        },
        "mailings": _counted(backup, present, "mailings", set()),
    }
    merged = {**backup, **{name: part for name, part in parts.items() if part or name in backup}}
    if present and not doubtful:
        for name in WISHES:
            merged.pop(name, None)
            if name in present:
                merged[name] = present[name]
        return merged
    for name in ("overrides", "modes"):
        if name in backup:
            merged[name] = {door: one for door, one in _part(backup, name).items() if _shuts(one)}
    return merged


def _shuts(entry: Json) -> bool:
    return _entry(entry).get("mode") in RESTRICTIVE


def _call(was: Entry, now: Entry, *, doubtful: bool) -> Json:
    if was == now:
        return dict(was)
    number = max(_whole(was.get("number")), _whole(now.get("number")))
    entry = now if now and _whole(now.get("number")) == number else was
    before, ended = _standing(was), {_id(one) for one in _rows(now, "last")}
    gone_on = bool(now) and not doubtful and number == _whole(now.get("number"))
    record = entry.get("call")
    if _standing(now) or (now and call_saved.unreadable(dict(now), known=True)):
        record = now.get("call", {})
    elif before and before not in ended and not gone_on:
        record = was["call"]
    elif doubtful:
        record = {}
    return {**entry, "number": number, "call": record}


def _standing(entry: Entry) -> str:
    was = call_saved.SAVED.read(dict(entry), Times())
    return "" if was is None else call_saved.standing(was)


def _counted(backup: Entry, present: Entry, name: str, later: set[str]) -> dict[str, Json]:
    """Chains or mailings. None of their messages gets a name twice: each counts on from the
    higher number. ``later``: of these the present one goes on."""
    was, now = _part(backup, name), _part(present, name)
    merged: dict[str, Json] = {}
    for key in {**was, **now}:
        old, new = _entry(was.get(key)), _entry(now.get(key))
        base = new if not old or (new and key in later) else old
        count = max(_whole(old.get("count")), _whole(new.get("count")))
        merged[key] = {**base, "count": count} if count else {**base}
    return merged


def _alarms(saved: Entry) -> dict[str, Json]:
    found = (entry for entry in _rows(saved, "alarms") if isinstance(entry, dict))
    return {f"{entry.get('subject')}/{entry.get('kind')}": entry for entry in found}


def _part(saved: Entry, name: str) -> Entry:
    return _entry(saved.get(name))


def _rows(saved: Entry, name: str) -> list[Json]:
    rows = saved.get(name)
    return rows if isinstance(rows, list) else []


def _entry(value: Json) -> Entry:
    return value if isinstance(value, dict) else {}


def _whole(value: Json) -> int:
    return WHOLE.read(value, Times()) or 0


def _record(entry: Json) -> Json:
    return _entry(entry).get("call")


def _id(record: Json) -> Json:
    return _entry(record).get("id")
