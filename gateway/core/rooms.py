"""What the rooms' machines mean to each other, to the points and to people.

Functions over :class:`gateway.core.turn.Turn`, which calls them at these places: a settled
change of a contact, a meter's value, a deadline, the clock, an alarm that came or went, a
command, what was kept. Each hands on to the machine it concerns; the call is wired here, the
other machines of a room in ``surroundings``, those that tell people in ``telling``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gateway.core import call, call_kept, relay, state, surroundings, telling
from gateway.core.alarms import listed
from gateway.core.call_record import Call, Cord, points_of
from gateway.core.effects import Drive, Reply
from gateway.core.events import AcknowledgeCall, ConfirmMessage, Delivered, ResetAlarm, TestRoom
from gateway.core.facts import Json
from gateway.core.machine import Ms
from gateway.core.plan import BuildingPlan

if TYPE_CHECKING:
    from gateway.core.alarms import Alarms
    from gateway.core.contact import Change
    from gateway.core.kept import Kept
    from gateway.core.state import Building
    from gateway.core.turn import Turn

LINE_OHM = "line_ohm"
"""The quantity of a meter that a supervised line is read from."""

CORD: Mapping[bool | None, Cord] = {True: "pulled", False: "normal", None: "unknown"}
"""What the level of a contact says of its cord. A cut wire is active: it calls."""

RoomCommand = AcknowledgeCall | TestRoom | ResetAlarm | ConfirmMessage


def calls(plan: BuildingPlan, now: Ms) -> Mapping[str, Call]:
    """The calls of the rooms that have a cord."""
    return {room.id: call.start(room, now) for room in plan.rooms if points_of(room)}


def begin(turn: Turn) -> None:
    """Every machine names its first deadline."""
    surroundings.begin(turn)
    telling.begin(turn)


def restore(turn: Turn, was: Kept) -> None:
    """What stood before the restart stands again. The alarm list is restored already; who was
    told comes before the calls, so that nobody is told twice."""
    telling.restore(turn, was)
    section = was.sections.get("calls")
    entries = section if isinstance(section, dict) else {}
    for room, one in turn.calls.items():
        if call_kept.unreadable(entries.get(room), known=not was.unknown_format):
            turn.call_unread(room)
        step_call(turn, room, call.Restored(call_kept.read(one.plan, entries.get(room))))
        if turn.clock.offset_ms is not None:
            step_call(turn, room, call.ClockKnown(turn.clock.offset_ms))
    for room, entry in entries.items():
        name = "" if room in turn.calls else call_kept.standing(entry)
        if name:
            turn.orphaned(room, name)
    surroundings.restore(turn, was)


def kept(building: Building) -> dict[str, Json]:
    """What of it must survive a restart, a section for each sort of machine."""
    offset_ms = building.clock.offset_ms
    return {
        "calls": {room: call_kept.kept(one, offset_ms) for room, one in building.calls.items()},
        **surroundings.kept(building),
        **telling.kept(building),
    }


def deserted(building: Building, after: BuildingPlan) -> list[str]:
    """The rooms whose call stands and that ``after`` could not hear or end any more."""
    there = {room.id for room in after.rooms if points_of(room)}
    records = ((room, one.record) for room, one in building.calls.items())
    standing = [room for room, record in records if record is not None and not record.test]
    return [room for room in standing if room not in there]


def healed(building: Building, room: str, kind: str) -> bool:
    """Whether it is seen that this alarm about a room, from before the restart, is over."""
    return surroundings.healed(building, room, kind)


def shown(building: Building, room: str, now: Ms) -> dict[str, Json]:
    """A room as people see it."""
    plan, mine = building.index.room_plans[room], building.index.room_subjects[room]
    return {
        "name": plan.name,
        **_call_shown(building, room),
        "lamps": {
            "reassurance": _on(building, plan.reassurance),
            "lamp": {None: None, True: "flashing", False: "off"}[_on(building, plan.lamp)],
            "sounder": _on(building, plan.sounder),
            "unlock": _on(building, plan.unlock),
        },
        **surroundings.shown(building, room, now),
        "alarms": [alarm.id for alarm in listed(building.alarms) if alarm.subject in mine],
    }


def _call_shown(building: Building, room: str) -> dict[str, Json]:
    one, offset_ms = building.calls.get(room), building.clock.offset_ms
    if one is None:
        return {"call": None, **call_kept.NO_CALL}
    about = "" if one.record is None else one.record.id
    shown = {**call_kept.shown(one, offset_ms), **telling.told(building, about)}
    return {"call": shown, **call_kept.room_shown(one, offset_ms)}


def _on(building: Building, point: str | None) -> bool | None:
    return None if point is None else building.relays[point].on


def step_call(turn: Turn, room: str, event: call.CallEvent | None) -> None:
    """The call of a room takes a step: its relays, its cords' alarms, and who is told."""
    before = turn.calls[room]
    result = call.step(before, event, turn.now)
    after = result.state
    if after is before:
        return
    turn.calls = {**turn.calls, room: after}
    turn.wake((state.CALL, room), call.wake_at(after))
    flashes = call.flashes(before, after)
    for drive in (effect for effect in result.effects if isinstance(effect, Drive)):
        blinks = flashes and drive.point == after.plan.lamp
        turn.step_relay(drive.point, relay.Blink(drive.on) if blinks else drive)
    turn.facts += result.facts
    if after.cords is not before.cords or after.stuck is not before.stuck:
        for point in points_of(after.plan):
            turn.conditions(point, call.troubles(before, point), call.troubles(after, point))
    telling.call_changed(turn, before, after)


def live(turn: Turn, sort: int, name: str) -> None:
    """A deadline of one of these machines is due."""
    match sort:
        case state.CALL:
            step_call(turn, name, None)
        case state.OCCUPANCY | state.LEAK | state.CLIMATE:
            surroundings.live(turn, sort, name)
        case _:
            telling.live(turn, sort, name)


def changed(turn: Turn, point: str, change: Change) -> None:
    """A settled change of a contact."""
    for room, role in turn.index.rooms.get(point, ()):
        if role == "cord":
            step_call(turn, room, call.CordSeen(point, CORD[change.active], change.edge_ms))
        elif role in ("cancel", "presence"):
            if room in turn.calls and _pressed(turn, point, change):
                event = call.CancelPressed if role == "cancel" else call.PresencePressed
                step_call(turn, room, event(point, change.edge_ms))
        else:
            surroundings.changed(turn, room, role, point, change)


def _pressed(turn: Turn, point: str, change: Change) -> bool:
    """Whether somebody in the room has pressed this button just now. A call is not ended by a
    wire: the level found at start, a contact that came back, one that sticks and one that
    chatters press nothing."""
    chatters = turn.contacts[point].window_ends_ms is not None
    return change.pressed and not chatters


def metered(turn: Turn, point: str) -> None:
    """A meter has a value, a gap or a fault."""
    for room, role in turn.index.rooms.get(point, ()):
        if role == "line":
            one = turn.calls[room]
            line = next(line for line in one.plan.lines if line.point == point)
            cord = call.classified(line, turn.meters[point].series[LINE_OHM].value)
            step_call(turn, room, call.CordSeen(point, cord, turn.now))
        else:
            surroundings.metered(turn, room)


def clock_changed(turn: Turn) -> None:
    """The civil time is known, is trusted, is not trusted any more, or jumped."""
    known = call.ClockKnown(turn.clock.offset_ms or 0)  # it does not change to be unknown
    for room in turn.calls:
        step_call(turn, room, known)
    surroundings.clock_changed(turn)
    telling.clock_changed(turn)


def alarmed(turn: Turn, before: Alarms) -> None:
    """The alarm list has taken a step from ``before``."""
    telling.alarmed(turn, before)


def delivered(turn: Turn, event: Delivered) -> None:
    """What became of a message."""
    telling.delivered(turn, event)


def take(turn: Turn, event: RoomCommand) -> Reply:
    """Carry out a command; the answer is said (and a refusal told) by who called."""
    match event:
        case AcknowledgeCall():
            return _acknowledge(turn, event)
        case TestRoom():
            return _test(turn, event)
        case ResetAlarm():
            return surroundings.reset(turn, event)
        case _:
            return telling.confirm(turn, event)


def _acknowledge(turn: Turn, event: AcknowledgeCall) -> Reply:
    """By the room or by the id of its call. Who comes second is told that it is seen already."""
    for room, one in turn.calls.items():
        record = one.record
        if record is not None and event.call in (room, record.id, record.was):
            if record.state != "raised":
                return Reply(event.id, "merged")
            issuer = event.issuer
            step_call(turn, room, call.Acknowledged(issuer.name, issuer.via, event.id))
            return Reply(event.id, "accepted")
    return Reply(event.id, "refused", "unknown_call")


def _test(turn: Turn, event: TestRoom) -> Reply:
    one = turn.calls.get(event.room)
    if one is None:
        return Reply(event.id, "refused", "unknown_room")
    reason = call.refusal(one, event.for_ms, turn.now)
    if reason:
        return Reply(event.id, "refused", reason)
    step_call(turn, event.room, call.TestSet(event.for_ms, event.issuer.name, event.id))
    return Reply(event.id, "accepted")
