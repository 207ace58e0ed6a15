"""The registry: one row for each sort of machine that the building has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from gateway.core.building import state
from gateway.core.door import door, interlock, schedule
from gateway.core.instant import Ms
from gateway.core.machine import Step
from gateway.core.notification import alarms, duty_roster, escalation, limits, mailing, ways
from gateway.core.notification.delivery import channels_of
from gateway.core.plan import BuildingPlan
from gateway.core.room import call, climate, leak, occupancy
from gateway.core.room.call_record import points_of
from gateway.core.signals import clock, contact, meter, relay, watch

Start = Callable[[BuildingPlan, Ms, clock.Past], Any]


class Machine(NamedTuple):
    """``field``: where the building has its state or states. ``start``: those at the start.
    ``single``: there is one, and its name is empty. ``finished``: whether a state is not needed any
    more.

    ``step(state, event, now)``, and ``instant`` says what it is given as ``now``:

    * ``"now"``: the instant that is being lived, ``Building.now_ms``;
    * ``"present"``: the present, for what switches;
    * ``"both"``: both, in this order, as ``step(state, event, now, present_ms)``.

    :mod:`gateway.core.building` says how the two differ."""

    field: str
    start: Start
    step: Callable[..., Step[Any]]
    wake_at: Callable[[Any], Ms | None]
    single: bool = False
    instant: Literal["now", "present", "both"] = "now"
    finished: Callable[[Any], bool] | None = None


def _never(_: object) -> None:
    return None


MACHINES: Mapping[int, Machine] = {
    state.CLOCK: Machine(
        "clock",
        lambda _plan, now, past: clock.start(now, past),
        clock.step,
        clock.wake_at,
        single=True,
    ),
    state.CONTACT: Machine(
        "contacts",
        lambda plan, now, _past: {c.point: contact.start(c, now) for c in plan.contacts},
        contact.step,
        contact.wake_at,
    ),
    state.METER: Machine(
        "meters",
        lambda plan, now, _past: {m.point: meter.start(m, now) for m in plan.meters},
        meter.step,
        meter.wake_at,
    ),
    state.WATCH: Machine(
        "watches",
        lambda plan, _now, _past: {w.id: watch.start(w) for w in plan.watches},
        watch.step,
        watch.wake_at,
    ),
    state.SCHEDULE: Machine(
        "schedules",
        lambda plan, now, _past: {d.id: schedule.start(d, now) for d in plan.doors},
        schedule.step,
        schedule.wake_at,
    ),
    state.ROSTER: Machine(
        "rosters",
        lambda plan, _now, _past: {one.id: duty_roster.start(one) for one in plan.receivers},
        duty_roster.step,
        duty_roster.wake_at,
    ),
    state.DOOR: Machine(
        "doors",
        lambda plan, now, _past: {d.id: door.start(d, now).state for d in plan.doors},
        door.step,
        door.wake_at,
        instant="both",
    ),
    state.CALL: Machine(
        "calls",
        lambda plan, now, _past: {r.id: call.start(r, now) for r in plan.rooms if points_of(r)},
        call.step,
        call.wake_at,
    ),
    state.OCCUPANCY: Machine(
        "occupancies",
        lambda plan, now, _past: {
            # of a door alone nothing is seen
            r.id: occupancy.start(r, now)
            for r in plan.rooms
            if r.motion or r.taps or r.bolt
        },
        occupancy.step,
        occupancy.wake_at,
    ),
    state.LEAK: Machine(
        "leaks",
        lambda plan, _now, _past: {r.id: leak.start(r) for r in plan.rooms if r.leak is not None},
        leak.step,
        _never,
    ),
    state.CLIMATE: Machine(
        "climates",
        lambda plan, _now, _past: {
            r.id: climate.start(r.climate) for r in plan.rooms if r.climate is not None
        },
        climate.step,
        climate.wake_at,
    ),
    state.RELAY: Machine(
        "relays",
        lambda plan, now, _past: {r.point: relay.start(r, now) for r in plan.relays},
        relay.step,
        relay.wake_at,
        instant="present",
    ),
    state.ALARMS: Machine(
        "alarms",
        lambda _plan, _now, _past: alarms.Alarms(),
        alarms.step,
        alarms.wake_at,
        single=True,
    ),
    state.ESCALATION: Machine(
        "escalations",
        lambda _plan, _now, _past: {},
        escalation.step,
        escalation.wake_at,
        finished=escalation.finished,
    ),
    state.MAILING: Machine(
        "mailings",
        lambda plan, _now, _past: {
            m.kind: mailing.start(m, channels_of(plan), plan.gateway) for m in mailing.plans(plan)
        },
        mailing.step,
        mailing.wake_at,
    ),
    state.LIMITS: Machine(
        "limits",
        lambda _plan, _now, _past: limits.Limits(),
        limits.step,
        limits.wake_at,
        single=True,
    ),
    state.INTERLOCK: Machine(
        "interlocks",
        lambda plan, now, _past: {i.id: interlock.start(i, now).state for i in plan.interlocks},
        interlock.step,
        interlock.wake_at,
    ),
    state.WAYS: Machine(
        "ways",
        lambda _plan, _now, _past: {},
        ways.step,
        _never,
        single=True,
    ),
}
"""Sort -> its machine."""
