"""A meter: which of its readings are believed, and which of those are worth telling.

A reading that cannot be true (no number, outside what the sensor can mean, the very same
value for too long) is a fault and a gap in the series, never a spike. A meter that says
nothing for too long is silent, which is a state and not a missing row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from math import isfinite

from gateway.core import details
from gateway.core.events import Reading
from gateway.core.facts import Fact
from gateway.core.instant import Ms, earliest
from gateway.core.machine import Conditions, Step, replace
from gateway.core.plan import MeterPlan
from gateway.core.values import dataclass

DISCONNECTED_C = -127.0
"""What 1-wire thermometers say when nothing is connected."""


@dataclass(frozen=True)
class Series:
    """One quantity of a meter. ``value`` ``None``: not known, for ``reason``."""

    value: float | None = None
    at_ms: Ms = 0
    reason: str = ""
    heard_ms: Ms = 0
    """The last time that the sensor answered, believed or not."""
    same: float | None = None
    same_since_ms: Ms = 0
    told: float | None = None
    told_ms: Ms | None = None
    fault: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Meter:
    """One meter with all its quantities."""

    plan: MeterPlan
    series: Mapping[str, Series] = field(default_factory=dict)
    conditions: Conditions = ()


def start(plan: MeterPlan, now: Ms) -> Meter:
    """Nothing known yet, and the silence counts from here."""
    return Meter(plan, {quantity: Series(heard_ms=now) for quantity in plan.quantities})


def wake_at(meter: Meter) -> Ms | None:
    """When a quantity that still speaks would be silent."""
    after_ms = meter.plan.silent_after_ms
    return earliest(
        *(s.heard_ms + after_ms for s in meter.series.values() if s.fault != "meter_silent")
    )


def step(meter: Meter, event: Reading | None, now: Ms) -> Step[Meter]:
    """A reading, or time. A quantity that the plan does not name is ignored."""
    if event is None:
        return _silence(meter, now)
    before = meter.series.get(event.quantity)
    if before is None:
        return Step(meter)
    after = _judge(meter.plan, event, before, now)
    after, facts = _tell(meter.plan, event.quantity, after, now)
    return Step(_with(meter, {event.quantity: after}), facts)


def _judge(plan: MeterPlan, event: Reading, before: Series, now: Ms) -> Series:
    if event.value is None:
        return replace(before, value=None, at_ms=now, reason=event.reason or "no_value")
    value = event.value
    heard = replace(before, heard_ms=now, at_ms=now)
    if not _possible(plan, event.quantity, value):
        detail = details.write("reading", event.quantity, value)
        return replace(heard, value=None, reason="implausible", fault="implausible", detail=detail)
    if value != heard.same:
        heard = replace(heard, same=value, same_since_ms=now)
    if plan.frozen_after_ms is not None and now - heard.same_since_ms >= plan.frozen_after_ms:
        detail = details.write("reading", event.quantity, value)
        return replace(heard, value=None, reason="frozen", fault="meter_frozen", detail=detail)
    return replace(heard, value=value, reason="", fault="", detail="")


def _possible(plan: MeterPlan, quantity: str, value: float) -> bool:
    if not isfinite(value) or value == DISCONNECTED_C:
        return False
    return all(low <= value <= high for name, low, high in plan.limits if name == quantity)


def _tell(
    plan: MeterPlan, quantity: str, series: Series, now: Ms
) -> tuple[Series, tuple[Fact, ...]]:
    """A fact where the change is worth one: beyond the dead band, a gap begins or ends, or
    nothing was told for a heartbeat."""
    value, told = series.value, series.told
    if value is None:
        worth = told is not None or series.told_ms is None
    elif told is None or series.told_ms is None:
        worth = True
    else:
        band = next((band for name, band in plan.dead_bands if name == quantity), 0.0)
        moved = abs(value - told)
        worth = (moved >= band and moved > 0) or now - series.told_ms >= plan.heartbeat_ms
    if not worth:
        return series, ()
    data = {"quantity": quantity, "value": value, "reason": series.reason or None}
    return replace(series, told=value, told_ms=now), (Fact("reading", plan.point, now, data),)


def _silence(meter: Meter, now: Ms) -> Step[Meter]:
    plan = meter.plan
    silent: dict[str, Series] = {}
    facts: tuple[Fact, ...] = ()
    for quantity, series in meter.series.items():
        if series.fault != "meter_silent" and series.heard_ms + plan.silent_after_ms <= now:
            gap = replace(
                series,
                value=None,
                at_ms=now,
                reason="silent",
                fault="meter_silent",
                detail=quantity,
            )
            silent[quantity], more = _tell(plan, quantity, gap, now)
            facts += more
    return Step(_with(meter, silent), facts) if silent else Step(meter)


def _with(meter: Meter, changed: Mapping[str, Series]) -> Meter:
    series = {**meter.series, **changed}
    standing: dict[str, str] = {}
    for one in series.values():
        if one.fault:
            standing.setdefault(one.fault, one.detail)
    conditions = tuple(standing.items())
    if conditions == meter.conditions:
        conditions = meter.conditions
    return replace(meter, series=series, conditions=conditions)
