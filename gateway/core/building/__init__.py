"""The building: every machine of the core, and how they come together.

A step first lives through what is due, each deadline at its own time, and then takes the event.
Each part of that has a file:

* ``state``: the building as it stands between two steps;
* ``registry``: which machines there are, a row each;
* ``loop``: it lets them take their steps, one after the other;
* ``wiring`` (with ``wiring_rooms``, ``wiring_messages`` and ``conditions``): what the step of one
  machine means to the others;
* ``commands``: what people ask for, and the one answer that each of them gets;
* ``kept`` and ``restore``: what survives a restart;
* ``routing``: the plan, read from the terminals' side.

    level -> contact -> settled change -> door -> drive -> relay -> effect
                                       -> watch, programme switch, fire
    command -> schedule | door | alarms | relay -> one reply
    conditions of any machine, when they change -> alarms

Nothing is shared between two steps but the frozen state, so a step that raised leaves the
building as it was, and the same events give the same building.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.building import commands, routing
from gateway.core.building.kept import kept
from gateway.core.building.loop import Loop
from gateway.core.building.registry import MACHINES
from gateway.core.building.restore import deserted, doubts_over, restored, tested
from gateway.core.building.state import Building
from gateway.core.building.wiring import begun, noticed, reported
from gateway.core.effects import Drive, Reply
from gateway.core.events import AnyCommand, CommandRefused, Event, Level, Reported
from gateway.core.facts import Json
from gateway.core.instant import Ms
from gateway.core.machine import Broken, Step
from gateway.core.plan import BuildingPlan
from gateway.core.signals.clock import Past

__all__ = ["Building", "Past", "deserted", "kept", "restore", "start", "step", "tested", "wake_at"]

UNKNOWN_PAST = Past()


def start(
    plan: BuildingPlan, kept: Mapping[str, Json] | None, now: Ms, past: Past = UNKNOWN_PAST
) -> Step[Building]:
    """Every relay off, everything unknown. ``kept``: what :func:`kept` gave before the restart;
    ``None`` where it is not readable (yet). ``past``: what is known of the boots before."""
    fields = {one.field: one.start(plan, now, past) for one in MACHINES.values()}
    loop = Loop(Building(plan, routing.index(plan), now, **fields), now, now)
    loop.begin()
    loop.effects += [Drive(relay.point, False) for relay in plan.relays]
    loop.do(begun(loop.building))
    if kept is not None:
        loop.do(restored(loop.building, kept, past))
    loop.do(noticed(loop.building))
    return _ended(loop)


def restore(
    building: Building, kept: Mapping[str, Json], now: Ms, past: Past = UNKNOWN_PAST
) -> Step[Building]:
    """The kept state became readable only after start."""
    present_ms = max(now, building.now_ms)
    loop = Loop(building, present_ms, present_ms)
    loop.live()
    loop.do(restored(loop.building, kept, past))
    return _ended(loop)


def step(building: Building, event: Event | None, now: Ms) -> Step[Building]:
    """Live until ``now``, then take the event. Who comes with an earlier ``now`` than before
    is taken to come at once.

    A level that comes late is lived at the time of its edge, before the deadlines that lie
    between its edge and ``now``. Only a press is answered in the present (see ``Loop``)."""
    if event is None and (building.wake_ms is None or building.wake_ms > now):
        return Step(building)
    present_ms = until_ms = max(now, building.now_ms)
    if isinstance(event, Level):
        until_ms = min(present_ms, max(building.now_ms, event.edge_ms))
    loop = Loop(building, until_ms, present_ms)
    loop.live()
    if isinstance(event, Reported):
        loop.do(reported(loop.building, event))
    elif event is not None:
        _command(loop, event)
    return _ended(loop)


def _command(loop: Loop, event: AnyCommand | CommandRefused) -> None:
    """Each gets exactly one reply; a request that waits for an interlock gets it when its turn
    comes or its time is over."""
    answered = len(loop.effects)
    loop.do(commands.taken(loop.building, event))
    if isinstance(event, CommandRefused):
        return
    mine = [e for e in loop.effects[answered:] if isinstance(e, Reply) and e.command == event.id]
    if len(mine) != 1 and not (not mine and commands.waits(loop.building, event)):
        raise Broken(f"{event} has {len(mine)} replies")


def wake_at(building: Building) -> Ms | None:
    """The next instant at which time alone changes something."""
    return building.wake_ms


def _ended(loop: Loop) -> Step[Building]:
    """What stood before the restart and is seen to stand no longer has gone."""
    loop.do(doubts_over(loop.building))
    return loop.end()
