"""Spans, days and shares of what was promised, and of how sensors did."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from gateway.web.system.availability import (
    NOT_RUNNING,
    Change,
    Run,
    Span,
    borders,
    days,
    faults,
    share,
    spans,
    total,
    uncounted,
)

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = 3_600_000
WHOLE = (0, 100)


def test_a_change_applies_until_the_next_one() -> None:
    changes = [Change(10, "yes"), Change(40, "no", "unsent"), Change(60, "yes")]
    assert spans(changes, [Run(0, 200)], WHOLE) == [
        Span(0, 10, "unknown"),
        Span(10, 40, "yes"),
        Span(40, 60, "no", "unsent"),
        Span(60, 100, "yes"),
    ]


def test_what_applied_before_the_range_applies_in_it() -> None:
    assert spans([Change(-50, "yes")], [Run(-60, 200)], WHOLE) == [Span(0, 100, "yes")]


def test_while_control_does_not_run_nothing_is_known() -> None:
    changes = [Change(0, "yes"), Change(55, "yes")]
    assert spans(changes, [Run(0, 30), Run(50, 90)], WHOLE) == [
        Span(0, 30, "yes"),
        Span(30, 50, "unknown", NOT_RUNNING),
        Span(50, 55, "unknown"),
        Span(55, 90, "yes"),
        Span(90, 100, "unknown", NOT_RUNNING),
    ]


def test_an_alarm_that_stands_goes_on_after_a_restart() -> None:
    found = spans([Change(10, "no", "meter_silent")], [Run(0, 30), Run(50, 100)], WHOLE,
                  survives=True)  # fmt: skip
    assert [(span.state, span.ms) for span in found] == [
        ("unknown", 10), ("no", 20), ("unknown", 20), ("no", 50),
    ]  # fmt: skip


def test_without_a_fact_everything_is_unknown() -> None:
    assert spans([], [Run(0, 100)], WHOLE) == [Span(0, 100, "unknown")]
    assert spans([Change(5, "yes")], [], WHOLE) == [Span(0, 100, "unknown", NOT_RUNNING)]


def test_runs_that_overlap_are_counted_once() -> None:
    found = spans([Change(0, "yes")], [Run(0, 60), Run(40, 100)], WHOLE, survives=True)
    assert found == [Span(0, 100, "yes")]


def test_two_alarms_of_a_sensor_end_with_the_last_of_them() -> None:
    facts = [(20, "a", True), (30, "b", True), (40, "a", False), (50, "b", False)]
    found = spans(faults(facts, 0), [Run(0, 100)], WHOLE, survives=True)
    assert [(span.state, span.ms) for span in found if span.state == "no"] == [
        ("no", 20), ("no", 10),
    ]  # fmt: skip
    assert total(found)["yes"] == 70


def test_an_alarm_that_ends_without_a_beginning_has_stood_from_the_first_on() -> None:
    found = spans(faults([(30, "a", False)], 10), [Run(0, 100)], WHOLE, survives=True)
    assert [(span.state, span.ms) for span in found] == [("unknown", 10), ("no", 20), ("yes", 70)]


def test_a_sensor_that_has_never_said_anything_is_unknown() -> None:
    assert faults([], None) == []


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 11, 30), 24)],
)
def test_days_are_those_of_the_building(day: date, hours: int) -> None:
    ((found, first, after),) = borders(day, 1, BERLIN)
    assert found == day
    assert after - first == hours * HOUR


def test_a_day_has_its_parts_and_the_future_has_none() -> None:
    limits = borders(date(2026, 11, 30), 3, BERLIN)
    noon = limits[2][1] + 12 * HOUR
    found = [
        Span(limits[0][1], limits[1][1] + HOUR, "yes"),
        Span(limits[1][1] + HOUR, limits[1][1] + 2 * HOUR, "no", "unsent"),
        Span(limits[1][1] + 2 * HOUR, noon, "unknown"),
    ]
    first, second, today = days(found, limits, noon)
    assert first.share == 1.0
    assert second.ms == {"yes": HOUR, "no": HOUR, "unknown": 22 * HOUR, "off": 0}
    assert second.share == 0.5
    assert (today.share, sum(today.ms.values())) == (None, 12 * HOUR)


def test_unknown_and_off_are_counted_neither_way() -> None:
    ms = total([Span(0, 60, "yes"), Span(60, 80, "unknown"), Span(80, 100, "off")])
    assert share(ms) == 1.0
    assert uncounted(ms) == pytest.approx(0.4)
    assert uncounted(total([])) == 0.0
