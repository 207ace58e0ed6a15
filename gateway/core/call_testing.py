"""Test mode of a room's call: lamps and sounder work, and nobody is told. In doubt it is real."""

from __future__ import annotations

from gateway.core.call_moves import Facts, ended, fact_of_test, made_real
from gateway.core.call_record import Call, TestSet, points_of
from gateway.core.machine import Ms, replace

TEST_LIMIT_MS: Ms = 1_800_000
LAST_MINUTE_MS: Ms = 60_000
"""A call raised so shortly before the end of a test is real."""


def in_test(call: Call, at_ms: Ms) -> bool:
    """Whether a pull at this instant is a test: neither before it began nor in its last minute."""
    if call.test_from_ms is None or call.test_until_ms is None:
        return False
    return call.test_from_ms <= at_ms < call.test_until_ms - LAST_MINUTE_MS


def set_test(call: Call, event: TestSet, now: Ms) -> tuple[Call, Facts]:
    """Test mode begins, goes on for longer, or is ended by hand."""
    if event.for_ms > 0:
        until_ms = now + event.for_ms
        from_ms = now if call.test_from_ms is None else call.test_from_ms
        after = replace(call, test_from_ms=from_ms, test_until_ms=until_ms, test_by=event.by)
        return after, (fact_of_test(call, now, active=True, for_ms=event.for_ms, event=event),)
    return (call, ()) if call.test_until_ms is None else end_test(call, "ended", event, now)


def end_test(call: Call, reason: str, event: TestSet | None, now: Ms) -> tuple[Call, Facts]:
    """The test is over. A test call that stands goes with it, if it surely was one."""
    over = fact_of_test(call, now, active=False, reason=reason, event=event)
    after = replace(call, test_from_ms=None, test_until_ms=None, test_by=None)
    record = call.record
    if record is None or not record.test:
        return after, (over,)
    fresh = record.pulled_ms is None or record.pulled_ms > now - LAST_MINUTE_MS
    if fresh or any(call.cord(point) == "pulled" for point in points_of(call.plan)):
        after, _, fact = made_real(after, record, "test_over", now)
        return after, (over, fact)
    after, facts = ended(after, record, None, now)
    return after, (over, *facts)
