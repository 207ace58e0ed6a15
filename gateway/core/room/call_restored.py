"""A call over a restart: what was kept, and what has happened before that was known."""

from __future__ import annotations

from gateway.core.instant import NEVER, Ms
from gateway.core.machine import replace
from gateway.core.room.call_moves import (
    LAST_CALLS,
    Facts,
    again,
    ended,
    fact_of_test,
    made_real,
    raised_fact,
)
from gateway.core.room.call_record import Call, Record, points_of
from gateway.core.room.call_testing import restored_end


def restored(call: Call, was: Call, now: Ms) -> tuple[Call, Facts]:
    """What was kept stands again, beside what has happened since the start."""
    unseen = frozenset(p for p in points_of(call.plan) if p not in call.cords)
    after = replace(
        call,
        number=was.number,
        pulled=call.pulled | (was.pulled & unseen),
        stuck=call.stuck | (was.stuck & unseen),
        cancelled=None,
        test_ended=call.test_ended if call.test_ended != NEVER else restored_end(was, now),
        last=(*was.last, *call.last)[-LAST_CALLS:],
        calls=was.calls + call.calls,
        tests=was.tests + call.tests,
    )
    facts: Facts = ()
    if was.test_by is not None:
        facts = (fact_of_test(call, now, active=False, reason="restart"),)
    kept, since = was.record, call.record
    if kept is None:
        return after, facts
    if kept.attend_by.ms is None and kept.state == "acknowledged":
        by = replace(kept.attend_by, ms=now + call.plan.attend_within_ms)
        kept = replace(kept, attend_by=by)
    if call.cancelled is not None:
        over, more = ended(after, kept, call.cancelled, now)
        return replace(over, record=since), facts + more
    if kept.test:
        after, kept, real = made_real(after, kept, "restart", now)
        facts += (real,)
    if since is None:
        return replace(after, record=kept), facts
    return _merged(after, kept, since, was.pulled, now, facts)


def _merged(
    call: Call, kept: Record, since: Record, pulled: frozenset[str], now: Ms, facts: Facts
) -> tuple[Call, Facts]:
    """One call from before the restart and one that was raised before that was known: they
    are the same. Cords that were pulled then and found pulled now were not pulled again."""
    same = since.found and since.state == "raised" and pulled.issuperset(since.points)
    base = kept if same else since
    one = replace(
        base,
        id=kept.id,
        was=since.id,
        raised=kept.raised,
        test=False,
        cause="restart",
        points=(*kept.points, *(p for p in since.points if p not in kept.points)),
        pulls=kept.pulls if same else kept.pulls + since.pulls,
        pulled_ms=since.pulled_ms,
        told_ms=now,
        acknowledged=kept.acknowledged if since.acknowledged == NEVER else since.acknowledged,
        acknowledged_by=since.acknowledged_by or kept.acknowledged_by,
        attended=kept.attended if since.attended == NEVER else since.attended,
    )
    if since.test and one.state != "raised":
        one = again(one, "restart", now)
    call = replace(call, record=one, calls=call.calls - (not since.test))
    return call, (*facts, raised_fact(call, one, None, now, was=since.id))
