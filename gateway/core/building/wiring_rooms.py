"""The wiring of rooms: what the call, occupancy, leak and climate of a room mean to others, and
what points and people mean to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from gateway.core.building import state, wiring_messages
from gateway.core.building.conditions import conditions
from gateway.core.building.state import Building
from gateway.core.building.work import Do, Emit, Tell, Work
from gateway.core.effects import Drive, Effect, Reply
from gateway.core.events import AcknowledgeCall, ResetAlarm, TestRoom
from gateway.core.instant import ClockKnown
from gateway.core.machine import Step
from gateway.core.notification import alarms
from gateway.core.point_roles import CANCEL, CORD, LEAK, LINE, STAFF, PointRole
from gateway.core.room import call, climate, leak, occupancy
from gateway.core.room.call_record import Call, Cord, points_of
from gateway.core.signals import relay
from gateway.core.signals.contact import Change

LINE_OHM = "line_ohm"
"""The quantity of a meter that a supervised line is read from."""
TEMPERATURE, HUMIDITY = "temperature_c", "humidity_percent"

CORD_LEVELS: Mapping[bool | None, Cord] = {True: "pulled", False: "normal", None: "unknown"}
"""What the level of a contact says of its cord. A cut wire is active: it calls."""


# --- what points mean to a room -----------------------------------------------------------


def changed(building: Building, point: str, change: Change) -> list[Work]:
    """A settled change of a contact."""
    work: list[Work] = []
    for room, role in building.index.rooms.get(point, ()):
        if role == CORD:
            seen = call.CordSeen(point, CORD_LEVELS[change.active], change.edge_ms)
            work.append(Do(state.CALL, room, seen))
        elif role in (CANCEL, STAFF):
            if room in building.calls and _pressed(building, point, change):
                event = call.CancelPressed if role == CANCEL else call.PresencePressed
                work.append(Do(state.CALL, room, event(point, change.edge_ms)))
        elif role == LEAK:
            work.append(Do(state.LEAK, room, leak.Seen(change.active)))
        elif room in building.occupancies:
            work.append(Do(state.OCCUPANCY, room, _sign(building, role, point, change)))
    return work


def _pressed(building: Building, point: str, change: Change) -> bool:
    """Whether somebody in the room has pressed this button just now. A call is not ended by a
    wire: the level found at start, a contact that came back, one that sticks and one that
    chatters press nothing."""
    chatters = building.contacts[point].window_ends_ms is not None
    return change.pressed and not chatters


def _sign(building: Building, role: PointRole, point: str, change: Change) -> occupancy.Seen:
    """One that stuck before the restart is not believed until it has let go."""
    active = None if building.contacts[point].stuck else change.active
    return occupancy.Seen(cast("occupancy.Role", role.key), point, active)


def metered(building: Building, point: str) -> list[Work]:
    """A meter has a value, a gap or a fault."""
    work: list[Work] = []
    for room, role in building.index.rooms.get(point, ()):
        if role == LINE:
            plan = building.calls[room].plan
            line = next(line for line in plan.lines if line.point == point)
            cord = call.classified(line, building.meters[point].series[LINE_OHM].value)
            seen = call.CordSeen(point, cord, building.now_ms)
            work.append(Do(state.CALL, room, seen))
        else:
            work.append(Do(state.CLIMATE, room, _air(building, room)))
    return work


def _air(building: Building, room: str) -> climate.Seen:
    series = building.meters[building.climates[room].plan.point].series
    cold, humid = series.get(TEMPERATURE), series.get(HUMIDITY)
    return climate.Seen(
        None if cold is None else cold.value,
        None if humid is None else humid.value,
        next((one.reason for one in (cold, humid) if one is not None and one.reason), ""),
    )


def clock_changed(building: Building) -> list[Work]:
    """The civil time is known, is trusted, is not trusted any more, or jumped. (Its offset is
    the last that was trusted.)"""
    offset_ms = building.clock.offset_ms or 0
    known = ClockKnown(offset_ms)
    return [
        *(Do(state.CALL, room, known) for room in building.calls),
        *(Do(state.OCCUPANCY, room, known) for room in building.occupancies),
    ]


# --- what the machines of a room mean to others -------------------------------------------


def call_stepped(building: Building, _: str, before: Call, step: Step[Call]) -> list[Work]:
    """Its relays first, then its facts, its cords' alarms, and who is told."""
    after = step.state
    work: list[Work] = []
    flashes = call.flashes(before, after)
    for drive in (effect for effect in step.effects if isinstance(effect, Drive)):
        blinks = flashes and drive.point == after.plan.lamp
        event = relay.Blink(drive.on) if blinks else drive
        work.append(Do(state.RELAY, drive.point, event))
    work.append(Tell(step.facts))
    if after.cords is not before.cords or after.stuck is not before.stuck:
        for point in points_of(after.plan):
            was, now = call.troubles(before, point), call.troubles(after, point)
            work += conditions(building, point, was, now)
    return work + wiring_messages.call_changed(before, after)


def occupancy_stepped(
    building: Building,
    room: str,
    before: occupancy.Occupancy,
    step: Step[occupancy.Occupancy],
) -> list[Work]:
    """It tells, and drives nothing."""
    stands = conditions(building, room, before.conditions, step.state.conditions)
    return [Tell(step.facts), *stands]


def leak_stepped(
    building: Building, room: str, before: leak.Leak, step: Step[leak.Leak]
) -> list[Work]:
    """Its facts, then its valve."""
    stands = conditions(building, room, before.conditions, step.state.conditions)
    return [Tell(step.facts), *_shared(building, step.effects), *stands]


def climate_stepped(
    building: Building, room: str, before: climate.Climate, step: Step[climate.Climate]
) -> list[Work]:
    """Its facts, then its fan."""
    stands = conditions(building, room, before.conditions, step.state.conditions)
    return [Tell(step.facts), *_shared(building, step.effects), *stands]


def _shared(building: Building, effects: Iterable[Effect]) -> list[Work]:
    """A valve or fan that two rooms share stays on for as long as one of them wants it."""
    drives = (effect for effect in effects if isinstance(effect, Drive))
    return [
        Do(state.RELAY, one.point, Drive(one.point, one.on or _wanted(building, one.point)))
        for one in drives
    ]


def _wanted(building: Building, point: str) -> bool:
    return any(one.latched and one.plan.valve == point for one in building.leaks.values()) or any(
        one.fan and one.plan.fan == point for one in building.climates.values()
    )


# --- what people ask of a room ------------------------------------------------------------


def acknowledge(building: Building, event: AcknowledgeCall) -> list[Work] | str:
    """By the id of a call, or else by its room. Who comes second is told that it is acknowledged
    already, or seen by them. A refusal is the key of its reason."""
    records = {room: one.record for room, one in building.calls.items() if one.record is not None}
    named = (room for room, record in records.items() if event.call in (record.id, record.was))
    room = next(named, event.call)  # the second call of room "wc" is "wc-2", as a room may be
    if room not in records:
        return "unknown_call"
    by, via = event.issuer.name, event.issuer.via
    known = event.seen_only and records[room].seen_by == by
    if known or records[room].state != "raised":
        return [Emit((Reply(event.id, "merged"),))]
    said = (
        call.CallSeen(by, via, event.id)
        if event.seen_only
        else call.Acknowledged(by, via, event.id, event.attends)
    )
    return [Do(state.CALL, room, said), Emit((Reply(event.id, "accepted"),))]


def test(building: Building, event: TestRoom) -> list[Work] | str:
    """Test mode of a room begins or ends. A refusal is the key of its reason."""
    one = building.calls.get(event.room)
    if one is None:
        return "unknown_room"
    reason = call.refusal(one, event.for_ms, building.now_ms)
    if reason:
        return reason
    wanted = call.TestSet(event.for_ms, event.issuer.name, event.id)
    return [Do(state.CALL, event.room, wanted), Emit((Reply(event.id, "accepted"),))]


def reset(building: Building, event: ResetAlarm) -> list[Work] | str:
    """Staff reset a latched alarm. A refusal is the key of its reason."""
    alarm = alarms.find(building.alarms, event.alarm)
    if alarm is None:
        return "unknown_alarm"
    one = building.leaks.get(alarm.subject)
    if alarm.kind != "leak" or one is None or not one.latched:
        return "not_latched"
    if one.wet is not False:
        return "still_wet"
    by = leak.Reset(event.issuer.name)
    reply = Reply(event.id, "accepted", _dry(building, alarm.subject))
    return [Do(state.LEAK, alarm.subject, by), Emit((reply,))]


def _dry(building: Building, room: str) -> str:
    """Why the water stays off after the leak of this room is reset; empty where it runs again."""
    valve = building.leaks[room].plan.valve
    if valve is None:
        return ""
    others = (one for name, one in building.leaks.items() if name != room)
    if any(one.latched and one.plan.valve == valve for one in others):
        return "in_use"
    return "relay_fault" if building.relays[valve].fault else ""
