"""Which doors and rooms a point belongs to.

Made once from the plan, so that a step touches only the machines that a contact concerns.
"""

from __future__ import annotations

from typing import Literal

from gateway.core.events import Mode
from gateway.core.plan import (
    ActivatorPlan,
    BuildingPlan,
    DoorPlan,
    InterlockPlan,
    RoomPlan,
    Severity,
)
from gateway.core.values import dataclass

Role = Literal["leaf", "bolt", "operator_fault", "presence", "fire"]
RoomRole = Literal[
    "cord",
    "line",
    "cancel",
    "presence",
    "motion",
    "elsewhere",
    "door",
    "bolt",
    "tap",
    "leak",
    "climate",
]


@dataclass(frozen=True)
class Routes:
    """What one contact means. Doors are named by their id."""

    activators: tuple[tuple[str, ActivatorPlan], ...] = ()
    roles: tuple[tuple[str, Role], ...] = ()
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
    rooms: dict[str, tuple[tuple[str, RoomRole], ...]]
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
    rooms: dict[str, tuple[tuple[str, RoomRole], ...]] = {}
    for room in plan.rooms:
        for line in room.lines:
            for kind in ("meter_silent", "implausible", "meter_frozen"):
                severities[line.point, kind] = "urgent"
        for point, role in sensors_of(room):
            rooms[point] = (*rooms.get(point, ()), (room.id, role))
    relay_doors: dict[str, tuple[str, ...]] = {}
    subjects: dict[str, tuple[str, ...]] = {}
    service: dict[str, tuple[str, ...]] = {}
    for door in plan.doors:
        for point in relays_of(door):
            relay_doors[point] = (*relay_doors.get(point, ()), door.id)
        subjects[door.id] = (door.id, *relays_of(door), *contacts_of(door))
        for subject in subjects[door.id]:
            service[subject] = (*service.get(subject, ()), door.id)
    return Index(
        contacts={contact.point: _routes(plan, contact.point) for contact in plan.contacts},
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
        room_subjects={
            room.id: (
                room.id,
                *relays_in(room),
                *(p for p, r in sensors_of(room) if r not in SHARED),
            )
            for room in plan.rooms
        },
    )


def relays_of(door: DoorPlan) -> tuple[str, ...]:
    """The relays that a door drives."""
    indicator = None if door.indicator is None else door.indicator.point
    points = (door.activation, door.strike, door.hold_open, indicator)
    return tuple(point for point in points if point is not None)


def contacts_of(door: DoorPlan) -> tuple[str, ...]:
    """The contacts that belong to a door alone (a fire contact belongs to the house)."""
    points = (
        door.leaf,
        door.bolt,
        door.operator_fault,
        door.presence,
        *(activator.point for activator in door.activators),
        *(point for point, _ in door.mode_switch),
    )
    return tuple(point for point in points if point is not None)


SHARED: frozenset[RoomRole] = frozenset({"elsewhere"})
"""Roles of points that belong to another room, or to none."""


def sensors_of(room: RoomPlan) -> tuple[tuple[str, RoomRole], ...]:
    """The contacts and meters of a room, and what each is to it."""
    many: tuple[tuple[RoomRole, tuple[str | None, ...]], ...] = (
        ("cord", room.cords),
        ("line", tuple(line.point for line in room.lines)),
        ("cancel", (room.cancel,)),
        ("presence", (room.presence,)),
        ("motion", room.motion),
        ("elsewhere", room.elsewhere),
        ("door", (room.door,)),
        ("bolt", (room.bolt,)),
        ("tap", room.taps),
        ("leak", (room.leak,)),
        ("climate", (None if room.climate is None else room.climate.point,)),
    )
    return tuple((point, role) for role, points in many for point in points if point is not None)


def relays_in(room: RoomPlan) -> tuple[str, ...]:
    """The relays that a room drives."""
    fan = None if room.climate is None else room.climate.fan
    points = (room.reassurance, room.lamp, room.sounder, room.unlock, room.valve, fan)
    return tuple(point for point in points if point is not None)


def selected(door: DoorPlan, active: frozenset[str]) -> Mode | None:
    """What the programme switch selects: the first of its positions that is active."""
    return next((mode for point, mode in door.mode_switch if point in active), None)


def _routes(plan: BuildingPlan, point: str) -> Routes:
    activators: list[tuple[str, ActivatorPlan]] = []
    roles: list[tuple[str, Role]] = []
    switches: list[str] = []
    for door in plan.doors:
        activators += [(door.id, a) for a in door.activators if a.point == point]
        meant: tuple[tuple[Role, str | None], ...] = (
            ("fire", door.fire.point if door.fire is not None else None),
            ("leaf", door.leaf),
            ("bolt", door.bolt),
            ("operator_fault", door.operator_fault),
            ("presence", door.presence),
        )
        roles += [(door.id, role) for role, named in meant if named == point]
        if any(position == point for position, _ in door.mode_switch):
            switches.append(door.id)
    return Routes(tuple(activators), tuple(roles), tuple(switches))
