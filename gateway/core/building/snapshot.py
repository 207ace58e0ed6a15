"""The building as one JSON object: what the page, the command line and MQTT states show.

Its shape is in :mod:`gateway.core.snapshot_types`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from gateway.core.building.snapshot_rooms import is_on, message_shown, room_shown
from gateway.core.building.state import Building
from gateway.core.door import counters, door, schedule
from gateway.core.instant import Ms
from gateway.core.machine import Conditions
from gateway.core.notification import alarms, mailing
from gateway.core.plan import ReceiverPlan
from gateway.core.room.climate import DEW_POINT
from gateway.core.signals.clock import mark_of, settled, settles_in_ms, uptime_of, utc_of
from gateway.core.signals.contact import Contact
from gateway.core.signals.meter import Meter
from gateway.core.signals.relay import Relay

if TYPE_CHECKING:
    from gateway.core.snapshot_types import (
        AlarmMessageShown,
        AlarmShown,
        BuildingShown,
        DoorShown,
        FireShown,
        PointShown,
        QuantityShown,
        RequestShown,
        WayShown,
    )

MESSAGES_MOST = 20


def snapshot(building: Building, now: Ms) -> BuildingShown:
    """Everything there is to show. Steps nothing: it is as true as the last step."""
    clock = building.clock
    return {
        "gateway": {"id": building.plan.gateway},
        "now_ms": now,
        "utc_offset_ms": clock.offset_ms,
        "clock_trusted": clock.trusted,
        "clock_since_ms": clock.since_ms,
        "clock_settled": settled(clock),
        "clock_doubt": clock.doubt,
        "clock_settles_in_ms": settles_in_ms(clock, now),
        "clock_mark_utc_ms": mark_of(clock, now),
        "uptime_ms": uptime_of(clock, now),
        "doors": {name: _door(building, one, now) for name, one in building.doors.items()},
        "points": {
            **{name: _contact(building, one) for name, one in building.contacts.items()},
            **{name: _relay(one) for name, one in building.relays.items()},
            **{name: _meter(building, one) for name, one in building.meters.items()},
        },
        "alarms": [_alarm(building, alarm) for alarm in alarms.listed(building.alarms)],
        "fire": _fire(building),
        "rooms": {r.id: room_shown(building, r.id) for r in building.plan.rooms},
        "receivers": {
            one.id: {"on_duty": building.rosters[one.id].on_duty, "ways": _ways(building, one)}
            for one in building.plan.receivers
        },
        "messages": _messages(building),
    }


def _door(building: Building, one: door.Door, now: Ms) -> DoorShown:
    plan, timetable, result = one.plan, building.schedules[one.plan.id], one.leaf.result
    following, staff = schedule.next_mode(timetable, now), door.can_open(one)
    acts, offset_ms, counted = one.fire_acts is not None, building.clock.offset_ms, one.counters
    mine = building.index.subjects[plan.id]
    listed = [alarm for alarm in alarms.listed(building.alarms) if alarm.subject in mine]
    return {
        "name": plan.name,
        "mode": one.mode,
        "mode_source": "fire" if acts else one.mode_source,
        "mode_until_utc_ms": one.mode_until_utc_ms,
        "mode_by": one.mode_by,
        "scheduled_mode": schedule.scheduled_mode(timetable, now),
        "next_mode": None
        if following is None
        else {"mode": following.mode, "utc_ms": following.utc_ms},
        "state": one.state,
        "since_ms": one.since_ms,
        "assumed": one.assumed,
        "leaf": one.leaf_seen,
        "activation": is_on(building, plan.activation),
        "strike": is_on(building, plan.strike),
        "hold_open": is_on(building, plan.hold_open),
        "fire": None if plan.fire is None else building.contacts[plan.fire.point].active,
        "service_until_ms": one.service_until_ms,
        "bolt": None if plan.bolt is None else building.contacts[plan.bolt].active,
        "operator_fault": one.operator_fault,
        "last_request": cast(
            "RequestShown | None", counters.shown(counted.last_request, offset_ms)
        ),
        "last_refusal": cast(
            "RequestShown | None", counters.shown(counted.last_refusal, offset_ms)
        ),
        "last_opened_ms": counted.opened.ms_by(offset_ms),
        "press_to_open_ms": counted.press_to_open_ms,
        "last_result": None
        if result is None
        else {
            "result": result.result,
            "command": result.command,
            "at_ms": result.at_ms,
            "press_to_open_ms": result.press_to_open_ms,
        },
        "can_open": {
            "staff": {"ok": staff.ok, "reason": staff.reason, "needs_reason": staff.needs_reason}
        },
        "counters": {
            "openings": counted.openings,
            "requests": counted.requests,
            "refusals": dict(counted.refusals),
            "open_ms": counted.open_ms,
        },
        "alarms": [alarm.id for alarm in listed],
    }


def _contact(building: Building, one: Contact) -> PointShown:
    shown: PointShown = {
        "kind": "contact",
        "active": one.active,
        "raw": one.raw,
        "since_ms": one.since_ms,
        "reason": one.reason,
        "faults": _kinds(one.conditions),
        "changes": one.changes,
        "quantities": {},
    }
    if one.plan.private:
        shown["exported"] = "motion" in building.plan.export
    return shown


def _relay(one: Relay) -> PointShown:
    return {
        "kind": "relay",
        "active": one.on,
        "raw": one.on,
        "since_ms": one.since_ms,
        "reason": one.fault,
        "faults": _kinds(one.conditions),
        "changes": one.operations,
        "quantities": {},
    }


def _meter(building: Building, one: Meter) -> PointShown:
    """With the dew point that a room makes of it, which has a history like any quantity."""
    quantities: dict[str, QuantityShown] = {
        name: {"value": series.value, "at_ms": series.at_ms, "reason": series.reason}
        for name, series in one.series.items()
    }
    for air in building.climates.values():
        if air.plan.point == one.plan.point and air.at_ms is not None:
            quantities[DEW_POINT] = {"value": air.dew_point_c, "at_ms": air.at_ms, "reason": ""}
    return {
        "kind": "meter",
        "active": None,
        "raw": None,
        "since_ms": max((series.at_ms for series in one.series.values()), default=0),
        "reason": next((series.reason for series in one.series.values() if series.reason), ""),
        "faults": _kinds(one.conditions),
        "changes": 0,
        "quantities": quantities,
    }


def _ways(building: Building, receiver: ReceiverPlan) -> list[WayShown]:
    offset_ms, by_hand = building.clock.offset_ms, building.mailings.get(mailing.BY_HAND)
    tests = {
        one.channel: one
        for one in (() if by_hand is None else by_hand.messages)
        if one.receiver == receiver.id
    }
    ways: list[WayShown] = []
    for channel in range(receiver.channels):
        known = building.ways.get((receiver.id, channel))
        test = tests.get(channel)
        ways.append(
            {
                "ok": None if known is None else known.ok,
                "reason": "" if known is None else known.reason,
                "at_utc_ms": None if known is None else known.at.utc_by(offset_ms),
                "delivered_utc_ms": None if known is None else known.delivered.utc_by(offset_ms),
                "under_way": test is not None and test.until_ms is not None,
                "confirmed": test is not None and test.confirmed,
            }
        )
    return ways


def _messages(building: Building) -> list[AlarmMessageShown]:
    """The last messages about alarms."""
    messages = [
        (message, chain.about)
        for chain in building.escalations.values()
        if "/" in chain.about
        for message in chain.messages
    ]
    messages.sort(key=lambda pair: (pair[0].at.ms or 0, pair[0].at.utc_ms or 0))
    return [
        {**message_shown(message), "about": about} for message, about in messages[-MESSAGES_MOST:]
    ]


def _alarm(building: Building, alarm: alarms.Alarm) -> AlarmShown:
    raised_utc_ms = alarm.raised_utc_ms
    if raised_utc_ms is None:
        raised_utc_ms = utc_of(building.clock, alarm.raised_ms)
    return {
        "id": alarm.id,
        "subject": alarm.subject,
        "kind": alarm.kind,
        "severity": alarm.severity,
        "state": alarm.state,
        "raised_ms": alarm.raised_ms,
        "raised_utc_ms": raised_utc_ms,
        "count": alarm.count,
        "acknowledged_by": alarm.acknowledged_by,
        "shelved_until_ms": alarm.shelved_until_ms,
        "detail": alarm.detail,
    }


def _fire(building: Building) -> FireShown | None:
    """Over all fire contacts: one that speaks counts, and one that cannot be read is not off."""
    levels = [building.contacts[point].active for point in building.index.fire_points]
    if not levels:
        return None
    return {"active": True if True in levels else None if None in levels else False}


def _kinds(conditions: Conditions) -> list[str]:
    return [kind for kind, _ in conditions]
