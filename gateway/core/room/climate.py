"""The climate of a room: dew point, frost, mould and the fan.

The dew point is the temperature at which the water in this air begins to settle on walls. It
is made of temperature and relative humidity by the Magnus formula over water with the
constants of the WMO (*Guide to Instruments and Methods of Observation*, WMO-No. 8, volume I,
annex 4.B, after D. Sonntag 1990)::

    e(t) = 6.112 hPa · exp(17.62 · t / (243.12 °C + t)),   -45 °C to 60 °C

The pressure of the air has no part in it (its enhancement of e is below half a per cent).
The formula over water also counts below zero: humidity sensors are calibrated so.

A value that is not known is neither humid nor cold: what stood goes on standing, what was only
about to stand starts anew, and a fan that runs does so for its run-on time only.
"""

from __future__ import annotations

from math import log

from gateway.core.effects import Drive
from gateway.core.facts import Fact
from gateway.core.instant import Ms, earliest
from gateway.core.machine import Conditions, Step, replace
from gateway.core.plan import ClimatePlan
from gateway.core.values import dataclass

MAGNUS_A = 17.62
MAGNUS_B_C = 243.12

DEW_POINT = "dew_point_c"
DEW_BAND_K = 0.2
"""A dew point that has moved by less is not told again before its heartbeat."""
HEARTBEAT_MS: Ms = 900_000

FROST_AFTER_MS: Ms = 300_000
"""An open door in winter is no frost."""
FROST_HYSTERESIS_K = 1.0
MOULD_HYSTERESIS_PERCENT = 3.0


@dataclass(frozen=True)
class Seen:
    """What the meter believes; ``None`` where it cannot tell, for ``reason``."""

    temperature_c: float | None
    humidity_percent: float | None
    reason: str = ""


@dataclass(frozen=True)
class Climate:
    """The climate of one room."""

    plan: ClimatePlan
    temperature_c: float | None = None
    humidity_percent: float | None = None
    dew_point_c: float | None = None
    at_ms: Ms | None = None
    """When the meter last told anything."""
    told_c: float | None = None
    """The dew point of the last fact, and when that was."""
    told_ms: Ms = 0
    frost_at_ms: Ms | None = None
    mould_at_ms: Ms | None = None
    """When it will have been so cold, so humid, for long enough."""
    fan: bool = False
    fan_off_ms: Ms | None = None
    """The end of the run-on time."""
    conditions: Conditions = ()

    def known(self, kind: str) -> bool:
        """Whether it is seen that this notice does not stand: its value is known and well, or
        nobody watches it."""
        plan = self.plan
        if kind == "frost":
            value, limit = self.temperature_c, plan.frost_below_c
            return limit is None or (value is not None and value >= limit)
        value, limit = self.humidity_percent, plan.mould_above_percent
        return limit is None or (value is not None and value < limit)


def dew_point_c(temperature_c: float, humidity_percent: float) -> float | None:
    """The dew point of air of this temperature (°C) and relative humidity (%); ``None`` for
    perfectly dry air, which has none."""
    if humidity_percent <= 0:
        return None
    exponent = log(humidity_percent / 100)
    exponent += MAGNUS_A * temperature_c / (MAGNUS_B_C + temperature_c)
    return MAGNUS_B_C * exponent / (MAGNUS_A - exponent)


def start(plan: ClimatePlan) -> Climate:
    """Nothing known yet, the fan is off."""
    return Climate(plan)


def wake_at(climate: Climate) -> Ms | None:
    """When a notice is due, or the fan has run on for long enough."""
    return earliest(climate.frost_at_ms, climate.mould_at_ms, climate.fan_off_ms)


def step(climate: Climate, event: Seen | None, now: Ms) -> Step[Climate]:
    """A look at the meter, or time."""
    after, facts = climate, ()  # type: Climate, tuple[Fact, ...]
    if event is not None:
        after, facts = _told(_seen(climate, event, now), event.reason, now)
    after = _noticed(after, now)
    if after.fan_off_ms is not None and after.fan_off_ms <= now:
        after = replace(after, fan=False, fan_off_ms=None)
    effects = ()  # type: tuple[Drive, ...]
    if after.plan.fan is not None and after.fan != climate.fan:
        effects = (Drive(after.plan.fan, after.fan),)
    return Step(after, facts, effects)


def _seen(climate: Climate, event: Seen, now: Ms) -> Climate:
    plan, cold, humid = climate.plan, event.temperature_c, event.humidity_percent
    dew_c = None if cold is None or humid is None else dew_point_c(cold, humid)
    after = replace(
        climate,
        temperature_c=cold,
        humidity_percent=humid,
        dew_point_c=None if dew_c is None else round(dew_c, 2),
        at_ms=now,
    )
    stand = dict(climate.conditions)
    frost_c, mould_percent = plan.frost_below_c, plan.mould_above_percent
    frost = mould = False
    if cold is not None and frost_c is not None:
        frost = cold < frost_c
        if cold >= frost_c + FROST_HYSTERESIS_K:
            stand.pop("frost", None)
    if humid is not None and mould_percent is not None:
        mould = humid >= mould_percent
        if humid < mould_percent - MOULD_HYSTERESIS_PERCENT:
            stand.pop("mould", None)
    if len(stand) != len(climate.conditions):
        after = replace(after, conditions=tuple(stand.items()))
    after = replace(
        after,
        frost_at_ms=_due(climate.frost_at_ms, now + FROST_AFTER_MS, frost and "frost" not in stand),
        mould_at_ms=_due(
            climate.mould_at_ms, now + plan.mould_after_ms, mould and "mould" not in stand
        ),
    )
    return _aired(after, now)


def _due(due_ms: Ms | None, anew_ms: Ms, wrong: bool) -> Ms | None:
    """When what is wrong becomes a notice: counted from when it began to be so."""
    if not wrong:
        return None
    return anew_ms if due_ms is None else due_ms


def _noticed(climate: Climate, now: Ms) -> Climate:
    """What has been wrong for long enough."""
    if climate.frost_at_ms is not None and climate.frost_at_ms <= now:
        cold = ("frost", f"temperature_c {climate.temperature_c}")
        climate = replace(climate, frost_at_ms=None, conditions=(*climate.conditions, cold))
    if climate.mould_at_ms is not None and climate.mould_at_ms <= now:
        humid = ("mould", f"humidity_percent {climate.humidity_percent}")
        climate = replace(climate, mould_at_ms=None, conditions=(*climate.conditions, humid))
    return climate


def _aired(climate: Climate, now: Ms) -> Climate:
    """The fan runs from humid until dry, and on for a while."""
    plan, humid = climate.plan, climate.humidity_percent
    if plan.fan is None:
        return climate
    if humid is not None and humid >= plan.fan_above_percent:
        return replace(climate, fan=True, fan_off_ms=None)
    dry = humid is None or humid <= plan.fan_below_percent
    if climate.fan and dry and climate.fan_off_ms is None:
        return replace(climate, fan_off_ms=now + plan.fan_run_on_ms)
    return climate


def _told(climate: Climate, reason: str, now: Ms) -> tuple[Climate, tuple[Fact, ...]]:
    """The dew point as a reading of the meter, where it is worth one."""
    value, told_c = climate.dew_point_c, climate.told_c
    if value is None or told_c is None:
        worth = value is not told_c
    else:
        worth = abs(value - told_c) >= DEW_BAND_K or now - climate.told_ms >= HEARTBEAT_MS
    if not worth:
        return climate, ()
    why = None if value is not None else reason or "no_value"
    data = {"quantity": DEW_POINT, "value": value, "reason": why}
    fact = Fact("reading", climate.plan.point, now, data)
    return replace(climate, told_c=value, told_ms=now), (fact,)
