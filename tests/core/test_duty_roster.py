"""Who is on duty follows the clock, and where that is not trusted, everybody is."""

from __future__ import annotations

from gateway.core.events import CivilTime
from gateway.core.notification import duty_roster
from gateway.core.notification.duty_roster import Roster
from gateway.core.plan import DutyPlan, ReceiverPlan

OFFSET = 1_000_000
HOURS = ReceiverPlan("caretaker", 1, (DutyPlan(OFFSET, False), DutyPlan(OFFSET + 5_000, True)))


def at(state: Roster, event: CivilTime | None, now: int) -> Roster:
    return duty_roster.step(state, event, now).state


def test_without_hours_always() -> None:
    state = duty_roster.start(ReceiverPlan("care", 1))
    assert (state.on_duty, state.off) == (True, False)
    state = at(state, CivilTime(OFFSET, True), 0)
    assert (state.on_duty, duty_roster.wake_at(state)) == (True, None)


def test_while_the_clock_is_not_trusted_taken_to_be_on_duty() -> None:
    state = duty_roster.start(HOURS)
    assert (state.on_duty, state.off) == (None, False)
    assert at(state, CivilTime(OFFSET, False), 0) is state
    trusted = at(state, CivilTime(OFFSET, True), 0)
    assert trusted.off
    lost = at(trusted, CivilTime(OFFSET, False), 0)
    assert (lost.on_duty, duty_roster.wake_at(lost)) == (None, None)


def test_duty_begins_at_its_instant() -> None:
    state = at(duty_roster.start(HOURS), CivilTime(OFFSET, True), 0)
    assert duty_roster.wake_at(state) == 5_000
    assert at(state, None, 4_999) is state
    state = at(state, None, 5_000)
    assert (state.on_duty, duty_roster.wake_at(state)) == (True, None)
    assert at(state, None, 9_000) is state


def test_before_the_first_instant_nobody_knows() -> None:
    state = at(duty_roster.start(HOURS), CivilTime(OFFSET - 1_000, True), 0)
    assert (state.on_duty, duty_roster.wake_at(state)) == (None, 1_000)


def test_a_clock_that_is_set_is_looked_at_again() -> None:
    state = at(duty_roster.start(HOURS), CivilTime(OFFSET, True), 0)
    assert not at(state, CivilTime(OFFSET + 6_000, True), 100).off
