"""The building: every machine of the core, and the only file that knows them all.

A step first lives through what is due, each deadline at its own time, and then takes the
event. What one machine says to another is said here, in the order in which it happens::

    level -> contact -> settled change -> door -> drive -> relay -> effect
                                       -> watch, programme switch, fire
    command -> schedule | door | alarms | relay -> one reply
    conditions of any machine, when they change -> alarms

Nothing is shared between two steps but the frozen state, so a step that raised leaves the
building as it was, and the same events give the same building.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core import commands
from gateway.core.clock import Past
from gateway.core.events import Event, Level, Reported
from gateway.core.facts import Json
from gateway.core.kept import kept
from gateway.core.machine import Broken, Ms, Step
from gateway.core.plan import BuildingPlan
from gateway.core.state import Building
from gateway.core.turn import Turn, blank

__all__ = ["Building", "Past", "kept", "restore", "start", "step", "wake_at"]

DEADLINES_PER_STEP = 1_000_000
"""More than any building has in a step: beyond it a machine asks for the past again."""


UNKNOWN_PAST = Past()


def start(
    plan: BuildingPlan, kept: Mapping[str, Json] | None, now: Ms, past: Past = UNKNOWN_PAST
) -> Step[Building]:
    """Every relay off, everything unknown. ``kept``: what :func:`kept` gave before the restart;
    ``None`` where it is not readable (yet). ``past``: what is known of the boots before."""
    turn = Turn(blank(plan, now, past), now, now)
    turn.begin()
    if kept is not None:
        turn.restore(kept, past)
    turn.notices()
    return turn.end()


def restore(
    building: Building, kept: Mapping[str, Json], now: Ms, past: Past = UNKNOWN_PAST
) -> Step[Building]:
    """The kept state became readable only after start."""
    turn = _lived(building, None, now)
    turn.restore(kept, past)
    return turn.end()


def step(building: Building, event: Event | None, now: Ms) -> Step[Building]:
    """Live until ``now``, then take the event. Who comes with an earlier ``now`` than before
    is taken to come at once.

    A level that comes late is lived at the time of its edge, before the deadlines that lie
    between its edge and ``now``. Only a press is answered in the present (see ``Turn``)."""
    if event is None and (building.wake_ms is None or building.wake_ms > now):
        return Step(building)
    turn = _lived(building, event, now)
    if isinstance(event, Reported):
        turn.take(event)
    elif event is not None:
        commands.take(turn, event)
    return turn.end()


def wake_at(building: Building) -> Ms | None:
    """The next instant at which time alone changes something."""
    return building.wake_ms


def _lived(building: Building, event: Event | None, now: Ms) -> Turn:
    present_ms = max(now, building.now_ms)
    until_ms = present_ms
    if isinstance(event, Level):
        until_ms = min(present_ms, max(building.now_ms, event.edge_ms))
    turn = Turn(building, until_ms, present_ms)
    if building.wake_ms is not None and building.wake_ms <= turn.until_ms:
        lived = 0
        while turn.live_next():
            lived += 1
            if lived > DEADLINES_PER_STEP:
                raise Broken("a machine asks to be woken in the past again and again")
    turn.now = turn.until_ms
    return turn
