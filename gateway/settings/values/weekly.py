"""The weekly plan as it is written: ``{mon-fri 07:00-18:00: automatic, otherwise: night}``.

A key says *when*: days of the week (``mon-fri``, ``mon,wed``), ``holiday``, or dates
(``2026-12-24``, ``2026-12-27..2027-01-01``), then no, one or several ranges of time.
A range may run over midnight. What counts on a day: dates beat ``holiday``, ``holiday``
beats the days of the week, and what none of them covers is ``otherwise``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from gateway.core.events import MODES
from gateway.settings.values.problems import phrase, suggest

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MIN = 1440
WEEK_MIN = 7 * DAY_MIN
LONGEST_DATES = 366
MOST_RULES = 200

Sort = Literal["days", "holiday", "dates"]
RANK: Mapping[Sort, int] = {"days": 0, "holiday": 1, "dates": 2}

LineProblem = tuple[str, str, str]
"""(key of the mapping, what is wrong, remedy)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line. ``ranges``: (start, end) in minutes of the day on which it begins; an end
    beyond 1440 lies on the next day."""

    key: str
    sort: Sort
    value: str
    days: frozenset[int] = frozenset()
    dates: tuple[tuple[date, date], ...] = ()
    ranges: tuple[tuple[int, int], ...] = ((0, DAY_MIN),)

    def applies(self, day: date) -> bool:
        """Whether it begins on this day, holidays aside."""
        if self.sort == "dates":
            return any(first <= day <= last for first, last in self.dates)
        return self.sort == "days" and day.weekday() in self.days


@dataclass(frozen=True, slots=True)
class Rules:
    """A weekly plan; empty (and false) where none is written."""

    rules: tuple[Rule, ...] = ()
    otherwise: str | None = None

    def __bool__(self) -> bool:
        return bool(self.rules) or self.otherwise is not None

    def of(self, sort: Sort) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.sort == sort)

    def values(self) -> frozenset[str]:
        """Everything that it can come to."""
        rest = frozenset() if self.otherwise is None else frozenset({self.otherwise})
        return frozenset(rule.value for rule in self.rules) | rest


_TIMES = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})\Z", re.ASCII)
_DAY_FIRST = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})\Z", re.ASCII)
"""As people write a date in Germany."""
_DATES = re.compile(r"(\d{4}-\d{2}-\d{2})(?:\.\.(\d{4}-\d{2}-\d{2}))?\Z", re.ASCII)
_EXAMPLE = phrase("write for example mon-fri 07:00-18:00, holiday, or 2026-12-24 08:00-12:00")


class _Bad(ValueError):
    def __init__(self, message: str, hint: str = _EXAMPLE) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def _minute(hours: str, minutes: str) -> int:
    value = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or value > DAY_MIN:
        raise _Bad(
            phrase("{time} is no time of day", time=f"{hours}:{minutes}"),
            phrase("times go from 00:00 to 24:00"),
        )
    return value


def _range(match: re.Match[str]) -> tuple[int, int]:
    start, end = _minute(match[1], match[2]), _minute(match[3], match[4])
    if start in (end, DAY_MIN):
        raise _Bad(
            phrase("{range} covers nothing", range=match[0]), phrase("the whole day is 00:00-24:00")
        )
    return (start, end if end > start else end + DAY_MIN)


def _span(match: re.Match[str]) -> tuple[date, date]:
    try:
        first = date.fromisoformat(match[1])
        last = date.fromisoformat(match[2] or match[1])
    except ValueError:
        raise _Bad(
            phrase("{date} is no date", date=match[0]),
            phrase("check day and month (YEAR-MONTH-DAY)"),
        ) from None
    if last < first:
        raise _Bad(
            phrase("{dates} ends before it begins", dates=match[0]), phrase("turn the dates round")
        )
    if (last - first).days >= LONGEST_DATES or not 2000 <= first.year <= 2200:
        raise _Bad(
            phrase("{dates} is longer than a year or far away", dates=match[0]),
            phrase("check the years"),
        )
    return (first, last)


def days_of(word: str) -> frozenset[int]:
    """``mon`` or ``mon-fri``; 0 is Monday. Raises :class:`ValueError`."""
    ends = word.split("-")
    for name in ends:
        if name not in DAYS:
            raise _Bad(
                phrase("{word!r} is not a day", word=name[:40]),
                suggest(name, (*DAYS, "holiday", "daily")),
            )
    if len(ends) > 2:
        raise _Bad(
            phrase("{word!r} is not a range of days", word=word[:40]),
            phrase("write for example mon-fri"),
        )
    first, last = DAYS.index(ends[0]), DAYS.index(ends[-1])
    return frozenset((first + n) % 7 for n in range((last - first) % 7 + 1))


def parse_rule(key: str, value: str) -> Rule:
    """One line of a weekly plan.

    :raises ValueError: with ``hint``, the remedy
    """
    days: set[int] = set()
    dates: list[tuple[date, date]] = []
    ranges: list[tuple[int, int]] = []
    holiday = False
    words = re.split(r"[,\s]+", key.strip()) if len(key) <= 500 else []
    for word in words:
        if times := _TIMES.match(word):
            ranges.append(_range(times))
        elif ranges:
            raise _Bad(
                phrase("{word!r} stands behind a time", word=word[:40]),
                phrase("write the days first, then the times"),
            )
        elif span := _DATES.match(word):
            dates.append(_span(span))
        elif word == "holiday":
            holiday = True
        elif word == "daily":
            days.update(range(7))
        elif written := _DAY_FIRST.match(word):
            raise _Bad(
                phrase("{word!r} is not a date", word=word),
                phrase(
                    "write {date}", date=f"{written[3]}-{int(written[2]):02}-{int(written[1]):02}"
                ),
            )
        else:
            days.update(days_of(word))
    if (bool(days), bool(dates), holiday).count(True) > 1:
        raise _Bad(phrase("mixes days, dates and holiday"), phrase("write one line for each"))
    if not words or not (days or dates or holiday or ranges):
        raise _Bad(phrase("is not a day or date"))
    sort: Sort = "dates" if dates else "holiday" if holiday else "days"
    if sort == "days" and not days:
        days.update(range(7))
    return Rule(key, sort, value, frozenset(days), tuple(dates), tuple(ranges) or ((0, DAY_MIN),))


def parse(entries: Mapping[str, object], values: Iterable[str]) -> tuple[Rules, list[LineProblem]]:
    """The plan, and everything that is wrong with its lines one by one and together."""
    known = tuple(values)
    problems: list[LineProblem] = []
    rules: list[Rule] = []
    otherwise: str | None = None
    if len(entries) > MOST_RULES:
        message = phrase("more than {most} lines", most=MOST_RULES)
        return Rules(), [("", message, phrase("use ranges of days and dates"))]
    for key, value in entries.items():
        if not isinstance(value, str) or value not in known:
            shown = repr(value) if isinstance(value, str) else phrase("a list or mapping")
            remedy = suggest(value if isinstance(value, str) else "", known)
            problems.append((key, phrase("{word} is not one of the modes", word=shown), remedy))
        elif key == "otherwise":
            otherwise = value
        else:
            try:
                rules.append(parse_rule(key, value))
            except _Bad as error:
                problems.append((key, error.message, error.hint))
    plan = Rules(tuple(rules), otherwise)
    if not problems:
        problems = overlaps(plan)
    return plan, problems


Span = tuple[int, int, Rule]


def _week(rules: Iterable[Rule]) -> list[Span]:
    """When the rules for days of the week hold, in minutes of the week, in order."""
    spans: list[Span] = []
    for rule in rules:
        for day in rule.days:
            for start, end in rule.ranges:
                a, b = day * DAY_MIN + start, day * DAY_MIN + end
                spans.append((a, min(b, WEEK_MIN), rule))
                if b > WEEK_MIN:
                    spans.append((0, b - WEEK_MIN, rule))
    return sorted(spans, key=lambda span: span[:2])


def _absolute(rules: Iterable[Rule]) -> list[Span]:
    """When the rules for dates hold, in minutes since the first day of the calendar."""
    spans: list[Span] = []
    for rule in rules:
        for first, last in rule.dates:
            for day in range(first.toordinal(), last.toordinal() + 1):
                base = day * DAY_MIN
                spans += [(base + start, base + end, rule) for start, end in rule.ranges]
    return sorted(spans, key=lambda span: span[:2])


def clock(minute: int) -> str:
    return f"{minute // 60 % 24:02}:{minute % 60:02}"


def _when(minute: int, sort: Sort) -> str:
    if sort == "dates":
        return f"{date.fromordinal(minute // DAY_MIN)} {clock(minute)}"
    if sort == "days":
        day = phrase(DAYS[minute // DAY_MIN % 7])
        return phrase("{day} {time}", day=day, time=clock(minute))
    return clock(minute)


def overlaps(plan: Rules) -> list[LineProblem]:
    """Lines of the same sort that rule the same minute."""
    found: dict[tuple[str, str], LineProblem] = {}
    holiday = [(a, b, rule) for rule in plan.of("holiday") for a, b in rule.ranges]
    for spans, sort in (
        (_week(plan.of("days")), "days"),
        (sorted(holiday, key=lambda span: span[:2]), "holiday"),
        (_absolute(plan.of("dates")), "dates"),
    ):
        reach: Span | None = None
        for span in spans:
            if reach is not None and span[0] < reach[1]:
                one, other = reach[2].key, span[2].key
                found.setdefault(
                    (one, other),
                    (
                        other,
                        phrase(
                            "overlaps {other!r} at {when}",
                            other=one,
                            when=_when(span[0], sort),  # type: ignore[arg-type]  # a Sort
                        ),
                        phrase("let one end where the other begins"),
                    ),
                )
            if reach is None or span[1] > reach[1]:
                reach = span
    return list(found.values())


def uncovered(rules: Iterable[Rule]) -> str | None:
    """The first time of the week that no rule for days covers, in words."""
    reach = 0
    for start, end, _ in _week(rules):
        if start > reach:
            break
        reach = max(reach, end)
    return _when(reach, "days") if reach < WEEK_MIN else None


def gap(plan: Rules) -> str | None:
    """A time that no line covers, in words; ``None`` where there is none."""
    if not plan or plan.otherwise is not None:
        return None
    hole = uncovered(plan.of("days"))
    if hole is not None:
        return hole
    special = (*plan.of("holiday"), *plan.of("dates"))
    for rule in special:
        if rule.ranges != ((0, DAY_MIN),):
            return phrase("the rest of {day}", day=rule.key.split()[0])
    if special and any(b > DAY_MIN for rule in plan.of("days") for _, b in rule.ranges):
        return phrase("the night after a holiday or a date")
    return None


def _field(values: tuple[str, ...]) -> BeforeValidator:
    def check(value: object) -> Rules:
        if isinstance(value, Rules):
            return value
        entries: Mapping[str, Any] = {}
        if isinstance(value, str) and values == ("on",):
            entries = {value: "on"}
        elif isinstance(value, list) and values == ("on",):
            entries = {str(line): "on" for line in value}
        elif isinstance(value, Mapping) and values != ("on",):
            entries = value
        else:
            message = phrase("is not a weekly plan")
            context = {"problems": [("", message, _EXAMPLE)]}
            raise PydanticCustomError("lines", "wrong", context)
        plan, problems = parse(entries, values)
        if problems:
            raise PydanticCustomError("lines", "wrong", {"problems": problems})
        return plan

    return BeforeValidator(check)


_MODE_SCHEMA = WithJsonSchema({"type": "object", "additionalProperties": {"enum": list(MODES)}})
ScheduleField = Annotated[Rules, _field(MODES), _MODE_SCHEMA]
"""Modes by day and time: a mapping."""
HoursField = Annotated[
    Rules,
    _field(("on",)),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""Hours of duty: one line or a list of lines such as ``mon-fri 08:00-16:00``."""
