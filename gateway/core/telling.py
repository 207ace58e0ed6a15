"""Who is told of what: roster, escalation and mailing, between calls, alarms and messages.

Functions over ``Turn``, called by ``rooms`` only. The machines are ``roster``, ``escalation``
and ``mailing``; a message leaves as the effect ``Send`` and comes back as ``Delivered``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from gateway.core import alarms, escalation, escalation_state, mailing, roster, state
from gateway.core.alarms import Alarm
from gateway.core.effects import Effect, Reply, Send
from gateway.core.escalation_state import NOBODY, Chain
from gateway.core.events import CivilTime, ConfirmMessage, Delivered
from gateway.core.facts import Json
from gateway.core.machine import Conditions, Ms, replace
from gateway.core.mailing import Mailing
from gateway.core.plan import BuildingPlan, EscalationPlan
from gateway.core.roster import Roster

if TYPE_CHECKING:
    from gateway.core.alarms import Alarms
    from gateway.core.call_record import Call
    from gateway.core.kept import Kept
    from gateway.core.state import Building
    from gateway.core.turn import Turn

OF_ROOM = frozenset({"cord_stuck", "line_cut", "line_short", "long_stay", "no_motion"})
"""Alarms that go the way of the room's calls."""
OF_CORD = frozenset({"contact_unknown", "meter_silent", "implausible", "meter_frozen"})
"""The same, where the point is a cord: nobody can call."""
SHOWN_MOST = 20
SUMMED_MOST = 100
"""Alarms of one summary."""


def rosters(plan: BuildingPlan, now: Ms) -> Mapping[str, Roster]:
    """Everybody who is told of anything."""
    del now
    return {one.id: roster.start(one) for one in plan.receivers}


def mailings(plan: BuildingPlan, now: Ms) -> Mapping[str, Mailing]:
    """The messages by the clock."""
    del now
    channels = _channels(plan)
    return {m.kind: mailing.start(m, channels, plan.gateway) for m in plan.mailings}


def _channels(plan: BuildingPlan) -> Mapping[str, int]:
    return {one.id: one.channels for one in plan.receivers}


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
    plan = _plan(turn.was.plan, after.plan.escalation)
    if now.state != "raised":
        _end(turn, now.id)
    elif plan is not None and (chain is None or not chain.running):
        data: dict[str, Json] = {
            "room": after.plan.name,
            "room_id": after.plan.id,
            "test": False,
            "pulls": now.pulls,
            "raised_utc_ms": now.raised.utc_ms,
            "cause": now.cause,
        }
        kind = "call" if chain is None else "call_again"
        chain = chain or _chain(turn, plan, now.id, after.plan.id)
        _step(turn, chain, escalation.Begun(kind, data))


def _end(turn: Turn, about: str, *, over: bool = False) -> None:
    chain = turn.escalations.get(about)
    if chain is not None and (chain.running or over):
        _step(turn, chain, escalation.Ended(seen=True, over=over))


def told(building: Building, about: str) -> dict[str, Json]:
    """Who was told of a call, and when the next one will be."""
    chain = building.escalations.get(about)
    if chain is None:
        return {"messages": [], "next_message_ms": None}
    next_ms = chain.next_ms if chain.running else None
    return {"messages": [_shown(m) for m in chain.messages], "next_message_ms": next_ms}


# --- alarms -------------------------------------------------------------------------------


def alarmed(turn: Turn, before: Alarms) -> None:
    """The alarm list has taken a step from ``before`` to ``turn.alarms``."""
    was, now = before.by_id, turn.alarms.by_id
    for name in {**was, **now}:
        if was.get(name) is now.get(name):
            continue
        chain, alarm = turn.escalations.get(name), now.get(name)
        running = chain is not None and chain.running
        if alarm is not None and _wanted(alarm):
            plan = None if running or not alarm.confirmed else _plan_of(turn, alarm)
            if plan is not None:
                chain = chain or _chain(turn, plan, name, alarm.subject)
                chain = replace(chain, patient=alarm.severity in ("fault", "notice"))
                data = _told_of(turn.was.plan, alarm)
                _step(turn, chain, escalation.Begun(alarm.kind, data, resume=True))
        elif chain is not None and running:
            gone = alarm is not None and not alarm.standing and alarm.acknowledged_by is None
            _step(turn, chain, escalation.Ended(seen=not gone))


def _wanted(alarm: Alarm) -> bool:
    """Whether somebody must be told."""
    unseen = alarm.acknowledged_by is None and not alarm.shelved and not alarm.muted
    return alarm.standing and unseen


def _plan_of(turn: Turn, alarm: Alarm) -> EscalationPlan | None:
    """A room's own alarms go the way of its calls, all others that of their severity."""
    plan = turn.was.plan
    for room in plan.rooms:
        cords = (*room.cords, *(line.point for line in room.lines))
        mine = alarm.kind in OF_ROOM and alarm.subject in turn.index.room_subjects[room.id]
        deaf = alarm.kind in OF_CORD and alarm.subject in cords
        if (mine or deaf) and room.escalation is not None:
            return _plan(plan, room.escalation)
    return _plan(plan, dict(plan.alarm_escalations).get(alarm.severity))


def _told_of(plan: BuildingPlan, alarm: Alarm) -> dict[str, Json]:
    return {
        "subject": alarm.subject,
        "name": _name(plan, alarm.subject),
        "severity": alarm.severity,
        "detail": alarm.detail,
    }


def _name(plan: BuildingPlan, subject: str) -> str:
    """What people call it; a point by the name of its room or door, and its own."""
    places = {room.id: room.name for room in plan.rooms}
    places |= {door.id: door.name for door in plan.doors}
    if subject in places:
        return places[subject]
    place = places.get(subject.partition(".")[0])
    return subject if place is None else f"{place} ({subject})"


# --- chains -------------------------------------------------------------------------------


def _plan(plan: BuildingPlan, name: str | None) -> EscalationPlan | None:
    return next((one for one in plan.escalations if one.id == name), None)


def _chain(turn: Turn, plan: EscalationPlan, about: str, subject: str) -> Chain:
    channels = _channels(turn.was.plan)
    return Chain(plan, channels, about, subject, _off(turn), turn.clock.offset_ms)


def _off(turn: Turn) -> frozenset[str]:
    return frozenset(name for name, one in turn.rosters.items() if one.off)


def _step(turn: Turn, chain: Chain, event: escalation.Event | None) -> None:
    result = escalation.step(chain, event, turn.now)
    turn.tell(result.facts)
    turn.effects += result.effects
    _put(turn, result.state)


def _put(turn: Turn, chain: Chain) -> None:
    before = _nobody(turn, chain.subject)
    gone = chain.over and not escalation_state.waiting(chain)
    rest = {name: one for name, one in turn.escalations.items() if name != chain.about}
    turn.escalations = rest if gone else {**turn.escalations, chain.about: chain}
    turn.wake((state.ESCALATION, chain.about), None if gone else escalation.wake_at(chain))
    turn.conditions(chain.subject, before, _nobody(turn, chain.subject))


def _nobody(turn: Turn, subject: str) -> Conditions:
    """Of several chains about a room, one that reaches nobody is enough; that of the alarm
    which says so does not count."""
    standing = any(
        chain.conditions and chain.subject == subject and chain.kind != "nobody_told"
        for chain in turn.escalations.values()
    )
    return NOBODY if standing else ()


# --- clock, answers, commands -------------------------------------------------------------


def live(turn: Turn, sort: int, name: str) -> None:
    """A deadline of the machine of this sort and name."""
    match sort:
        case state.ROSTER:
            _step_roster(turn, name, None)
            _tell_duty(turn)
        case state.ESCALATION:
            _step(turn, turn.escalations[name], None)
        case _:
            _step_mailing(turn, name, None)


def clock_changed(turn: Turn) -> None:
    """The civil time is known, is trusted, is not trusted any more, or jumped."""
    offset_ms = turn.clock.offset_ms
    seen = CivilTime(turn.now + (offset_ms or 0), turn.clock.trusted)
    for name in turn.rosters:
        _step_roster(turn, name, seen)
    _tell_duty(turn)
    for chain in turn.escalations.values():
        if offset_ms is not None and offset_ms != chain.offset_ms:
            _step(turn, chain, escalation.ClockKnown(offset_ms))
    for name in turn.mailings:
        _step_mailing(turn, name, seen)


def _step_roster(turn: Turn, name: str, event: CivilTime | None) -> None:
    after = roster.step(turn.rosters[name], event, turn.now).state
    turn.rosters = {**turn.rosters, name: after}
    turn.wake((state.ROSTER, name), roster.wake_at(after))


def _tell_duty(turn: Turn) -> None:
    off = _off(turn)
    for chain in turn.escalations.values():
        if chain.off != off:
            _step(turn, chain, escalation.Duty(off))


def _step_mailing(turn: Turn, name: str, event: mailing.Event | None) -> None:
    before = turn.mailings[name]
    result = mailing.step(before, event, turn.now)
    turn.mailings = {**turn.mailings, name: result.state}
    turn.wake((state.MAILING, name), mailing.wake_at(result.state))
    turn.tell(result.facts)
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
        _step(turn, chain, event)
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


# --- over a restart -----------------------------------------------------------------------


def kept(building: Building) -> dict[str, Json]:
    """What must survive a restart: a section for each sort of machine (read it back from
    ``Kept.sections``). It must not change without a fact, or nobody writes it."""
    return {
        "escalations": {name: _kept(chain) for name, chain in building.escalations.items()},
        "mailings": {name: mailing.kept(one) for name, one in building.mailings.items()},
    }


def _kept(chain: Chain) -> Json:
    """Of an alarm that nobody is told of now only how many messages there were: their names
    are not used twice."""
    if chain.running or "/" not in chain.about:
        return escalation_state.kept(chain)
    return {"escalation": chain.plan.id, "subject": chain.subject, "count": chain.count}


def restore(turn: Turn, was: Kept) -> None:
    """What stood before the restart goes on. Calls and alarms are restored already."""
    chains, mails = was.sections.get("escalations"), was.sections.get("mailings")
    for about, entry in chains.items() if isinstance(chains, dict) else ():
        chain = _restored(turn, about, entry)
        if chain is not None and about not in turn.escalations:
            _put(turn, chain)
    for name, entry in mails.items() if isinstance(mails, dict) else ():
        if name in turn.mailings:
            after = mailing.restored(turn.mailings[name], entry, turn.now)
            turn.mailings = {**turn.mailings, name: after}
            turn.wake((state.MAILING, name), mailing.wake_at(after))
            turn.conditions(turn.was.plan.gateway, (), after.conditions)


def _restored(turn: Turn, about: str, entry: Json) -> Chain | None:
    """A chain of before, where what it is about is still there and has still to be told."""
    named = entry if isinstance(entry, dict) else {}
    subject = str(named.get("subject", ""))
    plan = _plan(turn.was.plan, str(named.get("escalation", "")))
    room = turn.index.room_plans.get(subject)
    if plan is None and room is not None:
        plan = _plan(turn.was.plan, room.escalation)
    if plan is None:
        return None
    chain = escalation_state.restored(plan, _channels(turn.was.plan), about, entry, turn.now)
    if chain is None:
        return None
    if "/" not in about and subject not in turn.calls:
        return None
    chain = replace(chain, off=_off(turn))
    if turn.clock.offset_ms is not None:
        chain = escalation_state.with_clock(chain, turn.clock.offset_ms)
    alarm = turn.alarms.by_id.get(about)
    gone = "/" in about and (alarm is None or not _wanted(alarm))
    return replace(chain, running=False, conditions=()) if gone else chain


# --- what people see ----------------------------------------------------------------------


def shown(building: Building, now: Ms) -> dict[str, Json]:
    """The receivers and the last messages about alarms, as people see them."""
    del now
    messages = [
        (message, chain.about)
        for chain in building.escalations.values()
        if "/" in chain.about
        for message in chain.messages
    ]
    messages.sort(key=lambda pair: (pair[0].at_ms or 0, pair[0].at_utc_ms or 0))
    last = messages[-SHOWN_MOST:]
    return {
        "receivers": {name: {"on_duty": one.on_duty} for name, one in building.rosters.items()},
        "messages": [{**_shown(message), "about": about} for message, about in last],
    }


def _shown(message: escalation_state.Message) -> dict[str, Json]:
    return {
        "delivery": message.delivery,
        "receiver": message.receiver,
        "channel": message.channel,
        "kind": message.kind,
        "result": message.result,
        "reason": message.reason,
        "at_ms": message.at_ms,
        "at_utc_ms": message.at_utc_ms,
    }
