"""What survives of a room's call, as JSON, and the call as people are shown it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from gateway.core.facts import Json
from gateway.core.instant import NEVER, At, Ms
from gateway.core.plan import RoomPlan
from gateway.core.room.call_record import Call, CallState, Record, points_of

NO_CALL: Mapping[str, Json] = {
    "test_until_ms": None,
    "test_by": None,
    "cords": {},
    "last_calls": [],
    "counters": {"calls": 0, "tests": 0},
}
"""What is shown of a room without a cord."""


def kept(call: Call, offset_ms: int | None) -> dict[str, Json]:
    """What must survive. Instants as civil time, as far as it is known (``offset_ms``)."""
    record = call.record
    return {
        "number": call.number or 0,
        "calls": call.calls,
        "tests": call.tests,
        "pulled": [*sorted(call.pulled)],
        "stuck": [*sorted(call.stuck)],
        "test_by": call.test_by,
        "test_ended_utc_ms": _utc(call.test_ended, offset_ms),
        "call": None if record is None else _record(record, offset_ms),
        "last": [_record(one, offset_ms) for one in call.last],
    }


def read(plan: RoomPlan, kept: Json) -> Call:
    """What ``kept`` wrote; what is missing or cannot be read is left out."""
    entry = kept if isinstance(kept, dict) else {}
    last = entry.get("last")
    record = _read_record(entry.get("call"))
    return Call(
        plan,
        record=None if record is None or record.state == "quiet" else record,
        number=_integer(entry.get("number")) or 0,
        pulled=_points(entry.get("pulled")),
        stuck=_points(entry.get("stuck")),
        test_by=_text(entry.get("test_by")),
        test_ended=_at(entry, "test_ended"),
        last=tuple(filter(None, map(_read_record, last if isinstance(last, list) else ()))),
        calls=_integer(entry.get("calls")) or 0,
        tests=_integer(entry.get("tests")) or 0,
    )


def standing(kept: Json) -> str:
    """The id of the call that stood when this was kept; empty: none did, or it was a test."""
    record = _read_record(kept.get("call")) if isinstance(kept, dict) else None
    if record is None or record.test or record.state == "quiet":
        return ""
    return record.id


def unreadable(kept: Json, *, known: bool) -> bool:
    """Whether a call may have stood and cannot be read. ``known``: the format is known, so that a
    room without an entry had none."""
    if not isinstance(kept, dict) or "call" not in kept:
        return not (known and kept is None)
    return kept["call"] is not None and _read_record(kept["call"]) is None


def shown(call: Call, offset_ms: int | None) -> dict[str, Json]:
    """The call as people see it, without the messages about it."""
    record = call.record
    quiet: dict[str, Json] = {
        "id": None,
        "state": "quiet",
        "test": False,
        "since_ms": call.quiet_ms,
        "raised_ms": None,
        "raised_utc_ms": None,
        "cause": "",
        "points": [],
        "pulls": 0,
        "acknowledged_by": None,
        "acknowledged_ms": None,
        "attended_ms": None,
        "attend_by_ms": None,
    }
    if record is None:
        return quiet
    return {
        "id": record.id,
        "state": record.state,
        "test": record.test,
        "since_ms": record.since.ms,
        "raised_ms": record.raised.ms,
        "raised_utc_ms": _utc(record.raised, offset_ms),
        "cause": record.cause,
        "points": list(record.points),
        "pulls": record.pulls,
        "acknowledged_by": record.acknowledged_by,
        "acknowledged_ms": record.acknowledged.ms,
        "attended_ms": record.attended.ms,
        "attend_by_ms": record.attend_by_ms,
    }


def room_shown(call: Call, offset_ms: int | None) -> dict[str, Json]:
    """What belongs to the room beside the call itself."""
    return {
        "test_until_ms": call.test_until_ms,
        "test_by": call.test_by,
        "cords": {point: call.cord(point) for point in points_of(call.plan)},
        "last_calls": [_past(one, offset_ms) for one in call.last],
        "counters": {"calls": call.calls, "tests": call.tests},
    }


def _past(record: Record, offset_ms: int | None) -> Json:
    return {
        "id": record.id,
        "raised_utc_ms": _utc(record.raised, offset_ms),
        "acknowledged_after_ms": record.acknowledged_after_ms,
        "attended_after_ms": record.attended_after_ms,
        "cancelled_after_ms": record.cancelled_after_ms,
        "test": record.test,
    }


def _record(record: Record, offset_ms: int | None) -> dict[str, Json]:
    attend_by_utc_ms = record.attend_by_utc_ms
    if attend_by_utc_ms is None:
        attend_by_utc_ms = _utc(At(record.attend_by_ms), offset_ms)
    return {
        "id": record.id,
        "was": record.was,
        "state": record.state,
        "test": record.test,
        "cause": record.cause,
        "points": list(record.points),
        "pulls": record.pulls,
        "since_utc_ms": _utc(record.since, offset_ms),
        "raised_utc_ms": _utc(record.raised, offset_ms),
        "acknowledged_utc_ms": _utc(record.acknowledged, offset_ms),
        "acknowledged_by": record.acknowledged_by,
        "attended_utc_ms": _utc(record.attended, offset_ms),
        "attend_by_utc_ms": attend_by_utc_ms,
        "acknowledged_after_ms": record.acknowledged_after_ms,
        "attended_after_ms": record.attended_after_ms,
        "cancelled_after_ms": record.cancelled_after_ms,
    }


def _read_record(entry: Json) -> Record | None:
    """A record without a name is none; a state that nobody knows is *raised*, to be safe."""
    if not isinstance(entry, dict) or not isinstance(name := entry.get("id"), str):
        return None
    states: tuple[CallState, ...] = get_args(CallState)
    return Record(
        name,
        next((known for known in states if known == entry.get("state")), "raised"),
        _text(entry.get("cause")) or "cord",
        since=_at(entry, "since"),
        raised=_at(entry, "raised"),
        was=_text(entry.get("was")),
        test=entry.get("test") is True,
        points=tuple(sorted(_points(entry.get("points")))),
        pulls=_integer(entry.get("pulls")) or 1,
        acknowledged=_at(entry, "acknowledged"),
        acknowledged_by=_text(entry.get("acknowledged_by")),
        attended=_at(entry, "attended"),
        attend_by_utc_ms=_integer(entry.get("attend_by_utc_ms")),
        acknowledged_after_ms=_integer(entry.get("acknowledged_after_ms")),
        attended_after_ms=_integer(entry.get("attended_after_ms")),
        cancelled_after_ms=_integer(entry.get("cancelled_after_ms")),
    )


def _at(entry: Mapping[str, Json], name: str) -> At:
    utc_ms = _integer(entry.get(f"{name}_utc_ms"))
    return NEVER if utc_ms is None else At(None, utc_ms)


def _utc(at: At, offset_ms: int | None) -> Ms | None:
    if at.utc_ms is not None:
        return at.utc_ms
    return None if at.ms is None or offset_ms is None else at.ms + offset_ms


def _points(value: Json) -> frozenset[str]:
    points = value if isinstance(value, list) else ()
    return frozenset(point for point in points if isinstance(point, str))


def _integer(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None
