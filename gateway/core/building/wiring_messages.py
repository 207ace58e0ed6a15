"""The wiring of messages: which call or alarm begins and ends which chain, who is on duty, and
what becomes of a message.

A message leaves as the effect ``Send`` and comes back as ``Delivered``.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.core.building import state
from gateway.core.building.conditions import conditions
from gateway.core.building.state import Building
from gateway.core.building.work import Do, Emit, Later, Work, told
from gateway.core.effects import Effect, Reply, Send, Status
from gateway.core.events import CivilTime, ConfirmMessage, Delivered, TestMessage
from gateway.core.facts import Fact, Json
from gateway.core.instant import ClockKnown
from gateway.core.machine import Conditions, Step
from gateway.core.notification import alarms, escalation, mailing, ways
from gateway.core.notification.alarms import Alarm, Alarms
from gateway.core.notification.delivery import channels_of
from gateway.core.notification.escalation_state import NOBODY, Chain
from gateway.core.notification.mailing import Mailing
from gateway.core.plan import BuildingPlan, EscalationPlan
from gateway.core.room.call_record import Call
from gateway.core.signals import clock

OF_ROOM = frozenset(
    {"cord_stuck", "line_cut", "line_short", "long_stay", "no_motion", "call_unread"}
)
"""Alarms that go the way of the room's calls."""
OF_CORD = frozenset({"contact_unknown", "meter_silent", "implausible", "meter_frozen"})
"""The same, where the point is a cord: nobody can call."""
SUMMED_MOST = 100
"""Alarms of one summary."""


def plan_named(plan: BuildingPlan, name: str | None) -> EscalationPlan | None:
    """The escalation of this name."""
    return next((one for one in plan.escalations if one.id == name), None)


def off_duty(building: Building) -> frozenset[str]:
    """The receivers who are off duty now."""
    return frozenset(name for name, one in building.rosters.items() if one.off)


def _new_chain(building: Building, plan: EscalationPlan, about: str, subject: str) -> Chain:
    channels, off = channels_of(building.plan), off_duty(building)
    return Chain(plan, channels, about, subject, off, building.clock.offset_ms)


# --- what a chain and a mailing mean to others --------------------------------------------


def chain_stepped(
    building: Building, about: str, before: Chain | None, step: Step[Chain]
) -> list[Work]:
    """What became of each message is noted, then it is told and sent."""
    after = step.state
    others = [one for name, one in building.escalations.items() if name != about]
    was = _nobody([*others, before] if before is not None else others, after.subject)
    now = _nobody(building.escalations.values(), after.subject)
    work = _noted(building, step.facts)
    if step.effects:
        work.append(Emit(step.effects))
    return work + conditions(building, after.subject, was, now)


def _nobody(chains: Iterable[Chain], subject: str) -> Conditions:
    """Of several chains about a room, one that reaches nobody is enough; that of the alarm
    which says so does not count."""
    standing = any(
        chain.conditions and chain.subject == subject and chain.kind != "nobody_told"
        for chain in chains
    )
    return NOBODY if standing else ()


def _noted(building: Building, facts: tuple[Fact, ...]) -> list[Work]:
    if not facts:
        return []
    event = ways.MessageFacts(facts, building.clock.offset_ms)
    return [Do(state.WAYS, "", event), *told(facts)]


def mailing_stepped(building: Building, _: str, before: Mailing, step: Step[Mailing]) -> list[Work]:
    """The summary is of the alarm list as it stands when it is sent."""
    gateway, after = building.plan.gateway, step.state
    work = _noted(building, step.facts)
    if step.effects:
        work.append(Later(_sent, (step.effects,)))
    return work + conditions(building, gateway, before.conditions, after.conditions)


def _sent(building: Building, effects: tuple[Effect, ...]) -> list[Work]:
    return [Emit(tuple(_filled(building, effect) for effect in effects))]


def _filled(building: Building, effect: Effect) -> Effect:
    if not isinstance(effect, Send) or effect.kind != "summary":
        return effect
    listed: list[Json] = [
        {
            "id": alarm.id,
            "kind": alarm.kind,
            "subject": alarm.subject,
            "name": _name(building.plan, alarm.subject),
            "severity": alarm.severity,
            "raised_utc_ms": alarm.raised_utc_ms,
            "count": alarm.count,
        }
        for alarm in alarms.listed(building.alarms)[:SUMMED_MOST]
    ]
    delivery, receiver, channel = effect.delivery, effect.receiver, effect.channel
    return Send(delivery, receiver, channel, effect.kind, effect.about, {"alarms": listed})


# --- calls --------------------------------------------------------------------------------


def call_changed(before: Call, after: Call) -> list[Work]:
    """The call of a room has taken a step: somebody must come, or somebody knows."""
    was, now = before.record, after.record
    work: list[Work] = []
    if was is not None and (now is None or now.id != was.id):
        work.append(Later(_ended, (was.id, True)))
    if now is None or now.test:
        return work
    if now.state != "raised":
        return [*work, Later(_ended, (now.id, False))]
    return [*work, Later(_called, (after,))]


def _ended(building: Building, about: str, over: bool) -> list[Work]:
    chain = building.escalations.get(about)
    if chain is None or not (chain.running or over):
        return []
    return [Do(state.ESCALATION, about, escalation.Ended(seen=True, over=over))]


def _called(building: Building, after: Call) -> list[Work]:
    record, plan = after.record, plan_named(building.plan, after.plan.escalation)
    if record is None or plan is None:
        return []
    chain = building.escalations.get(record.id)
    if chain is not None and chain.running:
        return []
    data: dict[str, Json] = {
        "room": after.plan.name,
        "room_id": after.plan.id,
        "test": False,
        "pulls": record.pulls,
        "raised_utc_ms": record.raised.utc_ms or clock.utc_of(building.clock, record.raised.ms),
        "cause": record.cause,
    }
    begun = escalation.Begun("call" if chain is None else "call_again", data)
    start = _new_chain(building, plan, record.id, after.plan.id)
    return [Do(state.ESCALATION, record.id, begun, start)]


# --- alarms -------------------------------------------------------------------------------


def wanted(alarm: Alarm) -> bool:
    """Whether somebody must be told of an alarm."""
    unseen = alarm.acknowledged_by is None and not alarm.shelved and not alarm.muted
    return alarm.standing and unseen


def alarmed(building: Building, before: Alarms) -> list[Work]:
    """The alarm list has taken a step from ``before``."""
    was, now = before.by_id, building.alarms.by_id
    if was is now:
        return []
    moved = (name for name in {**was, **now} if was.get(name) is not now.get(name))
    return [Later(_moved, (name, now.get(name))) for name in moved]


def _moved(building: Building, name: str, alarm: Alarm | None) -> list[Work]:
    """An alarm came, changed or went."""
    chain = building.escalations.get(name)
    running = chain is not None and chain.running
    if alarm is not None and wanted(alarm):
        plan = None if running or not alarm.confirmed else _plan_of(building, alarm)
        if plan is None:
            return []
        patient = alarm.severity in ("fault", "notice")
        data = _told_of(building.plan, alarm)
        begun = escalation.Begun(alarm.kind, data, resume=True, patient=patient)
        return [Do(state.ESCALATION, name, begun, _new_chain(building, plan, name, alarm.subject))]
    if not running:
        return []
    gone = alarm is not None and not alarm.standing and alarm.acknowledged_by is None
    return [Do(state.ESCALATION, name, escalation.Ended(seen=not gone))]


def _plan_of(building: Building, alarm: Alarm) -> EscalationPlan | None:
    """A room's own alarms go the way of its calls, all others that of their severity."""
    plan = building.plan
    for room in plan.rooms:
        cords = (*room.cords, *(line.point for line in room.lines))
        mine = alarm.kind in OF_ROOM and alarm.subject in building.index.room_subjects[room.id]
        deaf = alarm.kind in OF_CORD and alarm.subject in cords
        if (mine or deaf) and room.escalation is not None:
            return plan_named(plan, room.escalation)
    found = plan_named(plan, dict(plan.alarm_escalations).get(alarm.severity))
    if found is None and alarm.kind == "call_orphaned":  # its own chain is known by the room only
        return next(iter(plan.escalations), None)
    return found


def _told_of(plan: BuildingPlan, alarm: Alarm) -> dict[str, Json]:
    return {
        "subject": alarm.subject,
        "name": _name(plan, alarm.subject),
        "severity": alarm.severity,
        "detail": alarm.detail,
        "raised_utc_ms": alarm.raised_utc_ms,
    }


def _name(plan: BuildingPlan, subject: str) -> str:
    """What people call it; a point by the name of its room or door, and its own."""
    places = {room.id: room.name for room in plan.rooms}
    places |= {door.id: door.name for door in plan.doors}
    if subject in places:
        return places[subject]
    place = places.get(subject.partition(".")[0])
    return subject if place is None else f"{place} ({subject})"


# --- clock, duty, answers -----------------------------------------------------------------


def clock_changed(building: Building) -> list[Work]:
    """The civil time is known, is trusted, is not trusted any more, or jumped."""
    offset_ms = building.clock.offset_ms or 0  # once known, it stays known
    seen = CivilTime(building.now_ms + offset_ms, building.clock.trusted)
    return [
        *(Do(state.ROSTER, name, seen) for name in building.rosters),
        Later(duty),
        Do(state.WAYS, "", ClockKnown(offset_ms)),
        Later(_chains_clock),
        *(Do(state.MAILING, name, seen) for name in building.mailings),
    ]


def _chains_clock(building: Building) -> list[Work]:
    offset_ms = building.clock.offset_ms or 0  # once known, it stays known
    return [
        Do(state.ESCALATION, about, ClockKnown(offset_ms))
        for about, chain in building.escalations.items()
        if chain.offset_ms != offset_ms
    ]


def duty(building: Building) -> list[Work]:
    """Every chain knows who is off duty now."""
    off = off_duty(building)
    return [
        Do(state.ESCALATION, about, escalation.Duty(off))
        for about, chain in building.escalations.items()
        if chain.off != off
    ]


def delivered(building: Building, event: Delivered) -> list[Work]:
    """What became of a message."""
    about = event.delivery.rpartition("#")[0]
    if about in building.escalations:
        return [Do(state.ESCALATION, about, event)]
    return [Do(state.MAILING, about, event)] if about in building.mailings else []


def confirm(building: Building, event: ConfirmMessage) -> list[Work] | str:
    """The receiver of a test message has it. A refusal is the key of its reason."""
    for name, one in building.mailings.items():
        message = mailing.find(one, event.delivery)
        if message is not None:
            confirmed = mailing.Confirmed(event.delivery, event.id)
            status: Status = "merged" if message.confirmed else "accepted"
            elsewhere = mailing.ConfirmedElsewhere(message.receiver)
            others = [*building.mailings] if name == mailing.BY_HAND else []
            return [
                Do(state.MAILING, name, confirmed),
                *(Do(state.MAILING, other, elsewhere) for other in others if other != name),
                Emit((Reply(event.id, status),)),
            ]
    return "unknown_message"


def test(building: Building, event: TestMessage) -> list[Work] | str:
    """A test message now. One that is under way is the answer to who asks again."""
    by_hand = building.mailings.get(mailing.BY_HAND)
    if by_hand is None or event.receiver not in by_hand.plan.receivers:
        return "unknown_receiver"
    if mailing.under_way_to(by_hand, event.receiver):
        return [Emit((Reply(event.id, "merged"),))]
    asked = mailing.TestAsked(event.receiver)
    return [Do(state.MAILING, mailing.BY_HAND, asked), Emit((Reply(event.id, "accepted"),))]
