"""Which doors and rooms a point belongs to.

Made once from the plan, so that a step touches only the machines that a contact concerns.
"""

from __future__ import annotations

from gateway.core.events import Mode
from gateway.core.plan import (
    ActivatorPlan,
    BuildingPlan,
    DoorPlan,
    InterlockPlan,
    RoomPlan,
    Severity,
)
from gateway.core.point_roles import (
    BOLT,
    DOOR_FIRE,
    LEAF,
    MODE_SWITCH,
    OPERATOR_FAULT,
    PRESENCE,
    RELAY,
    PointRole,
    points_in,
)
from gateway.core.values import dataclass

DOOR_ROLES = (LEAF, BOLT, OPERATOR_FAULT, PRESENCE, DOOR_FIRE)
"""What a door hears of by itself: not by its activators, nor by its programme switch."""


@dataclass(frozen=True)
class Routes:
    """What one contact means. Doors are named by their id."""

    activators: tuple[tuple[str, ActivatorPlan], ...] = ()
    roles: tuple[tuple[str, PointRole], ...] = ()
    switches: tuple[str, ...] = ()
    """Doors whose programme switch this contact is a position of."""


@dataclass(frozen=True)
class Index:
    """The plan by name."""

    contacts: dict[str, Routes]
    doors: dict[str, DoorPlan]
    watches: dict[str, tuple[str, ...]]
    """Point -> watches (their ids) that look at it."""
    relay_doors: dict[str, tuple[str, ...]]
    interlocks: dict[str, tuple[InterlockPlan, ...]]
    """Door -> the interlocks it belongs to."""
    fire_points: frozenset[str]
    severities: dict[tuple[str, str], Severity]
    """(subject, kind) where it is not the catalogue's."""
    subjects: dict[str, tuple[str, ...]]
    """Door -> what its alarms are about: itself and the points that belong to it."""
    service: dict[str, tuple[str, ...]]
    """The same the other way round: subject -> the doors whose service mode mutes its faults."""
    rooms: dict[str, tuple[tuple[str, PointRole], ...]]
    """Contact or meter -> the rooms it belongs to, and as what."""
    room_plans: dict[str, RoomPlan]
    room_subjects: dict[str, tuple[str, ...]]
    """Room -> what its alarms are about: itself and the points that belong to it."""


def index(plan: BuildingPlan) -> Index:
    """Read the plan from the other side."""
    watches: dict[str, tuple[str, ...]] = {}
    severities: dict[tuple[str, str], Severity] = {}
    for watch in plan.watches:
        watches[watch.point] = (*watches.get(watch.point, ()), watch.id)
        severities[watch.point, f"watch:{watch.id}"] = watch.severity
    for contact in plan.contacts:
        for kind in ("contact_stuck", "contact_chattering", "contact_unknown"):
            severities[contact.point, kind] = contact.fault_severity
    rooms: dict[str, tuple[tuple[str, PointRole], ...]] = {}
    for room in plan.rooms:
        for line in room.lines:
            for kind in ("meter_silent", "implausible", "meter_frozen"):
                severities[line.point, kind] = "urgent"
        for role, point in points_in(room):
            if role.kinds != RELAY:
                rooms[point] = (*rooms.get(point, ()), (room.id, role))
    relay_doors: dict[str, tuple[str, ...]] = {}
    subjects: dict[str, tuple[str, ...]] = {}
    service: dict[str, tuple[str, ...]] = {}
    for door in plan.doors:
        for role, point in points_in(door):
            if role.kinds == RELAY:
                relay_doors[point] = (*relay_doors.get(point, ()), door.id)
        subjects[door.id] = _subjects(door)
        for subject in subjects[door.id]:
            service[subject] = (*service.get(subject, ()), door.id)
    return Index(
        contacts=_contacts(plan),
        doors={door.id: door for door in plan.doors},
        watches=watches,
        relay_doors=relay_doors,
        interlocks={
            door.id: tuple(lock for lock in plan.interlocks if door.id in lock.doors)
            for door in plan.doors
        },
        fire_points=frozenset(door.fire.point for door in plan.doors if door.fire is not None),
        severities=severities,
        subjects=subjects,
        service=service,
        rooms=rooms,
        room_plans={room.id: room for room in plan.rooms},
        room_subjects={room.id: _subjects(room) for room in plan.rooms},
    )


def _subjects(plan: DoorPlan | RoomPlan) -> tuple[str, ...]:
    """A door or room, and the points that belong to it."""
    return (plan.id, *(point for role, point in points_in(plan) if role.own))


def selected(door: DoorPlan, active: frozenset[str]) -> Mode | None:
    """What the programme switch selects: the first of its positions that is active."""
    return next((mode for point, mode in door.mode_switch if point in active), None)


def _contacts(plan: BuildingPlan) -> dict[str, Routes]:
    """What each contact means to the doors."""
    activators: dict[str, list[tuple[str, ActivatorPlan]]] = {}
    roles: dict[str, list[tuple[str, PointRole]]] = {}
    switches: dict[str, list[str]] = {}
    for door in plan.doors:
        for activator in door.activators:
            activators.setdefault(activator.point, []).append((door.id, activator))
        for role, point in points_in(door):
            if role in DOOR_ROLES:
                roles.setdefault(point, []).append((door.id, role))
            elif role == MODE_SWITCH:
                switches.setdefault(point, []).append(door.id)
    return {
        point: Routes(
            tuple(activators.get(point, ())),
            tuple(roles.get(point, ())),
            tuple(switches.get(point, ())),
        )
        for point in (contact.point for contact in plan.contacts)
    }
