"""From the weekly plan to instants of UTC, over the changes of daylight-saving time.

The civil clock is read as a hand that never goes back: when it is set back, the repeated
hour counts as already over, so that a change in it happens once, the first time. A change in
an hour that is skipped happens at the moment of the jump.
"""

from __future__ import annotations

from collections.abc import Container
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from gateway.settings.values.weekly import DAY_MIN, RANK, Rule, Rules

HORIZON_DAYS = 400


def holidays_of(region: str, years: range) -> frozenset[date]:
    """The public holidays of ``DE-SN`` and its like.

    :raises LookupError: the region is not known
    """
    import holidays  # late: it takes longer to import than everything else together

    country, _, land = region.partition("-")
    try:
        return frozenset(
            holidays.country_holidays(country, subdiv=land or None, years=years, language=None)
        )
    except NotImplementedError:
        raise LookupError(region) from None


def holidays_of_any_year(region: str) -> Container[date]:
    """The public holidays of a region; each year is computed when it is first asked for.

    :raises LookupError: the region is not known
    """
    import holidays

    country, _, land = region.partition("-")
    try:
        return holidays.country_holidays(country, subdiv=land or None, language=None)
    except NotImplementedError:
        raise LookupError(region) from None


def names_of(region: str, years: range, language: str) -> dict[date, str]:
    """The public holidays of a region with their names, in the country's own language where that
    one is not known. Raises :class:`LookupError`."""
    import holidays

    country, _, land = region.partition("-")
    wanted = {"en": "en_US"}.get(language, language)
    for name in (wanted, None):
        try:
            found = holidays.country_holidays(
                country, subdiv=land or None, years=years, language=name
            )
            return dict(found.items())
        except (NotImplementedError, ValueError) as error:
            if name is None:
                raise LookupError(region) from error
    return {}


@lru_cache(maxsize=1)
def regions() -> tuple[str, ...]:
    """Every region that has holidays, such as ``DE-SN``."""
    import holidays

    lands = holidays.list_supported_countries(include_aliases=False)
    return tuple(
        name
        for country, parts in lands.items()
        for name in (country, *(f"{country}-{p}" for p in parts))
    )


class Days:
    """What a plan says on each day, where holidays are known."""

    def __init__(self, plan: Rules, holidays: Container[date]) -> None:
        self._plan = plan
        self._holidays = holidays
        self._dated = plan.of("dates")
        self._holiday = plan.of("holiday")
        self._weekly = plan.of("days")

    def rules(self, day: date) -> tuple[Rule, ...]:
        """The lines of the sort that rules this day, as far as they begin on it."""
        if dated := tuple(rule for rule in self._dated if rule.applies(day)):
            return dated
        if self._holiday and day in self._holidays:
            return self._holiday
        return tuple(rule for rule in self._weekly if rule.applies(day))

    def rank(self, day: date) -> int:
        if any(rule.applies(day) for rule in self._dated):
            return RANK["dates"]
        return RANK["holiday" if self._holiday and day in self._holidays else "days"]

    def at(self, day: date, minute: int) -> str | None:
        """What counts in this minute of the day; ``None`` where nothing does."""
        for rule in self.rules(day):
            if any(start <= minute < end for start, end in rule.ranges):
                return rule.value
        before = day - timedelta(days=1)
        if self.rank(before) >= self.rank(day):
            for rule in self.rules(before):
                if any(start <= minute + DAY_MIN < end for start, end in rule.ranges):
                    return rule.value
        return self._plan.otherwise

    def changes(self, day: date) -> list[tuple[int, str | None]]:
        """(minute, what counts from it on) for every minute at which it may change."""
        minutes = {0}
        for start, end in (r for rule in self.rules(day) for r in rule.ranges):
            minutes |= {start, end}
        for _, end in (r for rule in self.rules(day - timedelta(days=1)) for r in rule.ranges):
            minutes.add(end - DAY_MIN)
        return [(m, self.at(day, m)) for m in sorted(minutes) if 0 <= m < DAY_MIN]


def instant(day: date, minute: int, zone: ZoneInfo) -> int:
    """UTC milliseconds at which the hand of the clock reaches this time of this day: the
    first time where it does so twice, the moment of the jump where it never does."""
    civil = datetime(day.year, day.month, day.day, minute // 60, minute % 60)  # noqa: DTZ001 - a reading of the wall clock, its zone comes next
    early = civil.replace(tzinfo=zone, fold=0)
    offset = _offset_s(early)
    utc = _seconds(civil) - offset
    if _offset_at(utc, zone) == offset:
        return utc * 1000
    after = _offset_s(civil.replace(tzinfo=zone, fold=1))
    low, high = utc - (after - offset), utc
    while high - low > 1:
        middle = (low + high) // 2
        if _offset_at(middle, zone) == offset:
            low = middle
        else:
            high = middle
    return high * 1000


def _seconds(civil: datetime) -> int:
    return int(civil.replace(tzinfo=UTC).timestamp())


def _offset_s(when: datetime) -> int:
    offset = when.utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


def _offset_at(utc_s: int, zone: ZoneInfo) -> int:
    return _offset_s(datetime.fromtimestamp(utc_s, zone))


def transitions(
    plan: Rules,
    zone: ZoneInfo,
    holidays: Container[date],
    now_utc_ms: int,
    days: int = HORIZON_DAYS,
) -> list[tuple[int, str | None]]:
    """(UTC milliseconds, what counts from then on), each different from the one before it;
    the first lies before ``now_utc_ms``."""
    if not plan:
        return []
    weekly = Days(plan, holidays)
    today = datetime.fromtimestamp(now_utc_ms / 1000, zone).date()
    instants: dict[int, str | None] = {}
    for n in range(-1, days + 1):
        day = today + timedelta(days=n)
        for minute, value in weekly.changes(day):
            instants[instant(day, minute, zone)] = value
    found: list[tuple[int, str | None]] = []
    for utc_ms, value in sorted(instants.items()):
        if not found or found[-1][1] != value:
            found.append((utc_ms, value))
    return found


def years(now_utc_ms: int, days: int = HORIZON_DAYS) -> range:
    """The years that :func:`transitions` looks at."""
    now = datetime.fromtimestamp(now_utc_ms / 1000, UTC).date()
    return range((now - timedelta(days=3)).year, (now + timedelta(days=days + 3)).year + 1)
