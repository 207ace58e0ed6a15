"""Parts of a building for tests, as the settings make them where the file says nothing of them.

A test names what is special in it. All else comes from ``plans.yaml`` by way of the settings, so
no test repeats a default.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from gateway.app.configuration import load
from gateway.core.instant import Ms
from gateway.core.machine import replace
from gateway.core.plan import (
    ActivatorKind,
    ActivatorPlan,
    ClimatePlan,
    ContactPlan,
    DoorPlan,
    EscalationStepPlan,
    IndicatorPlan,
    LinePlan,
    MeterPlan,
    RoomPlan,
    Severity,
    Side,
    WatchPlan,
)
from gateway.settings.plan.building import plan

FILE: Final = Path(__file__).with_name("plans.yaml")
_PLAN: Final = plan(load.settings(FILE), now_utc_ms=0)
_CONTACTS: Final = {one.point: one for one in _PLAN.contacts}
_METER, _ = _PLAN.meters
_DOOR, _MAINTAINED = _PLAN.doors
(_ROOM,) = _PLAN.rooms
(_WATCH,) = _PLAN.watches


def contact(point: str, **changes: Any) -> ContactPlan:
    """A contact that nothing is known of but its name."""
    return replace(_CONTACTS["contact"], point=point, **changes)


def button(point: str, **changes: Any) -> ContactPlan:
    """A contact that people press."""
    return replace(_CONTACTS["button"], point=point, **changes)


def emergency(point: str, **changes: Any) -> ContactPlan:
    """A contact that an emergency is called with: a pull cord, a fire alarm."""
    return replace(_CONTACTS["cord"], point=point, **changes)


def meter(
    point: str,
    quantities: tuple[str, ...],
    silent_after_ms: Ms,
    limits: tuple[tuple[str, float, float], ...] = (),
    **changes: Any,
) -> MeterPlan:
    """A meter that tells every change."""
    changes = {"dead_bands": (), **changes}
    return replace(
        _METER,
        point=point,
        quantities=quantities,
        silent_after_ms=silent_after_ms,
        limits=limits,
        **changes,
    )


def activator(point: str, kind: ActivatorKind, side: Side, **changes: Any) -> ActivatorPlan:
    """What people ask for a door with."""
    return replace(_DOOR.activators[0], point=point, kind=kind, side=side, **changes)


def indicator(point: str, **changes: Any) -> IndicatorPlan:
    """The lamp at a door."""
    assert _DOOR.indicator is not None
    return replace(_DOOR.indicator, point=point, **changes)


def door(id: str, name: str, activation: str, **changes: Any) -> DoorPlan:
    """A door that is opened by a pulse, with nothing but its activation."""
    bare = replace(_DOOR, activators=(), indicator=None)
    return replace(bare, id=id, name=name, activation=activation, **changes)


def maintained_door(id: str, name: str, activation: str, **changes: Any) -> DoorPlan:
    """The same, open for as long as the activation is on."""
    return replace(_MAINTAINED, id=id, name=name, activation=activation, **changes)


def watch(
    id: str,
    point: str,
    severity: Severity,
    delay_ms: Ms,
    *,
    active: bool | None = None,
    **changes: Any,
) -> WatchPlan:
    """A watched contact where ``active`` is said, else a meter."""
    named = replace(_WATCH, id=id, point=point, severity=severity, delay_ms=delay_ms)
    return replace(named, active=active, **changes)


def line(point: str) -> LinePlan:
    """A cord on a supervised line with the usual resistors."""
    return replace(_ROOM.lines[0], point=point)


def climate(point: str, **changes: Any) -> ClimatePlan:
    """What is made of the values of a climate meter."""
    assert _ROOM.climate is not None
    return replace(_ROOM.climate, point=point, **changes)


def room(id: str, name: str, **changes: Any) -> RoomPlan:
    """A room with nothing in it."""
    bare = replace(_ROOM, cords=(), lines=(), cancel=None, motion=(), climate=None)
    return replace(bare, id=id, name=name, **changes)


def step(receiver: str, after_ms: Ms) -> EscalationStepPlan:
    """A step of a service chain."""
    return EscalationStepPlan(receiver, after_ms, None)


def last_step(receiver: str, every_ms: Ms) -> EscalationStepPlan:
    """The step of a service chain that is repeated."""
    return EscalationStepPlan(receiver, None, every_ms)
