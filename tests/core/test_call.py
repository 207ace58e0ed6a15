"""The emergency call: raised by every pull, ended in the room and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.building.snapshot_rooms import cords_shown
from gateway.core.instant import Ms
from gateway.core.room import call, call_saved
from gateway.core.room.call import CancelPressed, CordSeen, PresencePressed, classified, troubles
from gateway.core.saved_values import Times
from tests import plans
from tests.core.call_bench import LINE, OFFSET, CallBench


def test_a_pull_raises_the_call_with_lamps_and_sounder() -> None:
    bench = CallBench()
    bench.pull(1000)
    assert bench.call.state == "raised"
    assert bench.lamps() == "reassurance sounder unlock flashing"
    assert bench.told() == ["raised wc-1 cord 1"]
    assert bench.facts[0].at_ms == 1000


def test_the_room_lamp_flashes_slowly_enough_for_everybody() -> None:
    bench = CallBench()
    bench.pull(1000)
    bench.until(4000)
    lamp = [(at_ms, on) for at_ms, point, on in bench.drives if point == "wc.lamp"]
    assert lamp == [(1000 + 500 * n, n % 2 == 0) for n in range(7)]


def test_who_acknowledges_silences_the_sounder_and_leaves_the_light() -> None:
    bench = CallBench()
    bench.pull(1000)
    bench.acknowledge(21_000)
    assert bench.lamps() == "reassurance unlock flashing"
    assert bench.shown["acknowledged_by"] == "web:3"
    assert bench.facts[-1].data["after_ms"] == 20_000
    bench.acknowledge(22_000, "web:4")
    assert bench.shown["acknowledged_by"] == "web:3"
    assert bench.told() == ["raised wc-1 cord 1", "acknowledged"]


def test_who_has_only_seen_a_call_changes_nothing_of_it() -> None:
    bench = CallBench()
    bench.pull(1000)
    bench.see(21_000)
    bench.see(22_000)
    assert bench.lamps() == "reassurance sounder unlock flashing"
    shown = bench.shown
    assert (shown["state"], shown["seen_by"], shown["seen_ms"]) == ("raised", "mqtt:sites", 21_000)
    assert (shown["acknowledged_by"], shown["attend_by_ms"]) == (None, None)
    assert bench.told() == ["raised wc-1 cord 1", "seen"]
    assert bench.facts[-1].data == {
        "call": "wc-1", "by": "mqtt:sites", "via": "mqtt", "command": "c3", "after_ms": 20_000,
        "test": False,
    }  # fmt: skip
    bench.see(23_000, "mqtt:desk")
    assert (bench.shown["seen_by"], bench.shown["seen_ms"]) == ("mqtt:desk", 23_000)
    bench.acknowledge(30_000)
    assert bench.shown["state"] == "acknowledged"
    bench.see(31_000)
    assert bench.told() == ["raised wc-1 cord 1", "seen", "seen", "acknowledged"]


def test_whoever_says_that_another_goes_names_them() -> None:
    bench = CallBench()
    bench.pull(1000)
    bench.acknowledge(21_000, "mqtt:sites", "Anna")
    assert bench.lamps() == "reassurance unlock flashing"
    assert (bench.shown["acknowledged_by"], bench.shown["attends"]) == ("mqtt:sites", "Anna")
    assert bench.facts[-1].data["attends"] == "Anna"
    bench.until(321_000)
    bench.acknowledge(330_000)
    assert (bench.shown["acknowledged_by"], bench.shown["attends"]) == ("web:3", None)
    assert "attends" not in bench.facts[-1].data, "who acknowledges goes"


def test_a_call_that_is_raised_again_has_been_seen_by_nobody() -> None:
    bench = CallBench()
    bench.pull(1000)
    bench.see(2000)
    bench.acknowledge(21_000)
    assert bench.shown["seen_by"] == "mqtt:sites"
    bench.until(321_000)
    again = bench.shown
    assert (again["state"], again["seen_by"]) == ("raised", None)
    bench.see(330_000)
    assert bench.shown["seen_ms"] == 330_000


def test_a_test_that_becomes_real_was_seen_by_nobody_and_nobody_goes() -> None:
    bench = CallBench()
    bench.test(1000)
    bench.pull(5000)
    bench.see(6000)
    bench.acknowledge(7000, "mqtt:sites", "Anna")
    bench.pull(560_000)
    assert bench.shown["test"] is False
    assert (bench.shown["seen_by"], bench.shown["attends"]) == (None, None)


def test_who_goes_and_who_has_seen_it_survives_a_restart() -> None:
    bench = CallBench()
    bench.pull(1000)
    bench.see(2000)
    seen = bench.restarted()
    assert (seen.shown["seen_by"], seen.shown["seen_ms"]) == ("mqtt:sites", None)
    seen.clock(5000)
    assert seen.shown["seen_ms"] == 2000
    bench.acknowledge(21_000, "mqtt:sites", "Anna")
    assert bench.restarted().shown["attends"] == "Anna"


def test_nothing_is_acknowledged_or_attended_while_nobody_calls() -> None:
    bench = CallBench()
    bench.acknowledge(1000)
    bench.see(1500)
    bench.attend(2000)
    bench.cancel(3000)
    assert bench.call.state == "quiet"
    assert bench.told() == []
    assert bench.drives == []


def test_acknowledged_and_nobody_comes_is_raised_again() -> None:
    bench = CallBench()
    bench.pull(1000)
    bench.acknowledge(21_000)
    assert bench.until(320_999).state == "acknowledged"
    assert bench.until(321_000).state == "raised"
    assert bench.lamps() == "reassurance sounder unlock flashing"
    assert bench.told()[-1] == "raised wc-1 unattended 1"
    bench.acknowledge(330_000, "web:4")
    assert bench.shown["acknowledged_by"] == "web:4"


def test_who_stands_in_the_room_stops_the_sounder_and_the_clock() -> None:
    bench = CallBench()
    bench.pull(1000)
    bench.acknowledge(21_000)
    bench.attend(100_000)
    bench.attend(101_000)
    bench.until(1_000_000)
    assert bench.call.state == "attended"
    assert bench.lamps() == "reassurance unlock flashing"
    assert bench.told() == ["raised wc-1 cord 1", "acknowledged", "attended"]


def test_the_staff_may_come_without_a_word() -> None:
    bench = CallBench()
    bench.pull(1000)
    bench.attend(5000)
    assert bench.call.state == "attended"
    data = {"call": "wc-1", "point": "wc.presence", "after_ms": 4000, "test": False}
    assert bench.facts[-1].data == data


@pytest.mark.parametrize("state", ["raised", "acknowledged", "attended"])
def test_the_button_in_the_room_ends_the_call_in_every_state(state: str) -> None:
    bench = CallBench()
    bench.pull(1000)
    if state == "acknowledged":
        bench.acknowledge(3000)
    if state == "attended":
        bench.attend(3000)
    assert bench.call.state == state
    bench.cancel(9000)
    assert bench.call.state == "quiet"
    assert bench.lamps() == ""
    assert not any(bench.relays.values())
    assert bench.facts[-1].data == {
        "call": "wc-1",
        "point": "wc.cancel",
        "after_ms": 8000,
        "test": False,
    }
    bench.until(1_000_000)
    assert call.wake_at(bench.call) is None


@pytest.mark.parametrize("state", ["acknowledged", "attended"])
def test_who_pulls_again_calls_again(state: str) -> None:
    bench = CallBench()
    bench.pull(1000)
    (bench.acknowledge if state == "acknowledged" else bench.attend)(3000)
    bench.pull(60_000)
    bench.until(600_000)
    assert bench.call.state == "raised"
    assert bench.lamps() == "reassurance sounder unlock flashing"
    assert bench.told()[-1] == "raised wc-1 cord 2"


def test_further_pulls_of_a_raised_call_are_counted_and_seldom_told() -> None:
    bench = CallBench()
    for n in range(100):
        bench.pull(1000 + n * 2000)
    assert bench.shown["pulls"] == 100
    assert bench.told() == [f"raised wc-1 cord {n}" for n in (1, 31, 61, 91)]


def test_another_cord_of_the_same_room_is_told_at_once() -> None:
    bench = CallBench()
    bench.pull(1000)
    bench.pull(3000, "wc.shower")
    bench.pull(5000, "wc.shower")
    assert bench.told() == ["raised wc-1 cord 1", "raised wc-1 cord 2"]
    assert bench.shown["points"] == ["wc.cord", "wc.shower"]


def test_a_cord_that_is_still_pulled_when_the_call_ends_sticks() -> None:
    bench = CallBench()
    bench.cord(1000, "pulled")
    bench.cancel(5000)
    assert bench.call.state == "quiet"
    assert troubles(bench.call, "wc.cord") == (("cord_stuck", ""),)
    bench.cord(6000, "unknown")
    assert troubles(bench.call, "wc.cord") == ()
    assert bench.cord(6500, "pulled").state == "quiet"
    bench.cord(7000, "normal")
    assert troubles(bench.call, "wc.cord") == ()
    assert bench.cord(8000, "pulled").state == "raised"
    assert bench.told()[-1] == "raised wc-2 cord 1"


def test_a_cord_that_nobody_can_read_at_the_end_calls_as_soon_as_it_is_read() -> None:
    bench = CallBench()
    bench.cord(1000, "pulled")
    bench.cord(2000, "unknown")
    assert bench.call.state == "raised"
    bench.cancel(5000)
    assert troubles(bench.call, "wc.cord") == ()
    bench.cord(6000, "pulled")
    assert bench.call.state == "raised"


def test_a_cord_that_was_unreadable_for_a_while_is_not_pulled_again() -> None:
    bench = CallBench()
    bench.cord(1000, "pulled")
    bench.acknowledge(2000)
    bench.cord(3000, "unknown")
    bench.cord(4000, "pulled")
    assert bench.call.state == "acknowledged"


def test_a_press_that_is_found_late_ends_no_later_call() -> None:
    bench = CallBench()
    bench.cord(1000, "pulled")
    bench.at(1030, CancelPressed("wc.cancel", 990))
    bench.at(1030, PresencePressed("wc.presence", 990))
    assert bench.call.state == "raised"


# --- supervised line ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ohm", "cord"),
    [
        (None, "unknown"),
        (0.0, "short"),
        (2_349.0, "short"),
        (2_350.0, "pulled"),
        (6_855.0, "pulled"),
        (6_856.0, "normal"),
        (20_000.0, "normal"),
        (20_001.0, "cut"),
    ],
)
def test_a_supervised_line_tells_pulled_cut_and_short_apart(ohm: float | None, cord: str) -> None:
    assert classified(LINE, ohm) == cord


def test_a_pulled_line_calls_and_a_cut_or_short_one_is_a_fault() -> None:
    bench = CallBench()
    bench.cord(500, "normal", "wc.line")
    bench.cord(1000, "cut", "wc.line")
    assert troubles(bench.call, "wc.line") == (("line_cut", ""),)
    bench.cord(2000, "short", "wc.line")
    assert troubles(bench.call, "wc.line") == (("line_short", ""),)
    assert bench.call.state == "quiet"
    bench.cord(3000, "pulled", "wc.line")
    assert bench.told() == ["raised wc-1 line 1"]
    bench.cord(3000, "pulled", "wc.line")
    assert bench.shown["pulls"] == 1


def test_a_line_that_is_cut_under_way_ends_no_call() -> None:
    bench = CallBench()
    bench.cord(1000, "pulled", "wc.line")
    bench.cord(2000, "cut", "wc.line")
    assert bench.call.state == "raised"


# --- test mode ----------------------------------------------------------------------------


def test_a_pull_in_test_mode_lights_the_lamps_and_is_recorded_as_a_test() -> None:
    bench = CallBench()
    bench.test(1000)
    bench.pull(5000)
    assert bench.lamps() == "reassurance sounder unlock flashing"
    assert bench.told() == ["room_test True", "raised wc-1 cord 1 test"]
    bench.cancel(9000)
    assert bench.told()[-1] == "cancelled test"
    assert (bench.call.calls, bench.call.tests) == (0, 1)
    bench.until(700_000)
    assert bench.told()[-1] == "room_test False over"
    bench.pull(800_000)
    assert bench.told()[-1] == "raised wc-2 cord 1"


def test_a_call_in_the_last_minute_of_a_test_is_real() -> None:
    bench = CallBench()
    bench.test(1000)
    bench.pull(541_000)
    assert bench.told()[-1] == "raised wc-1 cord 1"
    bench.until(2_000_000)
    assert bench.call.state == "raised"


def test_a_pull_of_before_the_test_that_is_found_late_is_real() -> None:
    bench = CallBench()
    bench.test(1000)
    bench.at(1030, CordSeen("wc.cord", "pulled", 999))
    assert bench.told()[-1] == "raised wc-1 cord 1"


def test_a_test_call_that_is_pulled_again_in_the_last_minute_is_real() -> None:
    bench = CallBench()
    bench.test(1000)
    bench.pull(5000)
    bench.acknowledge(6000)
    bench.pull(541_000)
    assert bench.told()[-1] == "raised wc-1 cord 2"
    assert (bench.call.calls, bench.call.tests) == (1, 1)


def test_a_test_call_keeps_its_lamps_after_the_test_until_the_button_is_pressed() -> None:
    bench = CallBench()
    bench.test(1000)
    bench.pull(5000)
    bench.pull(7000)
    bench.until(3_000_000)
    assert (bench.call.state, bench.shown["test"]) == ("raised", True)
    assert bench.lamps() == "reassurance sounder unlock flashing"
    assert bench.told()[-1] == "room_test False over"
    bench.cancel(3_001_000)
    assert bench.lamps() == ""
    assert bench.told()[-1] == "cancelled test"


def test_a_new_pull_after_the_test_makes_a_test_call_real() -> None:
    bench = CallBench()
    bench.test(1000)
    bench.pull(5000)
    bench.acknowledge(6000)
    bench.pull(700_000)
    assert bench.told()[-1] == "raised wc-1 cord 2"
    assert (bench.call.state, bench.shown["test"]) == ("raised", False)


def test_a_cord_that_is_still_pulled_when_the_test_is_over_calls() -> None:
    bench = CallBench()
    bench.test(1000)
    bench.cord(5000, "pulled")
    bench.until(601_000)
    assert bench.told()[-2:] == ["room_test False over", "raised wc-1 test_over 1"]
    assert bench.shown["test"] is False


def test_who_ends_a_test_from_afar_ends_no_pull_of_the_last_minute() -> None:
    bench = CallBench()
    bench.test(1000)
    bench.pull(100_000)
    bench.test(150_000, 0)
    assert bench.told()[-2:] == ["room_test False ended", "raised wc-1 test_over 1"]
    bench = CallBench()
    bench.test(1000)
    bench.pull(100_000)
    bench.test(160_000, 0)
    assert bench.told()[-1] == "room_test False ended"
    bench.test(161_000, 0)
    assert bench.told().count("room_test False ended") == 1
    assert (bench.call.state, bench.shown["test"]) == ("raised", True)


def test_a_test_can_be_made_longer() -> None:
    bench = CallBench()
    bench.test(1000, 120_000)
    bench.test(100_000, 600_000)
    bench.pull(500_000)
    assert bench.shown["test"] is True
    bench.cancel(502_000)
    bench.until(700_000)
    assert bench.call.test_until_ms is None


# --- the limits of test mode ----------------------------------------------------------------


def test_test_mode_lasts_half_an_hour_in_all_however_often_it_is_prolonged() -> None:
    bench = CallBench()
    bench.test(1000, 600_000)
    assert call.refusal(bench.call, 1_200_000, 601_000 - 1) == ""
    bench.test(600_000, 1_200_000)
    assert call.refusal(bench.call, 1_200_000, 601_001) == "test_limit"
    assert call.refusal(bench.call, 61_000, 1_740_001) == "test_limit"
    assert call.refusal(bench.call, 0, 1_740_001) == ""


def test_the_next_test_mode_begins_ten_minutes_after_the_last_one() -> None:
    bench = CallBench()
    bench.test(1000)
    bench.test(100_000, 0)
    assert call.refusal(bench.call, 600_000, 699_999) == "test_pause"
    assert call.refusal(bench.call, 600_000, 700_000) == ""


def test_no_test_mode_begins_within_two_minutes_of_a_real_call() -> None:
    bench = CallBench()
    bench.pull(1000)
    assert call.refusal(bench.call, 600_000, 3000) == "call"
    bench.cancel(5000)
    assert call.refusal(bench.call, 600_000, 124_999) == "after_call"
    assert call.refusal(bench.call, 600_000, 125_000) == ""


def test_a_test_call_delays_no_further_test() -> None:
    bench = CallBench()
    bench.test(1000)
    bench.pull(5000)
    bench.cancel(650_000)
    assert call.refusal(bench.call, 600_000, 1_201_000) == ""


@pytest.mark.parametrize(
    ("offset_ms", "ends_ms"),
    [(OFFSET, 600_000), (OFFSET + 3_600_000, 600_000), (OFFSET - 3_600_000, 600_000)],
)
def test_a_restart_does_not_shorten_the_pause_between_two_tests(
    offset_ms: int, ends_ms: int
) -> None:
    """Whatever the clock of the next boot says, the pause ends ten minutes after its start
    at the latest; a running test mode ends with the restart."""
    before = CallBench()
    before.test(1000)
    after = before.restarted()
    after.clock(0, offset_ms)
    assert call.refusal(after.call, 600_000, ends_ms - 1) == "test_pause"
    assert call.refusal(after.call, 600_000, ends_ms) == ""


def test_the_clock_says_how_long_ago_the_last_test_mode_ended() -> None:
    before = CallBench()
    before.test(1000)
    before.test(100_000, 0)
    after = before.restarted()
    assert call.refusal(after.call, 600_000, 10) == "test_pause"
    after.clock(20, OFFSET + 700_000)
    assert call.refusal(after.call, 600_000, 20) == ""
    after.clock(30, OFFSET - 700_000)
    assert call.refusal(after.call, 600_000, 600_029) == "test_pause"
    assert call.refusal(after.call, 600_000, 600_030) == ""


# --- restart ------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["raised", "acknowledged", "attended"])
def test_a_call_survives_a_restart_in_every_state_and_lights_its_lamps_at_once(state: str) -> None:
    before = CallBench()
    before.pull(1000)
    if state == "acknowledged":
        before.acknowledge(3000)
    if state == "attended":
        before.attend(3000)
    after = before.restarted()
    assert after.now == 0
    assert after.call.state == state
    assert after.lamps() == before.lamps()
    assert after.facts == []
    assert after.shown["id"] == "wc-1"
    assert after.shown["raised_utc_ms"] == OFFSET + 1000
    after.cord(10, "normal")
    after.clock(20, OFFSET + 60_000)
    assert after.shown["raised_ms"] == -59_000
    after.cancel(1000)
    assert after.facts[-1].data["after_ms"] == 60_000
    assert after.call.last[0].raised.utc_ms == OFFSET + 1000


def test_a_cord_that_was_pulled_before_and_still_is_does_not_call_twice() -> None:
    before = CallBench()
    before.cord(1000, "pulled")
    before.acknowledge(3000)
    after = before.restarted()
    after.cord(30, "pulled")
    assert after.call.state == "acknowledged"
    assert after.shown["pulls"] == 1


def test_a_cord_that_was_pulled_while_the_gateway_was_away_calls_again() -> None:
    before = CallBench()
    before.pull(1000)
    before.acknowledge(3000)
    after = before.restarted()
    after.cord(30, "pulled")
    assert after.told() == ["raised wc-1 cord 2"]


def test_the_time_to_attend_goes_on_over_a_restart() -> None:
    before = CallBench()
    before.pull(1000)
    before.acknowledge(3000)
    after = before.restarted()
    assert after.shown["attend_by_ms"] == 300_000
    after.clock(100, OFFSET + 100_000)
    assert after.shown["attend_by_ms"] == 203_000
    twice = after.restarted(offset_ms=OFFSET + 100_000)
    twice.clock(100, OFFSET + 400_000)
    twice.until(101)
    assert twice.told() == ["raised wc-1 unattended 1"]


@pytest.mark.parametrize("then", ["pull", "attend", "acknowledge"])
def test_a_time_to_attend_of_before_is_forgotten_when_it_means_nothing_any_more(then: str) -> None:
    before = CallBench()
    before.pull(1000)
    before.acknowledge(3000)
    after = before.restarted()
    after.pull(2000)
    if then != "pull":
        (after.attend if then == "attend" else after.acknowledge)(4000)
    after.clock(5000, OFFSET + 1_000_000)
    after.until(200_000)
    assert after.call.state == {"pull": "raised", "attend": "attended"}.get(then, "acknowledged")
    assert "raised wc-1 unattended 2" not in after.told()


def test_where_the_clock_was_never_known_the_time_to_attend_begins_anew() -> None:
    before = CallBench()
    before.pull(1000)
    before.acknowledge(3000)
    after = before.restarted(offset_ms=None)
    after.clock(1000)
    assert after.shown["attend_by_ms"] == 300_000
    assert after.shown["raised_utc_ms"] is None
    after.attend(2000)
    after.cancel(3000)
    assert [fact.data["after_ms"] for fact in after.facts] == [None, None]


def test_a_cord_that_stuck_before_a_restart_sticks_until_it_was_let_go() -> None:
    before = CallBench()
    before.cord(1000, "pulled")
    before.cancel(5000)
    after = before.restarted()
    after.cord(30, "pulled")
    assert after.call.state == "quiet"
    assert troubles(after.call, "wc.cord") == (("cord_stuck", ""),)
    again = before.restarted()
    again.cord(30, "normal")
    again.cord(1000, "pulled")
    assert again.told() == ["raised wc-2 cord 1"]


def test_a_restart_ends_a_test_and_a_test_call_becomes_real() -> None:
    before = CallBench()
    before.test(1000)
    assert before.restarted().told() == ["room_test False restart"]
    before.pull(5000)
    after = before.restarted()
    assert after.told() == ["room_test False restart", "raised wc-1 restart 1"]
    assert after.shown["test"] is False
    assert (after.call.calls, after.call.tests) == (1, 1)
    after.pull(10_000)
    assert after.shown["pulls"] == 2


def test_numbers_go_on_over_restarts() -> None:
    before = CallBench()
    before.pull(1000)
    before.cancel(5000)
    after = before.restarted()
    after.pull(1000)
    assert after.shown["id"] == "wc-2"
    assert after.call.calls == 2


# --- what was kept comes late -------------------------------------------------------------


def late(now: Ms = 1000) -> CallBench:
    """A gateway whose journal cannot be read yet."""
    bench = CallBench(kept=None)
    bench.until(now)
    return bench


def standing(*, acknowledged: bool = False, pulled: bool = False) -> CallBench:
    """The call as it stood before the restart."""
    before = CallBench()
    before.cord(1000, "pulled")
    if acknowledged:
        before.acknowledge(3000)
    if not pulled:
        before.cord(4000, "normal")
    return before


def test_a_call_that_is_read_late_lights_its_lamps_then() -> None:
    after = late()
    after.cord(2000, "normal")
    after.restore(9000, standing().kept())
    assert after.lamps() == "reassurance sounder unlock flashing"
    assert after.told() == []
    assert after.shown["id"] == "wc-1"


def test_a_call_of_before_and_one_of_since_are_one() -> None:
    after = late()
    after.pull(2000)
    assert after.shown["id"] == "wc-0-2000"
    after.restore(9000, standing(acknowledged=True).kept())
    assert after.shown["id"] == "wc-1"
    assert after.shown["pulls"] == 2
    assert after.call.state == "raised"
    assert after.shown["acknowledged_by"] == "web:3"
    assert after.shown["raised_utc_ms"] == OFFSET + 1000
    assert after.told() == ["raised wc-0-2000 cord 1", "raised wc-1 restart 2"]
    assert after.facts[-1].data["was"] == "wc-0-2000"
    assert after.call.calls == 1
    after.cancel(10_000)
    after.pull(20_000)
    assert after.shown["id"] == "wc-2"


def test_a_cord_that_was_found_pulled_was_not_pulled_again() -> None:
    after = late(0)
    after.cord(30, "pulled")
    after.restore(9000, standing(acknowledged=True, pulled=True).kept())
    assert after.call.state == "acknowledged"
    assert after.shown["pulls"] == 1
    assert after.lamps() == "reassurance unlock flashing"
    assert after.shown["attend_by_ms"] == 309_000


def test_who_has_seen_and_attended_since_is_kept() -> None:
    after = late(0)
    after.cord(30, "pulled")
    after.acknowledge(2000, "web:7")
    after.attend(3000)
    after.restore(9000, standing(pulled=True).kept())
    assert after.call.state == "attended"
    assert after.shown["acknowledged_by"] == "web:7"
    assert after.shown["attended_ms"] == 3000


@pytest.mark.parametrize("when", ["before", "since"])
def test_who_has_seen_it_or_goes_is_kept_from_both_sides_of_a_restart(when: str) -> None:
    before, after = standing(pulled=True), late(0)
    after.cord(30, "pulled")
    if when == "before":
        before.see(before.now + 1000)
        before.acknowledge(before.now + 1000, "mqtt:sites", "Anna")
    else:
        after.see(2000)
        after.acknowledge(3000, "mqtt:sites", "Anna")
    after.restore(9000, before.kept())
    assert (after.shown["seen_by"], after.shown["attends"]) == ("mqtt:sites", "Anna")


def test_the_name_of_who_goes_belongs_to_whoever_acknowledged_last() -> None:
    before = standing()
    before.acknowledge(before.now + 1000, "mqtt:sites", "Anna")
    pulled, acknowledged = late(), late()
    pulled.pull(2000)
    pulled.restore(9000, before.kept())
    assert (pulled.shown["acknowledged_by"], pulled.shown["attends"]) == ("mqtt:sites", "Anna")
    acknowledged.pull(2000)
    acknowledged.acknowledge(4000, "web:7")
    acknowledged.restore(9000, before.kept())
    assert (acknowledged.shown["acknowledged_by"], acknowledged.shown["attends"]) == ("web:7", None)


def test_a_test_call_of_since_and_a_real_one_of_before_are_a_real_one() -> None:
    after = late()
    after.test(1000)
    after.pull(2000)
    after.acknowledge(4000)
    after.restore(9000, standing().kept())
    assert after.call.state == "raised"
    assert after.shown["test"] is False
    assert after.told()[-1] == "raised wc-1 restart 2"
    raised = late()
    raised.test(1000)
    raised.pull(2000)
    raised.restore(9000, standing().kept())
    assert raised.shown["test"] is False


def test_cancelled_before_it_was_read_is_cancelled() -> None:
    after = late()
    after.cancel(2000)
    after.restore(9000, standing().kept())
    assert after.call.state == "quiet"
    assert after.told() == ["cancelled"]
    assert after.facts[0].data["call"] == "wc-1"
    assert after.relays == {}


def test_a_call_after_that_cancel_goes_on_alone() -> None:
    after = late()
    after.cancel(2000)
    after.pull(3000)
    after.restore(9000, standing().kept())
    assert after.shown["id"] == "wc-0-3000"
    assert after.told()[-1] == "cancelled"


def test_a_cord_that_was_seen_since_is_believed_before_what_was_kept() -> None:
    before = CallBench()
    before.cord(1000, "pulled")
    before.cancel(5000)
    after = late(0)
    after.cord(30, "normal")
    after.restore(9000, before.kept())
    after.cord(10_000, "pulled")
    assert after.call.state == "raised"


# --- what is written and read -------------------------------------------------------------


def test_what_cannot_be_read_is_left_out() -> None:
    assert call_saved.SAVED.read({}, Times()) == call_saved.NONE_SAVED
    unread: Any = call_saved.SAVED.write(call.start(CallBench().call.plan, 0), Times())
    assert unread["number"] == 0
    odd = call_saved.SAVED.read(
        {"number": "x", "call": {"id": 3}, "last": [{"id": "wc-1"}, 3], "pulled": 3, "calls": True},
        Times(),
    )
    assert odd is not None
    assert odd.record is None
    assert (odd.number, odd.calls, odd.pulled) == (0, 0, frozenset())
    assert [one.id for one in odd.last] == ["wc-1"]


def test_a_call_in_a_state_that_nobody_knows_is_raised() -> None:
    kept = {"id": "wc-7", "state": "sleeping"}
    bench = CallBench(kept={"number": 7, "call": dict(kept)})
    assert bench.call.state == "raised"
    quiet = CallBench(kept={"number": 7, "call": {**kept, "state": "quiet"}})
    assert quiet.call.state == "quiet"


def test_a_cord_that_was_pulled_with_no_call_that_can_be_read_calls() -> None:
    bench = CallBench(kept={"number": 7, "pulled": ["wc.cord"]})
    bench.cord(30, "pulled")
    assert bench.told() == ["raised wc-8 cord 1"]


def test_the_last_calls_are_shown_with_their_times() -> None:
    bench = CallBench()
    for n in range(7):
        bench.pull(n * 100_000)
        bench.acknowledge(n * 100_000 + 10_000)
        bench.pull(n * 100_000 + 11_000)
        bench.acknowledge(n * 100_000 + 20_000)
        bench.attend(n * 100_000 + 30_000)
        bench.cancel(n * 100_000 + 40_000)
    shown = cords_shown(bench.call, OFFSET)
    past = shown["last_calls"]
    assert len(past) == 5
    assert past[-1] == {
        "id": "wc-7",
        "raised_utc_ms": OFFSET + 600_000,
        "acknowledged_after_ms": 10_000,
        "attended_after_ms": 30_000,
        "cancelled_after_ms": 40_000,
        "test": False,
    }
    assert shown["counters"] == {"calls": 7, "tests": 0}


def test_nothing_happens_of_itself_before_it_is_due() -> None:
    bench = CallBench()
    assert bench.shown == {
        "id": None,
        "state": "quiet",
        "test": False,
        "since_ms": 0,
        "raised_ms": None,
        "raised_utc_ms": None,
        "cause": "",
        "points": [],
        "pulls": 0,
        "acknowledged_by": None,
        "acknowledged_ms": None,
        "attends": None,
        "seen_by": None,
        "seen_ms": None,
        "attended_ms": None,
        "attend_by_ms": None,
        "messages": [],
        "next_message_ms": None,
    }
    bench.pull(1000)
    assert call.step(bench.call, None, bench.now).state is bench.call


def test_a_step_of_the_clock_moves_no_instant_of_this_boot() -> None:
    bench = CallBench()
    bench.pull(1000)
    bench.acknowledge(3000)
    bench.clock(4000)
    bench.clock(5000, OFFSET + 3_600_000)
    assert bench.shown["raised_ms"] == 1000
    assert bench.shown["attend_by_ms"] == 303_000


def test_what_waits_for_the_clock_is_kept_as_it_was() -> None:
    before = CallBench()
    before.pull(1000)
    before.acknowledge(3000)
    after = before.restarted().restarted(offset_ms=None)
    after.clock(100, OFFSET + 100_000)
    assert after.shown["attend_by_ms"] == 203_000


def test_a_room_with_one_cord_and_nothing_else_works() -> None:
    bench = CallBench(plans.room("wc", "WC", cords=("wc.cord",), cancel="wc.cancel"))
    bench.pull(1000)
    assert bench.call.state == "raised"
    assert call.wake_at(bench.call) is None
    bench.cancel(2000)
    assert bench.drives == []


def test_a_clock_that_was_ahead_delays_no_second_alarm_for_an_unattended_call() -> None:
    """``attend_within`` counts from the start at the latest; no instant lies in the future."""
    before = CallBench()
    before.pull(1000)
    before.acknowledge(3000)
    after = before.restarted()
    after.clock(5, OFFSET - 86_400_000)
    record = after.call.record
    assert record is not None
    assert record.attend_by.ms == 5 + after.call.plan.attend_within_ms
    assert record.raised.ms == record.acknowledged.ms == record.since.ms == 5


@pytest.mark.parametrize("is_test", [False, True])
def test_what_was_done_about_a_call_says_whether_it_was_a_test(is_test: bool) -> None:
    """Tests are answered at once, and would make every response time look good."""
    bench = CallBench()
    if is_test:
        bench.test(500)
    bench.pull(1000)
    bench.acknowledge(3000)
    bench.attend(4000)
    bench.cancel(5000)
    done = ("call_acknowledged", "call_attended", "call_cancelled")
    told = {fact.kind: fact.data["test"] for fact in bench.facts if fact.kind in done}
    assert told == dict.fromkeys(done, is_test)
