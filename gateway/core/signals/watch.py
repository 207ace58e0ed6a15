"""A watched point: a contact or meter that raises an alarm when it is not as it should be.

It must be so for ``delay_ms`` without a break, and a value must come back by the hysteresis before
the alarm clears. An unknown value changes nothing: an alarm stays, a delay that was running starts
anew (that the point is unknown is an alarm of its own).
"""

from __future__ import annotations

from gateway.core import details
from gateway.core.instant import Ms
from gateway.core.machine import Conditions, Step, replace
from gateway.core.plan import WatchPlan
from gateway.core.values import dataclass


@dataclass(frozen=True)
class Seen:
    """The settled level of the contact or the believed value of the meter, from ``since_ms``."""

    value: bool | float | None
    since_ms: Ms


@dataclass(frozen=True)
class Watch:
    """One watched point. ``known``: it was seen since start, well or not."""

    plan: WatchPlan
    known: bool = False
    due_ms: Ms | None = None
    detail: str = ""
    conditions: Conditions = ()


def start(plan: WatchPlan) -> Watch:
    """Nothing seen yet."""
    return Watch(plan)


def wake_at(watch: Watch) -> Ms | None:
    """When the delay is over."""
    return watch.due_ms


def step(watch: Watch, event: Seen | None, now: Ms) -> Step[Watch]:
    """The point was seen, or time."""
    plan = watch.plan
    if event is not None:
        if event.value is None:
            return Step(replace(watch, due_ms=None))
        standing = bool(watch.conditions)
        if not _wrong(plan, event.value, standing=standing):
            return Step(replace(watch, known=True, due_ms=None, conditions=()))
        watch = replace(watch, known=True, detail=_detail(plan, event.value))
        if not standing and watch.due_ms is None:
            watch = replace(watch, due_ms=event.since_ms + plan.delay_ms)
    if watch.due_ms is not None and watch.due_ms <= now:
        condition = (f"watch:{plan.id}", watch.detail)
        return Step(replace(watch, due_ms=None, conditions=(condition,)))
    return Step(watch)


def _wrong(plan: WatchPlan, value: bool | float, *, standing: bool) -> bool:
    if plan.active is not None:
        return value is plan.active
    back = plan.hysteresis if standing else 0.0
    return (plan.above is not None and value > plan.above - back) or (
        plan.below is not None and value < plan.below + back
    )


def _detail(plan: WatchPlan, value: bool | float) -> str:
    return "" if plan.quantity is None else details.write("reading", plan.quantity, value)
