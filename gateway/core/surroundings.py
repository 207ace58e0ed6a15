"""Occupancy, leak and climate of a room, between points, alarms and relays.

Functions over ``Turn``, called by ``rooms`` only. The machines are ``occupancy``, ``leak`` and
``climate``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, cast

from gateway.core import alarms, climate, leak, occupancy, state
from gateway.core.climate import Climate
from gateway.core.effects import Drive, Effect, Reply
from gateway.core.events import ResetAlarm
from gateway.core.facts import Json
from gateway.core.leak import Leak
from gateway.core.machine import Ms
from gateway.core.occupancy import Occupancy
from gateway.core.plan import BuildingPlan

if TYPE_CHECKING:
    from gateway.core.contact import Change
    from gateway.core.kept import Kept
    from gateway.core.routing import RoomRole
    from gateway.core.state import Building
    from gateway.core.turn import Turn

TEMPERATURE, HUMIDITY = "temperature_c", "humidity_percent"


def occupancies(plan: BuildingPlan, now: Ms) -> Mapping[str, Occupancy]:
    """The rooms of which anything is seen. (A door alone tells nothing.)"""
    seen = (room for room in plan.rooms if room.motion or room.taps or room.bolt)
    return {room.id: occupancy.start(room, now) for room in seen}


def leaks(plan: BuildingPlan) -> Mapping[str, Leak]:
    """The rooms with a water sensor."""
    return {room.id: leak.start(room) for room in plan.rooms if room.leak is not None}


def climates(plan: BuildingPlan) -> Mapping[str, Climate]:
    """The rooms with a climate meter."""
    return {room.id: climate.start(room.climate) for room in plan.rooms if room.climate is not None}


def begin(turn: Turn) -> None:
    """Every machine names its first deadline."""
    for room, one in turn.occupancies.items():
        turn.wake((state.OCCUPANCY, room), occupancy.wake_at(one))


def restore(turn: Turn, was: Kept) -> None:
    """What stood before the restart stands again: a leak, and its valve is closed."""
    section = was.sections.get("leaks")
    for room in section if isinstance(section, list) else ():
        if isinstance(room, str) and room in turn.leaks:
            _step_leak(turn, room, leak.Restored())


def kept(building: Building) -> dict[str, Json]:
    """What must survive a restart: a section for each sort of machine (read it back from
    ``Kept.sections``). It must not change without a fact, or nobody writes it."""
    return {"leaks": [room for room, one in building.leaks.items() if one.latched]}


def healed(building: Building, room: str, kind: str) -> bool:
    """Whether it is seen that this alarm about the room, from before the restart, is over."""
    match kind:
        case "long_stay" | "no_motion":
            seen = building.occupancies.get(room)
            return seen is None or seen.belief == "vacant"
        case "leak":
            # Latched again by what was kept; without a sensor there is nothing to wait for.
            water = building.leaks.get(room)
            return water is None or (water.wet is False and not water.latched)
        case "frost" | "mould":
            air = building.climates.get(room)
            return air is None or air.known(kind)
        case _:
            return True


def shown(building: Building, room: str, now: Ms) -> dict[str, Json]:
    """The room as people see it: occupancy, leak and climate, ``None`` where there is none."""
    del now
    seen = building.occupancies.get(room)
    return {
        "occupancy": None if seen is None else seen.belief,
        "occupancy_since_ms": None if seen is None else seen.since_ms,
        "exported": seen is not None and "occupancy" in building.plan.export,
        "leak": _leak_shown(building, room),
        "climate": _climate_shown(building, room),
    }


def _leak_shown(building: Building, room: str) -> Json:
    one = building.leaks.get(room)
    if one is None:
        return None
    valve = one.plan.valve
    closed = None if valve is None else building.relays[valve].on
    return {"wet": one.wet, "latched": one.latched, "valve_closed": closed}


def _climate_shown(building: Building, room: str) -> Json:
    one = building.climates.get(room)
    if one is None:
        return None
    fan = one.plan.fan
    return {
        "point": one.plan.point,
        "temperature_c": one.temperature_c,
        "humidity_percent": one.humidity_percent,
        "dew_point_c": one.dew_point_c,
        "at_ms": one.at_ms,
        "fan": None if fan is None else building.relays[fan].on,
    }


# --- the machines take a step -------------------------------------------------------------


def _step_occupancy(turn: Turn, room: str, event: occupancy.Event | None) -> None:
    before = turn.occupancies[room]
    result = occupancy.step(before, event, turn.now)
    turn.occupancies = {**turn.occupancies, room: result.state}
    turn.wake((state.OCCUPANCY, room), occupancy.wake_at(result.state))
    turn.facts += result.facts
    turn.conditions(room, before.conditions, result.state.conditions)


def _step_leak(turn: Turn, room: str, event: leak.Event) -> None:
    before = turn.leaks[room]
    result = leak.step(before, event, turn.now)
    turn.leaks = {**turn.leaks, room: result.state}
    turn.facts += result.facts
    _drive(turn, result.effects)
    turn.conditions(room, before.conditions, result.state.conditions)


def _step_climate(turn: Turn, room: str, event: climate.Seen | None) -> None:
    before = turn.climates[room]
    result = climate.step(before, event, turn.now)
    turn.climates = {**turn.climates, room: result.state}
    turn.wake((state.CLIMATE, room), climate.wake_at(result.state))
    turn.facts += result.facts
    _drive(turn, result.effects)
    turn.conditions(room, before.conditions, result.state.conditions)


def _drive(turn: Turn, effects: Iterable[Effect]) -> None:
    """A valve or fan that two rooms share stays on for as long as one of them wants it."""
    for effect in (effect for effect in effects if isinstance(effect, Drive)):
        on = effect.on or _wanted(turn, effect.point)
        turn.step_relay(effect.point, Drive(effect.point, on))


def _wanted(turn: Turn, point: str) -> bool:
    return any(one.latched and one.plan.valve == point for one in turn.leaks.values()) or any(
        one.fan and one.plan.fan == point for one in turn.climates.values()
    )


# --- what others tell them ----------------------------------------------------------------


def live(turn: Turn, sort: int, name: str) -> None:
    """A deadline of the machine of this sort in the room ``name``. (A leak waits for nothing.)"""
    if sort == state.OCCUPANCY:
        _step_occupancy(turn, name, None)
    else:
        _step_climate(turn, name, None)


def changed(turn: Turn, room: str, role: RoomRole, point: str, change: Change) -> None:
    """A contact of the room has changed."""
    if role == "leak":
        _step_leak(turn, room, leak.Seen(change.active))
    elif room in turn.occupancies:
        # One that stuck before the restart is not believed until it has let go.
        active = None if turn.contacts[point].stuck else change.active
        seen = occupancy.Seen(cast("occupancy.Role", role), point, active)
        _step_occupancy(turn, room, seen)


def metered(turn: Turn, room: str) -> None:
    """The climate meter of the room has a value, a gap or a fault."""
    one = turn.climates[room]
    series = turn.meters[one.plan.point].series
    cold, humid = series.get(TEMPERATURE), series.get(HUMIDITY)
    seen = climate.Seen(
        None if cold is None else cold.value,
        None if humid is None else humid.value,
        next((one.reason for one in (cold, humid) if one is not None and one.reason), ""),
    )
    _step_climate(turn, room, seen)


def clock_changed(turn: Turn) -> None:
    """The civil time is known, is trusted, is not trusted any more, or jumped. (Its offset is
    the last that was trusted.)"""
    for room in turn.occupancies:
        _step_occupancy(turn, room, occupancy.ClockKnown(turn.clock.offset_ms or 0))


def reset(turn: Turn, event: ResetAlarm) -> Reply:
    """Staff reset a latched alarm."""
    alarm = alarms.find(turn.alarms, event.alarm)
    if alarm is None:
        return Reply(event.id, "refused", "unknown_alarm")
    one = turn.leaks.get(alarm.subject)
    if alarm.kind != "leak" or one is None or not one.latched:
        return Reply(event.id, "refused", "not_latched")
    if one.wet is not False:
        return Reply(event.id, "refused", "still_wet")
    _step_leak(turn, alarm.subject, leak.Reset(event.issuer.name))
    return Reply(event.id, "accepted")
