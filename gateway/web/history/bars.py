"""Counts as pictures: openings, calls and visits per hour, day or week, by hour and weekday."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Any, Literal, NamedTuple

from babel.dates import format_date, get_day_names

from gateway.core.instant import UtcMs
from gateway.journal.schema import HOUR_MS
from gateway.web.history.ranges import Range
from gateway.web.presenter.presenter import Presenter
from gateway.web.shared.words import NARROW, Words
from gateway.web.site import Site
from gateway.wire import calendar_time, utc_ms_of

DAY_MS = 24 * HOUR_MS
HOURS = 24
VISITS_MOST = 20_000
PATTERN_DAYS, WEEKDAY_DAYS = 2, 14
"""From so many days on a mean by hour or weekday says something."""
COUNTED = {"openings": ("door_opened", "doors"), "calls": ("call_raised", "calls")}
"""What is counted: the kind of fact, and its life."""
Unit = Literal["hour", "day", "week", "month"]
_LONGEST: tuple[tuple[int, Unit], ...] = ((3, "hour"), (100, "day"), (800, "week"))


class Bin(NamedTuple):
    from_utc_ms: UtcMs
    to_utc_ms: UtcMs
    number: float


class Event(NamedTuple):
    """So many at this hour; of visits also how long it was occupied, and known, in it."""

    utc_ms: UtcMs
    number: int
    occupied_ms: int = 0
    known_ms: int = 0


@dataclass(frozen=True, slots=True)
class Pattern:
    """A picture by hour of the day or weekday: a value and its text for each."""

    title: str
    labels: list[str]
    values: list[float]
    texts: list[str]
    summary: str


@dataclass(frozen=True, slots=True)
class Bars:
    title: str
    place: str
    unit: Unit
    bins: list[Bin]
    subjects: tuple[str, ...]
    kind: str
    note: str = ""
    before: list[float] = field(default_factory=list)
    patterns: list[Pattern] = field(default_factory=list)

    @property
    def total(self) -> float:
        return sum(one.number for one in self.bins)


async def bars_of(
    site: Site,
    presenter: Presenter,
    what: str,
    subjects: Sequence[str],
    chosen: Range,
    shift_ms: int,
) -> Bars:
    """Bars of a range; ``shift_ms``: how much earlier the range lies that they are compared with,
    0 for none. Raises :class:`gateway.web.building.records.Unavailable`."""
    words, zone = presenter.w, site.options.zone
    first, last = chosen.whole()
    now = site.control.now_utc_ms
    unit, edges = edges_of(first, last, zone)
    found = await _events(site, what, subjects, edges[0], edges[-1])
    begin = begin_of(site, what, found, first)
    bins = counted(found, edges)
    shown = [one for one in bins if one.from_utc_ms < now]
    before: list[float] = []
    if shift_ms:
        earlier = [edge - shift_ms for edge in edges]
        past = await _events(site, what, subjects, earlier[0], earlier[-1])
        before = [one.number for one in counted(past, earlier)][: len(shown)]
    kind = "occupancy_hour" if what == "visits" else COUNTED[what][0]
    named = presenter.subject(subjects[0]) if len(subjects) == 1 else ""
    return Bars(
        words(f"history.bars_{what}_{unit}"),
        named,
        unit,
        shown,
        tuple(subjects),
        kind,
        _life(site, what, first, words),
        before if any(before) else [],
        patterns(what, found, (begin, min(last, now)), zone, words),
    )


async def _events(
    site: Site, what: str, subjects: Sequence[str], first: UtcMs, last: UtcMs
) -> list[Event]:
    if what == "visits":
        rows = await site.records.marks(
            subjects, ("occupancy_hour",), first + 1, last + HOUR_MS, VISITS_MOST
        )
        return [
            Event(
                row.utc_ms - HOUR_MS,  # said when the hour is over
                _whole(row.data.get("visits")),
                _whole(row.data.get("occupied_ms")),
                _whole(row.data.get("known_ms")),
            )
            for row in rows
            if row.utc_ms is not None
        ]
    hours = max(1, -((first - last) // HOUR_MS))
    counts = await site.records.counts(
        subjects, (COUNTED[what][0],), first, first + hours * HOUR_MS, hours
    )
    return [Event(one.utc_ms, one.number) for one in counts]


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def edges_of(first: UtcMs, last: UtcMs, zone: tzinfo) -> tuple[Unit, list[UtcMs]]:
    """Bins of the building's hours, days, weeks or months that cover a range."""
    days = (last - first) / DAY_MS
    unit: Unit = next((unit for longest, unit in _LONGEST if days <= longest), "month")
    if unit == "hour":
        offset = calendar_time(first, zone).utcoffset() or timedelta()
        offset_ms = round(offset.total_seconds() * 1000)
        begin = (first + offset_ms) // HOUR_MS * HOUR_MS - offset_ms
        return unit, list(range(begin, last + HOUR_MS, HOUR_MS))
    moment = _midnight(first, zone)
    if unit == "week":
        moment -= timedelta(days=moment.weekday())
    if unit == "month":
        moment = moment.replace(day=1)
    edges = [utc_ms_of(moment, zone)]
    while edges[-1] < last:
        if unit == "month":
            moment = (moment + timedelta(days=32)).replace(day=1)
        else:
            moment += timedelta(days=7 if unit == "week" else 1)
        edges.append(utc_ms_of(moment, zone))
    return unit, edges


def counted(events: Sequence[Event], edges: list[UtcMs]) -> list[Bin]:
    numbers = [0] * (len(edges) - 1)
    for event in events:
        place = bisect_right(edges, event.utc_ms) - 1
        if 0 <= place < len(numbers):
            numbers[place] += event.number
    return [Bin(a, b, n) for a, b, n in zip(edges, edges[1:], numbers, strict=False)]


def begin_of(site: Site, what: str, found: Sequence[Event], first: UtcMs) -> UtcMs:
    """From when on counts are known: the first one, and what retention keeps."""
    life = site.options.retention.get("counts" if what == "visits" else COUNTED[what][1])
    kept = site.control.now_utc_ms - life if life else first
    return max(first, kept, min((event.utc_ms for event in found), default=first))


def _life(site: Site, what: str, first: UtcMs, words: Words) -> str:
    """That the range reaches further back than such facts are kept."""
    life = site.options.retention.get("counts" if what == "visits" else COUNTED[what][1])
    if life is None or first >= site.control.now_utc_ms - life:
        return ""
    return words("history.kept_for", time=words.lasting(life))


# --- by hour of the day and weekday -------------------------------------------------------


def patterns(
    what: str, found: Sequence[Event], within: tuple[UtcMs, UtcMs], zone: tzinfo, words: Words
) -> list[Pattern]:
    """By hour of the day (from two days on) and weekday (from two weeks on): means of openings
    and visits, all calls (they are few), and of a room the share of the time."""
    first, last = within
    days = (last - first) / DAY_MS
    if days < PATTERN_DAYS or not found:
        return []
    hours, weekdays, known = [0.0] * 24, [0.0] * 7, [0] * 24
    for event in found:
        local = calendar_time(event.utc_ms, zone)
        hours[local.hour] += event.occupied_ms if what == "visits" else event.number
        known[local.hour] += event.known_ms
        weekdays[local.weekday()] += event.number
    covered = _weekdays(first, last, zone)
    if what == "visits":
        hours = [100 * busy / ms if ms else 0.0 for busy, ms in zip(hours, known, strict=True)]
    elif what != "calls":
        hours = [number / max(1, sum(covered)) for number in hours]
    labels = [str(hour) for hour in range(24)]
    made = [_pattern(f"history.by_hour_{what}", labels, hours, words, percent=what == "visits")]
    if days >= WEEKDAY_DAYS:
        if what != "calls":
            weekdays = [n / c if c else 0.0 for n, c in zip(weekdays, covered, strict=True)]
        names = get_day_names("abbreviated", locale={"de": "de_DE", "en": "en_GB"}[words.language])
        labels = [str(names[number]).rstrip(".") for number in range(7)]
        made.append(_pattern(f"history.by_weekday_{what}", labels, weekdays, words))
    return made


def _weekdays(first: UtcMs, last: UtcMs, zone: tzinfo) -> list[int]:
    """How many of each weekday a range has, those at its edges included."""
    covered = [0] * 7
    day = _midnight(first, zone)
    while day < calendar_time(last, zone).replace(tzinfo=None):
        covered[day.weekday()] += 1
        day += timedelta(days=1)
    return covered


def _midnight(utc_ms: UtcMs, zone: tzinfo) -> datetime:
    return datetime.combine(calendar_time(utc_ms, zone).date(), datetime.min.time())


def _pattern(
    key: str, labels: list[str], values: list[float], words: Words, *, percent: bool = False
) -> Pattern:
    digits = 0 if percent else 1
    texts = [
        f"{words.number(value, digits)}{NARROW}%" if percent else words.number(value, digits)
        for value in values
    ]
    most = max(range(len(values)), key=values.__getitem__)
    label = labels[most]
    if len(labels) == HOURS:
        label = words("history.hour_label", hour=f"{most}\u2013{most + 1}")
    summary = words("history.pattern_summary", label=label, value=texts[most])
    return Pattern(words(key), labels, values, texts, summary)


def label_of(one: Bin, unit: Unit, words: Words) -> str:
    """What stands before a bin in the table."""
    moment = calendar_time(one.from_utc_ms, words.zone)
    if unit == "hour":
        return words.minute(one.from_utc_ms)
    if unit == "month":
        return str(format_date(moment, "MMMM y", locale=words.language))
    iso = moment.date().isoformat()
    if unit == "week":
        week = moment.isocalendar()
        return words("history.week_label", week=week.week, date=words.date(iso, year=True))
    return words.date(iso, year=True)


def summary(bars: Bars, words: Words) -> str:
    if not bars.total:
        return words("history.no_events")
    most = max(bars.bins, key=lambda one: one.number)
    return words(
        "history.bars_summary",
        total=words.number(bars.total, 0),
        most=words.number(most.number, 0),
        label=label_of(most, bars.unit, words),
    )
