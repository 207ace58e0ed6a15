"""The building: every machine of the core, and how they come together.

A step first processes the deadlines that are due, each at its own time, and then takes the event.
Each part of that has a file:

* ``state``: the building as it stands between two steps;
* ``registry``: which machines there are, a row each;
* ``loop``: it lets them take their steps, one after the other, from pieces of ``work``;
* ``wiring`` (with ``wiring_rooms``, ``wiring_messages`` and ``conditions``): what the step of one
  machine means to the others;
* ``commands``: what people ask for, and the one answer that each of them gets;
* ``saved_state`` and ``after_restart``: what survives a restart (``merge_backup``: of a backup);
* ``routing``: which doors and rooms a point belongs to;
* ``snapshot`` (with ``snapshot_rooms``): the building as others see it.

    level -> contact -> settled change -> door -> drive -> relay -> effect
                                       -> watch, programme switch, fire
    command -> schedule | door | alarms | relay -> one reply
    conditions of any machine, when they change -> alarms

Nothing is shared between two steps but the frozen state, so a step that raised leaves the
building as it was, and the same events give the same building.

How time runs within a step. The loop of the process may come late, but what happened happened at
its own time. To *live* an instant is to process what was due then as if it were then: facts carry
that instant, and the deadlines that follow count from it.

==============  ======================================================================
``edge_ms``     the instant of an edge as the kernel stamped it: part of the event
``now``         of :func:`step`: the present, at which the loop has come
``present_ms``  the same within the step (never before ``building.now_ms``)
``until_ms``    how far time runs in this step: for a level to its edge, else to the present
``now_ms``      the instant that is being lived: it moves from deadline to deadline up to
                ``until_ms``; between two steps, how far the building has been lived
==============  ======================================================================

An edge at 10, a deadline at 15 (the level has settled), and a loop that comes at 40::

    step(level, now=40)  until_ms 10, present_ms 40   deadlines up to 10; the level at 10
    step(None, now=40)   until_ms 40, present_ms 40   the deadline at 15: its fact says 15

Two things are of the present, whatever is lived. What is *switched* is switched now: a pulse that
begins late is not shorter for it, so relays are given ``present_ms`` and a door is given both
instants. A *press* is answered now: its edge tells how old it is, and one older than two seconds is
stale. The piece of work :class:`At` moves ``now_ms`` to the present for these, and back. Which of
the instants a machine is given is a column of ``registry`` (``instant``).
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.building import commands, routing
from gateway.core.building.after_restart import deserted, doubts_over, restored, tested
from gateway.core.building.loop import Loop
from gateway.core.building.registry import MACHINES
from gateway.core.building.saved_state import state_to_save
from gateway.core.building.state import Building
from gateway.core.building.wiring import begun, noticed, reported
from gateway.core.effects import Drive, Reply
from gateway.core.events import AnyCommand, CommandRefused, Event, Level, Reported
from gateway.core.facts import Json
from gateway.core.instant import Ms
from gateway.core.machine import Broken, Step
from gateway.core.plan import BuildingPlan
from gateway.core.signals.clock import Past

__all__ = [
    "Building",
    "Past",
    "deserted",
    "restore",
    "start",
    "state_to_save",
    "step",
    "tested",
    "wake_at",
]

UNKNOWN_PAST = Past()


def start(
    plan: BuildingPlan, saved: Mapping[str, Json] | None, now: Ms, past: Past = UNKNOWN_PAST
) -> Step[Building]:
    """Every relay off, everything unknown. ``saved``: what :func:`state_to_save` gave before the
    restart; ``None`` where it is not readable (yet). ``past``: what is known of earlier boots."""
    fields = {one.field: one.start(plan, now, past) for one in MACHINES.values()}
    loop = Loop(Building(plan, routing.index(plan), now, **fields), now, now)
    loop.begin()
    loop.effects += [Drive(relay.point, False) for relay in plan.relays]
    loop.do(begun(loop.building))
    if saved is not None:
        loop.do(restored(loop.building, saved, past))
    loop.do(noticed(loop.building))
    return _ended(loop)


def restore(
    building: Building, saved: Mapping[str, Json], now: Ms, past: Past = UNKNOWN_PAST
) -> Step[Building]:
    """Put the saved state back, which became readable only after the start."""
    present_ms = max(now, building.now_ms)
    loop = Loop(building, present_ms, present_ms)
    loop.pass_deadlines()
    loop.do(restored(loop.building, saved, past))
    return _ended(loop)


def step(building: Building, event: Event | None, now: Ms) -> Step[Building]:
    """Process every deadline up to the event, then the event. An earlier ``now`` than that of the
    step before counts as the same instant.

    A level that comes late is taken at the time of its edge; the deadlines between its edge and
    ``now`` are left for the next step."""
    if event is None and (building.wake_ms is None or building.wake_ms > now):
        return Step(building)
    present_ms = until_ms = max(now, building.now_ms)
    if isinstance(event, Level):
        until_ms = min(present_ms, max(building.now_ms, event.edge_ms))
    loop = Loop(building, until_ms, present_ms)
    loop.pass_deadlines()
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
    """Take back what was restored as standing and has been seen to be over since."""
    loop.do(doubts_over(loop.building))
    return loop.end()
