"""The calendar that people live by: which days there are, and on which of them they work."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from gateway.core.instant import UtcMs

SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Day:
    """A day from its local midnight on. ``works``: the office is staffed."""

    utc_ms: UtcMs
    works: bool
    monday: bool
    date: str


def days(first: date, count: int, zone: ZoneInfo, holidays: Container[date]) -> list[Day]:
    """``count`` days from ``first`` on. A day of a clock change has 23 or 25 hours, as outside."""
    return [_day(first + timedelta(days=n), zone, holidays) for n in range(count)]


def _day(day: date, zone: ZoneInfo, holidays: Container[date]) -> Day:
    midnight = datetime.combine(day, time(), zone)
    works = day.weekday() < SATURDAY and day not in holidays
    utc_ms = int(midnight.timestamp()) * 1000
    return Day(utc_ms, works, day.weekday() == 0, day.isoformat())
