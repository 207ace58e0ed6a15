"""A range of time as people write it: "letzte 7 Tage", "1.–7. Dezember", "1 Dec – 7 Dec".

Both languages are read on every page, so that an address means the same to everybody. What
:func:`say` writes, :func:`read` reads as the same range.
"""

from __future__ import annotations

import calendar
import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo
from typing import Literal, NamedTuple

from babel.dates import format_date

from gateway.core.instant import UtcMs
from gateway.web.history.ranges import Range
from gateway.web.shared.models import FIRST_YEAR, LAST_YEAR
from gateway.web.shared.words import Words
from gateway.wire import calendar_time, utc_ms_of

Unit = Literal["minute", "hour", "day", "week", "month", "year"]
Why = Literal["unread", "no_such_day", "turned", "too_long", "future"]
LONGEST_DAYS = 20 * 366
MONTHS = 12
SPANS = ("today", "24h", "7d", "30d", "1y")
"""Ranges that end now and are offered first; as an address takes them."""
EDGES = (
    (300, 10), (5 * 3_600, 60), (10 * 3_600, 300), (20 * 3_600, 600), (50 * 3_600, 900),
    (150 * 3_600, 1_800), (600 * 3_600, 3_600), (1_200 * 3_600, 7_200), (1_800 * 3_600, 10_800),
    (3_600 * 3_600, 21_600), (7_200 * 3_600, 43_200),
)  # fmt: skip
"""(longest range, step) in seconds: such a range begins and ends at such steps, which are whole
buckets of its chart. A longer one begins and ends at midnight."""
_UNITS: dict[str, Unit] = {
    **dict.fromkeys(("min", "minute", "minuten", "minutes", "minuten"), "minute"),
    **dict.fromkeys(("h", "std", "stunde", "stunden", "hour", "hours", "hrs"), "hour"),
    **dict.fromkeys(("d", "tag", "tage", "tagen", "day", "days"), "day"),
    **dict.fromkeys(("w", "woche", "wochen", "week", "weeks"), "week"),
    **dict.fromkeys(("monat", "monate", "monaten", "month", "months"), "month"),
    **dict.fromkeys(("y", "j", "jahr", "jahre", "jahren", "year", "years"), "year"),
}  # fmt: skip
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "januar jan jänner january", "februar feb february", "märz mär mrz maerz march mar",
            "april apr", "mai may", "juni jun june", "juli jul july", "august aug",
            "september sep sept", "oktober okt october oct", "november nov",
            "dezember dez december dec",
        ), 1,
    )
    for name in names.split()
}  # fmt: skip
_WEEKDAYS = {
    name: number
    for number, names in enumerate(
        (
            "montag mo monday mon", "dienstag di tuesday tue", "mittwoch mi wednesday wed",
            "donnerstag do thursday thu", "freitag fr friday fri",
            "samstag sonnabend sa saturday sat", "sonntag so sunday sun",
        )
    )
    for name in names.split()
}  # fmt: skip
_DAYS = {
    "heute": 0, "today": 0, "gestern": -1, "yesterday": -1, "vorgestern": -2,
    "the day before yesterday": -2,
}  # fmt: skip
_NOW = ("jetzt", "now")
_LAST = r"(?:(?:die|der|das|den|the|in den|im) )?(?:letzte[nrs]?|vergangene[nrs]?|last|past)"
_BEFORE = r"(?:(?:die|der|das|the) )?(?:letzte[nrs]?|vorige[nrs]?|vergangene[nrs]?|last|previous)"
_THIS = r"(?:diese[rs]?|this|laufende[rs]?|current)"
_NUMBER_OF = re.compile(rf"(?:{_LAST} )?(\d{{1,4}}) ?([a-zä]+)")
_ONE_OF = re.compile(rf"{_LAST} ([a-z]+)")
_BEFORE_THIS = re.compile(rf"{_BEFORE} ([a-z]+)")
_THIS_ONE = re.compile(rf"{_THIS} ([a-z]+)")
_WEEK = re.compile(r"(?:kw|kalenderwoche|week|calendar week) ?(\d{1,2})(?:(?:/| )(\d{4}))?")
_SINCE = re.compile(r"(?:seit|ab|since|from) (.+)")
_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:t(?=\d))?")
_SPLIT = re.compile(r" ?- ?| bis (?:zum )?| to | until | till ")
_TIME = re.compile(
    r"(?P<h>\d{1,2}):(?P<m>\d{2})(?::(?P<s>\d{2}))?(?: ?uhr)?"
    r"|(?P<uhr>\d{1,2}) ?uhr"
    r"|(?P<clock>\d{1,2})(?::(?P<past>\d{2}))? ?(?P<half>am|pm)"
)
_NAME = r"(?P<name>[a-zä]+)\.?"
_DATES = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?P<y>\d{4})\.(?P<mo>\d{2})\.(?P<d>\d{2})",  # ISO, made so in _plain
        r"(?P<d>\d{1,2})\. ?(?P<mo>\d{1,2})\.? ?(?P<y>\d{4}|\d{2})?",
        r"(?P<d>\d{1,2})/(?P<mo>\d{1,2})(?:/(?P<y>\d{4}|\d{2}))?",
        rf"(?P<d>\d{{1,2}})(?:\.|st|nd|rd|th)? ?{_NAME}(?:,? ?(?P<y>\d{{4}}))?",
        rf"{_NAME} (?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?:,? (?P<y>\d{{4}}))?",
        rf"{_NAME}(?: (?P<y>\d{{4}}))?",
        r"(?P<mo>\d{1,2})[/.](?P<y>\d{4})",
        r"(?P<d>\d{1,2})\.?",
        r"(?P<y>\d{4})",
    )
)


class RangeError(ValueError):
    """Such a text is no range; ``why`` says what is wrong with it."""

    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why: Why = why


class Chosen(NamedTuple):
    """A range and, where it is one of :data:`SPANS`, which. ``relative``: it moves along with
    time, or is said by its distance from now."""

    range: Range
    span: str = ""
    relative: bool = False


@dataclass(frozen=True, slots=True)
class _Part:
    """One end as it is written. What is ``None`` was not said."""

    year: int | None = None
    month: int | None = None
    day: int | None = None
    time_s: int | None = None
    now: bool = False

    @property
    def dated(self) -> bool:
        return (self.year, self.month, self.day) != (None, None, None)


def read(text: str, now_utc_ms: UtcMs, zone: tzinfo) -> Chosen:
    """The range that a text means. Raises :class:`RangeError`."""
    interval = text.strip().split("/")
    if len(interval) == 2 and "t" in text.casefold():  # an ISO 8601 interval
        exact = Range.read(interval[0], interval[1], zone)
        if exact.from_utc_ms is not None and exact.to_utc_ms is not None:
            return Chosen(exact)
    plain = _plain(text)
    span = _span(plain)
    if (length_s := _hours(plain) * 3600) > 0:
        return Chosen(_until_now(length_s, now_utc_ms, zone), span, relative=True)
    now = calendar_time(now_utc_ms, zone).replace(tzinfo=None)
    found = _relative(plain, now)
    relative = found is not None or "seit" in plain or "since" in plain
    start, end = found or _absolute(plain, now)
    if start >= end:
        raise RangeError("turned")
    if start > now:
        raise RangeError("future")
    if end - start > timedelta(days=LONGEST_DAYS):
        raise RangeError("too_long")
    fold = calendar_time(now_utc_ms, zone).fold if relative else 0
    first, last = _utc_ms(start, zone), _utc_ms(end.replace(fold=fold), zone)
    if first >= last:  # within the hour that comes twice, or the one that there is not
        raise RangeError("turned")
    return Chosen(Range(first, last), span, relative)


def _hours(plain: str) -> float:
    """Of a range that is said in hours or minutes back from now; 0 for any other. These last so
    long on every clock, also where it is changed."""
    found = _NUMBER_OF.fullmatch(plain)
    number, unit = (int(found[1]), _UNITS.get(found[2])) if found else (1, None)
    if found is None and (one := _ONE_OF.fullmatch(plain)):
        unit = _UNITS.get(one[1])
    if unit not in ("hour", "minute"):
        return 0
    if number == 0:
        raise RangeError("unread")
    if number > LONGEST_DAYS * 24:
        raise RangeError("too_long")
    return number if unit == "hour" else number / 60


def _until_now(length_s: float, now_utc_ms: UtcMs, zone: tzinfo) -> Range:
    offset = calendar_time(now_utc_ms, zone).utcoffset() or timedelta()
    offset_ms, step_ms = round(offset.total_seconds() * 1000), edge_s(length_s) * 1000
    end = -(-(now_utc_ms + offset_ms) // step_ms) * step_ms - offset_ms
    return Range(end - round(length_s * 1000), end)


_ENDS_NOW = ("heute", "today")


def _span(plain: str) -> str:
    """Which of :data:`SPANS` it is; empty where it is another one."""
    if plain in _ENDS_NOW:
        return "today"
    number = _NUMBER_OF.fullmatch(plain)
    if number is None:
        return ""
    unit = _UNITS.get(number[2])
    known = {
        (24, "hour"): "24h", (7, "day"): "7d", (30, "day"): "30d", (12, "month"): "1y",
        (1, "year"): "1y",
    }  # fmt: skip
    return known.get((int(number[1]), unit), "") if unit else ""


def _plain(text: str) -> str:
    """Small letters, one kind of dash, single spaces; dates of ISO 8601 with points."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    plain = re.sub(r"[\u2010-\u2015\u2212]", "-", plain)
    plain = _ISO.sub(lambda d: f"{d[1]}.{int(d[2]):02}.{int(d[3]):02} ", plain)
    plain = re.sub(r"\s+", " ", plain).strip(" ,;")
    plain = re.sub(r"\b(\d{1,2}) ?(?:-| bis ) ?(\d{1,2}) uhr$", r"\1:00 - \2:00", plain)
    return re.sub(r"^(?:von|vom|am|on) ", "", plain)


def _relative(  # noqa: PLR0911  # one for each way to say it
    plain: str, now: datetime
) -> tuple[datetime, datetime] | None:
    """Ranges that are said from now on backwards; ``None`` where it is none of these."""
    if plain in _ENDS_NOW:
        start = _midnight(now)
        return start, _ceil(now, start, 3_600)
    if plain in _DAYS:
        start = _midnight(now) + timedelta(days=_DAYS[plain])
        return start, start + timedelta(days=1)
    if (found := _NUMBER_OF.fullmatch(plain)) and found[2] in _UNITS:
        return _rolling(int(found[1]), _UNITS[found[2]], now)
    if (found := _BEFORE_THIS.fullmatch(plain)) and found[1] in _UNITS:
        unit = _UNITS[found[1]]
        if unit in ("week", "month", "year"):
            end = _begin(now, unit)
            return _begin(end - timedelta(days=1), unit), end
    if (found := _ONE_OF.fullmatch(plain)) and found[1] in _UNITS:
        return _rolling(1, _UNITS[found[1]], now)
    if (found := _THIS_ONE.fullmatch(plain)) and found[1] in _UNITS:
        start = _begin(now, _UNITS[found[1]])
        return start, _ceil(now, start, 3_600)
    if found := _WEEK.fullmatch(plain):
        return _week(int(found[1]), int(found[2] or 0), now)
    day = re.sub(rf"^{_BEFORE} ", "", plain)
    if day in _WEEKDAYS:
        start = _weekday(day, now)
        if day != plain and start == _midnight(now):  # "last Monday", said on a Monday
            start -= timedelta(days=7)
        return start, start + timedelta(days=1)
    return None


def _rolling(number: int, unit: Unit, now: datetime) -> tuple[datetime, datetime]:
    """So many days, weeks, months or years up to now."""
    if number == 0:
        raise RangeError("unread")
    days = {"day": 1, "week": 7, "month": 30, "year": 365}
    length_s = number * days.get(unit, 1) * 86_400
    if length_s > LONGEST_DAYS * 86_400:
        raise RangeError("too_long")
    end = _ceil(now, _midnight(now), edge_s(length_s))
    if unit in ("month", "year"):
        return _months_before(end, number * (12 if unit == "year" else 1)), end
    return end - timedelta(seconds=length_s), end


def edge_s(length_s: float) -> int:
    """At which whole seconds of the building's day a range of this length begins and ends."""
    return next((step_s for longest_s, step_s in EDGES if length_s <= longest_s), 86_400)


def _ceil(now: datetime, begin: datetime, step_s: int) -> datetime:
    """The next whole step after ``begin`` that is not before ``now``, one at least."""
    passed = (now - begin).total_seconds()
    return begin + timedelta(seconds=max(1, -(-passed // step_s)) * step_s)


def _midnight(moment: datetime) -> datetime:
    return datetime.combine(moment.date(), datetime.min.time())


def _begin(moment: datetime, unit: Unit) -> datetime:
    day = _midnight(moment)
    match unit:
        case "minute":
            return moment.replace(second=0, microsecond=0)
        case "hour":
            return moment.replace(minute=0, second=0, microsecond=0)
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "year":
            return day.replace(month=1, day=1)
        case _:
            return day


def _months_before(moment: datetime, months: int) -> datetime:
    number = moment.year * 12 + moment.month - 1 - months
    year, month = number // 12, number % 12 + 1
    if year < FIRST_YEAR:
        raise RangeError("too_long")
    last = calendar.monthrange(year, month)[1]
    return moment.replace(year=year, month=month, day=min(moment.day, last))


def _weekday(name: str, now: datetime) -> datetime:
    """The newest such day, today included."""
    day = _midnight(now)
    return day - timedelta(days=(day.weekday() - _WEEKDAYS[name]) % 7)


def _week(number: int, year: int, now: datetime) -> tuple[datetime, datetime]:
    """A week of the calendar (ISO 8601), the newest that has begun where no year is said."""
    for one in (year,) if year else (now.year, now.year - 1):
        try:
            start = datetime.combine(date.fromisocalendar(one, number, 1), datetime.min.time())
        except ValueError:
            raise RangeError("no_such_day") from None
        if year or start <= now:
            break
    return start, start + timedelta(days=7)


def _absolute(plain: str, now: datetime) -> tuple[datetime, datetime]:
    if found := _SINCE.fullmatch(plain):
        rest = found[1]
        relative = None if _SPLIT.search(rest) else _relative(rest, now)
        if relative is not None:
            return relative[0], _ceil(now, _midnight(now), 300)
        if not _SPLIT.search(rest):
            start = _resolved(_part(rest, now), now)[0]
            return start, _ceil(now, _midnight(now), 300)
        plain = rest
    pieces = [piece for piece in _SPLIT.split(plain) if piece]
    match pieces:
        case [one]:
            part = _part(one, now)
            if part.now:
                raise RangeError("unread")
            return _resolved(part, now)
        case [first, last]:
            return _between(_part(first, now), _part(last, now), now)
        case _:
            raise RangeError("unread")


def _part(text: str, now: datetime) -> _Part:
    """One end of a range. Raises :class:`RangeError`."""
    text = text.strip(" ,")
    if text in _NOW:
        return _Part(now=True)
    time_s, rest = _time(text)
    rest = rest.strip(" ,")
    if not rest:
        if time_s is None:
            raise RangeError("unread")
        return _Part(time_s=time_s)
    if rest in _DAYS or rest in _WEEKDAYS:
        day = _weekday(rest, now) if rest in _WEEKDAYS else now + timedelta(days=_DAYS[rest])
        return _Part(day.year, day.month, day.day, time_s)
    named = rest.split(" ", 1)  # "Mo 1.12."
    if len(named) == 2 and named[0].strip(".,") in _WEEKDAYS and named[1][:1].isdigit():
        rest = named[1]
    for pattern in _DATES:
        found = pattern.fullmatch(rest)
        if found is None:
            continue
        said = found.groupdict()
        month = int(said["mo"]) if said.get("mo") else None
        if name := said.get("name"):
            if name not in _MONTHS:
                continue
            month = _MONTHS[name]
        year = int(said["y"]) if said.get("y") else None
        day_ = int(said["d"]) if said.get("d") else None
        if year is not None and year < 100:  # two digits
            year += 2000
        if year is not None and not FIRST_YEAR <= year <= LAST_YEAR:
            raise RangeError("no_such_day")
        return _Part(year, month, day_, time_s)
    raise RangeError("unread")


def _time(text: str) -> tuple[int | None, str]:
    """The time of day in seconds, and what is left of the text."""
    times = list(_TIME.finditer(text))
    if not times:
        return None, text
    found = times[-1]
    hour = int(found["h"] or found["uhr"] or found["clock"])
    minute, second = int(found["m"] or found["past"] or 0), int(found["s"] or 0)
    if found["half"]:
        if not 1 <= hour <= 12:
            raise RangeError("no_such_day")
        hour = hour % 12 + (12 if found["half"] == "pm" else 0)
    time_s = hour * 3600 + minute * 60 + second
    if minute > 59 or second > 59 or time_s > 86_400:
        raise RangeError("no_such_day")
    rest = text[: found.start()] + text[found.end() :]
    return time_s, re.sub(r"(?:,| um| at)? *$", "", rest)


def _resolved(part: _Part, now: datetime) -> tuple[datetime, datetime]:
    """Begin and end of what one part says: an hour where it has a time, else its day, month or
    year. Without a year it is the newest that has begun."""
    if not part.dated:
        part = replace(part, year=now.year, month=now.month, day=now.day)
        if part.time_s is not None and _at(part) > now:
            before = now - timedelta(days=1)
            part = replace(part, year=before.year, month=before.month, day=before.day)
    if part.month is None and part.day is not None:  # "am 3."
        if part.year is not None:
            raise RangeError("unread")
        month = now if part.day <= now.day else _months_before(now.replace(day=1), 1)
        part = replace(part, year=month.year, month=month.month)
    if part.year is None:
        part = replace(part, year=now.year)
        if _at(part) > now:
            part = replace(part, year=now.year - 1)
    start = _at(part)
    if part.time_s is not None:
        return start, start + timedelta(hours=1)
    return start, _after(part, start)


def _at(part: _Part) -> datetime:
    try:
        day = date(part.year or 1, part.month or 1, part.day or 1)
    except ValueError:
        raise RangeError("no_such_day") from None
    return datetime.combine(day, datetime.min.time()) + timedelta(seconds=part.time_s or 0)


def _after(part: _Part, start: datetime) -> datetime:
    """The end of the day, month or year that a part without a time names."""
    if part.day is not None:
        return start + timedelta(days=1)
    if part.month is not None:
        return _begin(start + timedelta(days=32), "month")
    return start.replace(year=start.year + 1)


def _between(first: _Part, last: _Part, now: datetime) -> tuple[datetime, datetime]:
    """From the begin of one part to the end of the other; each takes from the other what it does
    not say itself: "1.–7. Dezember", "gestern 8:00–12:00"."""
    if first.now:
        raise RangeError("turned")
    if first.day is not None and first.month is None:
        if last.month is None and not last.now and last.day is None:
            raise RangeError("unread")
        first = replace(first, month=last.month, year=last.year)
    if not first.dated and last.dated:
        first = replace(first, year=last.year, month=last.month, day=last.day)
    if first.year is None and last.year is not None and first.dated:
        first = replace(first, year=last.year)
        if last.month is not None and _at(first) > _at(last):
            first = replace(first, year=last.year - 1)
    start = _resolved(first, now)[0]
    if last.now:
        return start, _ceil(now, _midnight(now), 60)
    if not last.dated:
        last = replace(last, year=start.year, month=start.month, day=start.day)
        end = _at(last)
        return start, end if end > start else end + timedelta(days=1)
    if last.day is not None and last.month is None:
        last = replace(last, month=start.month, year=start.year)
    if last.year is None:
        last = replace(last, year=start.year)
        if _end(last) <= start:
            last = replace(last, year=start.year + 1)
    return start, _end(last)


def _end(part: _Part) -> datetime:
    return _at(part) if part.time_s is not None else _after(part, _at(part))


def _utc_ms(moment: datetime, zone: tzinfo) -> UtcMs:
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise RangeError("no_such_day")
    return utc_ms_of(moment, zone)


# --- the other way ------------------------------------------------------------------------


def say(chosen: Chosen, now_utc_ms: UtcMs, words: Words) -> str:
    """A range in the words that :func:`read` understands."""
    if chosen.span:
        return words(f"history.range_{chosen.span}")
    first, last = (calendar_time(ms, words.zone) for ms in chosen.range.whole())
    this_year = calendar_time(now_utc_ms, words.zone).year
    if _is_midnight(first) and _is_midnight(last):
        return _days(first, last, this_year, words)
    if first.year != last.year:
        this_year = 0
    day, start, end = _day(first, this_year, words), _clock(first), _clock(last)
    if first.date() == last.date():
        return f"{day}, {start}\u2013{end}"
    return f"{day}, {start} \u2013 {_day(last, this_year, words)}, {end}"


def _days(first: datetime, last: datetime, this_year: int, words: Words) -> str:
    """Whole days, ``last`` not included."""
    final = last - timedelta(days=1)
    months = (last.year - first.year) * 12 + last.month - first.month
    if final.date() <= first.date():
        return _day(first, this_year, words)
    if first.day == last.day == 1 and months == 1:
        return str(format_date(first, "MMMM y", locale=words.language))
    if first.day == last.day == first.month == last.month == 1 and months == MONTHS:
        return str(first.year)
    if (first.year, first.month) == (final.year, final.month):
        begin = f"{first.day}." if words.language == "de" else str(first.day)
        return f"{begin}\u2013{_day(final, this_year, words)}"
    same = first.year == final.year == this_year
    begin = _day(first, final.year, words)
    return f"{begin} \u2013 {_day(final, this_year if same else 0, words)}"


def _is_midnight(moment: datetime) -> bool:
    return (moment.hour, moment.minute, moment.second) == (0, 0, 0)


def _clock(moment: datetime) -> str:
    return moment.strftime("%H:%M:%S" if moment.second else "%H:%M")


def _day(moment: datetime, this_year: int, words: Words) -> str:
    pattern = {"de": "d. MMMM", "en": "d MMM"}[words.language]
    if moment.year != this_year:
        pattern += " y"
    return str(format_date(moment, pattern, locale={"de": "de_DE", "en": "en_GB"}[words.language]))
