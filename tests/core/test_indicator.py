"""The lamp that answers the person at the door."""

from __future__ import annotations

from gateway.core.door import indicator
from tests import plans
from tests.core.door_bench import LAMP, Bench

PLAN = plans.indicator("lamp", accepted=(400,), refused=(100, 50, 100), fault=())


def test_a_pattern_goes_on_and_off_at_its_own_times() -> None:
    shown = indicator.show(PLAN, "refused", 1000)
    seen = []
    while (due := indicator.wake_at(shown)) is not None:
        seen.append((due, shown.on))
        shown = indicator.pass_time(shown, due)
    assert seen == [(1100, True), (1150, False), (1250, True)]
    assert shown == indicator.DARK


def test_a_late_call_skips_what_is_over_and_ends_dark() -> None:
    shown = indicator.show(PLAN, "refused", 1000)
    assert indicator.pass_time(shown, 1160).on
    assert indicator.pass_time(shown, 9000) == indicator.DARK


def test_time_that_has_not_passed_changes_nothing() -> None:
    shown = indicator.show(PLAN, "accepted", 1000)
    assert indicator.pass_time(shown, 1399) is shown


def test_an_empty_pattern_is_dark() -> None:
    assert indicator.show(PLAN, "fault", 1000) == indicator.DARK


def test_who_presses_is_answered() -> None:
    bench = Bench(LAMP)
    bench.press(1000)
    bench.leaf(1500, True)
    assert bench.times("lamp") == [1000, 1400]
    bench.mode(10_000, "off")
    bench.press(10_000)
    bench.until(20_000)
    assert bench.times("lamp")[2:] == [10_000, 10_100, 10_200, 10_300, 10_400, 10_500]


def test_the_latest_answer_is_the_one_that_counts() -> None:
    bench = Bench(LAMP)
    bench.press(1000)
    bench.press(1200)
    bench.until(4000)
    assert bench.times("lamp") == [1000, 1600]


def test_staff_are_not_answered_by_a_lamp_they_do_not_see() -> None:
    bench = Bench(LAMP)
    bench.staff(1000)
    bench.until(4000)
    assert bench.times("lamp") == []
