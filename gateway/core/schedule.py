"""The mode of one door: what the timetable says, what staff say until a time, and what the
programme switch on site says, which beats both.

Civil time comes from outside as ``CivilTime``; the timetable is a list of UTC instants.
While the clock is not trusted the timetable is unknown and the door keeps the mode that
the configuration calls safe. An override "for two hours" needs no clock and holds also
then; one "until 18:00" holds as far as the clock was known when it was given.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Literal

from gateway.core.events import CivilTime, Mode
from gateway.core.machine import Conditions, Ms, Step, UtcMs, earliest, replace
from gateway.core.plan import DoorPlan, Transition
from gateway.core.values import dataclass

Source = Literal["schedule", "override", "switch", "safe"]

OVERRIDE_LIMIT_MS: Ms = 366 * 86_400_000
"""A mode is set for at most this long: beyond it a wrong date is likelier than a wish."""


@dataclass(frozen=True)
class Override:
    """Staff's word until a time: ``ends_at`` is in civil time where ``civil``, else monotonic.
    The ends in both times follow from it as far as the clock is known."""

    mode: Mode
    ends_at: Ms | UtcMs
    civil: bool
    by: str | None
    until_ms: Ms | None = None
    until_utc_ms: UtcMs | None = None


@dataclass(frozen=True)
class Overridden:
    """Staff set a mode, until ``until_utc_ms`` or for ``for_ms``."""

    mode: Mode
    until_utc_ms: UtcMs | None
    for_ms: Ms
    by: str | None


@dataclass(frozen=True)
class BackToSchedule:
    """Staff end the override."""


@dataclass(frozen=True)
class SwitchSeen:
    """The programme switch on site; ``None``: it selects nothing."""

    mode: Mode | None


@dataclass(frozen=True)
class Ruling:
    """Which mode rules, who says so and until when."""

    mode: Mode
    source: Source
    until_utc_ms: UtcMs | None = None
    by: str | None = None


@dataclass(frozen=True)
class Schedule:
    """The mode of one door."""

    transitions: tuple[Transition, ...]
    fixed_mode: Mode
    """The mode where there is no timetable."""
    safe_mode: Mode
    ruling: Ruling
    offset_ms: int | None = None
    """UTC minus monotonic while the clock is trusted, else ``None``."""
    override: Override | None = None
    switch: Mode | None = None
    wake_ms: Ms | None = None
    conditions: Conditions = ()


Event = CivilTime | Overridden | BackToSchedule | SwitchSeen


def start(plan: DoorPlan, now: Ms) -> Schedule:
    """The clock is not known yet."""
    fixed = Ruling(plan.mode, "schedule")
    return _rule(Schedule(plan.schedule, plan.mode, plan.safe_mode, fixed), now)


def restored(schedule: Schedule, override: Override, now: Ms) -> Schedule:
    """With the override that stood before the restart, whose end is known in UTC only: it
    rules again once the clock says that it has not ended."""
    return _rule(replace(schedule, override=override), now)


def wake_at(schedule: Schedule) -> Ms | None:
    """The next transition, or the end of the override."""
    return schedule.wake_ms


def step(schedule: Schedule, event: Event | None, now: Ms) -> Step[Schedule]:
    """Time, or one of the three that have a say. What rules then is ``state.ruling``."""
    if event is None:
        due = schedule.wake_ms is not None and schedule.wake_ms <= now
        return Step(_rule(schedule, now) if due else schedule)
    match event:
        case CivilTime(utc_ms=utc_ms, trusted=trusted):
            offset_ms = utc_ms - now if trusted else None
            if offset_ms == schedule.offset_ms:
                return Step(schedule)
            schedule = replace(schedule, offset_ms=offset_ms)
        case Overridden(until_utc_ms=until_utc_ms):
            civil = until_utc_ms is not None
            ends_at = now + event.for_ms if until_utc_ms is None else until_utc_ms
            schedule = replace(schedule, override=Override(event.mode, ends_at, civil, event.by))
        case BackToSchedule():
            schedule = replace(schedule, override=None)
        case _:
            schedule = replace(schedule, switch=event.mode)
    return Step(_rule(schedule, now))


def scheduled_mode(schedule: Schedule, now: Ms) -> Mode:
    """What would rule without staff and switch: the timetable, or the safe mode."""
    if not schedule.transitions:
        return schedule.fixed_mode
    at = _position(schedule, now)
    return schedule.safe_mode if at is None else schedule.transitions[at].mode


def next_mode(schedule: Schedule, now: Ms) -> Transition | None:
    """The next change of the mode that is foreseen, ``None`` where none is."""
    offset_ms, override = schedule.offset_ms, schedule.override
    if offset_ms is None or schedule.switch is not None:
        return None
    if override is not None and override.until_utc_ms is not None:
        end_utc_ms = override.until_utc_ms
        return Transition(end_utc_ms, scheduled_mode(schedule, end_utc_ms - offset_ms))
    at = _position(schedule, now) if schedule.transitions else None
    if at is None:
        return None
    ruling = schedule.transitions[at].mode
    return next((t for t in schedule.transitions[at + 1 :] if t.mode != ruling), None)


def _position(schedule: Schedule, now: Ms) -> int | None:
    """Which transition rules; ``None`` without a clock or before the first."""
    if schedule.offset_ms is None:
        return None
    after = bisect_right(schedule.transitions, now + schedule.offset_ms, key=_instant)
    return after - 1 if after else None


def _instant(transition: Transition) -> UtcMs:
    return transition.utc_ms


def _live_override(schedule: Schedule, now: Ms) -> Override | None:
    """The override with both of its ends as the clock now knows them; ``None`` once over."""
    override, offset_ms = schedule.override, schedule.offset_ms
    if override is None:
        return None
    ends_at = override.ends_at
    if override.civil:
        if offset_ms is not None:  # an older version saved any end
            ends_at = min(ends_at, now + offset_ms + OVERRIDE_LIMIT_MS)
            override = replace(override, ends_at=ends_at)
        until_ms = override.until_ms if offset_ms is None else ends_at - offset_ms
        override = replace(override, until_ms=until_ms, until_utc_ms=ends_at)
    else:
        until_utc_ms = override.until_utc_ms if offset_ms is None else ends_at + offset_ms
        override = replace(override, until_ms=ends_at, until_utc_ms=until_utc_ms)
    over = override.until_ms is not None and override.until_ms <= now
    return None if over else override


def _rule(schedule: Schedule, now: Ms) -> Schedule:
    """Who rules now, until when, and when to look again."""
    override = _live_override(schedule, now)
    at = _position(schedule, now)
    following = (
        schedule.transitions[0 if at is None else at + 1 :]
        if schedule.offset_ms is not None
        else ()
    )
    transition_ms = (
        following[0].utc_ms - schedule.offset_ms
        if following and schedule.offset_ms is not None
        else None
    )
    if schedule.switch is not None:
        ruling = Ruling(schedule.switch, "switch")
    elif override is not None and override.until_ms is not None:
        ruling = Ruling(override.mode, "override", override.until_utc_ms, override.by)
    elif not schedule.transitions:
        ruling = Ruling(schedule.fixed_mode, "schedule")
    elif at is None:
        ruling = Ruling(schedule.safe_mode, "safe")
    else:
        ruling = Ruling(schedule.transitions[at].mode, "schedule")
    ended = bool(schedule.transitions) and schedule.offset_ms is not None and not following
    conditions: Conditions = (("schedule_ended", ""),) if ended else ()
    return replace(
        schedule,
        override=override,
        ruling=ruling if ruling != schedule.ruling else schedule.ruling,
        wake_ms=earliest(transition_ms, override.until_ms if override is not None else None),
        conditions=conditions if conditions != schedule.conditions else schedule.conditions,
    )
