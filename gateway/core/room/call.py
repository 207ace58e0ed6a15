"""The emergency call (*Notruf*) of one room, from the first pull until it is cancelled.

    quiet -> raised -> acknowledged -> attended -> quiet

A pull of any cord raises it, whatever its state was. *Acknowledged* (somebody goes there) only
silences the sounder, and lasts until somebody attends; if nobody does in time, it is raised again.
Who has only seen it changes nothing of that (:class:`CallSeen`). The lamps stay on until the button
in the room is pressed: :class:`CancelPressed` is the only event that ends a call, and nothing but
an edge of that button makes one.

In test mode the lamps and the sounder work and nobody is alarmed. A test call is ended by the
button in the room as well; when the test mode is over it keeps its lamps until then. In doubt a
call is real: one that is raised in the last minute of a test, one that was pulled less than a
minute before the test is ended, one whose cord is still pulled then, one that is pulled again
after it, and one that is active over a restart.

What stands survives a restart (:class:`Restored`), which may come after the first pulls of
the new boot: then both are one call.
"""

from __future__ import annotations

from gateway.core.effects import Drive
from gateway.core.facts import Fact, Json
from gateway.core.instant import NEVER, At, Ms, earliest
from gateway.core.machine import Step, replace
from gateway.core.plan import RoomPlan
from gateway.core.room.call_changes import (
    Facts,
    again,
    counted,
    ended,
    raised_fact,
    without_deadline,
)
from gateway.core.room.call_record import (
    Acknowledged,
    Call,
    CallEvent,
    CallSeen,
    CancelPressed,
    CordSeen,
    PresencePressed,
    Record,
    Restored,
    TestSet,
    classified,
    outputs,
    troubles,
)
from gateway.core.room.call_restart import restored
from gateway.core.room.call_testing import end_test, in_test, placed_end, refusal, set_test

__all__ = [
    "Acknowledged",
    "CallEvent",
    "CallSeen",
    "CancelPressed",
    "CordSeen",
    "PresencePressed",
    "Restored",
    "TestSet",
    "classified",
    "flashes",
    "refusal",
    "start",
    "step",
    "troubles",
    "wake_at",
]

BLINK_MS: Ms = 500
"""The room lamp is on and off for so long each: 1 Hz."""

PULL_TOLD_MS: Ms = 60_000
"""Further pulls of a raised call are counted, and told at most so often."""


def start(plan: RoomPlan, now: Ms) -> Call:
    """Quiet, with everything unknown."""
    return Call(plan, quiet_ms=now)


def wake_at(call: Call) -> Ms | None:
    """When the lamp changes, nobody has attended in time, or a test is over."""
    by_ms = None if call.record is None else call.record.attend_by.ms
    return earliest(call.blink_at_ms, by_ms, call.test_until_ms)


def step(call: Call, event: CallEvent | None, now: Ms) -> Step[Call]:
    """Somebody pulls, comes, has seen it or ends it; a test; or time."""
    after, facts = _stepped(call, event, now)
    if after is call:
        return Step(call)
    after = _lamp(call, after, now)
    before, levels = outputs(call), outputs(after)
    drives = tuple(Drive(p, on) for p, on in levels.items() if on != before[p])
    lamp = call.plan.lamp
    if lamp is not None and flashes(call, after) and call.lit != after.lit:
        drives = (*drives, Drive(lamp, after.lit))
    return Step(after, facts, drives)


def flashes(before: Call, after: Call) -> bool:
    """Whether the room lamp flashes before and after the step. Then a drive of it is a flash; else
    it begins or ends the call."""
    return before.record is not None and after.record is not None


def _stepped(call: Call, event: CallEvent | None, now: Ms) -> tuple[Call, Facts]:  # noqa: PLR0911
    match event:
        case None:
            return _time(call, now)
        case CordSeen():
            return _cord(call, event, now)
        case CancelPressed():
            return _cancel(call, event)
        case PresencePressed():
            return _attend(call, event)
        case Acknowledged():
            return _acknowledge(call, event, now)
        case CallSeen():
            return _see(call, event, now)
        case TestSet():
            return set_test(call, event, now)
        case Restored(was=was):
            return restored(call, was, now)
        case _:
            offset_ms, within_ms = event.offset_ms, call.plan.attend_within_ms
            record = call.record and call.record.placed(offset_ms, now, within_ms)
            last = tuple(one.placed(offset_ms, now, within_ms) for one in call.last)
            test_ended = placed_end(call.test_ended, offset_ms, now)
            return replace(call, record=record, last=last, test_ended=test_ended), ()


def _lamp(before: Call, after: Call, now: Ms) -> Call:
    """The room lamp begins bright with the call and is dark without one."""
    if after.record is None:
        return replace(after, lit=False, blink_at_ms=None)
    if before.record is None and after.plan.lamp is not None:
        return replace(after, lit=True, blink_at_ms=now + BLINK_MS)
    return after


def _time(call: Call, now: Ms) -> tuple[Call, Facts]:
    record = call.record
    by_ms = None if record is None else record.attend_by.ms
    if call.blink_at_ms is not None and call.blink_at_ms <= now:
        return replace(call, lit=not call.lit, blink_at_ms=call.blink_at_ms + BLINK_MS), ()
    if record is not None and by_ms is not None and by_ms <= now:
        anew = again(record, "unattended", now)
        return replace(call, record=anew), (raised_fact(call, anew, None, now),)
    if call.test_until_ms is not None and call.test_until_ms <= now:
        return end_test(call, "over", None, now)
    return call, ()


# --- cords --------------------------------------------------------------------------------


def _cord(call: Call, event: CordSeen, now: Ms) -> tuple[Call, Facts]:
    point, first = event.point, event.point not in call.cords
    if call.cords.get(point) == event.cord:
        return call, ()
    after = replace(call, cords={**call.cords, point: event.cord})
    if event.cord == "unknown":
        return after, ()
    before = frozenset({point})
    if event.cord != "pulled":
        return replace(after, pulled=call.pulled - before, stuck=call.stuck - before), ()
    after = replace(after, pulled=call.pulled | before)
    if point in call.pulled and (call.record is not None or point in call.stuck):
        return after, ()  # it has been pulled all the time, as far as anybody knows
    return _pull(after, event, now, found=first)


def _pull(call: Call, event: CordSeen, now: Ms, *, found: bool) -> tuple[Call, Facts]:
    point, at_ms, record = event.point, event.at_ms, call.record
    test = in_test(call, at_ms)
    cause = "cord" if point in call.plan.cords else "line"
    if record is None:
        number = None if call.number is None else call.number + 1
        name = f"{call.plan.id}-0-{at_ms}" if number is None else f"{call.plan.id}-{number}"
        at = At(at_ms)
        record = Record(
            name,
            "raised",
            cause,
            since=at,
            raised=at,
            test=test,
            points=(point,),
            pulled_ms=at_ms,
            found=found,
            told_ms=now,
        )
        call = replace(call, record=record, number=number)
        call = counted(call, test=test)
        return call, (raised_fact(call, record, point, at_ms),)
    real = record.test and not test
    known = point in record.points
    news = record.state != "raised" or real or not known
    after = replace(
        record,
        test=record.test and test,
        points=record.points if known else (*record.points, point),
        pulls=record.pulls + 1,
        pulled_ms=at_ms,
        found=record.found and found,
    )
    if record.state != "raised" or real:
        after = again(after, cause, at_ms)
    if real:  # response times count from the first pull that is no test
        after = replace(
            after,
            raised=At(at_ms),
            acknowledged=NEVER,
            acknowledged_by=None,
            attends=None,
            attended=NEVER,
            acknowledged_after_ms=None,
            attended_after_ms=None,
        )
        call = counted(call, test=False)
    if not news and now < record.told_ms + PULL_TOLD_MS:
        return replace(call, record=after), ()
    after = replace(after, told_ms=now)
    return replace(call, record=after), (raised_fact(call, after, point, at_ms),)


# --- people -------------------------------------------------------------------------------


def _acknowledge(call: Call, event: Acknowledged, now: Ms) -> tuple[Call, Facts]:
    record = call.record
    if record is None or record.state != "raised":
        return call, ()
    after_ms = record.after(now)
    after = replace(
        record,
        state="acknowledged",
        since=At(now),
        acknowledged=At(now),
        acknowledged_by=event.by,
        attends=event.attends or None,
        attend_by=At(now + call.plan.attend_within_ms),
        acknowledged_after_ms=_first(record.acknowledged_after_ms, after_ms),
    )
    data = _by_person(record, event, after_ms)
    if event.attends:
        data["attends"] = event.attends
    return replace(call, record=after), (Fact("call_acknowledged", call.plan.id, now, data),)


def _see(call: Call, event: CallSeen, now: Ms) -> tuple[Call, Facts]:
    record = call.record
    if record is None or record.state != "raised" or record.seen_by == event.by:
        return call, ()
    data = _by_person(record, event, record.after(now))
    after = replace(record, seen=At(now), seen_by=event.by)
    return replace(call, record=after), (Fact("call_seen", call.plan.id, now, data),)


def _by_person(
    record: Record, event: Acknowledged | CallSeen, after_ms: Ms | None
) -> dict[str, Json]:
    return {
        "call": record.id,
        "by": event.by,
        "via": event.via,
        "command": event.command,
        "after_ms": after_ms,
        "test": record.test,
    }


def _attend(call: Call, event: PresencePressed) -> tuple[Call, Facts]:
    record, at_ms = call.record, event.at_ms
    if record is None or record.state == "attended" or _before_the_pull(record, at_ms):
        return call, ()
    after_ms = record.after(at_ms)
    after = replace(
        without_deadline(record),
        state="attended",
        since=At(at_ms),
        attended=At(at_ms),
        attended_after_ms=_first(record.attended_after_ms, after_ms),
    )
    data: dict[str, Json] = {
        "call": record.id,
        "point": event.point,
        "after_ms": after_ms,
        "test": record.test,
    }
    return replace(call, record=after), (Fact("call_attended", call.plan.id, at_ms, data),)


def _cancel(call: Call, event: CancelPressed) -> tuple[Call, Facts]:
    """A cord that is still pulled is stuck: it calls again after it has been let go. One that
    cannot be read calls as soon as it is seen to be pulled."""
    if call.number is None:
        call = replace(call, cancelled=event.point)
    if call.record is None or _before_the_pull(call.record, event.at_ms):
        return call, ()
    pulled = frozenset(point for point in call.pulled if call.cord(point) == "pulled")
    let_go = replace(call, pulled=pulled, stuck=pulled)
    return ended(let_go, call.record, event.point, event.at_ms)


def _before_the_pull(record: Record, at_ms: Ms) -> bool:
    """Whether the press is older than the pull: then it does not cancel it."""
    return record.pulled_ms is not None and at_ms < record.pulled_ms


def _first(known_ms: Ms | None, after_ms: Ms | None) -> Ms | None:
    return after_ms if known_ms is None else known_ms
