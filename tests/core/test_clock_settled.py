"""When civil time may decide what cannot be taken back: doubt, waiting, confirming, the mark."""

from __future__ import annotations

import pytest

from gateway.core import building
from gateway.core.building.snapshot import snapshot
from gateway.core.events import CivilTime, ConfirmClock
from gateway.core.facts import Json
from gateway.core.instant import Ms
from gateway.core.saved_values import Times
from gateway.core.signals import clock
from gateway.core.signals.clock import AHEAD_MS, JUMP_MS, SETTLE_MS, Clock, Past
from tests.core.building_bench import OFFSET, PLAN, SMALL, STAFF, Bench

YEAR_MS = 365 * 86_400_000
HOUR_MS = 3_600_000


def saved(one: Clock) -> Json:
    return clock.SAVED.write(one, Times())


def restored(one: Clock, section: Json, past: Past, now: Ms) -> Clock:
    return clock.restored(one, clock.SAVED.read(section, Times()), past, now)


class Wall:
    """A clock machine over boots, and a wall clock that says ``offset_ms``."""

    def __init__(self) -> None:
        self.now: Ms = 0
        self.boot = 1
        self.uptime_ms: Ms = 0
        self.one = clock.start(0, Past("boot 1"))

    def until(self, now: Ms) -> None:
        while (due := clock.wake_at(self.one)) is not None and due <= now:
            self.one = clock.step(self.one, None, due).state
        self.now = now

    def shows(self, now: Ms, offset_ms: int = OFFSET, *, trusted: bool = True) -> None:
        self.until(now)
        self.one = clock.step(self.one, CivilTime(now + offset_ms, trusted), now).state

    def restarted(self, *, power: bool, section: Json = None) -> None:
        """The process alone, or the whole machine; its newest fact is of just now."""
        section = section if section is not None else saved(self.one)
        before, now = f"boot {self.boot}", self.now
        if power:
            self.boot += 1
            self.uptime_ms += self.now
            self.now = 10_000
        past = Past(f"boot {self.boot}", self.uptime_ms, before, now)
        self.one = restored(clock.start(self.now, past), section, past, self.now)

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.one.conditions]

    @property
    def settled(self) -> bool:
        return clock.settled(self.one)


def test_the_first_clock_of_all_is_settled_once_it_is_trusted() -> None:
    wall = Wall()
    assert not clock.settled(wall.one)
    assert clock.mark_of(wall.one, 0) is None
    wall.shows(1_000)
    assert wall.settled
    assert clock.mark_of(wall.one, 5_000) == OFFSET + 5_000


@pytest.mark.parametrize("step_ms", [JUMP_MS + 1, -JUMP_MS - 1, 10 * YEAR_MS, -10 * YEAR_MS])
def test_a_step_over_an_hour_puts_it_in_doubt_and_leaves_the_mark(step_ms: int) -> None:
    wall = Wall()
    wall.shows(0)
    wall.shows(5_000, OFFSET + step_ms)
    assert (wall.settled, wall.kinds) == (False, ["clock_jumped"])
    assert clock.mark_of(wall.one, 50_000) == OFFSET + 5_000


def test_smaller_steps_move_it_and_never_the_mark_back() -> None:
    wall = Wall()
    wall.shows(0)
    wall.shows(5_000, OFFSET - JUMP_MS)
    assert (wall.settled, wall.kinds) == (True, [])
    assert clock.mark_of(wall.one, 6_000) == OFFSET + 5_000
    wall.shows(7_000, OFFSET + JUMP_MS)
    assert wall.settled
    assert clock.mark_of(wall.one, 7_000) == OFFSET + JUMP_MS + 7_000


def test_many_small_steps_in_one_direction_are_a_jump() -> None:
    wall = Wall()
    wall.shows(0)
    for nth in (1, 2, 3):
        wall.shows(nth * 60_000, OFFSET + nth * (JUMP_MS - 60_000))
    assert wall.kinds == ["clock_jumped"]


def test_trust_that_is_lost_does_not_hide_a_step() -> None:
    wall = Wall()
    wall.shows(0)
    wall.shows(1_000, trusted=False)
    assert not wall.settled
    assert clock.mark_of(wall.one, 9_000) == OFFSET + 1_000
    wall.shows(2_000, OFFSET + YEAR_MS)
    assert wall.kinds == ["clock_jumped"]


@pytest.mark.parametrize(
    ("ahead_ms", "found"),
    [
        (-120_000, "behind"),
        (-YEAR_MS, "behind"),
        (0, ""),
        (AHEAD_MS, ""),
        (AHEAD_MS + 1, "ahead"),
        (9 * YEAR_MS, "ahead"),
    ],
)
def test_the_first_time_of_a_boot_is_compared_with_the_mark(ahead_ms: int, found: str) -> None:
    wall = Wall()
    wall.shows(0)
    wall.until(100_000)
    wall.restarted(power=True)
    wall.shows(10_000, OFFSET + 90_000 + ahead_ms)
    assert wall.one.doubt == found
    assert wall.kinds == (["clock_unsettled"] if found else [])
    assert wall.settled is not bool(found)


def test_it_settles_after_a_day_on_one_offset() -> None:
    wall = Wall()
    wall.shows(0)
    wall.shows(1_000, OFFSET + YEAR_MS)
    assert clock.settles_in_ms(wall.one, 1_000 + HOUR_MS) == 23 * HOUR_MS
    wall.shows(2_000, OFFSET + YEAR_MS + 30_000)  # a correction
    wall.until(1_000 + SETTLE_MS - 1)
    assert not wall.settled
    wall.until(1_000 + SETTLE_MS)
    assert (wall.settled, wall.kinds) == (True, [])
    assert clock.settles_in_ms(wall.one, wall.now) is None
    assert clock.mark_of(wall.one, wall.now) == wall.now + OFFSET + YEAR_MS + 30_000
    wall.shows(wall.now + 1, OFFSET + YEAR_MS)
    assert wall.settled


def test_another_step_lets_the_day_begin_again() -> None:
    wall = Wall()
    wall.shows(0)
    wall.shows(1_000, OFFSET + YEAR_MS)
    wall.shows(20 * HOUR_MS, OFFSET + YEAR_MS + 120_000)
    wall.until(30 * HOUR_MS)
    assert not wall.settled
    wall.until(44 * HOUR_MS)
    assert wall.settled


def test_without_trust_the_day_does_not_go_on() -> None:
    wall = Wall()
    wall.shows(0)
    wall.shows(1_000, OFFSET + YEAR_MS)
    wall.shows(20 * HOUR_MS, trusted=False)
    assert clock.settles_in_ms(wall.one, 90 * HOUR_MS) == 4 * HOUR_MS + 1_000
    wall.until(90 * HOUR_MS)
    wall.shows(90 * HOUR_MS, OFFSET + YEAR_MS)
    wall.until(94 * HOUR_MS)
    assert not wall.settled
    wall.until(94 * HOUR_MS + 1_000)
    assert wall.settled


def test_the_day_is_summed_over_boots() -> None:
    wall = Wall()
    wall.shows(0)
    wall.restarted(power=True)
    wall.shows(10_000, OFFSET + YEAR_MS)
    wall.until(10_000 + 20 * HOUR_MS)
    wall.restarted(power=True)
    assert wall.kinds == ["clock_unsettled"]
    wall.restarted(power=True)  # a boot that never knew the time
    wall.shows(60_000, OFFSET + YEAR_MS + 21 * HOUR_MS)
    wall.until(60_000 + 4 * HOUR_MS - 1)
    assert not wall.settled
    wall.until(60_000 + 4 * HOUR_MS)
    assert wall.settled


def test_a_boot_with_another_time_lets_the_day_begin_again() -> None:
    wall = Wall()
    wall.shows(0)
    wall.restarted(power=True)
    wall.shows(10_000, OFFSET + YEAR_MS)
    wall.until(20 * HOUR_MS)
    wall.restarted(power=True)
    wall.shows(10_000, OFFSET + 3 * YEAR_MS)
    assert clock.settles_in_ms(wall.one, 10_000) == SETTLE_MS


def test_a_boot_whose_time_follows_the_mark_ends_the_doubt_of_the_boot_before() -> None:
    wall = Wall()
    wall.shows(0)
    wall.restarted(power=True)
    wall.shows(10_000, OFFSET + YEAR_MS)
    wall.until(HOUR_MS)
    wall.restarted(power=True)
    wall.shows(10_000, OFFSET + HOUR_MS)
    assert (wall.settled, wall.kinds) == (True, [])


def test_a_jump_is_not_made_good_by_a_reboot() -> None:
    wall = Wall()
    wall.shows(0)
    wall.shows(1_000, OFFSET + 86_400_000)
    wall.restarted(power=True)
    wall.shows(10_000, OFFSET + 86_400_000)
    assert wall.kinds == ["clock_jumped"]
    wall.until(10_000 + SETTLE_MS)
    assert wall.settled


def test_a_clock_in_doubt_that_jumps_is_worth_an_urgent_alarm() -> None:
    wall = Wall()
    wall.shows(0)
    wall.restarted(power=True)
    wall.shows(10_000, OFFSET + YEAR_MS)
    wall.shows(20_000, OFFSET + 20_000)
    assert wall.kinds == ["clock_jumped"]
    assert clock.settles_in_ms(wall.one, 20_000) == SETTLE_MS


def test_trust_offset_and_doubt_survive_a_restart_of_the_process() -> None:
    wall = Wall()
    wall.shows(0)
    wall.until(70_000)
    wall.restarted(power=False)
    assert (wall.one.trusted, wall.one.offset_ms, wall.settled) == (True, OFFSET, True)
    wall.until(200_000)
    assert wall.kinds == []
    wall.shows(200_000, OFFSET + YEAR_MS)
    wall.until(HOUR_MS)
    wall.restarted(power=False)
    assert wall.kinds == ["clock_jumped"]
    wall.until(200_000 + SETTLE_MS)
    assert wall.settled


def test_trust_does_not_survive_another_boot_nor_one_of_which_nothing_is_known() -> None:
    wall = Wall()
    wall.shows(0)
    wall.restarted(power=True)
    assert (wall.one.trusted, wall.one.offset_ms) == (False, None)
    wall.one = restored(clock.start(0), saved(wall.one), Past(), 0)
    assert not wall.one.trusted


def test_trust_that_was_lost_stays_lost_over_a_restart_of_the_process() -> None:
    wall = Wall()
    wall.shows(0)
    wall.shows(1_000, trusted=False)
    wall.restarted(power=False)
    assert not wall.one.trusted
    wall.restarted(power=True)
    assert wall.one.mark_utc_ms == OFFSET + 1_000


def test_a_clock_that_was_known_before_the_journal_is_judged_by_it() -> None:
    wall = Wall()
    wall.shows(0)
    section, past = saved(wall.one), Past("boot 2", 1_000, "boot 1", 1_000)
    late = clock.step(clock.start(0, past), CivilTime(OFFSET + YEAR_MS, True), 0).state
    assert clock.settled(late)
    after = restored(late, section, past, 5_000)
    assert (after.trusted, after.doubt) == (True, "ahead")


def test_a_journal_of_an_older_version_has_a_mark_all_the_same() -> None:
    past = Past("boot 2", 0, utc_ms=OFFSET)
    sections: tuple[Json, ...] = (
        None,
        {},
        {"mark_utc_ms": "x", "offset_ms": True, "waited_ms": 2**60},
    )
    for section in sections:
        one = restored(clock.start(0, past), section, past, 0)
        assert clock.step(one, CivilTime(OFFSET + YEAR_MS, True), 0).state.doubt == "ahead"


def test_a_person_confirms_the_time_and_may_lower_the_mark() -> None:
    wall = Wall()
    assert clock.confirm(wall.one, 0) is None
    wall.shows(0, OFFSET + YEAR_MS)
    wall.shows(1_000)
    assert clock.mark_of(wall.one, 1_000) == OFFSET + YEAR_MS + 1_000
    confirmed = clock.confirm(wall.one, 2_000)
    assert confirmed is not None
    assert (clock.settled(confirmed), confirmed.conditions) == (True, ())
    assert clock.mark_of(confirmed, 2_000) == OFFSET + 2_000
    assert clock.wake_at(confirmed) is None


def test_the_clock_of_a_bench_is_its_own() -> None:
    past = Past("boot 1", own=True)
    one = clock.step(clock.start(0, past), CivilTime(OFFSET, True), 0).state
    one = clock.step(one, CivilTime(OFFSET + YEAR_MS, True), 0).state
    assert clock.settled(one)
    after = restored(clock.start(9, past), saved(one), Past("boot 2", own=True), 9)
    after = clock.step(after, CivilTime(OFFSET, True), 9).state
    assert (clock.settled(after), clock.mark_of(after, 9)) == (True, None)


def test_a_bench_that_travels_knows_steps_and_nothing_of_the_boot_before() -> None:
    past = Past("boot 1", travels=True)
    one = clock.step(clock.start(0, past), CivilTime(OFFSET, True), 0).state
    past = Past("boot 2", 5, "boot 1", 5, travels=True)
    one = restored(clock.start(9), saved(one), past, 9)
    one = clock.step(one, CivilTime(OFFSET - YEAR_MS, True), 9).state
    assert (clock.settled(one), clock.mark_of(one, 9)) == (True, None)
    assert clock.step(one, CivilTime(OFFSET, True), 10).state.doubt == "jumped"


# --- in the building


def test_a_jump_is_an_alarm_until_somebody_confirms_the_time() -> None:
    bench = Bench()
    bench.at(1_000, CivilTime(OFFSET + YEAR_MS, True))
    assert bench.alarms()["gw/clock_jumped"] == "active"
    shown = snapshot(bench.building, 1_000)
    assert (shown["clock_settled"], shown["clock_doubt"]) == (False, "jumped")
    assert shown["clock_settles_in_ms"] == SETTLE_MS
    bench.at(2_000, ConfirmClock("c", STAFF, 9_000))
    assert bench.replies["c"].status == "accepted"
    assert bench.alarms()["gw/clock_jumped"] == "cleared"
    assert snapshot(bench.building, 2_000)["clock_settled"] is True


def test_a_time_that_nobody_trusts_cannot_be_confirmed() -> None:
    bench = Bench(trusted=False)
    bench.at(2_000, ConfirmClock("c", STAFF, 9_000))
    assert (bench.replies["c"].status, bench.replies["c"].reason) == ("refused", "clock_untrusted")


def test_a_door_that_staff_switched_off_stays_off_over_restarts_and_wrong_clocks() -> None:
    bench = Bench(past=Past("boot 1"))
    bench.mode(1_000, "off", for_ms=HOUR_MS)
    past = Past("boot 2", 30_000, "boot 1", 30_000)
    started = building.start(PLAN, bench.kept(), 10_000, past).state
    assert started.doors["front"].mode == "off"
    ahead = building.step(started, CivilTime(OFFSET + YEAR_MS, True), 10_001).state
    assert ahead.doors["front"].mode == "off"
    lost = building.step(ahead, CivilTime(OFFSET, False), 10_002).state
    end_ms = 1_000 + HOUR_MS - 30_000
    assert building.step(lost, None, end_ms - 1).state.doors["front"].mode == "off"
    over = building.step(lost, None, end_ms).state
    assert over.doors["front"].mode_source == "safe"


def test_a_wrong_time_before_the_journal_is_readable_ends_no_override() -> None:
    """The first time of this boot is believed as long as nothing is known; then it is in doubt."""
    bench = Bench(past=Past("boot 1"))
    bench.mode(1_000, "off", until_utc_ms=OFFSET + HOUR_MS)
    early = building.start(PLAN, None, 0).state
    early = building.step(early, CivilTime(OFFSET + YEAR_MS, True), 10).state
    past = Past("boot 2", 30_000, "boot 1", 30_000)
    read = building.restore(early, bench.kept(), 5_000, past).state
    assert read.clock.doubt == "ahead"
    assert read.doors["front"].mode == "off"


def test_settling_ends_an_override_whose_end_has_passed() -> None:
    bench = Bench()
    bench.mode(1_000, "off", until_utc_ms=OFFSET + HOUR_MS)
    bench.at(2_000, CivilTime(OFFSET + YEAR_MS, True))
    assert bench.building.doors["front"].mode == "off"
    bench.at(3_000, ConfirmClock("c", STAFF, 9_000))
    assert bench.building.doors["front"].mode_source == "schedule"


def test_the_time_of_the_last_mode_is_summed_over_restarts() -> None:
    bench = Bench()
    bench.until(HOUR_MS + 1_000)
    assert bench.building.doors["front"].mode == "night"
    past = Past("boot 2", HOUR_MS + 1_000, "boot 1", HOUR_MS + 1_000)
    first = building.start(PLAN, bench.kept(), 10_000, past).state
    assert (first.doors["front"].mode, first.doors["front"].mode_source) == ("night", "safe")
    later = Past("boot 3", past.uptime_ms + 11 * HOUR_MS, "boot 2", 11 * HOUR_MS)
    second = building.start(PLAN, building.state_to_save(first), 10_000, later).state
    assert second.doors["front"].mode == "night"
    end_ms = 10_000 + HOUR_MS
    assert building.step(second, None, end_ms - 1).state.doors["front"].mode == "night"
    assert building.step(second, None, end_ms).state.doors["front"].mode == "automatic"


def test_kept_modes_that_cannot_be_read_are_left_out() -> None:
    kept: dict[str, Json] = {
        "modes": {"front": {"mode": "ajar"}, "back": 7},
        "overrides": {"front": {"mode": "off"}},
    }
    started = building.start(SMALL, kept, 0).state
    assert started.schedules["front"].carried is None
    assert started.schedules["front"].override is None
