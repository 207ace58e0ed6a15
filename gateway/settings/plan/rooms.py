"""From checked settings to the plan of the rooms."""

from __future__ import annotations

from gateway.core.plan import (
    ClimatePlan,
    LinePlan,
    RoomPlan,
)
from gateway.core.point_roles import ROOM
from gateway.settings.model.configuration import Settings
from gateway.settings.model.named_points import points_of
from gateway.settings.model.rooms import Line, Room


def rooms(settings: Settings) -> tuple[RoomPlan, ...]:
    """Every room, with its cords told apart by how they are wired."""
    return tuple(_room(settings, name, room) for name, room in settings.rooms.items())


def private(settings: Settings) -> frozenset[str]:
    """The contacts that tell about a person: they stay on the gateway."""
    return frozenset(
        point
        for room in settings.rooms.values()
        for role, point, _ in points_of(room, ROOM)
        if role.private
    )


def line(point: str, measured: Line) -> LinePlan:
    """The limits of a supervised line. Between rest and pulled they lie in the middle, as a
    ratio; half of the lesser is a short circuit and double the greater a cut wire."""
    rest, pulled = measured.rest_ohm, measured.pulled_ohm
    low, high, middle = min(rest, pulled) / 2, max(rest, pulled) * 2, (rest * pulled) ** 0.5
    below = pulled < rest
    return LinePlan(
        point=point,
        short_below_ohm=low,
        pulled_from_ohm=low if below else middle,
        pulled_to_ohm=middle if below else high,
        cut_above_ohm=high,
    )


def _room(settings: Settings, name: str, room: Room) -> RoomPlan:
    on_lines = [cord for cord in room.cord if settings.points[cord].kind == "meter"]
    return RoomPlan(
        id=name,
        name=room.name or name,
        cords=tuple(cord for cord in room.cord if cord not in on_lines),
        lines=tuple(line(cord, room.lines.get(cord, Line())) for cord in on_lines),
        cancel=room.cancel,
        presence=room.presence,
        reassurance=room.reassurance,
        lamp=room.lamp,
        sounder=room.sounder,
        unlock=room.unlock,
        escalation=room.escalation,
        attend_within_ms=room.attend_within_ms,
        motion=room.motion,
        elsewhere=room.elsewhere,
        door=room.door,
        bolt=room.bolt,
        taps=room.taps,
        vacant_after_ms=room.vacant_after_ms,
        lingers_ms=room.lingers_ms,
        doubt_after_ms=room.doubt_after_ms,
        long_stay_after_ms=room.long_stay_after_ms,
        no_motion_after_ms=room.no_motion_after_ms,
        leak=room.leak,
        valve=room.valve,
        climate=None if room.climate is None else _climate(room, room.climate),
    )


def _climate(room: Room, point: str) -> ClimatePlan:
    return ClimatePlan(
        point=point,
        frost_below_c=room.frost_below_c,
        mould_above_percent=room.mould_above_percent,
        mould_after_ms=room.mould_after_ms,
        fan=room.fan,
        fan_above_percent=room.fan_above_percent,
        fan_below_percent=room.fan_below_percent,
        fan_run_on_ms=room.fan_run_on_ms,
    )
