"""Occupancy, leak and climate of a room, between points, alarms and relays.

Functions over ``Turn``, called by ``rooms`` only. The machines are ``occupancy``, ``leak`` and
``climate``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gateway.core import alarms
from gateway.core.effects import Reply
from gateway.core.events import ResetAlarm
from gateway.core.facts import Json
from gateway.core.machine import Ms
from gateway.core.plan import BuildingPlan

if TYPE_CHECKING:
    from gateway.core.contact import Change
    from gateway.core.kept import Kept
    from gateway.core.routing import RoomRole
    from gateway.core.state import Building
    from gateway.core.turn import Turn


def occupancies(plan: BuildingPlan, now: Ms) -> Mapping[str, object]:
    """The rooms of which anything is seen."""
    del plan, now
    return {}


def leaks(plan: BuildingPlan, now: Ms) -> Mapping[str, object]:
    """The rooms with a water sensor."""
    del plan, now
    return {}


def climates(plan: BuildingPlan, now: Ms) -> Mapping[str, object]:
    """The rooms with a climate meter."""
    del plan, now
    return {}


def begin(turn: Turn) -> None:
    """Every machine names its first deadline."""


def restore(turn: Turn, was: Kept) -> None:
    """What stood before the restart stands again."""


def kept(building: Building) -> dict[str, Json]:
    """What must survive a restart: a section for each sort of machine (read it back from
    ``Kept.sections``). It must not change without a fact, or nobody writes it."""
    del building
    return {}


def healed(building: Building, room: str, kind: str) -> bool:
    """Whether it is seen that this alarm about the room, from before the restart, is over."""
    del building, room, kind
    return True


def shown(building: Building, room: str, now: Ms) -> dict[str, Json]:
    """The room as people see it: occupancy, leak and climate, ``None`` where there is none."""
    del building, room, now
    return {"occupancy": None, "occupancy_since_ms": None, "leak": None, "climate": None}


def live(turn: Turn, sort: int, name: str) -> None:
    """A deadline of the machine of this sort in the room ``name``."""


def changed(turn: Turn, room: str, role: RoomRole, point: str, change: Change) -> None:
    """A contact of the room has changed."""


def metered(turn: Turn, room: str) -> None:
    """The climate meter of the room has a value, a gap or a fault."""


def clock_changed(turn: Turn) -> None:
    """The civil time is known, is trusted, is not trusted any more, or jumped."""


def reset(turn: Turn, event: ResetAlarm) -> Reply:
    """Staff reset a latched alarm."""
    known = alarms.find(turn.alarms, event.alarm)
    return Reply(event.id, "refused", "unknown_alarm" if known is None else "not_latched")
