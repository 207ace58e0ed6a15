"""What the rooms' machines mean to each other, to the points and to people.

Functions over :class:`gateway.core.turn.Turn`, which calls them at these places: a settled
change of a contact, a meter's value, a deadline, the clock, an alarm that came or went, a
command, what was kept. Each hands on to the machine it concerns; the call is wired here, the
other machines of a room in ``surroundings``, those that tell people in ``telling``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gateway.core import state, surroundings, telling
from gateway.core.alarms import listed
from gateway.core.effects import Reply
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

RoomCommand = AcknowledgeCall | TestRoom | ResetAlarm | ConfirmMessage


def calls(plan: BuildingPlan, now: Ms) -> Mapping[str, object]:
    """The calls of the rooms that have a cord."""
    del plan, now
    return {}


def begin(turn: Turn) -> None:
    """Every machine names its first deadline."""
    surroundings.begin(turn)
    telling.begin(turn)


def restore(turn: Turn, was: Kept) -> None:
    """What stood before the restart stands again. The alarm list is restored already."""
    surroundings.restore(turn, was)
    telling.restore(turn, was)


def kept(building: Building) -> dict[str, Json]:
    """What of it must survive a restart, a section for each sort of machine."""
    return {**surroundings.kept(building), **telling.kept(building)}


def healed(building: Building, room: str, kind: str) -> bool:
    """Whether it is seen that this alarm about a room, from before the restart, is over."""
    return surroundings.healed(building, room, kind)


def shown(building: Building, room: str, now: Ms) -> dict[str, Json]:
    """A room as people see it."""
    plan, mine = building.index.room_plans[room], building.index.room_subjects[room]
    return {
        "name": plan.name,
        **surroundings.shown(building, room, now),
        "alarms": [alarm.id for alarm in listed(building.alarms) if alarm.subject in mine],
    }


def live(turn: Turn, sort: int, name: str) -> None:
    """A deadline of one of these machines is due."""
    match sort:
        case state.OCCUPANCY | state.LEAK | state.CLIMATE:
            surroundings.live(turn, sort, name)
        case _:
            telling.live(turn, sort, name)


def changed(turn: Turn, point: str, was: bool | None, change: Change) -> None:
    """A settled change of a contact, from ``was``."""
    for room, role in turn.index.rooms.get(point, ()):
        surroundings.changed(turn, room, role, point, change)


def metered(turn: Turn, point: str) -> None:
    """A meter has a value, a gap or a fault."""
    for room, role in turn.index.rooms.get(point, ()):
        if role == "climate":
            surroundings.metered(turn, room)


def clock_changed(turn: Turn) -> None:
    """The civil time is known, is trusted, is not trusted any more, or jumped."""
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
            return Reply(event.id, "refused", "unknown_call")
        case TestRoom():
            return Reply(event.id, "refused", "unknown_room")
        case ResetAlarm():
            return surroundings.reset(turn, event)
        case _:
            return telling.confirm(turn, event)
