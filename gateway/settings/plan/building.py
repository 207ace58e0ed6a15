"""From checked settings to the plan of the building: names to numbers, nothing decided.

What applies where the file is silent is decided in ``gateway/settings/model``.
"""

from __future__ import annotations

from typing import cast
from zoneinfo import ZoneInfo

from gateway.core.events import Mode
from gateway.core.plan import (
    ActivatorPlan,
    BuildingPlan,
    ContactPlan,
    DoorPlan,
    FirePlan,
    IndicatorPlan,
    InterlockPlan,
    MeterPlan,
    RelayPlan,
    Transition,
    WatchPlan,
)
from gateway.core.point_roles import ALL
from gateway.settings.checks.doors import together
from gateway.settings.model import by_use
from gateway.settings.model.configuration import (
    DAY,
    ContactOptions,
    MeterOptions,
    Point,
    RelayOptions,
    Settings,
    Watch,
)
from gateway.settings.model.doors import UNWRITTEN_STRIKE, Activator, Door
from gateway.settings.model.limits import door_relays, pulse_ms
from gateway.settings.plan.people import escalations, mailings, receivers
from gateway.settings.plan.rooms import private, rooms
from gateway.settings.values.calendar import HORIZON_DAYS, holidays_of, transitions, years


def plan(settings: Settings, *, now_utc_ms: int) -> BuildingPlan:
    """The building, with the schedules' transitions for 400 days from ``now_utc_ms``."""
    return BuildingPlan(
        gateway=settings.gateway.id,
        contacts=_contacts(settings),
        relays=_relays(settings),
        meters=tuple(
            _meter(point, point.options)
            for point in settings.points.values()
            if isinstance(point.options, MeterOptions)
        ),
        doors=_doors(settings, now_utc_ms),
        interlocks=tuple(
            InterlockPlan(name, lock.doors, lock.wait_ms)
            for name, lock in settings.interlocks.items()
        ),
        watches=tuple(_watch(settings, name, watch) for name, watch in settings.watch.items()),
        rooms=rooms(settings),
        export=settings.export,
        receivers=receivers(settings, now_utc_ms),
        escalations=escalations(settings),
        alarm_escalations=tuple(settings.alarms.items()),
        mailings=mailings(settings, now_utc_ms),
        notices=tuple(
            (name, "egress_never")
            for name, door in settings.doors.items()
            if door.egress == "never"
        )
        + tuple(
            (name, "egress_untrusted")
            for name, door in settings.doors.items()
            if door.egress_untrusted
            and any(_untrusted_inside(settings, a) for a in door.activators)
        )
        + tuple((point, "wiring_untrusted") for role, point in settings.tolerated if role in ALL)
        + (((settings.gateway.id, "overlay_broken"),) if settings.overlay_problems else ())
        + tuple((one.problem.key, "setting_adjusted") for one in settings.adjusted),
    )


def _contacts(settings: Settings) -> tuple[ContactPlan, ...]:
    pressed = {activator.point for door in settings.doors.values() for activator in door.activators}
    urgent = {at for door in settings.doors.values() if (at := _fire_point(settings, door))}
    for room in settings.rooms.values():
        pressed |= {point for point in (room.cancel, room.presence) if point is not None}
        urgent |= set(room.cord)
    about_people = private(settings)
    moved = {point for room in settings.rooms.values() for point in room.motion}
    plans = []
    for name, point in settings.points.items():
        options = point.options
        if not isinstance(options, ContactOptions):
            continue
        plans.append(
            ContactPlan(
                point=name,
                settle_ms=options.settle_ms,
                stuck_after_ms=by_use.stuck_after_ms(
                    options, pressed=name in pressed, moved=name in moved
                ),
                chatter_changes=by_use.CHATTER_CHANGES,
                chatter_window_ms=by_use.CHATTER_WINDOW_MS,
                fault_severity=by_use.fault_severity(options, urgent=name in urgent),
                private=name in about_people,
            )
        )
    return tuple(plans)


def _relays(settings: Settings) -> tuple[RelayPlan, ...]:
    defaults = {
        relay.point: relay.default_ms
        for door in settings.doors.values()
        for relay in door_relays(door)
    }
    plans = []
    for name, point in settings.points.items():
        if isinstance(point.options, RelayOptions):
            limit = point.options.max_on_ms
            written = None if limit == "unlimited" else limit
            plans.append(RelayPlan(name, defaults.get(name) if limit is None else written))
    return tuple(plans)


def _meter(point: Point, options: MeterOptions) -> MeterPlan:
    quantities = tuple(name for name, _, _ in point.quantities)
    return MeterPlan(
        point=point.name,
        quantities=quantities,
        silent_after_ms=by_use.silent_after_ms(point, options),
        limits=point.quantities,
        dead_bands=by_use.dead_bands(options, quantities),
        heartbeat_ms=options.heartbeat_ms,
        frozen_after_ms=options.frozen_after_ms,
    )


def _fire_point(settings: Settings, door: Door) -> str | None:
    if door.on_fire is None:
        return None
    return door.on_fire.point or settings.fire


def _doors(settings: Settings, now_utc_ms: int) -> tuple[DoorPlan, ...]:
    zone = ZoneInfo(settings.gateway.timezone)
    wanted = any(together(door).of("holiday") for door in settings.doors.values())
    region = settings.gateway.holidays
    holidays = holidays_of(region, years(now_utc_ms)) if wanted and region else frozenset()
    plans = []
    for name, door in settings.doors.items():
        schedule = [
            Transition(utc_ms, cast(Mode, mode))
            for utc_ms, mode in transitions(together(door), zone, holidays, now_utc_ms)
        ]
        if schedule:
            # A timetable that says the same for weeks has not ended: the last transition says
            # up to where it is known, and the core gives notice only then.
            end_utc_ms = now_utc_ms + (HORIZON_DAYS - 1) * DAY
            schedule.append(Transition(end_utc_ms, schedule[-1].mode))
        plans.append(_door(settings, name, door, tuple(schedule)))
    return tuple(plans)


def _trusted(settings: Settings, door: Door, activator: Activator) -> bool:
    """Whether a button may open outside of *automatic*."""
    wired = activator.kind != "button" or settings.points[activator.point].trust == "wired"
    return wired or (door.egress_untrusted and activator.side == "inside")


def _untrusted_inside(settings: Settings, activator: Activator) -> bool:
    wired = settings.points[activator.point].trust == "wired"
    return activator.kind == "button" and activator.side == "inside" and not wired


def _door(settings: Settings, name: str, door: Door, schedule: tuple[Transition, ...]) -> DoorPlan:
    strike, indicator = door.strike or UNWRITTEN_STRIKE, door.indicator
    fire = _fire_point(settings, door)
    return DoorPlan(
        id=name,
        name=door.name or name,
        activation=door.activation.point,
        pulse_ms=pulse_ms(door),
        rest_ms=door.activation.rest_ms,
        open_for_ms=door.activation.maintained_ms or 0,
        strike=door.strike.point if door.strike else None,
        strike_lead_ms=strike.lead_ms,
        strike_tail_ms=strike.tail_ms,
        hold_open=door.hold_open,
        leaf=door.leaf,
        leaf_trusted=door.leaf is None or settings.points[door.leaf].trust == "wired",
        bolt=door.bolt,
        operator_fault=door.operator_fault,
        presence=door.presence,
        mode_switch=tuple(door.mode_switch.items()),
        activators=tuple(
            ActivatorPlan(a.point, a.kind, a.side, a.hold_open_ms, _trusted(settings, door, a))
            for a in door.activators
        ),
        opens_within_ms=door.opens_within_ms,
        closes_within_ms=door.closes_within_ms,
        left_open_after_ms=door.left_open_after_ms,
        assumed_open_ms=door.assumed_open_ms,
        toggle=door.toggle,
        fire=FirePlan(fire, door.on_fire.action) if fire and door.on_fire else None,
        egress=door.egress,
        indicator=IndicatorPlan(
            indicator.point, indicator.accepted_ms, indicator.refused_ms, indicator.fault_ms
        )
        if indicator
        else None,
        schedule=schedule,
        mode=door.unscheduled_mode,
        safe_mode=door.safe_mode,
        override_for_ms=door.override_for_ms,
    )


def _watch(settings: Settings, name: str, watch: Watch) -> WatchPlan:
    contact = settings.points[watch.point].kind == "contact"
    return WatchPlan(
        id=name,
        point=watch.point,
        severity=watch.severity,
        delay_ms=watch.delay_ms,
        active=watch.alarm_level if contact else None,
        quantity=watch.quantity,
        above=watch.above,
        below=watch.below,
        hysteresis=watch.hysteresis,
    )
