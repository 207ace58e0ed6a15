"""The indicator: a lamp or tone that tells the person at the door what became of the press.

A pattern is a row of times, on first: ``(100, 100, 100)`` is two short signs. The state is
the place in the pattern and the instant at which it goes on, so a pattern needs no thread
and cannot hang: the relay is off after the last time, whoever comes late.

A new pattern replaces the running one: the latest answer is the one that counts.
"""

from __future__ import annotations

from typing import Literal

from gateway.core.instant import Ms
from gateway.core.machine import replace
from gateway.core.plan import IndicatorPlan
from gateway.core.values import dataclass

Pattern = Literal["accepted", "refused", "fault"]


@dataclass(frozen=True)
class Indicator:
    """``times_ms``: what is left of the pattern, the present time first; empty: dark.

    ``until_ms``: the end of the present time."""

    times_ms: tuple[Ms, ...] = ()
    until_ms: Ms | None = None
    on: bool = False


DARK = Indicator()


def show(plan: IndicatorPlan, pattern: Pattern, now: Ms) -> Indicator:
    """Begin a pattern, in place of whatever was shown."""
    times: tuple[Ms, ...] = getattr(plan, pattern)
    return Indicator(times, now + times[0], on=True) if times else DARK


def pass_time(indicator: Indicator, now: Ms) -> Indicator:
    """The pattern at ``now``. A late call shortens what comes after, never what is on."""
    while indicator.until_ms is not None and indicator.until_ms <= now:
        rest = indicator.times_ms[1:]
        if not rest:
            return DARK
        ends = indicator.until_ms + rest[0]
        indicator = replace(indicator, times_ms=rest, until_ms=ends, on=not indicator.on)
    return indicator


def wake_at(indicator: Indicator) -> Ms | None:
    """The next change of the lamp; ``None``: dark for good."""
    return indicator.until_ms
