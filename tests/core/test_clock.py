"""What the building knows of civil time."""

from __future__ import annotations

from gateway.core.events import CivilTime
from gateway.core.signals import clock

OFFSET = 1_700_000_000_000


def test_a_clock_that_nobody_trusts_is_a_notice_after_a_while() -> None:
    one = clock.start(0)
    assert clock.wake_at(one) == clock.GRACE_MS
    assert clock.step(one, CivilTime(5, False), 5).state is one
    assert clock.step(one, None, 59_999).state is one
    assert clock.step(one, None, 60_000).state.conditions == (("clock_untrusted", ""),)
    assert clock.utc_of(one, 7) is None


def test_trust_clears_it_and_gives_the_offset() -> None:
    one = clock.step(clock.start(0), None, 60_000).state
    one = clock.step(one, CivilTime(OFFSET + 70_000, True), 70_000).state
    assert (one.trusted, one.since_ms, one.offset_ms, one.conditions) == (True, 70_000, OFFSET, ())
    assert clock.wake_at(one) is None
    assert clock.utc_of(one, 7) == OFFSET + 7
    assert clock.utc_of(one, None) is None


def test_the_jitter_of_looking_is_no_step() -> None:
    one = clock.step(clock.start(0), CivilTime(OFFSET, True), 0).state
    assert clock.step(one, CivilTime(OFFSET + 1_499, True), 1_000).state is one
    stepped = clock.step(one, CivilTime(OFFSET + 1_500, True), 1_000).state
    assert (stepped.offset_ms, stepped.since_ms) == (OFFSET + 500, 0)


def test_lost_trust_keeps_the_offset_and_returns_since_now() -> None:
    one = clock.step(clock.start(0), CivilTime(OFFSET, True), 0).state
    one = clock.step(one, CivilTime(OFFSET + 10, False), 10).state
    assert (one.trusted, one.since_ms, one.offset_ms) == (False, 10, OFFSET)
    assert clock.step(one, None, 60_010).state.conditions != ()
    one = clock.step(one, CivilTime(OFFSET + 20, True), 20).state
    assert (one.trusted, one.since_ms, one.offset_ms) == (True, 20, OFFSET)
