"""The page's words: catalogues per language, and instants and numbers as people read them.

A catalogue is the TOML files of ``locales/<language>/``; a key is ``section.name``. Both
languages hold the same keys (a house rule tests it), so a missing word is our mistake and
raises :class:`KeyError`; keys that come from outside go through :meth:`Words.get`.
"""

from __future__ import annotations

import re
import tomllib
from datetime import date, datetime, timedelta, tzinfo
from functools import cache
from pathlib import Path

from babel.core import Locale
from babel.dates import format_date, format_time, get_timezone_name
from babel.numbers import format_decimal

from gateway.wire import calendar_time

LANGUAGES = ("de", "en")
NARROW = "\u202f"
"""The narrow no-break space between a number and its unit."""
DIGITS = {
    "temperature_c": 1, "dew_point_c": 1, "humidity_percent": 1, "pressure_hpa": 1, "co2_ppm": 0,
    "rssi_dbm": 0, "battery_v": 2, "battery_percent": 0,
}  # fmt: skip
"""Digits after the comma, by quantity: as many as the sensors are good for."""
LOCALES = Path(__file__).parent.parent / "locales"


def _flat(table: dict[str, object], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = str(value)
    return found


@cache
def catalogue(language: str) -> dict[str, str]:
    """Every text of one language by its key."""
    texts: dict[str, str] = {}
    for file in sorted((LOCALES / language).glob("*.toml")):
        texts |= _flat(tomllib.loads(file.read_text("utf-8")))
    return texts


LONGEST_S = 10**12
"""No longer duration is shown; what somebody else has sent can be of any length."""


class Words:
    """One language in one time zone."""

    def __init__(self, language: str, zone: tzinfo) -> None:
        self.language = language
        self.zone = zone
        self._texts = catalogue(language)
        self.keys = self._texts.keys()
        self._locale = Locale.parse({"de": "de_DE", "en": "en_GB"}[language])

    def __call__(self, key: str, **values: object) -> str:
        """The text of ``key``. Raises :class:`KeyError` for one that is not in the catalogue."""
        return self._texts[key].format(**values)

    def get(self, key: str, default: str = "", **values: object) -> str:
        """The text of a key made of data, or ``default``; also where data of somebody else has
        made the key of a text that needs other values."""
        text = self._texts.get(key)
        try:
            return default if text is None else text.format(**values)
        except (KeyError, IndexError):
            return default

    def raw(self, key: str) -> str:
        """The text with its placeholders, for a script that fills them in itself."""
        return self._texts[key]

    def clock(self, utc_ms: int, now_utc_ms: int, *, seconds: bool = False) -> str:
        """An instant as people say it: the time alone today, with the date otherwise."""
        moment = calendar_time(utc_ms, self.zone)
        today = calendar_time(now_utc_ms, self.zone).date()
        style = "medium" if seconds else "short"
        time = format_time(moment, style, tzinfo=self.zone, locale=self._locale)
        if moment.date() == today:
            return time
        near = abs(moment.date() - today) < timedelta(days=300)
        pattern = {"de": "EEE d.M.", "en": "EEE d MMM"}[self.language]
        date = format_date(moment, pattern if near else "medium", locale=self._locale)
        return f"{date}, {time}"

    def time_of_day(self, utc_ms: int) -> str:
        """Hours and minutes. In the hour that comes twice in autumn it says which one is meant."""
        moment = calendar_time(utc_ms, self.zone)
        time = format_time(moment, "short", tzinfo=self.zone, locale=self._locale)
        return f"{time}{self._which(moment)}"

    def heading(self, day: date, today: date) -> str:
        """A day as a list is headed by it: today, yesterday, or in full."""
        if day in (today, today - timedelta(days=1)):
            return self("entry.today" if day == today else "entry.yesterday")
        pattern = {"de": "EEEE, d. MMMM", "en": "EEEE, d MMMM"}[self.language]
        if day.year != today.year:
            pattern += " y"
        return format_date(day, pattern, locale=self._locale)

    def _which(self, moment: datetime) -> str:
        """The zone's short name in the hour that comes twice in autumn, else nothing."""
        if moment.replace(fold=0).utcoffset() == moment.replace(fold=1).utcoffset():
            return ""
        return " " + get_timezone_name(moment, "short", locale=self._locale)

    def moment(self, utc_ms: int, *, ms: bool = True) -> str:
        """An instant in full, to the millisecond or second, for tables. In the hour that comes
        twice in autumn it says which of the two is meant."""
        moment = calendar_time(utc_ms, self.zone)
        date = format_date(moment, "short", locale=self._locale)
        time = format_time(moment, "medium", tzinfo=self.zone, locale=self._locale)
        zone = self._which(moment)
        if not ms:
            return f"{date} {time}{zone}"
        comma = {"de": ",", "en": "."}[self.language]
        return f"{date} {time}{comma}{moment.microsecond // 1000:03d}{zone}"

    def short(self, utc_ms: int) -> str:
        """Date, hours and minutes, for lists of what happened long ago."""
        day = format_date(calendar_time(utc_ms, self.zone), "short", locale=self._locale)
        return f"{day} {self.time_of_day(utc_ms)}"

    def minute(self, utc_ms: int) -> str:
        """An instant as :meth:`moment` says it, without seconds where it is a whole minute."""
        text = self.moment(utc_ms, ms=False)
        return re.sub(r"(\d\d:\d\d):00", r"\1", text)

    def number(self, value: float, digits: int = 2) -> str:
        """A number with this language's comma, at most ``digits`` after it; never a minus zero."""
        return format_decimal(round(value, digits) + 0.0, locale=self._locale)

    def seconds(self, ms: int | None) -> str:
        """A short span in seconds, a long one in minutes; a dash where there is none."""
        if ms is None:
            return "–"
        if ms >= 120_000:
            return f"{self.number(ms / 60_000, 1)}{NARROW}min"
        return f"{self.number(ms / 1000, 1)}{NARROW}s"

    def value(self, value: float, quantity: str) -> str:
        """A value of a quantity with the digits that all its values have, without a unit."""
        digits = DIGITS.get(quantity, 2)
        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        return format_decimal(round(value, digits) + 0.0, pattern, locale=self._locale)

    def measured(self, value: float, quantity: str) -> str:
        """A value of a quantity with its unit; of one that we do not know, with its name and as
        many digits as it has, two at most."""
        known = quantity in DIGITS
        text = self.value(value, quantity) if known else self.number(value)
        return f"{text}{NARROW}{self.get(f'unit.{quantity}', quantity)}"

    def plural(self, key: str, number: float, digits: int = 0, /, **values: object) -> str:
        """The text of ``key`` with a ``count``, or that of ``key`` and ``_one`` for a single one.
        Raises :class:`KeyError`."""
        one = self._locale.plural_form(round(number, digits)) == "one"
        count = self.number(number, digits)
        return self(f"{key}_one" if one else key, count=count, **values)

    def day(self, utc_s: float) -> str:
        """A date."""
        moment = calendar_time(utc_s * 1000, self.zone)
        return format_date(moment, "medium", locale=self._locale)

    def offset_ms(self, utc_ms: int) -> int:
        """What the building's zone adds to UTC at an instant."""
        offset = calendar_time(utc_ms, self.zone).utcoffset() or timedelta()
        return round(offset.total_seconds() * 1000)

    def date(self, iso: str, *, year: bool = False) -> str:
        """A day of the calendar with its weekday."""
        pattern = {"de": "EEE d.M.", "en": "EEE d MMM"}[self.language]
        if year:
            pattern += {"de": "y", "en": " y"}[self.language]
        return format_date(date.fromisoformat(iso), pattern, locale=self._locale)

    def lasting(self, ms: int) -> str:
        """How long something is kept: in the unit of years to minutes that comes out even."""
        day = 86_400_000
        if ms % (365 * day) == 0:
            return self.plural("lasting.years", ms // (365 * day))
        if ms % day == 0 and ms > day:
            return self.plural("lasting.days", ms // day)
        if ms < 3_600_000:
            return self.plural("lasting.minutes", ms / 60_000, 1)
        return self.plural("lasting.hours", ms / 3_600_000, 1)

    def running(self, ms: int) -> str:
        """A duration to the second, for what people wait for: ``2 min 10 s``."""
        seconds = max(0, ms) // 1000
        hours, minutes, seconds = seconds // 3600, seconds // 60 % 60, seconds % 60
        if hours:
            return f"{hours}{NARROW}h {minutes}{NARROW}min"
        return f"{minutes}{NARROW}min {seconds}{NARROW}s" if minutes else f"{seconds}{NARROW}s"

    def ago(self, ms: int) -> str:
        """A duration in one unit: how long something has lasted while no clock is set."""
        seconds = min(max(0, ms) // 1000, LONGEST_S)
        if seconds < 60:
            return f"{seconds}{NARROW}s"
        if seconds < 3600:
            return f"{seconds // 60}{NARROW}min"
        return f"{self.number(seconds / 3600, 1)}{NARROW}h"


def best_language(accept: str, offered: tuple[str, ...] = LANGUAGES) -> str:
    """The language of an ``Accept-Language`` header; the first offered where none fits."""
    wanted: list[tuple[float, int, str]] = []
    for place, part in enumerate(accept.split(",")[:20]):
        tag, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            weight = 0.0
        wanted.append((-weight, place, tag[:2].lower()))
    for weight, _, tag in sorted(wanted):
        if weight < 0 and tag in offered:
            return tag
    return offered[0]
