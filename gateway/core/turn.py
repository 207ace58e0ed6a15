"""One step of the building under way: the machines as they become, and what comes of them.

Every method takes one machine from its state to the next and hands on what that means to
others. The order of calls is the order in which things happen. It is one long file so that
all of what one machine means to another is read in one place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.core import (
    alarms,
    clock,
    contact,
    door,
    interlock,
    limits,
    meter,
    relay,
    rooms,
    routing,
    schedule,
    state,
    surroundings,
    telling,
    watch,
)
from gateway.core.alarms import Alarm
from gateway.core.effects import Drive, Effect
from gateway.core.events import (
    CivilTime,
    Delivered,
    JournalState,
    Level,
    Reading,
    RelayFault,
    Reported,
)
from gateway.core.facts import Fact, Json
from gateway.core.kept import healed, read
from gateway.core.machine import Conditions, Ms, Step, replace
from gateway.core.plan import BuildingPlan
from gateway.core.state import (
    ALARMS,
    CLOCK,
    CONTACT,
    DOOR,
    LIMITS,
    METER,
    PRESS,
    RELAY,
    SCHEDULE,
    WATCH,
    Building,
    Key,
)


def blank(plan: BuildingPlan, now: Ms, past: clock.Past) -> Building:
    """Nothing seen, nothing driven."""
    return Building(
        plan=plan,
        index=routing.index(plan),
        now_ms=now,
        clock=clock.start(now, past),
        contacts={c.point: contact.start(c, now) for c in plan.contacts},
        relays={r.point: relay.start(r, now).state for r in plan.relays},
        meters={m.point: meter.start(m, now) for m in plan.meters},
        watches={w.id: watch.start(w) for w in plan.watches},
        schedules={d.id: schedule.start(d, now) for d in plan.doors},
        doors={d.id: door.start(d, now).state for d in plan.doors},
        interlocks={i.id: interlock.start(i, now).state for i in plan.interlocks},
        calls=rooms.calls(plan, now),
        occupancies=surroundings.occupancies(plan, now),
        leaks=surroundings.leaks(plan),
        climates=surroundings.climates(plan),
        rosters=telling.rosters(plan, now),
        mailings=telling.mailings(plan, now),
    )


class Turn:
    """The scratch pad of one step. ``now`` moves through the deadlines up to ``until_ms``;
    ``present_ms`` is later where the step is lived late: relays switch then, whatever is lived."""

    __slots__ = (
        "alarms",
        "calls",
        "climates",
        "clock",
        "contacts",
        "deliveries",
        "doors",
        "effects",
        "escalations",
        "facts",
        "index",
        "interlocks",
        "journal",
        "leaks",
        "limits",
        "mailings",
        "meters",
        "now",
        "occupancies",
        "present_ms",
        "relays",
        "rosters",
        "schedules",
        "service",
        "until_ms",
        "wakes",
        "was",
        "watches",
    )

    def __init__(self, was: Building, until_ms: Ms, present_ms: Ms) -> None:
        self.was = was
        self.index = was.index
        self.now = was.now_ms
        self.until_ms = until_ms
        self.present_ms = present_ms
        self.facts: list[Fact] = []
        self.effects: list[Effect] = []
        self.clock = was.clock
        self.contacts = was.contacts
        self.relays = was.relays
        self.meters = was.meters
        self.watches = was.watches
        self.schedules = was.schedules
        self.doors = was.doors
        self.interlocks = was.interlocks
        self.calls = was.calls
        self.occupancies = was.occupancies
        self.leaks = was.leaks
        self.climates = was.climates
        self.rosters = was.rosters
        self.escalations = was.escalations
        self.mailings = was.mailings
        self.deliveries = was.deliveries
        self.alarms = was.alarms
        self.limits = was.limits
        self.journal = was.journal
        self.service = was.service
        self.wakes = dict(was.wakes)

    # --- beginning, time, end -------------------------------------------------------------

    def begin(self) -> None:
        """The relays are told to be off, and every machine names its first deadline."""
        self.now = self.until_ms
        plan = self.was.plan
        self.effects += [Drive(r.point, False) for r in plan.relays]
        self.wake((CLOCK, ""), clock.wake_at(self.clock))
        for point, one_contact in self.contacts.items():
            self._wake_contact(point, one_contact)
        for point, one_meter in self.meters.items():
            self.wake((METER, point), meter.wake_at(one_meter))
        for lock in plan.interlocks:
            for name in lock.doors:
                self._tell_interlocked(name)
        rooms.begin(self)

    def notices(self) -> None:
        """What stands because the configuration says so."""
        for subject, kind in self.was.plan.notices:
            self._raise(subject, kind, "")

    def restore(self, kept: Mapping[str, Json], past: clock.Past) -> None:
        """What stood before the restart stands again, beside what happened since.

        Where it is in a format that is not known, what can be read of it is used, and what
        cannot is taken for the worst: each door is in *night* until staff decide, and a room
        whose call cannot be read has an alarm that a person has to end."""
        was = read(kept)
        for kind, detail in (
            ("state_unread", was.unknown_format),
            ("journal_set_aside", was.journal_aside),
        ):
            if detail:
                self._raise(self.was.plan.gateway, kind, detail)
        self.service = {**self.service, **was.service}
        for name, tally in was.tallies.items():
            if name in self.doors:
                now = self.doors[name]
                self.doors = {**self.doors, name: replace(now, tally=now.tally + tally)}
        known = clock.restored(self.clock, kept.get("clock"), past, self.now)
        for name, before in self.schedules.items():
            # A first time that was taken before anything else was known may be in doubt now.
            before = replace(before, settled=before.settled and clock.settled(known))  # noqa: PLW2901
            override, carried = was.overrides.get(name), was.modes.get(name)
            if override is not None:
                until_ms = override.until_ms - past.uptime_ms
                override = replace(override, until_ms=until_ms)
            if carried is not None and carried.until_ms is not None:
                carried = replace(carried, until_ms=carried.until_ms - past.uptime_ms)
            if was.unknown_format:
                override = schedule.restricted(override)
            self.set_schedule(name, schedule.restored(before, override, carried, self.now))
        for alarm in was.alarms:
            self._restore_alarm(alarm)
        rooms.restore(self, was)
        self.set_clock(known)
        if self.clock.trusted:
            self._resume_service()

    def _restore_alarm(self, alarm: Alarm) -> None:
        point = self.contacts.get(alarm.subject)
        if point is not None and alarm.kind == "contact_stuck" and alarm.standing:
            still = replace(point, stuck=True) if point.active is None else point
            self.contacts = {**self.contacts, alarm.subject: still}
        self.step_alarms(alarms.Restored(alarm))

    def live_next(self) -> bool:
        """Live the earliest deadline at its own time; whether there was one."""
        due_ms = min(self.wakes.values(), default=None)
        if due_ms is None or due_ms > self.until_ms:
            return False
        sort, name = min(key for key, at_ms in self.wakes.items() if at_ms == due_ms)
        self.now = max(due_ms, self.now)
        self._live(sort, name)
        return True

    def _live(self, sort: int, name: str) -> None:
        match sort:
            case state.CLOCK:
                self.step_clock(None)
            case state.CONTACT | state.PRESS:
                self.step_contact(name, None)
            case state.METER:
                self.step_meter(name, None)
            case state.WATCH:
                self.step_watch(name, None)
            case state.SCHEDULE:
                self.set_schedule(name, schedule.step(self.schedules[name], None, self.now).state)
            case state.DOOR:
                self.step_door(name, None)
            case state.RELAY:
                self.step_relay(name, None)
            case state.ALARMS:
                self.step_alarms(None)
            case state.LIMITS:
                self.step_limits(None)
            case _:
                rooms.live(self, sort, name)

    def end(self) -> Step[Building]:
        """The building after the step."""
        after = self._built()
        doubtful = [a for a in self.alarms.by_id.values() if not a.confirmed and healed(after, a)]
        for alarm in doubtful:
            self.step_alarms(alarms.Cleared(alarm.subject, alarm.kind))
        return Step(self._built() if doubtful else after, tuple(self.facts), tuple(self.effects))

    def _built(self) -> Building:
        was = self.was
        return Building(
            was.plan,
            was.index,
            self.until_ms,
            self.clock,
            self.contacts,
            self.relays,
            self.meters,
            self.watches,
            self.schedules,
            self.doors,
            self.interlocks,
            self.calls,
            self.occupancies,
            self.leaks,
            self.climates,
            self.rosters,
            self.escalations,
            self.mailings,
            self.deliveries,
            self.alarms,
            self.limits,
            self.journal,
            self.service,
            self.wakes,
            min(self.wakes.values(), default=None),
        )

    def wake(self, key: Key, at_ms: Ms | None) -> None:
        if at_ms is None:
            self.wakes.pop(key, None)
        else:
            self.wakes[key] = at_ms

    def tell(self, facts: Iterable[Fact]) -> None:
        """Facts go out, those that anybody can cause at will only so many a minute."""
        for fact in facts:
            if limits.limited(fact):
                self.step_limits(fact)
            else:
                self.facts.append(fact)

    def step_limits(self, event: Fact | None) -> None:
        result = limits.step(self.limits, event, self.now)
        self.limits = result.state
        self.wake((LIMITS, ""), limits.wake_at(self.limits))
        self.facts += result.facts

    # --- events ---------------------------------------------------------------------------

    def take(self, event: Reported) -> None:
        """What the terminal strip, the clock or the journal reports. A point that is not in
        the plan is ignored."""
        match event:
            case Level():
                if event.point in self.contacts:
                    if self.index.contacts[event.point].activators:
                        self.now = self.present_ms
                    self.step_contact(event.point, event)
            case Reading():
                if event.point in self.meters:
                    self.step_meter(event.point, event)
            case RelayFault():
                if event.point in self.relays:
                    self.step_relay(event.point, event)
                    for name in self.index.relay_doors.get(event.point, ()):
                        self.step_door(name, door.RelayFailed(event.point, event.reason))
            case CivilTime():
                self.step_clock(event)
            case Delivered():
                rooms.delivered(self, event)
            case _:
                self._journal(event)

    def step_clock(self, event: CivilTime | None) -> None:
        self.set_clock(clock.step(self.clock, event, self.now).state)

    def set_clock(self, after: clock.Clock) -> None:
        before, self.clock = self.clock, after
        self.wake((CLOCK, ""), clock.wake_at(after))
        self.conditions(self.was.plan.gateway, before.conditions, after.conditions)
        known = (after.trusted, after.offset_ms) != (before.trusted, before.offset_ms)
        settled = clock.settled(after)
        if not known and settled == clock.settled(before):
            return
        if after.offset_ms is not None and after.offset_ms != self.alarms.offset_ms:
            self.step_alarms(alarms.ClockKnown(after.offset_ms))
        seen = CivilTime(self.now + (after.offset_ms or 0), after.trusted, settled)
        for name, one in self.schedules.items():
            self.set_schedule(name, schedule.step(one, seen, self.now).state)
        if not known:
            return
        rooms.clock_changed(self)
        if after.trusted:
            self._resume_service()

    def _resume_service(self) -> None:
        """Service mode that stood before the restart goes on for as long as it was meant to."""
        waiting, self.service = self.service, {}
        for name, until_utc_ms in waiting.items():
            left_ms = until_utc_ms - (clock.utc_of(self.clock, self.now) or 0)
            if name in self.doors and 0 < left_ms <= door.SERVICE_LIMIT_MS:
                self.step_door(name, door.ServiceSet(left_ms))

    def _journal(self, event: JournalState) -> None:
        gateway = self.was.plan.gateway
        self.journal = event.reason
        before = (("journal_full", self.was.journal),) if self.was.journal else ()
        after = (("journal_full", event.reason),) if event.reason else ()
        self.conditions(gateway, before, after)

    # --- points ---------------------------------------------------------------------------

    def step_contact(self, point: str, event: Level | None) -> None:
        before = self.contacts[point]
        result = contact.step(before, event, self.now)
        after = result.state
        if after is before:
            return
        self.contacts = {**self.contacts, point: after}
        self._wake_contact(point, after)
        self.facts += result.facts
        level = before.active
        for change in result.changes:
            self._changed(point, level, change)
            level = change.active
        self.conditions(point, before.conditions, after.conditions)

    def _wake_contact(self, point: str, one: contact.Contact) -> None:
        sort = PRESS if self.index.contacts[point].activators else CONTACT
        self.wake((sort, point), contact.wake_at(one))

    def _changed(self, point: str, was: bool | None, change: contact.Change) -> None:
        """What a settled change means to whom."""
        routes = self.index.contacts[point]
        if point in self.index.fire_points:
            self._fire(point, was, change.active)
        for name, role in routes.roles:
            self.step_door(name, _seen(role, change))
        for name in routes.switches:
            self._switch(name)
        for name, plan in routes.activators:
            if change.pressed:
                pressed = door.Requested(
                    plan.kind, plan.side, point, plan.hold_open_ms, change.edge_ms
                )
                self._request(name, pressed)
            elif not change.active:
                self.step_door(name, door.Released(point))
        for name in self.index.watches.get(point, ()):
            self.step_watch(name, watch.Seen(change.active, change.edge_ms))
        rooms.changed(self, point, change)

    def _request(self, name: str, pressed: door.Requested) -> None:
        """A press is answered in the present, however late it is found: its pulse is given
        whole, and one that is too old is seen to be stale."""
        lived_ms, self.now = self.now, self.present_ms
        self.step_door(name, pressed)
        self.now = lived_ms

    def _fire(self, point: str, was: bool | None, active: bool | None) -> None:
        """The fire contact itself is told and is an alarm once, however many doors it moves."""
        if active or was is not None:
            self.facts.append(Fact("fire_alarm", point, self.now, {"active": active, "door": None}))
        if active:
            self._raise(point, "fire", "")
        elif active is not None:
            self.step_alarms(alarms.Cleared(point, "fire"))

    def _switch(self, name: str) -> None:
        active = frozenset(p for p, c in self.contacts.items() if c.active)
        mode = routing.selected(self.index.doors[name], active)
        before = self.schedules[name]
        self.set_schedule(name, schedule.step(before, schedule.SwitchSeen(mode), self.now).state)

    def step_meter(self, point: str, event: Reading | None) -> None:
        before = self.meters[point]
        result = meter.step(before, event, self.now)
        after = result.state
        if after is before:
            return
        self.meters = {**self.meters, point: after}
        self.wake((METER, point), meter.wake_at(after))
        self.facts += result.facts
        for name in self.index.watches.get(point, ()):
            quantity = self.watches[name].plan.quantity or ""
            self.step_watch(name, watch.Seen(after.series[quantity].value, self.now))
        rooms.metered(self, point)
        self.conditions(point, before.conditions, after.conditions)

    def step_watch(self, name: str, event: watch.Seen | None) -> None:
        before = self.watches[name]
        after = watch.step(before, event, self.now).state
        self.watches = {**self.watches, name: after}
        self.wake((WATCH, name), watch.wake_at(after))
        self.conditions(after.plan.point, before.conditions, after.conditions)

    def step_relay(self, point: str, event: relay.RelayEvent | None) -> None:
        before = self.relays[point]
        result = relay.step(before, event, self.present_ms)
        after = result.state
        self.relays = {**self.relays, point: after}
        self.wake((RELAY, point), relay.wake_at(after))
        self.facts += result.facts
        self.effects += result.effects
        self.conditions(point, before.conditions, after.conditions)

    # --- doors ----------------------------------------------------------------------------

    def step_door(self, name: str, event: door.DoorEvent | None) -> None:
        before = self.doors[name]
        result = door.step(before, event, self.now, self.present_ms)
        after = result.state
        if after is before:
            return
        self.doors = {**self.doors, name: after}
        self.wake((DOOR, name), door.wake_at(after))
        for effect in result.effects:
            if isinstance(effect, Drive):
                self.step_relay(effect.point, effect)
            else:
                self.effects.append(effect)
        self.tell(result.facts)
        self.conditions(name, before.conditions, after.conditions)
        if before.service_until_ms is not None and after.service_until_ms is None:
            free = (s for s in self.index.subjects[name] if not self._muted(s))
            self.step_alarms(alarms.Unmuted(frozenset(free)))
        for lock in self.index.interlocks[name]:
            self.step_interlock(lock.id, name)

    def step_interlock(self, group: str, name: str) -> None:
        """The group looks at the door, and tells its doors where that changes their turn."""
        before, one = self.interlocks[group], self.doors[name]
        after = interlock.step(before, interlock.Seen(name, one.busy, one.waits), self.now).state
        if after == before:
            return
        self.interlocks = {**self.interlocks, group: after}
        for other in after.plan.doors:
            self._tell_interlocked(other)

    def _tell_interlocked(self, name: str) -> None:
        groups = [self.interlocks[lock.id] for lock in self.index.interlocks[name]]
        free = all(interlock.free_for(group, name) for group in groups)
        wait_ms = min(group.plan.wait_ms for group in groups)
        if (self.doors[name].free, self.doors[name].wait_ms) != (free, wait_ms):
            self.step_door(name, door.Interlocked(free, wait_ms))

    def set_schedule(self, name: str, after: schedule.Schedule) -> None:
        before = self.schedules[name]
        self.schedules = {**self.schedules, name: after}
        self.wake((SCHEDULE, name), schedule.wake_at(after))
        if after.ruling is not before.ruling:
            self.step_door(name, mode_of(after.ruling))
        self.conditions(name, before.conditions, after.conditions)

    # --- alarms ---------------------------------------------------------------------------

    def conditions(self, subject: str, before: Conditions, after: Conditions) -> None:
        """What began and ended to stand at a machine."""
        if before is after or before == after:
            return
        kinds = [kind for kind, _ in after]
        for kind, _ in before:
            if kind not in kinds:
                self.step_alarms(alarms.Cleared(subject, self._kind(subject, kind)))
        for condition in after:
            if condition not in before:
                kind, detail = condition
                self._raise(subject, self._kind(subject, kind), detail)

    def orphaned(self, room: str, call_id: str) -> None:
        """A call stood before the restart, and its room is configured no more."""
        self._raise(room, "call_orphaned", call_id)

    def call_unread(self, room: str) -> None:
        """Whether a call stood before the restart cannot be read."""
        self._raise(room, "call_unread", "")

    def _kind(self, subject: str, kind: str) -> str:
        """That a fire contact cannot be read is an alarm of its own."""
        fire = kind == "contact_unknown" and subject in self.index.fire_points
        return "fire_contact_unknown" if fire else kind

    def _raise(self, subject: str, kind: str, detail: str) -> None:
        severity = self.index.severities.get((subject, kind)) or alarms.ALARM_KINDS[kind]
        self.step_alarms(alarms.Raised(subject, kind, severity, detail, self._muted(subject)))

    def _muted(self, subject: str) -> bool:
        doors = self.index.service.get(subject, ())
        return any(self.doors[name].service_until_ms is not None for name in doors)

    def step_alarms(self, event: alarms.Event | None) -> None:
        before = self.alarms
        result = alarms.step(before, event, self.now)
        self.alarms = result.state
        self.wake((ALARMS, ""), alarms.wake_at(self.alarms))
        self.tell(result.facts)
        self.effects += result.effects
        rooms.alarmed(self, before)


def mode_of(ruling: schedule.Ruling) -> door.ModeChanged:
    return door.ModeChanged(ruling.mode, ruling.source, ruling.until_utc_ms, ruling.by)


def _seen(role: routing.Role, change: contact.Change) -> door.DoorEvent:
    match role:
        case "leaf":
            return door.LeafSeen(change.active, change.edge_ms)
        case "bolt":
            return door.BoltSeen(change.active)
        case "operator_fault":
            return door.OperatorFaultSeen(change.active)
        case "presence":
            return door.PresenceSeen(change.active)
        case _:
            return door.FireSeen(change.active)
