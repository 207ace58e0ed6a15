"""Who is told of what: roster, escalation and mailing, between calls, alarms and messages.

Functions over ``Turn``, called by ``rooms`` only. The machines are ``roster``, ``escalation``
and ``mailing``; a message leaves as the effect ``Send`` and comes back as ``Delivered``. What
is kept and shown of it is in ``telling_kept``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from gateway.core import alarms, clock, deliveries, escalation, mailing, roster, state
from gateway.core.alarms import Alarm
from gateway.core.chains import (
    chain_for,
    channels_of,
    off_duty,
    plan_named,
    step_chain,
    tell_messages,
)
from gateway.core.effects import Effect, Reply, Send
from gateway.core.events import CivilTime, ConfirmMessage, Delivered
from gateway.core.facts import Json
from gateway.core.machine import Ms, replace
from gateway.core.mailing import Mailing
from gateway.core.plan import BuildingPlan, EscalationPlan
from gateway.core.roster import Roster
from gateway.core.telling_kept import kept, restore, shown, told, wanted

__all__ = [
    "alarmed", "begin", "call_changed", "clock_changed", "confirm", "delivered", "kept", "live",
    "mailings", "restore", "rosters", "shown", "told",
]  # fmt: skip

if TYPE_CHECKING:
    from gateway.core.alarms import Alarms
    from gateway.core.call_record import Call
    from gateway.core.turn import Turn

OF_ROOM = frozenset(
    {"cord_stuck", "line_cut", "line_short", "long_stay", "no_motion", "call_unread"}
)
"""Alarms that go the way of the room's calls."""
OF_CORD = frozenset({"contact_unknown", "meter_silent", "implausible", "meter_frozen"})
"""The same, where the point is a cord: nobody can call."""
SUMMED_MOST = 100
"""Alarms of one summary."""


def rosters(plan: BuildingPlan, now: Ms) -> Mapping[str, Roster]:
    """Everybody who is told of anything."""
    del now
    return {one.id: roster.start(one) for one in plan.receivers}


def mailings(plan: BuildingPlan, now: Ms) -> Mapping[str, Mailing]:
    """The messages by the clock."""
    del now
    channels = channels_of(plan)
    return {m.kind: mailing.start(m, channels, plan.gateway) for m in plan.mailings}


def begin(turn: Turn) -> None:
    """Every machine names its first deadline: none, before the clock is known."""


# --- calls --------------------------------------------------------------------------------


def call_changed(turn: Turn, before: Call, after: Call) -> None:
    """The call of a room has taken a step: somebody must come, or somebody knows."""
    was, now = before.record, after.record
    if was is not None and (now is None or now.id != was.id):
        _end(turn, was.id, over=True)
    if now is None or now.test:
        return
    chain = turn.escalations.get(now.id)
    plan = plan_named(turn.was.plan, after.plan.escalation)
    if now.state != "raised":
        _end(turn, now.id)
    elif plan is not None and (chain is None or not chain.running):
        data: dict[str, Json] = {
            "room": after.plan.name,
            "room_id": after.plan.id,
            "test": False,
            "pulls": now.pulls,
            "raised_utc_ms": now.raised.utc_ms or clock.utc_of(turn.clock, now.raised.ms),
            "cause": now.cause,
        }
        kind = "call" if chain is None else "call_again"
        chain = chain or chain_for(turn, plan, now.id, after.plan.id)
        step_chain(turn, chain, escalation.Begun(kind, data))


def _end(turn: Turn, about: str, *, over: bool = False) -> None:
    chain = turn.escalations.get(about)
    if chain is not None and (chain.running or over):
        step_chain(turn, chain, escalation.Ended(seen=True, over=over))


# --- alarms -------------------------------------------------------------------------------


def alarmed(turn: Turn, before: Alarms) -> None:
    """The alarm list has taken a step from ``before`` to ``turn.alarms``."""
    was, now = before.by_id, turn.alarms.by_id
    for name in {**was, **now}:
        if was.get(name) is now.get(name):
            continue
        chain, alarm = turn.escalations.get(name), now.get(name)
        running = chain is not None and chain.running
        if alarm is not None and wanted(alarm):
            plan = None if running or not alarm.confirmed else _plan_of(turn, alarm)
            if plan is not None:
                chain = chain or chain_for(turn, plan, name, alarm.subject)
                chain = replace(chain, patient=alarm.severity in ("fault", "notice"))
                data = _told_of(turn.was.plan, alarm)
                step_chain(turn, chain, escalation.Begun(alarm.kind, data, resume=True))
        elif chain is not None and running:
            gone = alarm is not None and not alarm.standing and alarm.acknowledged_by is None
            step_chain(turn, chain, escalation.Ended(seen=not gone))


def _plan_of(turn: Turn, alarm: Alarm) -> EscalationPlan | None:
    """A room's own alarms go the way of its calls, all others that of their severity."""
    plan = turn.was.plan
    for room in plan.rooms:
        cords = (*room.cords, *(line.point for line in room.lines))
        mine = alarm.kind in OF_ROOM and alarm.subject in turn.index.room_subjects[room.id]
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


# --- clock, answers, commands -------------------------------------------------------------


def live(turn: Turn, sort: int, name: str) -> None:
    """A deadline of the machine of this sort and name."""
    match sort:
        case state.ROSTER:
            _step_roster(turn, name, None)
            _tell_duty(turn)
        case state.ESCALATION:
            step_chain(turn, turn.escalations[name], None)
        case _:
            _step_mailing(turn, name, None)


def clock_changed(turn: Turn) -> None:
    """The civil time is known, is trusted, is not trusted any more, or jumped."""
    offset_ms = turn.clock.offset_ms
    seen = CivilTime(turn.now + (offset_ms or 0), turn.clock.trusted)
    for name in turn.rosters:
        _step_roster(turn, name, seen)
    _tell_duty(turn)
    turn.deliveries = deliveries.with_clock(turn.deliveries, offset_ms, turn.now)
    for chain in turn.escalations.values():
        if offset_ms is not None and offset_ms != chain.offset_ms:
            step_chain(turn, chain, escalation.ClockKnown(offset_ms))
    for name in turn.mailings:
        _step_mailing(turn, name, seen)


def _step_roster(turn: Turn, name: str, event: CivilTime | None) -> None:
    after = roster.step(turn.rosters[name], event, turn.now).state
    turn.rosters = {**turn.rosters, name: after}
    turn.wake((state.ROSTER, name), roster.wake_at(after))


def _tell_duty(turn: Turn) -> None:
    off = off_duty(turn)
    for chain in turn.escalations.values():
        if chain.off != off:
            step_chain(turn, chain, escalation.Duty(off))


def _step_mailing(turn: Turn, name: str, event: mailing.Event | None) -> None:
    before = turn.mailings[name]
    result = mailing.step(before, event, turn.now)
    turn.mailings = {**turn.mailings, name: result.state}
    turn.wake((state.MAILING, name), mailing.wake_at(result.state))
    tell_messages(turn, result.facts)
    turn.effects += _filled(turn, result.effects)
    turn.conditions(turn.was.plan.gateway, before.conditions, result.state.conditions)


def _filled(turn: Turn, effects: Iterable[Effect]) -> Iterable[Effect]:
    """The summary is of the alarm list as it stands when it is sent."""
    listed: list[Json] = [
        {
            "id": alarm.id,
            "kind": alarm.kind,
            "subject": alarm.subject,
            "name": _name(turn.was.plan, alarm.subject),
            "severity": alarm.severity,
            "raised_utc_ms": alarm.raised_utc_ms,
            "count": alarm.count,
        }
        for alarm in alarms.listed(turn.alarms)[:SUMMED_MOST]
    ]
    for effect in effects:
        if isinstance(effect, Send) and effect.kind == "summary":
            receiver, channel = effect.receiver, effect.channel
            data = {"alarms": listed}
            yield Send(effect.delivery, receiver, channel, effect.kind, effect.about, data)
        else:
            yield effect


def delivered(turn: Turn, event: Delivered) -> None:
    """What became of a message."""
    about = event.delivery.rpartition("#")[0]
    chain = turn.escalations.get(about)
    if chain is not None:
        step_chain(turn, chain, event)
    elif about in turn.mailings:
        _step_mailing(turn, about, event)


def confirm(turn: Turn, event: ConfirmMessage) -> Reply:
    """The receiver of a test message has it."""
    for name, one in turn.mailings.items():
        letter = mailing.find(one, event.delivery)
        if letter is not None:
            _step_mailing(turn, name, mailing.Confirmed(event.delivery, event.id))
            return Reply(event.id, "merged" if letter.confirmed else "accepted")
    return Reply(event.id, "refused", "unknown_message")
