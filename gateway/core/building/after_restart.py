"""After a restart: the saved state is put back and merged with what has happened since. An alarm is
cleared only when its cause is seen to be gone."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.building import state
from gateway.core.building.conditions import raised
from gateway.core.building.saved_state import SavedState, read
from gateway.core.building.state import Building
from gateway.core.building.wiring import resume_service
from gateway.core.building.wiring_messages import off_duty, plan_named, wanted
from gateway.core.building.work import Do, Later, Put, Service, Work
from gateway.core.door import schedule
from gateway.core.facts import Json
from gateway.core.instant import ClockKnown
from gateway.core.machine import replace
from gateway.core.notification import alarms, escalation_state, mailing, ways
from gateway.core.notification.alarms import UNTIL_SEEN, Alarm
from gateway.core.notification.delivery import channels_of
from gateway.core.notification.escalation_state import Chain
from gateway.core.plan import BuildingPlan
from gateway.core.room import call, call_saved, leak
from gateway.core.room.call_record import points_of
from gateway.core.signals import clock
from gateway.core.signals.clock import Past


def restored(building: Building, saved: Mapping[str, Json], past: Past) -> list[Work]:
    """The alarm list comes before who was told, and that before the calls, so that nobody is told
    twice.

    If the saved state has an unknown format, what can be read of it is used, and what cannot is
    taken for the worst: each door is in *night* until staff decide, and a room whose call cannot
    be read has an alarm that a person has to end."""
    was = read(saved, past)
    after = clock.restored(building.clock, was.clock, past, building.now_ms)
    return [
        *_unread(building, was),
        Service({**building.service, **was.service}),
        *_doors(building, was, settled=clock.settled(after)),
        *(work for alarm in was.alarms for work in _alarm(building, alarm)),
        *_messages(building, was),
        *_calls(building, was, saved.get("calls")),
        *(Do(state.LEAK, r, leak.Restored()) for r in building.leaks if r in was.leaks),
        Put(state.CLOCK, "", after),
        Later(_service),
    ]


def _service(building: Building) -> list[Work]:
    return resume_service(building) if building.clock.trusted else []


def _unread(building: Building, was: SavedState) -> list[Work]:
    stands = (("state_unread", was.unknown_format), ("journal_set_aside", was.journal_aside))
    gateway = building.plan.gateway
    return [raised(building, gateway, kind, detail) for kind, detail in stands if detail]


def _doors(building: Building, was: SavedState, *, settled: bool) -> list[Work]:
    """``settled``: whether the clock is, after it was put back. A time that was accepted before may
    be in doubt now."""
    work: list[Work] = []
    for name, counted in was.counters.items():
        if name in building.doors:
            now = building.doors[name]
            summed = replace(now, counters=now.counters + counted)
            work.append(Put(state.DOOR, name, summed, known=True))
    for name, one in building.schedules.items():
        before = replace(one, settled=one.settled and settled)
        override, carried = was.overrides.get(name), was.modes.get(name)
        if was.unknown_format:
            override = schedule.restricted(override)
        after = schedule.restored(before, override, carried, building.now_ms)
        work.append(Put(state.SCHEDULE, name, after))
    return work


def _alarm(building: Building, alarm: Alarm) -> list[Work]:
    work: list[Work] = [Do(state.ALARMS, "", alarms.Restored(alarm))]
    point = building.contacts.get(alarm.subject)
    sticks = alarm.kind == "contact_stuck" and alarm.standing
    if point is not None and sticks and point.active is None:
        stuck = replace(point, stuck=True)
        return [Put(state.CONTACT, alarm.subject, stuck, known=True), *work]
    return work


def _messages(building: Building, was: SavedState) -> list[Work]:
    found = ways.restored(building.plan, was.ways, building.ways)
    known = ways.with_clock(found, building.clock.offset_ms, building.now_ms)
    work: list[Work] = [Put(state.WAYS, "", known)]
    records = [one.record for one in was.calls.values() if one.record is not None]
    calls = {name for record in records for name in (record.id, record.was)}
    work += [
        Later(_chain, (about, chain))
        for about, chain in was.escalations.items()
        if "/" in about or about in calls  # else nobody could acknowledge it
    ]
    for name, one in was.mailings.items():
        if name in building.mailings:
            after = mailing.restored(building.mailings[name], one, building.now_ms)
            work.append(Put(state.MAILING, name, after))
    return work


def _chain(building: Building, about: str, was: Chain) -> list[Work]:
    """A chain of before, where what it is about is still there and has still to be told."""
    if about in building.escalations:
        return []
    subject, plan = was.subject, plan_named(building.plan, was.plan.id)
    room = building.index.room_plans.get(subject)
    if plan is None and room is not None:
        plan = plan_named(building.plan, room.escalation)
    if plan is None or ("/" not in about and subject not in building.calls):
        return []
    channels = channels_of(building.plan)
    chain = escalation_state.restored(plan, channels, about, was, building.now_ms)
    chain = replace(chain, off=off_duty(building))
    if building.clock.offset_ms is not None:
        chain = escalation_state.with_clock(chain, building.clock.offset_ms)
    alarm = building.alarms.by_id.get(about)
    if "/" in about and (alarm is None or not wanted(alarm)):
        chain = replace(chain, running=False, conditions=())
    return [Put(state.ESCALATION, about, chain)]


def _calls(building: Building, was: SavedState, section: Json) -> list[Work]:
    """``section``: as it was written, to tell a call that cannot be read from none."""
    entries = section if isinstance(section, dict) else {}
    offset_ms = building.clock.offset_ms
    work: list[Work] = []
    for room in building.calls:
        if call_saved.unreadable(entries.get(room), known=not was.unknown_format):
            work.append(raised(building, room, "call_unread", ""))
        before = was.calls.get(room, call_saved.NONE_SAVED)
        work.append(Do(state.CALL, room, call.Restored(before)))
        if offset_ms is not None:
            work.append(Do(state.CALL, room, ClockKnown(offset_ms)))
    for room, one in was.calls.items():
        name = "" if room in building.calls else call_saved.standing(one)
        if name:
            work.append(raised(building, room, "call_orphaned", name))
    return work


def deserted(building: Building, after: BuildingPlan) -> list[str]:
    """The rooms whose call stands and that ``after`` could not hear or end any more."""
    there = {room.id for room in after.rooms if points_of(room)}
    records = ((room, one.record) for room, one in building.calls.items())
    standing = [room for room, record in records if record is not None and not record.test]
    return [room for room in standing if room not in there]


def tested(building: Building) -> list[str]:
    """The rooms in test mode, which ends with this process."""
    return [room for room, one in building.calls.items() if one.test_until_ms is not None]


# --- what is seen to be over --------------------------------------------------------------


def doubts_over(building: Building) -> list[Work]:
    """The alarms of before the restart that are seen to stand no longer are cleared."""
    return [
        Do(state.ALARMS, "", alarms.Cleared(alarm.subject, alarm.kind))
        for alarm in building.alarms.by_id.values()
        if not alarm.confirmed and _healed(building, alarm)
    ]


def _healed(building: Building, alarm: Alarm) -> bool:  # noqa: PLR0911 - a table of proofs
    """Whether it is *seen* that what stood before the restart stands no longer.

    A machine that sees the condition again raises it again. One that has seen nothing yet
    says nothing, and silence is no proof of health."""
    subject, kind = alarm.subject, alarm.kind
    if kind in UNTIL_SEEN:
        return False
    if kind.startswith("watch:"):
        one = building.watches.get(kind.removeprefix("watch:"))
        return one is None or one.known
    if subject in building.doors:
        return _door_healed(building, subject, kind)
    if subject in building.contacts:
        return building.contacts[subject].active is not None
    if subject in building.relays:
        relay = building.relays[subject]
        works = relay.operations > 0 or (relay.answered and not relay.fault)
        return kind == "relay_limit" or works
    if subject in building.meters:
        return all(series.value is not None for series in building.meters[subject].series.values())
    if subject in building.index.room_plans:
        return _room_healed(building, subject, kind)
    if kind in ("clock_untrusted", "clock_jumped", "clock_unsettled"):
        return building.clock.trusted
    if kind == "journal_full":
        return building.journal is not None
    if kind == "certificate_ends":
        return building.certificates is not None
    return True


def _door_healed(building: Building, name: str, kind: str) -> bool:
    one = building.doors[name]
    match kind:
        case "did_not_open":
            result = one.leaf.result
            return one.plan.leaf is None or (result is not None and result.result == "opened")
        case "forced" | "left_open" | "did_not_close":
            return one.leaf_seen in (None, "closed")
        case "operator_fault":
            return one.plan.operator_fault is None or one.operator_fault is not None
        case "bolt_mismatch":
            bolt = one.plan.bolt
            return bolt is None or building.contacts[bolt].active is not None
        case "schedule_ended":
            return building.clock.trusted
        case _:
            return True


def _room_healed(building: Building, room: str, kind: str) -> bool:
    match kind:
        case "long_stay" | "no_motion":
            seen = building.occupancies.get(room)
            return seen is None or seen.belief == "vacant"
        case "leak":
            # Latched again by what was saved; without a sensor there is nothing to wait for.
            water = building.leaks.get(room)
            return water is None or (water.wet is False and not water.latched)
        case "frost" | "mould":
            air = building.climates.get(room)
            return air is None or air.known(kind)
        case _:
            return True
