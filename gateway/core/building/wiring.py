"""The wiring: what a step of one machine means to the others.

One function for each sort of machine. It is given the building after the step, what the machine
was before and what the step came to, and hands out what is to be done next, in order. Rooms and
messages have files of their own. Nothing here changes anything: the loop does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gateway.core.building import routing, state, wiring_messages, wiring_rooms
from gateway.core.building.conditions import conditions, muted, raised
from gateway.core.building.state import Building
from gateway.core.building.work import (
    At,
    Certificates,
    Do,
    Emit,
    Journal,
    Later,
    Service,
    Tell,
    Work,
    told,
)
from gateway.core.door import door, interlock, schedule
from gateway.core.door.schedule import Schedule
from gateway.core.effects import Drive, Effect
from gateway.core.events import (
    CertificateState,
    CivilTime,
    Delivered,
    JournalState,
    Level,
    Reading,
    RelayFault,
    Reported,
)
from gateway.core.facts import Fact
from gateway.core.instant import ClockKnown
from gateway.core.machine import Step
from gateway.core.notification import alarms
from gateway.core.point_roles import BOLT, LEAF, OPERATOR_FAULT, PRESENCE, PointRole
from gateway.core.room.call_record import Call
from gateway.core.signals import clock, contact, relay, watch

# --- what comes from outside --------------------------------------------------------------


def begun(building: Building) -> list[Work]:
    """What the doors of an interlock are told at the start."""
    locks = building.plan.interlocks
    return [Later(turn_of, (name,)) for lock in locks for name in lock.doors]


def noticed(building: Building) -> list[Work]:
    """What stands because the configuration says so."""
    return [raised(building, subject, kind, "") for subject, kind in building.plan.notices]


def reported(building: Building, event: Reported) -> list[Work]:  # noqa: PLR0911 - a table
    """What the terminal strip, the clock, the journal, ``notify`` or ``web`` reports. A point that
    is not in the plan is ignored."""
    match event:
        case Level(point=point):
            if point not in building.contacts:
                return []
            work: list[Work] = [Do(state.CONTACT, point, event)]
            return [At(None), *work] if building.index.contacts[point].activators else work
        case Reading(point=point):
            return [Do(state.METER, point, event)] if point in building.meters else []
        case RelayFault(point=point, reason=reason):
            if point not in building.relays:
                return []
            failed = door.RelayFailed(point, reason)
            doors = building.index.relay_doors.get(point, ())
            return [Do(state.RELAY, point, event), *(Do(state.DOOR, n, failed) for n in doors)]
        case CivilTime():
            return [Do(state.CLOCK, "", event)]
        case Delivered():
            return wiring_messages.delivered(building, event)
        case CertificateState():
            return _certificates(building, event)
        case _:
            return _journal(building, event)


def _journal(building: Building, event: JournalState) -> list[Work]:
    before = (("journal_full", building.journal),) if building.journal else ()
    after = (("journal_full", event.reason),) if event.reason else ()
    return [Journal(event.reason), *conditions(building, building.plan.gateway, before, after)]


def _certificates(building: Building, event: CertificateState) -> list[Work]:
    """Nobody knows which have ended while nobody knows what day it is."""
    if not building.clock.trusted:
        return []
    was, kind = building.certificates, "certificate_ends"
    before = ((kind, was),) if was else ()
    after = ((kind, event.names),) if event.names else ()
    return [Certificates(event.names), *conditions(building, building.plan.gateway, before, after)]


def woken(sort: int, name: str) -> list[Work]:
    """A deadline is due."""
    if sort == state.PRESS:
        return [Do(state.CONTACT, name)]
    if sort == state.ROSTER:
        return [Do(sort, name), Later(wiring_messages.duty)]
    return [Do(sort, name)]


# --- points -------------------------------------------------------------------------------


def _contact(
    building: Building, point: str, before: contact.Contact, step: contact.ContactStep
) -> list[Work]:
    work: list[Work] = [Tell(step.facts)] if step.facts else []
    level = before.active
    for change in getattr(step, "changes", ()):
        work += _changed(building, point, level, change)
        level = change.active
    if step.state.conditions is not before.conditions:
        work += conditions(building, point, before.conditions, step.state.conditions)
    return work


def _changed(
    building: Building, point: str, was: bool | None, change: contact.Change
) -> list[Work]:
    """What a settled change means to whom."""
    index = building.index
    routes = index.contacts[point]
    work: list[Work] = []
    if point in index.fire_points:
        work += _fire(building, point, was, change.active)
    for name, role in routes.roles:
        work.append(Do(state.DOOR, name, _seen(role, change)))
    for name in routes.switches:
        work.append(Do(state.SCHEDULE, name, _selected(building, name)))
    for name, plan in routes.activators:
        if change.pressed:
            pressed = door.Requested(plan.kind, plan.side, point, plan.hold_open_ms, change.edge_ms)
            # However late it is found: its pulse is given whole, and a stale one is seen to be.
            work += [At(None), Do(state.DOOR, name, pressed), At(building.now_ms)]
    for name in index.watches.get(point, ()):
        work.append(Do(state.WATCH, name, watch.Seen(change.active, change.edge_ms)))
    if point in index.rooms:
        work += wiring_rooms.changed(building, point, change)
    if point in index.fire_points and change.active:
        work += end_tests(building)  # fire beats every command at once, those of a test too
    return work


def end_tests(building: Building, door: str = "") -> list[Work]:
    """Switch off the relays under test: all, or those of one door. Queue this after all other
    drives; a relay that a machine has driven on meanwhile stays on."""
    doors = building.index.relay_doors
    return [
        Do(state.RELAY, point, relay.TestOver())
        for point, one in building.relays.items()
        if one.test_ends_ms is not None and (not door or door in doors.get(point, ()))
    ]


def _fire(building: Building, point: str, was: bool | None, active: bool | None) -> list[Work]:
    """One fact and one alarm for each fire contact, however many doors it moves."""
    work: list[Work] = []
    if active or was is not None:
        data = {"active": active, "door": None}
        work.append(Tell((Fact("fire_alarm", point, building.now_ms, data),)))
    if active:
        work.append(raised(building, point, "fire", ""))
    elif active is not None:
        work.append(Do(state.ALARMS, "", alarms.Cleared(point, "fire")))
    return work


def _seen(role: PointRole, change: contact.Change) -> door.DoorEvent:
    if role == LEAF:
        return door.LeafSeen(change.active, change.edge_ms)
    if role == BOLT:
        return door.BoltSeen(change.active)
    if role == OPERATOR_FAULT:
        return door.OperatorFaultSeen(change.active)
    if role == PRESENCE:
        return door.PresenceSeen(change.active)
    return door.FireSeen(change.active)


def _selected(building: Building, name: str) -> schedule.SwitchSeen:
    active = frozenset(point for point, one in building.contacts.items() if one.active)
    return schedule.SwitchSeen(routing.selected(building.index.doors[name], active))


def _meter(building: Building, point: str, before: Any, step: Step[Any]) -> list[Work]:
    after = step.state
    work: list[Work] = [Tell(step.facts)] if step.facts else []
    for name in building.index.watches.get(point, ()):
        quantity = building.watches[name].plan.quantity or ""
        seen = watch.Seen(after.series[quantity].value, building.now_ms)
        work.append(Do(state.WATCH, name, seen))
    work += wiring_rooms.metered(building, point)
    return work + conditions(building, point, before.conditions, after.conditions)


def _watch(building: Building, _: str, before: watch.Watch, step: Step[watch.Watch]) -> list[Work]:
    after = step.state
    return conditions(building, after.plan.point, before.conditions, after.conditions)


def _relay(
    building: Building, point: str, before: relay.Relay, step: Step[relay.Relay]
) -> list[Work]:
    work: list[Work] = [Tell(step.facts), Emit(step.effects)]
    if step.state.conditions is not before.conditions:
        work += conditions(building, point, before.conditions, step.state.conditions)
    if step.state.limited != before.limited:
        limited = door.RelayLimited(point, step.state.limited)
        doors = building.index.relay_doors.get(point, ())
        work += [Do(state.DOOR, name, limited) for name in doors]
    return work


def _call(building: Building, room: str, before: Call, step: Step[Call]) -> list[Work]:
    work = wiring_rooms.call_stepped(building, room, before, step)
    if before.record is None and step.state.record is not None:
        work += end_tests(building)
    return work


# --- doors --------------------------------------------------------------------------------


def _door(building: Building, name: str, before: door.Door, step: Step[door.Door]) -> list[Work]:
    """Its relays are switched before its facts are told; the interlock looks at it last."""
    after, index = step.state, building.index
    work = driven(step.effects) + told(step.facts)
    if after.mode != before.mode:
        work += end_tests(building, name)
    if after.conditions is not before.conditions:
        work += conditions(building, name, before.conditions, after.conditions)
    if before.service_until_ms is not None and after.service_until_ms is None:
        free = frozenset(s for s in index.subjects[name] if not muted(building, s))
        work.append(Do(state.ALARMS, "", alarms.Unmuted(free)))
    return work + [Later(_look, (lock.id, name)) for lock in index.interlocks[name]]


def driven(effects: Iterable[Effect]) -> list[Work]:
    """Each drive passes the machine of its relay."""
    return [
        Do(state.RELAY, one.point, one) if isinstance(one, Drive) else Emit((one,))
        for one in effects
    ]


def _look(building: Building, group: str, name: str) -> list[Work]:
    one = building.doors[name]
    return [Do(state.INTERLOCK, group, interlock.Seen(name, one.busy, one.waits))]


def _interlock(
    _: Building, __: str, before: interlock.Interlock, step: Step[interlock.Interlock]
) -> list[Work]:
    """Its doors are told where that changes their turn."""
    if step.state == before:
        return []
    return [Later(turn_of, (name,)) for name in step.state.plan.doors]


def turn_of(building: Building, name: str) -> list[Work]:
    """Whether the interlocks of a door leave it free to open, where it does not know it yet."""
    groups = [building.interlocks[lock.id] for lock in building.index.interlocks[name]]
    free = all(interlock.free_for(group, name) for group in groups)
    wait_ms = min(group.plan.wait_ms for group in groups)
    one = building.doors[name]
    if (one.free, one.wait_ms) == (free, wait_ms):
        return []
    return [Do(state.DOOR, name, door.Interlocked(free, wait_ms))]


def _schedule(building: Building, name: str, before: Schedule, step: Step[Schedule]) -> list[Work]:
    after = step.state
    work: list[Work] = []
    if after.ruling is not before.ruling:
        work.append(Do(state.DOOR, name, mode_of(after.ruling)))
    return work + conditions(building, name, before.conditions, after.conditions)


def mode_of(ruling: schedule.Ruling) -> door.ModeChanged:
    """The mode that rules, as the door is told."""
    return door.ModeChanged(ruling.mode, ruling.source, ruling.until_utc_ms, ruling.by)


# --- alarms, limits, clock ----------------------------------------------------------------


def _alarms(
    building: Building, _: str, before: alarms.Alarms, step: Step[alarms.Alarms]
) -> list[Work]:
    work = told(step.facts)
    if step.effects:
        work.append(Emit(step.effects))
    return work + wiring_messages.alarmed(building, before)


def _limits(_: Building, __: str, ___: object, step: Step[Any]) -> list[Work]:
    return [Tell(step.facts)]


def _clock(building: Building, _: str, before: clock.Clock, step: Step[clock.Clock]) -> list[Work]:
    after, gateway = step.state, building.plan.gateway
    work = conditions(building, gateway, before.conditions, after.conditions)
    known = (after.trusted, after.offset_ms) != (before.trusted, before.offset_ms)
    settled = clock.settled(after)
    if not known and settled == clock.settled(before):
        return work
    work.append(Later(_alarms_clock))
    seen = CivilTime(building.now_ms + (after.offset_ms or 0), after.trusted, settled)
    work += [Do(state.SCHEDULE, name, seen) for name in building.schedules]
    if not known:
        return work
    work += wiring_rooms.clock_changed(building)
    work += wiring_messages.clock_changed(building)
    return [*work, Later(resume_service)] if after.trusted else work


def _alarms_clock(building: Building) -> list[Work]:
    offset_ms = building.clock.offset_ms
    if offset_ms is None or offset_ms == building.alarms.offset_ms:
        return []
    return [Do(state.ALARMS, "", ClockKnown(offset_ms))]


def resume_service(building: Building) -> list[Work]:
    """Service mode that stood before the restart goes on for as long as it was meant to."""
    work: list[Work] = [Service({})]
    for name, until_utc_ms in building.service.items():
        left_ms = until_utc_ms - (clock.utc_of(building.clock, building.now_ms) or 0)
        if name in building.doors and 0 < left_ms <= door.SERVICE_LIMIT_MS:
            work.append(Do(state.DOOR, name, door.ServiceSet(left_ms)))
    return work


WIRING: Mapping[int, Callable[[Building, str, Any, Any], Sequence[Work]]] = {
    state.CLOCK: _clock,
    state.CONTACT: _contact,
    state.METER: _meter,
    state.WATCH: _watch,
    state.SCHEDULE: _schedule,
    state.ROSTER: lambda *_: (),
    state.DOOR: _door,
    state.CALL: _call,
    state.OCCUPANCY: wiring_rooms.occupancy_stepped,
    state.LEAK: wiring_rooms.leak_stepped,
    state.CLIMATE: wiring_rooms.climate_stepped,
    state.RELAY: _relay,
    state.ALARMS: _alarms,
    state.ESCALATION: wiring_messages.chain_stepped,
    state.MAILING: wiring_messages.mailing_stepped,
    state.LIMITS: _limits,
    state.INTERLOCK: _interlock,
    state.WAYS: lambda *_: (),
}
"""Sort -> what its steps mean: ``(building, name, before, step)``."""
