"""What the building knows of civil time: the offset to UTC of this boot, and its trust.

The offset is held still against the jitter of looking at two clocks one after the other;
only a difference of ``STEP_MS`` or more is a step of the wall clock. The facts about it are
told by whoever looks at the clock, outside the core.
"""

from __future__ import annotations

from gateway.core.events import CivilTime
from gateway.core.machine import Conditions, Ms, Step, replace
from gateway.core.values import dataclass

STEP_MS = 500
GRACE_MS: Ms = 60_000
"""After a start the time service may take this long before its absence is a notice."""


@dataclass(frozen=True)
class Clock:
    """UTC = monotonic + ``offset_ms``, the last that was trusted in this boot."""

    trusted: bool
    since_ms: Ms
    offset_ms: int | None = None
    due_ms: Ms | None = None
    conditions: Conditions = ()


def start(now: Ms) -> Clock:
    """Not trusted until said so."""
    return Clock(False, now, due_ms=now + GRACE_MS)


def wake_at(clock: Clock) -> Ms | None:
    """When the lack of trust becomes a notice."""
    return clock.due_ms


def step(clock: Clock, event: CivilTime | None, now: Ms) -> Step[Clock]:
    """A look at the wall clock, or time."""
    if event is None:
        if clock.due_ms is None or clock.due_ms > now:
            return Step(clock)
        return Step(replace(clock, due_ms=None, conditions=(("clock_untrusted", ""),)))
    if not event.trusted:
        if not clock.trusted:
            return Step(clock)
        return Step(replace(clock, trusted=False, since_ms=now, due_ms=now + GRACE_MS))
    offset_ms = event.utc_ms - now
    if clock.offset_ms is not None and abs(offset_ms - clock.offset_ms) < STEP_MS:
        offset_ms = clock.offset_ms
    if clock.trusted and offset_ms == clock.offset_ms:
        return Step(clock)
    return Step(Clock(True, clock.since_ms if clock.trusted else now, offset_ms))


def utc_of(clock: Clock, instant_ms: Ms | None) -> Ms | None:
    """The civil time of an instant, ``None`` while the offset is not known."""
    if instant_ms is None or clock.offset_ms is None:
        return None
    return instant_ms + clock.offset_ms
