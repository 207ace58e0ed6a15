"""The mode of one door: what the timetable says, what staff say until a time, and what the
programme switch on site says, which beats both.

Civil time comes from outside as ``CivilTime``; the timetable is a list of UTC instants.
While the clock is not trusted the timetable is unknown. For ``CARRIED_MS`` of uptime the door
then has the more restrictive of its last mode by the timetable and the mode that the
configuration calls safe, and afterwards the safe one.

An override needs no clock: it has a span, measured in uptime, and ends with it over any number of
restarts. It ends earlier where its end in civil time has passed on a settled clock.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Literal

from gateway.core.events import MODES, CivilTime, Mode
from gateway.core.instant import Ms, UtcMs, clamped, earliest
from gateway.core.machine import Conditions, Step, replace
from gateway.core.plan import DoorPlan, Transition
from gateway.core.saved_values import TEXT, UPTIME, WHOLE, Field, Kind, entry_of, one_of
from gateway.core.values import dataclass

Source = Literal["schedule", "override", "switch", "safe"]

OVERRIDE_LIMIT_MS: Ms = 366 * 86_400_000
"""A mode is set for at most this long: beyond it a wrong date is likelier than a wish."""
NEVER_MS: Ms = 2**53
CARRIED_MS: Ms = 12 * 3_600_000
_ORDER: tuple[Mode, ...] = ("hold_open", "automatic", "exit_only", "night")
"""From the least restrictive on. ``off`` is set by people only, and is none of them."""
RESTRICTIVE: frozenset[Mode] = frozenset({"night", "off"})


@dataclass(frozen=True)
class Override:
    """Staff's word until a time. ``until_ms``: when its span is over, on the monotonic clock of
    this boot. ``until_utc_ms``: its end in civil time; where it is not ``civil``, that follows
    from the span as long as this boot knows the clock."""

    mode: Mode
    until_ms: Ms
    by: str | None
    until_utc_ms: UtcMs | None = None
    civil: bool = False


@dataclass(frozen=True)
class Carried:
    """The last mode by the timetable. ``until_ms``: how long it applies without a clock; ``None``:
    the clock is known, or has not been missed yet."""

    mode: Mode
    until_ms: Ms | None = None


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
    settled: bool = False
    carried: Carried | None = None
    override: Override | None = None
    switch: Mode | None = None
    wake_ms: Ms | None = None
    conditions: Conditions = ()


Event = CivilTime | Overridden | BackToSchedule | SwitchSeen


def start(plan: DoorPlan, now: Ms) -> Schedule:
    """The clock is not known yet."""
    fixed = Ruling(plan.mode, "schedule")
    return _rule(Schedule(plan.schedule, plan.mode, plan.safe_mode, fixed), now)


def _override_of_before(
    mode: Mode, until_utc_ms: UtcMs | None, until_ms: Ms | None, by: str | None
) -> Override | None:
    if until_ms is None:  # 0.1 saved the civil end only
        until_ms = None if until_utc_ms is None else NEVER_MS
    if until_ms is None:
        return None
    return Override(mode, until_ms, by, until_utc_ms, civil=until_utc_ms is not None)


SAVED_OVERRIDE: Kind[Override] = entry_of(
    _override_of_before,
    Field("mode", one_of(MODES)),
    Field("until_utc_ms", WHOLE, None),
    Field("until_uptime_ms", UPTIME, None, of="until_ms"),
    Field("by", TEXT, None),
)
SAVED_MODE: Kind[Carried] = entry_of(
    Carried,
    Field("mode", one_of(MODES)),
    Field("until_uptime_ms", UPTIME, None, of="until_ms"),
)
"""What survives a restart of staff's word, and of the last mode by the timetable."""


def restored(
    schedule: Schedule, override: Override | None, carried: Carried | None, now: Ms
) -> Schedule:
    """With the override that was in force before the restart, unless there is a newer one, and
    the last mode. Both have instants of this boot."""
    if schedule.override is None and override is not None:
        until_ms = clamped(override.until_ms, now, OVERRIDE_LIMIT_MS)
        schedule = replace(schedule, override=replace(override, until_ms=until_ms))
    if schedule.carried is None and carried is not None:
        if carried.until_ms is not None:
            carried = Carried(carried.mode, clamped(carried.until_ms, now, CARRIED_MS))
        schedule = replace(schedule, carried=carried)
    return _rule(schedule, now)


def restricted(override: Override | None) -> Override:
    """What applies to a door of whose mode before the restart is not known whether it was read
    right: *night*, unless that was more restrictive, until staff decide."""
    if override is not None and override.mode in RESTRICTIVE:
        return override
    return Override("night", NEVER_MS, None)


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
            settled = trusted and event.settled
            if (offset_ms, settled) == (schedule.offset_ms, schedule.settled):
                return Step(schedule)
            schedule = replace(schedule, offset_ms=offset_ms, settled=settled)
        case Overridden():
            schedule = replace(schedule, override=_given(schedule, event, now))
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
    return _unscheduled(schedule, now) if at is None else schedule.transitions[at].mode


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


def _given(schedule: Schedule, event: Overridden, now: Ms) -> Override:
    until_utc_ms, offset_ms = event.until_utc_ms, schedule.offset_ms
    if until_utc_ms is None or offset_ms is None:
        return Override(event.mode, now + event.for_ms, event.by)
    return Override(event.mode, until_utc_ms - offset_ms, event.by, until_utc_ms, civil=True)


def _live_override(schedule: Schedule, now: Ms) -> Override | None:
    """The override with its end in civil time as the clock now knows it; ``None`` once over."""
    override, offset_ms = schedule.override, schedule.offset_ms
    if override is None or override.until_ms <= now:
        return None
    if offset_ms is not None:
        until_utc_ms = override.until_ms + offset_ms
        if override.civil and override.until_utc_ms is not None:  # an older version saved any end
            until_utc_ms = min(override.until_utc_ms, now + offset_ms + OVERRIDE_LIMIT_MS)
            if schedule.settled and until_utc_ms <= now + offset_ms:
                return None
        if until_utc_ms != override.until_utc_ms:
            override = replace(override, until_utc_ms=until_utc_ms)
    return override


def _ends_ms(schedule: Schedule, override: Override | None) -> Ms | None:
    """When to look again whether an override is over."""
    if override is None:
        return None
    civil_ms = None
    if schedule.settled and override.until_utc_ms is not None and schedule.offset_ms is not None:
        civil_ms = override.until_utc_ms - schedule.offset_ms
    return earliest(override.until_ms, civil_ms)


def _unscheduled(schedule: Schedule, now: Ms) -> Mode:
    """The more restrictive of the last mode and the safe one, for a limited time."""
    safe, carried = schedule.safe_mode, schedule.carried
    if carried is None or carried.until_ms is None or carried.until_ms <= now:
        return safe
    if carried.mode not in _ORDER or safe not in _ORDER:
        return safe
    return max(safe, carried.mode, key=_ORDER.index)


def _carried(schedule: Schedule, now: Ms) -> Carried | None:
    """The last mode, with the time for which it applies once the clock is missing."""
    carried = schedule.carried
    if carried is None or (schedule.offset_ms is None) == (carried.until_ms is not None):
        return carried
    return Carried(carried.mode, now + CARRIED_MS if schedule.offset_ms is None else None)


def _rule(schedule: Schedule, now: Ms) -> Schedule:
    """Who rules now, until when, and when to look again."""
    carried = _carried(schedule, now)
    schedule = replace(schedule, carried=carried)
    override = _live_override(schedule, now)
    at = _position(schedule, now)
    following: tuple[Transition, ...] = ()
    transition_ms = None if carried is None else carried.until_ms
    if schedule.offset_ms is not None:
        following = schedule.transitions[0 if at is None else at + 1 :]
        transition_ms = following[0].utc_ms - schedule.offset_ms if following else None
    elif transition_ms is not None and transition_ms <= now:
        transition_ms = None
    if schedule.switch is not None:
        ruling = Ruling(schedule.switch, "switch")
    elif override is not None:
        ruling = Ruling(override.mode, "override", override.until_utc_ms, override.by)
    elif not schedule.transitions:
        ruling = Ruling(schedule.fixed_mode, "schedule")
    elif at is None:
        ruling = Ruling(_unscheduled(schedule, now), "safe")
    else:
        ruling = Ruling(schedule.transitions[at].mode, "schedule")
        carried = Carried(ruling.mode)  # only what ruled, so that what is saved needs no write
    ended = bool(schedule.transitions) and schedule.offset_ms is not None and not following
    conditions: Conditions = (("schedule_ended", ""),) if ended else ()
    return replace(
        schedule,
        override=override,
        carried=carried,
        ruling=ruling if ruling != schedule.ruling else schedule.ruling,
        wake_ms=earliest(transition_ms, _ends_ms(schedule, override)),
        conditions=conditions if conditions != schedule.conditions else schedule.conditions,
    )
