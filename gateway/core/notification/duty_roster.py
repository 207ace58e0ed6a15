"""Decides whether one receiver of messages is on duty (*Dienstplan*).

Hours and holidays have become instants of UTC when the configuration was loaded, so this
machine only looks at which of them has passed. While the clock is not trusted nobody knows
the hour: the receiver is then taken to be on duty, because one message too many harms less
than a call that nobody hears.
"""

from __future__ import annotations

from bisect import bisect_right

from gateway.core.events import CivilTime
from gateway.core.instant import Ms, UtcMs
from gateway.core.machine import Step, replace
from gateway.core.plan import DutyPlan, ReceiverPlan
from gateway.core.values import dataclass


@dataclass(frozen=True)
class Roster:
    """``on_duty`` is ``None`` while the hour is not known; ``offset_ms`` is UTC minus monotonic
    while the clock is trusted."""

    plan: ReceiverPlan
    on_duty: bool | None
    offset_ms: int | None = None
    wake_ms: Ms | None = None

    @property
    def off(self) -> bool:
        """Known to be off duty."""
        return self.on_duty is False


def start(plan: ReceiverPlan) -> Roster:
    """The clock is not known yet."""
    return Roster(plan, None if plan.duty else True)


def wake_at(roster: Roster) -> Ms | None:
    """When duty begins or ends next."""
    return roster.wake_ms


def step(roster: Roster, event: CivilTime | None, now: Ms) -> Step[Roster]:
    """A look at the clock, or time."""
    if event is None:
        if roster.wake_ms is None or roster.wake_ms > now:
            return Step(roster)
        return Step(_looked(roster, now))
    offset_ms = event.utc_ms - now if event.trusted else None
    if offset_ms == roster.offset_ms:
        return Step(roster)
    return Step(_looked(replace(roster, offset_ms=offset_ms), now))


def _looked(roster: Roster, now: Ms) -> Roster:
    duty, offset_ms = roster.plan.duty, roster.offset_ms
    if not duty:
        return roster
    if offset_ms is None:
        return replace(roster, on_duty=None, wake_ms=None)
    passed = bisect_right(duty, now + offset_ms, key=_instant)
    return replace(
        roster,
        on_duty=duty[passed - 1].on_duty if passed else None,
        wake_ms=duty[passed].utc_ms - offset_ms if passed < len(duty) else None,
    )


def _instant(duty: DutyPlan) -> UtcMs:
    return duty.utc_ms
