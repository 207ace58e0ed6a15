"""The weekly plan against the civil clock, at every edge of daylight-saving time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.events import MODES
from gateway.settings.values.calendar import holidays_of, instant, regions, transitions, years
from gateway.settings.values.weekly import DAYS, Rules, parse

BERLIN = ZoneInfo("Europe/Berlin")
NEVER: frozenset[date] = frozenset()


def lines_of(lines: dict[str, str]) -> Rules:
    rules, complaints = parse(lines, MODES)
    assert complaints == []
    return rules


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def shown(
    rules: Rules, zone: ZoneInfo, now: str, days: int, holidays: frozenset[date] = NEVER
) -> list[str]:
    """The transitions after ``now``, in UTC."""
    found = transitions(rules, zone, holidays, utc(now), days)
    return [
        f"{datetime.fromtimestamp(ms / 1000, UTC):%m-%d %H:%M} {mode}"
        for ms, mode in found
        if ms > utc(now)
    ]


WEEK = {"mon-fri 07:00-18:00": "automatic", "otherwise": "night"}


def test_a_working_week() -> None:
    assert shown(lines_of(WEEK), BERLIN, "2026-11-19T12:00", 3) == [
        "11-19 17:00 night",
        "11-20 06:00 automatic",
        "11-20 17:00 night",
    ]


def test_the_first_transition_lies_before_now() -> None:
    found = transitions(lines_of(WEEK), BERLIN, NEVER, utc("2026-11-18T12:00"), 400)
    assert found[0][0] <= utc("2026-11-18T12:00")
    assert found[-1][0] > utc("2026-11-18T12:00") + 395 * 86_400_000


def test_a_plan_that_never_changes_is_one_transition() -> None:
    assert (
        len(transitions(lines_of({"otherwise": "off"}), BERLIN, NEVER, utc("2026-01-01T00:00")))
        == 1
    )
    assert transitions(Rules(), BERLIN, NEVER, 0) == []


def test_summer_time_begins() -> None:
    """2026-03-29, 02:00 becomes 03:00: seven o'clock comes an hour earlier in UTC, and 02:30
    is the moment of the jump."""
    rules = lines_of({"daily 02:30-07:00": "exit_only", "otherwise": "night"})
    assert shown(rules, BERLIN, "2026-03-27T12:00", 3) == [
        "03-28 01:30 exit_only",
        "03-28 06:00 night",
        "03-29 01:00 exit_only",
        "03-29 05:00 night",
        "03-30 00:30 exit_only",
        "03-30 05:00 night",
    ]


def test_summer_time_ends() -> None:
    """2026-10-25, 03:00 becomes 02:00: 02:30 counts the first time, and once."""
    rules = lines_of({"daily 02:30-07:00": "exit_only", "otherwise": "night"})
    assert shown(rules, BERLIN, "2026-10-23T12:00", 3) == [
        "10-24 00:30 exit_only",
        "10-24 05:00 night",
        "10-25 00:30 exit_only",
        "10-25 06:00 night",
        "10-26 01:30 exit_only",
        "10-26 06:00 night",
    ]


def test_a_range_that_lies_in_the_skipped_hour_does_not_happen() -> None:
    rules = lines_of({"daily 02:10-02:50": "off", "otherwise": "night"})
    assert shown(rules, BERLIN, "2026-03-28T12:00", 2) == ["03-30 00:10 off", "03-30 00:50 night"]


def test_a_range_that_lies_in_the_repeated_hour_happens_once() -> None:
    rules = lines_of({"daily 02:10-02:50": "off", "otherwise": "night"})
    assert shown(rules, BERLIN, "2026-10-24T12:00", 1) == ["10-25 00:10 off", "10-25 00:50 night"]


def test_a_clock_that_is_set_by_half_an_hour() -> None:
    """Lord Howe: +10:30 and +11:00; on 2026-10-04 at 02:00 it is 02:30."""
    zone = ZoneInfo("Australia/Lord_Howe")
    assert instant(date(2026, 10, 4), 2 * 60 + 10, zone) == utc("2026-10-03T15:30")
    assert instant(date(2026, 10, 4), 2 * 60 + 30, zone) == utc("2026-10-03T15:30")
    assert instant(date(2026, 10, 4), 2 * 60 + 40, zone) == utc("2026-10-03T15:40")
    assert instant(date(2026, 4, 5), 1 * 60 + 45, zone) == utc("2026-04-04T14:45")


def test_a_zone_with_half_an_hour() -> None:
    """St. John's: -03:30 and -02:30."""
    zone = ZoneInfo("America/St_Johns")
    assert instant(date(2026, 3, 8), 2 * 60 + 30, zone) == utc("2026-03-08T05:30")
    assert instant(date(2026, 11, 1), 1 * 60 + 30, zone) == utc("2026-11-01T04:00")


def test_a_range_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    rules = lines_of({"fri 22:00-06:00": "hold_open", "otherwise": "night"})
    assert shown(rules, BERLIN, "2026-11-18T12:00", 7) == [
        "11-20 21:00 hold_open",
        "11-21 05:00 night",
    ]


def test_holidays_of_saxony_beat_the_days_of_the_week() -> None:
    """The day of prayer, a Wednesday, is a holiday in Saxony only."""
    rules = lines_of({**WEEK, "holiday": "night"})
    saxony = holidays_of("DE-SN", range(2026, 2027))
    assert shown(rules, BERLIN, "2026-11-17T12:00", 2, saxony) == [
        "11-17 17:00 night",
        "11-19 06:00 automatic",
        "11-19 17:00 night",
    ]
    assert date(2026, 11, 18) not in holidays_of("DE-BY", range(2026, 2027))


def test_holidays_are_days_like_any_other_where_no_line_speaks_of_them() -> None:
    saxony = holidays_of("DE-SN", range(2026, 2027))
    assert len(shown(lines_of(WEEK), BERLIN, "2026-11-18T00:00", 0, saxony)) == 2


def test_dates_beat_holidays() -> None:
    rules = lines_of({**WEEK, "holiday": "night", "2026-12-25 08:00-12:00": "automatic"})
    assert shown(rules, BERLIN, "2026-12-24T20:00", 2, frozenset({date(2026, 12, 25)})) == [
        "12-25 07:00 automatic",
        "12-25 11:00 night",
    ]


def test_a_range_of_dates_rules_whole_days_over_the_turn_of_the_year() -> None:
    rules = lines_of({**WEEK, "2026-12-28..2027-01-01": "off"})
    assert shown(rules, BERLIN, "2026-12-27T12:00", 8) == [
        "12-27 23:00 off",
        "01-01 23:00 night",
        "01-04 06:00 automatic",
        "01-04 17:00 night",
    ]


def test_a_night_before_a_holiday_does_not_reach_into_it() -> None:
    rules = lines_of({"thu 22:00-06:00": "hold_open", "holiday": "night", "otherwise": "off"})
    assert shown(rules, BERLIN, "2026-11-19T12:00", 3, frozenset({date(2026, 11, 20)})) == [
        "11-19 21:00 hold_open",
        "11-19 23:00 night",
        "11-20 23:00 off",
    ]


def test_several_ranges_and_lists_of_days() -> None:
    rules = lines_of({"mon,wed 08:00-12:00, 13:00-15:00": "automatic", "otherwise": "night"})
    assert shown(rules, BERLIN, "2026-11-17T12:00", 2) == [
        "11-18 07:00 automatic",
        "11-18 11:00 night",
        "11-18 12:00 automatic",
        "11-18 14:00 night",
    ]


def test_regions_are_known() -> None:
    assert {"DE", "DE-SN", "AT", "CH-ZH"} <= set(regions())
    with pytest.raises(LookupError):
        holidays_of("DE-XX", range(2026, 2027))


def test_the_years_that_are_looked_at() -> None:
    assert years(utc("2026-12-31T12:00")) == range(2026, 2029)


# --- against a slow model: minute by minute, on a clock whose hand never goes back -----------

RANGES = st.tuples(st.integers(0, 47), st.integers(0, 47)).filter(lambda r: r[0] != r[1])


def key_of(day: str, start: int, end: int) -> str:
    return f"{day} {start // 2:02}:{start % 2 * 30:02}-{end // 2:02}:{end % 2 * 30:02}"


@st.composite
def plans(draw: st.DrawFn) -> Rules:
    """Plans without overlaps, with days, holidays and dates around the change of the clock."""
    lines: dict[str, str] = {"otherwise": draw(st.sampled_from(MODES))}
    days = [*DAYS, "holiday", *(f"2026-{m}" for m in ("03-28", "03-29", "10-24", "10-25", "04-05"))]
    for _ in range(draw(st.integers(0, 7))):
        start, end = draw(RANGES)
        new = {
            **lines,
            key_of(draw(st.sampled_from(days)), start, end): draw(st.sampled_from(MODES)),
        }
        if not parse(new, MODES)[1]:
            lines = new
    return lines_of(lines)


def slow(
    rules: Rules, zone: ZoneInfo, holidays: frozenset[date], first: int, last: int
) -> dict[int, str | None]:
    """What counts in each quarter of an hour, straight from the words of the documentation."""

    def sort(day: date) -> int:
        if any(rule.applies(day) for rule in rules.of("dates")):
            return 2
        return 1 if day in holidays and rules.of("holiday") else 0

    def mode(when: datetime) -> str | None:
        day, minute = when.date(), when.hour * 60 + when.minute
        for ago in (0, 1):
            begun = day - timedelta(days=ago)
            if ago and sort(begun) < sort(day):
                continue
            name = ("days", "holiday", "dates")[sort(begun)]
            for rule in rules.rules:
                begins = rule.sort == name and (name == "holiday" or rule.applies(begun))
                spans = [(a - ago * 1440, b - ago * 1440) for a, b in rule.ranges]
                if begins and any(a <= minute < b for a, b in spans):
                    return rule.value
        return rules.otherwise

    hand = datetime.min  # noqa: DTZ901 - the hand of a clock on the wall
    found = {}
    for ms in range(first, last, 900_000):
        hand = max(hand, datetime.fromtimestamp(ms / 1000, zone).replace(tzinfo=None))
        found[ms] = mode(hand)
    return found


@pytest.mark.parametrize(
    ("name", "begin"),
    [
        ("Europe/Berlin", "2026-03-27T00:00"),
        ("Europe/Berlin", "2026-10-23T00:00"),
        ("Australia/Lord_Howe", "2026-04-03T00:00"),
        ("Australia/Lord_Howe", "2026-10-02T00:00"),
        ("America/St_Johns", "2026-03-07T00:00"),
        ("America/Havana", "2026-03-07T00:00"),
        ("Africa/Cairo", "2026-10-28T00:00"),
    ],
)
def test_the_transitions_are_those_of_a_slow_clock(name: str, begin: str) -> None:
    zone, first = ZoneInfo(name), utc(begin)
    holidays = frozenset({date(2026, 3, 30), date(2026, 10, 26), date(2026, 4, 6)})

    @settings(max_examples=15, deadline=None)
    @given(plans())
    def agree(rules: Rules) -> None:
        found = transitions(rules, zone, holidays, first, 6)
        for ms, mode in slow(rules, zone, holidays, first, first + 4 * 86_400_000).items():
            assert [m for at, m in found if at <= ms][-1] == mode, datetime.fromtimestamp(
                ms / 1000, UTC
            )

    agree()


def test_transitions_are_ordered_and_each_is_a_change() -> None:
    found = transitions(lines_of(WEEK), BERLIN, NEVER, utc("2026-01-01T00:00"))
    assert [at for at, _ in found] == sorted({at for at, _ in found})
    assert all(a[1] != b[1] for a, b in pairwise(found))
