"""A room in the snapshot: its call, occupancy, leak and climate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from gateway.core.building.state import Building
from gateway.core.notification import alarms
from gateway.core.notification.escalation_state import ChainMessage
from gateway.core.room.call_record import Call, Record, points_of

if TYPE_CHECKING:
    from gateway.core.snapshot_types import (
        CallShown,
        ClimateShown,
        CordsShown,
        LeakShown,
        MessageShown,
        PastCallShown,
        RoomShown,
    )

NO_CORDS: Final[CordsShown] = {
    "test_until_ms": None,
    "test_by": None,
    "cords": {},
    "last_calls": [],
    "counters": {"calls": 0, "tests": 0},
}
"""What is shown of a room without a cord."""


def room_shown(building: Building, room: str) -> RoomShown:
    """Its call, occupancy, leak and climate; ``None`` where there is none."""
    plan, mine = building.index.room_plans[room], building.index.room_subjects[room]
    call, seen = building.calls.get(room), building.occupancies.get(room)
    cords = NO_CORDS if call is None else cords_shown(call, building.clock.offset_ms)
    return {
        "name": plan.name,
        "call": None if call is None else _call(building, call),
        **cords,
        "lamps": {
            "reassurance": is_on(building, plan.reassurance),
            "lamp": _LAMP[is_on(building, plan.lamp)],
            "sounder": is_on(building, plan.sounder),
            "unlock": is_on(building, plan.unlock),
        },
        "occupancy": None if seen is None else seen.belief,
        "occupancy_since_ms": None if seen is None else seen.since_ms,
        "exported": seen is not None and "occupancy" in building.plan.export,
        "leak": _leak(building, room),
        "climate": _climate(building, room),
        "alarms": [alarm.id for alarm in alarms.listed(building.alarms) if alarm.subject in mine],
    }


_LAMP: Final[dict[bool | None, Literal["flashing", "off"] | None]] = {
    None: None,
    True: "flashing",
    False: "off",
}


def _call(building: Building, call: Call) -> CallShown:
    """With who was told of it, and when the next one will be."""
    chain = None if call.record is None else building.escalations.get(call.record.id)
    shown = call_shown(call, building.clock.offset_ms)
    if chain is not None:
        shown["messages"] = [message_shown(message) for message in chain.messages]
        shown["next_message_ms"] = chain.due.ms if chain.running else None
    return shown


def call_shown(call: Call, offset_ms: int | None) -> CallShown:
    """The call as people see it, without the messages about it."""
    record = call.record
    if record is None:
        return {
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
            "attends": None,
            "seen_by": None,
            "seen_ms": None,
            "attended_ms": None,
            "attend_by_ms": None,
            "messages": [],
            "next_message_ms": None,
        }
    return {
        "id": record.id,
        "state": record.state,
        "test": record.test,
        "since_ms": record.since.ms,
        "raised_ms": record.raised.ms,
        "raised_utc_ms": record.raised.utc_by(offset_ms),
        "cause": record.cause,
        "points": list(record.points),
        "pulls": record.pulls,
        "acknowledged_by": record.acknowledged_by,
        "acknowledged_ms": record.acknowledged.ms,
        "attends": record.attends,
        "seen_by": record.seen_by,
        "seen_ms": record.seen.ms,
        "attended_ms": record.attended.ms,
        "attend_by_ms": record.attend_by.ms,
        "messages": [],
        "next_message_ms": None,
    }


def message_shown(message: ChainMessage) -> MessageShown:
    return {
        "delivery": message.delivery,
        "receiver": message.receiver,
        "channel": message.channel,
        "kind": message.kind,
        "result": message.result,
        "reason": message.reason,
        "at_ms": message.at.ms,
        "at_utc_ms": message.at.utc_ms,
        "medium": message.medium,
    }


def cords_shown(call: Call, offset_ms: int | None) -> CordsShown:
    """What belongs to the room beside the call itself."""
    return {
        "test_until_ms": call.test_until_ms,
        "test_by": call.test_by,
        "cords": {point: call.cord(point) for point in points_of(call.plan)},
        "last_calls": [_past(one, offset_ms) for one in call.last],
        "counters": {"calls": call.calls, "tests": call.tests},
    }


def _past(record: Record, offset_ms: int | None) -> PastCallShown:
    return {
        "id": record.id,
        "raised_utc_ms": record.raised.utc_by(offset_ms),
        "acknowledged_after_ms": record.acknowledged_after_ms,
        "attended_after_ms": record.attended_after_ms,
        "cancelled_after_ms": record.cancelled_after_ms,
        "test": record.test,
    }


def _leak(building: Building, room: str) -> LeakShown | None:
    one = building.leaks.get(room)
    if one is None:
        return None
    closed = is_on(building, one.plan.valve)
    return {"wet": one.wet, "latched": one.latched, "valve_closed": closed}


def _climate(building: Building, room: str) -> ClimateShown | None:
    one = building.climates.get(room)
    if one is None:
        return None
    return {
        "point": one.plan.point,
        "temperature_c": one.temperature_c,
        "humidity_percent": one.humidity_percent,
        "dew_point_c": one.dew_point_c,
        "at_ms": one.at_ms,
        "fan": is_on(building, one.plan.fan),
    }


def is_on(building: Building, relay: str | None) -> bool | None:
    """Whether a relay is on; ``None``: there is none."""
    return None if relay is None else building.relays[relay].on
