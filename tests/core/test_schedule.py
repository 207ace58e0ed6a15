"""The mode of a door: timetable, staff, programme switch, and a clock that may not be trusted."""

from __future__ import annotations

from gateway.core.door import schedule
from gateway.core.door.schedule import (
    BackToSchedule,
    Carried,
    Event,
    Overridden,
    Ruling,
    Schedule,
    SwitchSeen,
)
from gateway.core.events import CivilTime, Mode
from gateway.core.instant import Ms
from gateway.core.plan import DoorPlan, Transition
from tests import plans

OFFSET = 1_000_000
"""UTC minus monotonic, where the clock is right."""

PLAN = plans.door(
    "front",
    "Front",
    "front.activation",
    schedule=(
        Transition(OFFSET, "night"),
        Transition(OFFSET + 10_000, "automatic"),
        Transition(OFFSET + 20_000, "exit_only"),
        Transition(OFFSET + 25_000, "exit_only"),
        Transition(OFFSET + 30_000, "night"),
    ),
    safe_mode="exit_only",
)


class Bench:
    def __init__(self, plan: DoorPlan = PLAN, *, trusted: bool = True) -> None:
        self.schedule: Schedule = schedule.start(plan, 0)
        self.now = 0
        if trusted:
            self.at(0, CivilTime(OFFSET, True))

    def at(self, now: Ms, event: Event | None = None) -> Ruling:
        while (due := schedule.wake_at(self.schedule)) is not None and due <= now:
            self.schedule = schedule.step(self.schedule, None, due).state
        self.schedule = schedule.step(self.schedule, event, now).state
        self.now = now
        return self.schedule.ruling

    def override(self, now: Ms, *, until: Ms | None = None, for_ms: Ms = 3000) -> Ruling:
        until_utc_ms = None if until is None else until + OFFSET
        return self.at(now, Overridden("hold_open", until_utc_ms, for_ms, "web:3"))

    def next(self) -> tuple[str, Ms] | None:
        following = schedule.next_mode(self.schedule, self.now)
        return None if following is None else (following.mode, following.utc_ms - OFFSET)


def test_the_timetable_changes_the_mode_exactly_at_its_instant() -> None:
    bench = Bench()
    assert bench.at(9_999) == Ruling("night", "schedule")
    assert bench.at(10_000) == Ruling("automatic", "schedule")
    assert bench.at(20_000) == Ruling("exit_only", "schedule")


def test_what_comes_next_is_the_next_change_and_not_the_next_row() -> None:
    bench = Bench()
    assert bench.next() == ("automatic", 10_000)
    bench.at(21_000)
    assert bench.next() == ("night", 30_000)


def test_a_door_without_a_timetable_needs_no_clock() -> None:
    bench = Bench(plans.door("back", "Back", "back.activation", mode="night"), trusted=False)
    assert bench.at(0) == Ruling("night", "schedule")
    bench.at(1, CivilTime(OFFSET, True))
    assert bench.next() is None
    assert schedule.scheduled_mode(bench.schedule, 1) == "night"


def test_without_a_trusted_clock_the_safe_mode_rules() -> None:
    bench = Bench(trusted=False)
    assert bench.at(12_000) == Ruling("exit_only", "safe")
    assert bench.next() is None
    assert schedule.scheduled_mode(bench.schedule, 12_000) == "exit_only"
    assert bench.at(12_001, CivilTime(OFFSET + 12_001, True)) == Ruling("automatic", "schedule")
    assert bench.at(12_002, CivilTime(OFFSET + 12_002, False)) == Ruling("exit_only", "safe")


def test_a_clock_step_is_looked_at_anew() -> None:
    bench = Bench()
    assert bench.at(5_000, CivilTime(OFFSET + 12_000, True)).mode == "automatic"
    assert bench.at(6_000, CivilTime(OFFSET + 6_000, True)).mode == "night"
    before = bench.schedule
    bench.at(6_500, CivilTime(OFFSET + 6_500, True))
    assert bench.schedule is before  # nothing new


def test_before_its_first_row_a_timetable_says_nothing() -> None:
    bench = Bench()
    assert bench.at(1, CivilTime(5, True)) == Ruling("exit_only", "safe")
    assert bench.at(OFFSET - 4) == Ruling("night", "schedule")


def test_beyond_the_last_row_its_mode_stays_and_a_notice_says_so() -> None:
    bench = Bench()
    bench.at(29_999)
    assert not list(bench.schedule.conditions)
    assert bench.at(10**9) == Ruling("night", "schedule")
    assert bench.schedule.conditions == (("schedule_ended", ""),)
    assert bench.next() is None


def test_staff_rule_until_the_instant_they_said() -> None:
    bench = Bench()
    given = bench.override(5_000, until=12_000)
    assert given == Ruling("hold_open", "override", OFFSET + 12_000, "web:3")
    assert bench.next() == ("automatic", 12_000)
    assert bench.at(11_999).mode == "hold_open"
    assert bench.at(12_000) == Ruling("automatic", "schedule")


def test_an_override_until_follows_the_wall_clock_and_one_for_a_while_does_not() -> None:
    bench = Bench()
    bench.override(5_000, until=12_000)
    assert bench.at(6_000, CivilTime(OFFSET + 12_000, True)).source == "schedule"
    bench = Bench()
    bench.override(5_000, for_ms=7_000)
    ruling = bench.at(6_000, CivilTime(OFFSET + 16_000, True))
    assert ruling == Ruling("hold_open", "override", OFFSET + 22_000, "web:3")
    assert bench.at(12_000).source == "schedule"


def test_staff_end_the_override_with_the_word_schedule() -> None:
    bench = Bench()
    bench.override(5_000)
    assert bench.at(6_000, BackToSchedule()) == Ruling("night", "schedule")


def test_an_override_for_a_while_needs_no_clock() -> None:
    bench = Bench(trusted=False)
    assert bench.override(5_000) == Ruling("hold_open", "override", None, "web:3")
    assert bench.next() is None
    assert bench.at(8_000) == Ruling("exit_only", "safe")


def test_an_override_without_a_clock_gets_its_civil_end_when_the_clock_is_known() -> None:
    bench = Bench(trusted=False)
    bench.override(5_000)
    ruling = bench.at(6_000, CivilTime(OFFSET + 6_000, True))
    assert ruling == Ruling("hold_open", "override", OFFSET + 8_000, "web:3")


def test_the_switch_on_site_beats_staff_and_timetable() -> None:
    bench = Bench()
    bench.override(1_000, for_ms=50_000)
    assert bench.at(2_000, SwitchSeen("off")) == Ruling("off", "switch")
    assert bench.next() is None
    assert bench.at(15_000) == Ruling("off", "switch")
    assert bench.at(16_000, SwitchSeen(None)).source == "override"


def kept_until(until: Ms, span_until: Ms = schedule.NEVER_MS) -> schedule.Override:
    return schedule.Override("off", span_until, "web:3", until + OFFSET, civil=True)


def restored(override: schedule.Override | None, carried: Carried | None = None) -> Bench:
    bench = Bench(trusted=False)
    bench.schedule = schedule.restored(bench.schedule, override, carried, 0)
    return bench


def test_an_override_from_before_the_restart_rules_whether_the_clock_is_known_or_not() -> None:
    bench = restored(kept_until(12_000))
    assert bench.at(1_000) == Ruling("off", "override", OFFSET + 12_000, "web:3")
    ruling = bench.at(2_000, CivilTime(OFFSET + 2_000, True))
    assert ruling == Ruling("off", "override", OFFSET + 12_000, "web:3")
    assert bench.at(12_000).source == "schedule"


def test_an_override_that_ended_while_we_were_off_is_gone() -> None:
    bench = restored(kept_until(12_000))
    assert bench.at(1, CivilTime(OFFSET + 12_000, True)).source == "schedule"
    assert bench.schedule.override is None


def test_its_end_in_civil_time_counts_on_a_settled_clock_only() -> None:
    bench = restored(kept_until(12_000))
    ahead = OFFSET + 10**9
    assert bench.at(1, CivilTime(ahead, True, settled=False)).source == "override"
    assert bench.at(2, CivilTime(ahead + 1, False)).source == "override"
    assert bench.at(3, CivilTime(ahead + 2, True)).source == "schedule"


def test_the_span_of_an_override_ends_it_without_any_clock() -> None:
    bench = restored(kept_until(12_000, span_until=9_000))
    assert bench.at(8_999).source == "override"
    assert bench.at(9_000) == Ruling("exit_only", "safe")
    bench = restored(schedule.Override("off", 9_000, "web:3"))
    assert bench.at(8_999) == Ruling("off", "override", None, "web:3")
    assert bench.at(9_000).source == "safe"


def test_without_a_clock_the_more_restrictive_of_the_last_and_the_safe_mode_rules() -> None:
    expectations: tuple[tuple[Mode, Mode], ...] = (
        ("hold_open", "exit_only"),
        ("automatic", "exit_only"),
        ("exit_only", "exit_only"),
        ("night", "night"),
        ("off", "exit_only"),
    )
    for last, expected in expectations:
        assert restored(None, Carried(last)).at(0) == Ruling(expected, "safe"), last
    assert restored(None, Carried("night")).at(schedule.CARRIED_MS - 1).mode == "night"
    assert restored(None, Carried("night")).at(schedule.CARRIED_MS).mode == "exit_only"


def test_the_last_mode_has_its_time_once_over_all_restarts() -> None:
    assert restored(None, Carried("night", 5_000)).at(4_999).mode == "night"
    bench = restored(None, Carried("night", 5_000))
    assert bench.at(5_000).mode == "exit_only"
    assert restored(None, Carried("night", -1)).at(0).mode == "exit_only"


def test_a_clock_that_is_lost_leaves_the_mode_that_ruled() -> None:
    bench = Bench()
    assert bench.at(5_000).mode == "night"
    assert bench.at(6_000, CivilTime(0, False)) == Ruling("night", "safe")
    assert schedule.scheduled_mode(bench.schedule, 6_000) == "night"
    assert bench.at(12_000).mode == "night"
    assert bench.at(6_000 + schedule.CARRIED_MS) == Ruling("exit_only", "safe")


def test_a_clock_that_comes_back_gives_the_last_mode_its_whole_time_again() -> None:
    bench = restored(kept_until(12_000), Carried("night", 5_000))
    bench.at(1, CivilTime(OFFSET + 1, True))
    assert bench.schedule.carried == Carried("night")


def test_a_mode_that_stays_keeps_its_ruling() -> None:
    bench = Bench()
    bench.at(20_000)
    before = bench.schedule.ruling
    bench.at(25_000)
    assert bench.schedule.ruling is before
