"""Changes of a call's record by its parts, and the facts about them."""

from __future__ import annotations

from gateway.core.facts import Fact, Json
from gateway.core.instant import NEVER, At, Ms
from gateway.core.machine import replace
from gateway.core.room.call_record import Call, Record, TestSet

LAST_CALLS = 5

Facts = tuple[Fact, ...]


def again(record: Record, cause: str, at_ms: Ms) -> Record:
    """Raised again; who acknowledged it before is kept, and it calls for help all the same."""
    anew = replace(record, state="raised", cause=cause, since=At(at_ms), seen=NEVER, seen_by=None)
    return without_deadline(anew)


def without_deadline(record: Record) -> Record:
    """Nobody is waited for any more."""
    return replace(record, attend_by=NEVER)


def counted(call: Call, *, test: bool) -> Call:
    """One more call, or test, in the room's book."""
    if test:
        return replace(call, tests=call.tests + 1)
    return replace(call, calls=call.calls + 1)


def raised_fact(
    call: Call, record: Record, point: str | None, at_ms: Ms, was: str | None = None
) -> Fact:
    """Somebody calls. ``was``: the name that the call had before."""
    data: dict[str, Json] = {
        "call": record.id,
        "cause": record.cause,
        "point": point,
        "pulls": record.pulls,
        "test": record.test,
        "was": was,
    }
    return Fact("call_raised", call.plan.id, at_ms, data)


def made_real(call: Call, record: Record, cause: str, now: Ms) -> tuple[Call, Record, Fact]:
    """In doubt a call is real."""
    real = replace(again(record, cause, now), test=False, told_ms=now)
    call = counted(replace(call, record=real), test=False)
    return call, real, raised_fact(call, real, None, now)


def ended(call: Call, record: Record, point: str, at_ms: Ms) -> tuple[Call, Facts]:
    """Quiet, by the button at ``point``."""
    after_ms = record.after(at_ms)
    over = replace(without_deadline(record), state="quiet", cancelled_after_ms=after_ms)
    data: dict[str, Json] = {
        "call": record.id,
        "point": point,
        "after_ms": after_ms,
        "test": record.test,
    }
    last = (*call.last, over)[-LAST_CALLS:]
    after = replace(call, record=None, quiet_ms=at_ms, last=last)
    return after, (Fact("call_cancelled", call.plan.id, at_ms, data),)


def fact_of_test(
    call: Call,
    now: Ms,
    *,
    active: bool,
    for_ms: Ms | None = None,
    reason: str | None = None,
    event: TestSet | None = None,
) -> Fact:
    """Test mode began (``for_ms``) or ended (``reason``: over, ended, restart)."""
    data: dict[str, Json] = {
        "active": active,
        "for_ms": for_ms,
        "by": None if event is None else event.by,
        "command": None if event is None else event.command,
        "reason": reason,
    }
    return Fact("room_test", call.plan.id, now, data)
