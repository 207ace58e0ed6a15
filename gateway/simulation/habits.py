"""What people do at the doors and in the rooms on an ordinary day, as edges of contacts.

Pure: the same plan, day and seed give the same edges. :mod:`gateway.simulation.calm` lives a year
of such days, and a bench a week of them.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from gateway.core.instant import Ms, UtcMs
from gateway.core.plan import BuildingPlan, DoorPlan, RoomPlan
from gateway.simulation.agenda import HOUR, MINUTE, SECOND, drawn
from gateway.simulation.days import Day, days

OFFICE: Mapping[int, float] = {
    7: 2.5, 8: 5.0, 9: 3.5, 10: 4.0, 11: 3.5, 12: 5.0, 13: 3.5, 14: 4.0, 15: 3.5, 16: 4.0, 17: 2.5,
    18: 1.0, 20: 0.3,
}  # fmt: skip
"""Hour of a working day -> people at a door in it, on average."""
WEEKEND: Mapping[int, float] = {9: 0.3, 10: 0.7, 11: 0.7, 14: 0.6, 15: 0.6, 17: 0.4}
VISITS = 0.3
"""Visits to a room for each person at the doors."""
QUIET_MONTHS: Mapping[str, float] = {"07": 0.75, "08": 0.7, "12": 0.85}
ATTENDED_MS: tuple[Ms, Ms] = (90 * SECOND, 4 * MINUTE)
"""Between the pull of a cord and the press on *presence*."""
HELPED_MS: tuple[Ms, Ms] = (2 * MINUTE, 6 * MINUTE)


FRIDAY = 4


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """A contact changes so long after the day's midnight."""

    at_ms: Ms
    point: str
    active: bool


def edges(plan: BuildingPlan, day: Day, seed: int) -> list[Edge]:
    """Everything that people do on this day, in order."""
    chance = random.Random(f"{seed}/{day.date}")
    crowd = OFFICE if day.works else WEEKEND
    busy = QUIET_MONTHS.get(day.date[5:7], 1.0)
    found: list[Edge] = []
    for door in plan.doors:
        found += _at_door(door, crowd, busy, chance)
    calls = day.date == date_in_month(day, "call", seed)
    for room in plan.rooms:
        found += _in_room(room, crowd, busy, chance, calls=calls and bool(room.cords))
    return sorted(found)


def between(
    plan: BuildingPlan, zone: ZoneInfo, from_utc_ms: UtcMs, until_utc_ms: UtcMs, seed: int
) -> list[tuple[UtcMs, str, bool]]:
    """(when, contact, active) of everything that people do after the one instant and until the
    other. Nobody has a holiday but on Saturday and Sunday."""
    first, last = (
        datetime.fromtimestamp(utc_ms / 1000, zone).date() for utc_ms in (from_utc_ms, until_utc_ms)
    )
    return [
        (at_ms, edge.point, edge.active)
        for day in days(first, (last - first).days + 1, zone, ())
        for edge in edges(plan, day, seed)
        if from_utc_ms < (at_ms := day.utc_ms + edge.at_ms) <= until_utc_ms
    ]


def date_in_month(day: Day, what: str, seed: int) -> str:
    """The day of this day's month on which something happens that happens once a month: no weekend,
    so that somebody is there."""
    month = day.date[:7]
    chosen = date.fromisoformat(month + "-01").replace(
        day=random.Random(f"{seed}/{what}/{month}").randrange(4, 23)
    )
    while chosen.weekday() > FRIDAY:
        chosen += timedelta(days=1)
    return chosen.isoformat()


def _instants(crowd: Mapping[int, float], share: float, chance: random.Random) -> Iterator[Ms]:
    for hour, people in crowd.items():
        for _ in range(drawn(chance, people * share)):
            yield hour * HOUR + chance.randrange(HOUR)


def _press(point: str, at_ms: Ms, chance: random.Random) -> list[Edge]:
    return [Edge(at_ms, point, True), Edge(at_ms + chance.randrange(250, 700), point, False)]


def _at_door(
    door: DoorPlan, crowd: Mapping[int, float], busy: float, chance: random.Random
) -> Iterator[Edge]:
    if not door.activators:
        return
    for at_ms in _instants(crowd, busy, chance):
        side = "outside" if chance.random() < (0.7 if at_ms < 12 * HOUR else 0.4) else "inside"
        near = [a.point for a in door.activators if a.side == side and a.kind == "button"]
        point = chance.choice(near or [a.point for a in door.activators])
        yield from _press(point, at_ms, chance)


def _in_room(
    room: RoomPlan, crowd: Mapping[int, float], busy: float, chance: random.Random, *, calls: bool
) -> Iterator[Edge]:
    free_ms: Ms = 0
    falls_ms = 10 * HOUR + chance.randrange(5 * HOUR) if calls else -1
    comes = {*_instants(crowd, busy * VISITS, chance), *([falls_ms] if calls else [])}
    for at_ms in sorted(comes):
        stays_ms = chance.randrange(2 * MINUTE, 9 * MINUTE)
        if at_ms < free_ms and at_ms != falls_ms:
            continue
        if at_ms == falls_ms:
            pull_ms = at_ms + stays_ms // 2
            ends_ms = yield from _call(room, pull_ms, chance)
            stays_ms = ends_ms - at_ms + MINUTE
        yield from _visit(room, at_ms, stays_ms, chance)
        free_ms = at_ms + stays_ms + 2 * MINUTE


def _call(room: RoomPlan, pull_ms: Ms, chance: random.Random) -> Generator[Edge, None, Ms]:
    """Somebody pulls; somebody comes, presses *presence*, helps, and ends the call in the room;
    returns when it is over."""
    cord = chance.choice(room.cords)
    yield Edge(pull_ms, cord, True)
    yield Edge(pull_ms + chance.randrange(400, 3_000), cord, False)
    comes_ms = pull_ms + chance.randrange(*ATTENDED_MS)
    if room.presence is not None:
        yield from _press(room.presence, comes_ms, chance)
    over_ms = comes_ms + chance.randrange(*HELPED_MS)
    if room.cancel is not None:
        yield from _press(room.cancel, over_ms, chance)
    return over_ms


def _visit(room: RoomPlan, at_ms: Ms, stays_ms: Ms, chance: random.Random) -> Iterator[Edge]:
    """In through the door, some moves, hands washed, out through the door."""
    leaves_ms = at_ms + stays_ms
    for door_ms in (at_ms, leaves_ms):
        if room.door is not None:
            yield Edge(door_ms, room.door, True)
            yield Edge(door_ms + 4 * SECOND, room.door, False)
    if room.bolt is not None:
        yield Edge(at_ms + 8 * SECOND, room.bolt, True)
        yield Edge(leaves_ms - 2 * SECOND, room.bolt, False)
    for tap in room.taps:
        yield Edge(leaves_ms - 40 * SECOND, tap, True)
        yield Edge(leaves_ms - 30 * SECOND, tap, False)
    moves_ms = at_ms + 5 * SECOND
    while moves_ms < leaves_ms - 15 * SECOND:
        lasts_ms = chance.randrange(3, 12) * SECOND
        for point in room.motion:
            yield Edge(moves_ms, point, True)
            yield Edge(moves_ms + lasts_ms, point, False)
        moves_ms += chance.randrange(20, 75) * SECOND
