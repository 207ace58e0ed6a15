"""A call after a restart: merges the saved call with what has happened since the start."""

from __future__ import annotations

from gateway.core.instant import NEVER, Ms
from gateway.core.machine import replace
from gateway.core.room.call_changes import (
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
    """What was saved stands again, beside what has happened since the start."""
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
    saved, since = was.record, call.record
    if saved is None:
        return after, facts
    if saved.attend_by.ms is None and saved.state == "acknowledged":
        by = replace(saved.attend_by, ms=now + call.plan.attend_within_ms)
        saved = replace(saved, attend_by=by)
    if call.cancelled is not None:
        over, more = ended(after, saved, call.cancelled, now)
        return replace(over, record=since), facts + more
    if saved.test:
        after, saved, real = made_real(after, saved, "restart", now)
        facts += (real,)
    if since is None:
        return replace(after, record=saved), facts
    return _merged(after, saved, since, was.pulled, now, facts)


def _merged(
    call: Call, saved: Record, since: Record, pulled: frozenset[str], now: Ms, facts: Facts
) -> tuple[Call, Facts]:
    """One call from before the restart and one that was raised before that was known: they
    are the same. Cords that were pulled then and found pulled now were not pulled again."""
    same = since.found and since.state == "raised" and pulled.issuperset(since.points)
    base = saved if same else since
    one = replace(
        base,
        id=saved.id,
        was=since.id,
        raised=saved.raised,
        test=False,
        cause="restart",
        points=(*saved.points, *(p for p in since.points if p not in saved.points)),
        pulls=saved.pulls if same else saved.pulls + since.pulls,
        pulled_ms=since.pulled_ms,
        told_ms=now,
        acknowledged=saved.acknowledged if since.acknowledged == NEVER else since.acknowledged,
        acknowledged_by=since.acknowledged_by or saved.acknowledged_by,
        attends=since.attends if since.acknowledged_by else saved.attends,
        attended=saved.attended if since.attended == NEVER else since.attended,
    )
    if since.test and one.state != "raised":
        one = again(one, "restart", now)
    call = replace(call, record=one, calls=call.calls - (not since.test))
    return call, (*facts, raised_fact(call, one, None, now, was=since.id))
