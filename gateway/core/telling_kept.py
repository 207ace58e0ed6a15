"""Who was told, over a restart and as people see it. The functions are part of ``telling``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.core import deliveries, escalation_state, mailing, state
from gateway.core.alarms import Alarm
from gateway.core.chains import channels_of, off_duty, plan_named, put_chain
from gateway.core.escalation_state import Chain
from gateway.core.facts import Json
from gateway.core.machine import Ms, replace

if TYPE_CHECKING:
    from gateway.core.kept import Kept
    from gateway.core.state import Building
    from gateway.core.turn import Turn

SHOWN_MOST = 20


def wanted(alarm: Alarm) -> bool:
    """Whether somebody must be told of an alarm."""
    unseen = alarm.acknowledged_by is None and not alarm.shelved and not alarm.muted
    return alarm.standing and unseen


def kept(building: Building) -> dict[str, Json]:
    """What must survive a restart: a section for each sort of machine (read it back from
    ``Kept.sections``). It must not change without a fact, or nobody writes it."""
    return {
        "escalations": {name: _kept(chain) for name, chain in building.escalations.items()},
        "mailings": {name: mailing.kept(one) for name, one in building.mailings.items()},
        "deliveries": deliveries.kept(building.deliveries),
    }


def _kept(chain: Chain) -> Json:
    """Of an alarm that nobody is told of now only how many messages there were: their names
    are not used twice."""
    if chain.running or "/" not in chain.about:
        return escalation_state.kept(chain)
    return {"escalation": chain.plan.id, "subject": chain.subject, "count": chain.count}


def restore(turn: Turn, was: Kept) -> None:
    """What stood before the restart goes on. Calls and alarms are restored already."""
    _restore_deliveries(turn, was)
    chains, mails = was.sections.get("escalations"), was.sections.get("mailings")
    for about, entry in chains.items() if isinstance(chains, dict) else ():
        chain = _restored(turn, about, entry)
        if chain is not None and about not in turn.escalations:
            put_chain(turn, chain)
    for name, entry in mails.items() if isinstance(mails, dict) else ():
        if name in turn.mailings:
            after = mailing.restored(turn.mailings[name], entry, turn.now)
            turn.mailings = {**turn.mailings, name: after}
            turn.wake((state.MAILING, name), mailing.wake_at(after))
            turn.conditions(turn.was.plan.gateway, (), after.conditions)


def _restore_deliveries(turn: Turn, was: Kept) -> None:
    plan, entry = turn.was.plan, was.sections.get("deliveries")
    found = deliveries.restored(plan, entry, turn.deliveries)
    turn.deliveries = deliveries.with_clock(found, turn.clock.offset_ms, turn.now)


def _restored(turn: Turn, about: str, entry: Json) -> Chain | None:
    """A chain of before, where what it is about is still there and has still to be told."""
    if not isinstance(entry, dict):
        return None
    subject = str(entry.get("subject", ""))
    plan = plan_named(turn.was.plan, str(entry.get("escalation", "")))
    room = turn.index.room_plans.get(subject)
    if plan is None and room is not None:
        plan = plan_named(turn.was.plan, room.escalation)
    if plan is None or ("/" not in about and subject not in turn.calls):
        return None
    chain = escalation_state.restored(plan, channels_of(turn.was.plan), about, entry, turn.now)
    chain = replace(chain, off=off_duty(turn))
    if turn.clock.offset_ms is not None:
        chain = escalation_state.with_clock(chain, turn.clock.offset_ms)
    alarm = turn.alarms.by_id.get(about)
    gone = "/" in about and (alarm is None or not wanted(alarm))
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


def told(building: Building, about: str) -> dict[str, Json]:
    """Who was told of a call, and when the next one will be."""
    chain = building.escalations.get(about)
    if chain is None:
        return {"messages": [], "next_message_ms": None}
    next_ms = chain.next_ms if chain.running else None
    return {"messages": [_shown(m) for m in chain.messages], "next_message_ms": next_ms}
