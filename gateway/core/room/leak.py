"""A leak: water where none should be closes the valve, and both last until somebody has looked.

The alarm stands from the first water until the sensor is dry *and* staff have reset it: dry
again by itself means that the water has gone somewhere. What was latched is latched after a
restart, and the valve closes again. A sensor that cannot be read is neither wet nor dry; that
it cannot be read is an alarm of the contact.
"""

from __future__ import annotations

from gateway.core.effects import Drive
from gateway.core.facts import Fact
from gateway.core.instant import Ms
from gateway.core.machine import Conditions, Step, replace
from gateway.core.plan import RoomPlan
from gateway.core.values import dataclass


@dataclass(frozen=True)
class Seen:
    """What the sensor says. ``None``: nothing."""

    wet: bool | None


@dataclass(frozen=True)
class Reset:
    """Somebody has looked, and asks for water again. Who asks has made sure that it is dry."""

    by: str


@dataclass(frozen=True)
class Restored:
    """It was latched before the restart."""


Event = Seen | Reset | Restored


@dataclass(frozen=True)
class Leak:
    """The water sensor of one room and its valve."""

    plan: RoomPlan
    wet: bool | None = None
    latched: bool = False
    conditions: Conditions = ()

    @property
    def valve_closed(self) -> bool | None:
        """Whether the valve is told to be closed; ``None`` where there is none."""
        return None if self.plan.valve is None else self.latched


def start(plan: RoomPlan) -> Leak:
    """Nothing seen yet, and the water runs."""
    return Leak(plan)


def step(leak: Leak, event: Event, now: Ms) -> Step[Leak]:
    """The sensor has spoken, somebody resets it, or it is as it was before the restart."""
    match event:
        case Seen(wet=wet):
            seen = replace(leak, wet=wet)
            if wet:
                return _latched(leak, seen, now)
            return Step(seen, (_fact(seen, now),) if leak.latched else ())
        case Reset(by=by):
            free = replace(leak, latched=False, conditions=())
            return Step(free, (_fact(free, now, by),), _valve(leak, False))
        case _:
            return replace(_latched(leak, leak, now), facts=())


def _latched(before: Leak, seen: Leak, now: Ms) -> Step[Leak]:
    after = replace(seen, latched=True, conditions=(("leak", ""),))
    effects = () if before.latched else _valve(after, True)
    return Step(after, () if after == before else (_fact(after, now),), effects)


def _valve(leak: Leak, on: bool) -> tuple[Drive, ...]:
    """The relay is on while the valve shall be closed."""
    return () if leak.plan.valve is None else (Drive(leak.plan.valve, on),)


def _fact(leak: Leak, now: Ms, by: str | None = None) -> Fact:
    return Fact(
        "leak",
        leak.plan.id,
        now,
        {
            "wet": leak.wet,
            "latched": leak.latched,
            "valve_closed": leak.valve_closed,
            "by": by,
        },
    )
