"""The interlock (*Schleuse*): of a group of doors one is open at a time.

The machine sees each door as two bits: it is *busy* (open, opening, held or assumed so),
or it *waits* because somebody asked for it while another was busy. Its state is the order
in which that happened; whose turn it is follows from it and is never stored:

* while doors are busy, the only one that may go on is a door that is busy alone;
* while none is, the first that waits may open, or any door if none waits.

So a door that was opened by hand counts as well as one that was asked for, two doors that
wait are served in turn, and nothing can be forgotten: there is no token to lose. Fire is
no matter of this machine: a door under fire alarm does not ask.

``building`` tells what it sees after each step of a door (:class:`Seen`), then tells every
door of the group ``Interlocked(free_for(interlock, door), plan.wait_ms)`` where that has
changed, until nothing changes any more.
"""

from __future__ import annotations

from gateway.core.instant import Ms
from gateway.core.machine import Step, replace
from gateway.core.plan import InterlockPlan
from gateway.core.values import dataclass


@dataclass(frozen=True)
class Interlock:
    """``busy`` and ``waiting``: doors, those first that were first."""

    plan: InterlockPlan
    busy: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


@dataclass(frozen=True)
class Seen:
    """How a door of the group looks after a step (``Door.busy``, ``Door.waits``)."""

    door: str
    busy: bool
    waits: bool


def start(plan: InterlockPlan, now: Ms) -> Step[Interlock]:
    """Nobody is busy until seen."""
    del now
    return Step(Interlock(plan))


def step(interlock: Interlock, event: Seen | None, now: Ms) -> Step[Interlock]:
    """Take note of a door. Time alone changes nothing here."""
    del now
    if event is None or event.door not in interlock.plan.doors:
        return Step(interlock)
    return Step(
        replace(
            interlock,
            busy=_in_order(interlock.busy, event.door, event.busy),
            waiting=_in_order(interlock.waiting, event.door, event.waits),
        )
    )


def wake_at(interlock: Interlock) -> Ms | None:
    """Never: the doors keep the time of their waiting requests themselves."""
    del interlock
    return None


def free_for(interlock: Interlock, door: str) -> bool:
    """Whether this door may open now."""
    if interlock.busy:
        return interlock.busy == (door,)
    return not interlock.waiting or interlock.waiting[0] == door


def _in_order(doors: tuple[str, ...], door: str, present: bool) -> tuple[str, ...]:
    if not present:
        return tuple(other for other in doors if other != door)
    return doors if door in doors else (*doors, door)
