"""Test mode of a room's call: lamps and sounder work, and nobody is alarmed. In doubt a call
is real, so test mode is limited: a real pull must not be taken for a test for long."""

from __future__ import annotations

from gateway.core.instant import At, Ms
from gateway.core.machine import replace
from gateway.core.room.call_changes import Facts, fact_of_test, made_real
from gateway.core.room.call_record import Call, TestSet, points_of

TEST_LIMIT_MS: Ms = 1_800_000
"""Test mode lasts at most this long in all, counted from its first start however often it is
prolonged."""
TEST_PAUSE_MS: Ms = 600_000
"""The next test mode begins this long after the last one at the earliest."""
AFTER_CALL_MS: Ms = 120_000
"""No test mode begins so soon after a real call."""
LAST_MINUTE_MS: Ms = 60_000
"""A call raised so shortly before the end of a test is real."""


def in_test(call: Call, at_ms: Ms) -> bool:
    """Whether a pull at this instant is a test: neither before it began nor in its last minute."""
    if call.test_from_ms is None or call.test_until_ms is None:
        return False
    return call.test_from_ms <= at_ms < call.test_until_ms - LAST_MINUTE_MS


def refusal(call: Call, for_ms: Ms, now: Ms) -> str:
    """Why test mode cannot begin or be prolonged for ``for_ms``; empty: it can. Ending it
    (0) is refused only while a real call is active."""
    if for_ms != 0 and not LAST_MINUTE_MS < for_ms <= TEST_LIMIT_MS:
        return "limit"
    if call.record is not None and not call.record.test:
        return "call"
    if for_ms == 0:
        return ""
    if call.test_from_ms is not None:
        return "test_limit" if now + for_ms > call.test_from_ms + TEST_LIMIT_MS else ""
    return _too_soon(call, now)


def _too_soon(call: Call, now: Ms) -> str:
    real = bool(call.last) and not call.last[-1].test
    if real and now < call.quiet_ms + AFTER_CALL_MS:
        return "after_call"
    ended_ms = call.test_ended.ms
    if ended_ms is not None and now < ended_ms + TEST_PAUSE_MS:
        return "test_pause"
    return ""


def set_test(call: Call, event: TestSet, now: Ms) -> tuple[Call, Facts]:
    """Begin, prolong or end test mode. :func:`refusal` was asked before."""
    if event.for_ms > 0:
        until_ms = now + event.for_ms
        from_ms = now if call.test_from_ms is None else call.test_from_ms
        after = replace(call, test_from_ms=from_ms, test_until_ms=until_ms, test_by=event.by)
        return after, (fact_of_test(call, now, active=True, for_ms=event.for_ms, event=event),)
    return (call, ()) if call.test_until_ms is None else end_test(call, "ended", event, now)


def end_test(call: Call, reason: str, event: TestSet | None, now: Ms) -> tuple[Call, Facts]:
    """End test mode. A test call that is still active keeps its lamps until the button in the
    room is pressed; it becomes real where its pull may have been one for help."""
    over = fact_of_test(call, now, active=False, reason=reason, event=event)
    after = replace(call, test_from_ms=None, test_until_ms=None, test_by=None, test_ended=At(now))
    record = call.record
    if record is None or not record.test:
        return after, (over,)
    fresh = record.pulled_ms is None or record.pulled_ms > now - LAST_MINUTE_MS
    if fresh or any(call.cord(point) == "pulled" for point in points_of(call.plan)):
        after, _, fact = made_real(after, record, "test_over", now)
        return after, (over, fact)
    return after, (over,)


def restored_end(was: Call, now: Ms) -> At:
    """When the last test mode before a restart ended. A running one ended with the restart;
    an earlier one is taken to have ended only now until the clock says more."""
    if was.test_by is not None:
        return At(now)
    return replace(was.test_ended, ms=now) if was.test_ended.utc_ms is not None else was.test_ended


def placed_end(ended: At, offset_ms: int, now: Ms) -> At:
    """The end of the last test mode with what follows from the clock; never in the future."""
    if ended.utc_ms is not None:
        return At(min(now, ended.utc_ms - offset_ms), ended.utc_ms)
    return ended.placed(offset_ms, now)
