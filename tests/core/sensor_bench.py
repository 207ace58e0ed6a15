"""A building with one room, for what its sensors mean there."""

from __future__ import annotations

from typing import cast

from gateway.core.effects import Reply
from gateway.core.events import ResetAlarm
from gateway.core.facts import Json
from gateway.core.instant import Ms
from gateway.core.plan import BuildingPlan, RelayPlan, RoomPlan
from tests import plans
from tests.core.building_bench import STAFF, Bench

CLIMATE = ("temperature_c", "humidity_percent")


def house_of(*rooms: RoomPlan) -> BuildingPlan:
    """The building of these rooms: what tells about a person is private, as configured."""
    private: dict[str, bool] = {}
    relays: list[str] = []
    meters: list[str] = []
    for room in rooms:
        seen = (*room.motion, *room.elsewhere, *room.taps, room.door, room.bolt)
        private |= {point: True for point in seen if point is not None}
        private |= {room.leak: False} if room.leak else {}
        relays += [room.valve] if room.valve else []
        if room.climate is not None:
            meters.append(room.climate.point)
            relays += [room.climate.fan] if room.climate.fan else []
    return BuildingPlan(
        "gw",
        contacts=tuple(plans.contact(point, private=one) for point, one in private.items()),
        relays=tuple(RelayPlan(point, None) for point in dict.fromkeys(relays)),
        meters=tuple(plans.meter(point, CLIMATE, 180_000) for point in meters),
        rooms=rooms,
    )


def room_of(bench: Bench, room: str = "wc") -> dict[str, Json]:
    """The room as people see it."""
    rooms = cast("dict[str, dict[str, Json]]", bench.shown()["rooms"])
    return rooms[room]


def reset(bench: Bench, now: Ms, alarm: str = "wc/leak") -> Reply:
    name = bench.name()
    bench.at(now, ResetAlarm(name, STAFF, now + 5000, alarm))
    return bench.replies[name]
