"""Means of readings, weighted by time.

A meter reports changes, not samples: a reading is valid until the next one of its quantity, or
until twice the meter's heartbeat. What lies beyond that is a gap, and a reading without a value
begins one. After a run of the machine has ended nothing is valid until the next run's first
reading. So 55 minutes at 20 and 5 minutes of readings around 30 have the mean 20.9.

The finished hours of each series are stored (table ``hour_mean``); the running one is computed
from its facts.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.core.instant import Ms
from gateway.core.room import climate
from gateway.core.room.climate import DEW_POINT
from gateway.journal.queries.reader import Boot
from gateway.journal.schema import HOUR_MS

HEARTBEAT_MS: Ms = 900_000
"""Of a meter whose own is not known."""
HEARTBEATS = "heartbeats"
"""Key in ``meta``: the heartbeats of the meters, as the configuration names them."""
FIRST_HOUR = "hour_mean"
"""Key in ``meta``: the first (boot, hour) with means by time. Hours before it were rolled up by an
older version. Missing: there are none before."""
FOR_EVER: Ms = 2**61


class Part:
    """What a series said within one bucket.

    ``area`` is the sum of value × milliseconds, over ``covered_ms``. ``total`` is the plain sum of
    the readings. ``by_time`` false: some of it is an hour with an unweighted mean.
    """

    __slots__ = ("area", "by_time", "count", "covered_ms", "gaps", "high", "low", "total")

    def __init__(
        self,
        low: float | None = None,
        high: float | None = None,
        count: int = 0,
        area: float = 0.0,
        covered_ms: Ms = 0,
    ) -> None:
        self.low = low
        self.high = high
        self.count = count
        self.gaps = 0
        self.total = 0.0
        self.area = area
        self.covered_ms = covered_ms
        self.by_time = True

    def see(self, low: float | None, high: float | None) -> None:
        """Make room for values from ``low`` to ``high``."""
        if low is not None and (self.low is None or low < self.low):
            self.low = low
        if high is not None and (self.high is None or high > self.high):
            self.high = high

    def cover(self, value: float, ms: Ms) -> None:
        """``value`` was valid for so long."""
        self.covered_ms += ms
        self.area += value * ms

    @property
    def mean(self) -> float | None:
        """Weighted by time; of the plain readings where they were valid for no time at all."""
        if self.covered_ms > 0:
            mean = self.area / self.covered_ms
        elif self.count:
            mean = self.total / self.count
        else:
            return None
        if self.low is not None and mean < self.low:  # a sum of floats is a little off
            return self.low
        return self.high if self.high is not None and mean > self.high else mean


Parts = dict[int, Part]
"""By the number of the bucket."""
Reading = tuple[Ms, float | None, int | None]
"""Instant, value, and how many it is the mean of; ``None``: it is no thinned one."""


def part(found: Parts, bucket: int) -> Part:
    """The part of this bucket; a new one the first time."""
    one = found.get(bucket)
    if one is None:
        one = found[bucket] = Part()
    return one


def valid_ms(db: sqlite3.Connection, point: str, quantity: str) -> Ms:
    """How long a reading of this point is valid: twice its heartbeat. The dew point is computed,
    and has a heartbeat of its own."""
    heartbeat_ms = heartbeats(db).get(point, HEARTBEAT_MS)
    return 2 * (max(heartbeat_ms, climate.HEARTBEAT_MS) if quantity == DEW_POINT else heartbeat_ms)


def heartbeats(db: sqlite3.Connection) -> dict[str, Ms]:
    """The heartbeats that the journal knows, by point."""
    row = db.execute("SELECT value FROM meta WHERE key = ?", (HEARTBEATS,)).fetchone()
    try:
        known = json.loads(row[0]) if row else {}
    except (ValueError, TypeError, RecursionError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {point: ms for point, ms in known.items() if isinstance(ms, int) and ms > 0}


def first_hour(db: sqlite3.Connection, boot: int) -> int | None:
    """The first hour of this boot that has a mean by time; ``None``: it has none at all."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'hour_mean'").fetchone():
        return None  # written by an older version, and not opened by this one yet
    row = db.execute("SELECT value FROM meta WHERE key = ?", (FIRST_HOUR,)).fetchone()
    try:
        first_boot, hour = map(int, row[0].split()) if row else (0, 0)
    except (ValueError, TypeError, AttributeError):  # damaged: taken for a file that has them all
        first_boot, hour = 0, 0
    if boot == first_boot:
        return hour
    return None if boot < first_boot else -(2**40)


def counts(
    db: sqlite3.Connection, series: int, boot: int, hours: tuple[int, int]
) -> dict[int, tuple[int, int]]:
    """How many readings with and without a value each hour of a range has. Hours that are not
    stored yet are counted from their facts."""
    first, last = hours
    found = {
        hour: (count, gaps)
        for hour, count, gaps in db.execute(
            "SELECT hour, count, gaps FROM hour WHERE series = ? AND boot = ? "
            "AND hour BETWEEN ? AND ?",
            (series, boot, first, last),
        )
    }
    begins = first_hour(db, boot)
    if begins is None:
        return found
    (done,) = db.execute(
        "SELECT max(hour) FROM hour_mean WHERE series = ? AND boot = ?", (series, boot)
    ).fetchone()
    first = max(first, begins if done is None else done + 1)
    for hour, count, gaps in db.execute(
        f"SELECT mono_ms / {HOUR_MS}, count(value), sum(value IS NULL) FROM fact "
        "WHERE series = ? AND boot = ? AND mono_ms >= ? AND mono_ms < ? AND count IS NULL "
        "GROUP BY 1",
        (series, boot, first * HOUR_MS, (last + 1) * HOUR_MS),
    ):
        found[hour] = (count, gaps)
    return found


def ends_ms(db: sqlite3.Connection, boots: Mapping[int, Boot], boot: int) -> Ms | None:
    """The last instant of a boot from which anything is known; ``None``: it is the newest one."""
    later = [other.first_row for other in boots.values() if other.id > boot]
    if not later:
        return None
    row = db.execute(
        "SELECT mono_ms FROM fact WHERE row >= ? AND row < ? AND boot = ? "
        "ORDER BY row DESC LIMIT 1",
        (boots[boot].first_row, min(later), boot),
    ).fetchone()
    return 0 if row is None else int(row[0])


def from_facts(
    db: sqlite3.Connection,
    series: int,
    boot: int,
    within: tuple[Ms, Ms],
    grid: tuple[Ms, Ms],
    times: tuple[Ms, Ms],
    found: Parts,
) -> None:
    """Add what one series said in a part of one boot.

    ``within``: from and to (not included), in monotonic time. ``grid``: (base, width); an instant
    lies in bucket (instant + base) // width, which is not negative. ``times``: how long a reading
    is valid, and up to when the last one may be: now, or the end of the boot.
    """
    low, high = within
    # In Python: the window functions that this needs in SQL take twice as long.
    rows = db.execute(
        "SELECT mono_ms, value, count FROM fact WHERE series = ? AND boot = ? AND mono_ms >= ? "
        "AND mono_ms < ? ORDER BY mono_ms",
        (series, boot, low, high),
    )
    before = db.execute(
        "SELECT mono_ms, value, count FROM fact WHERE series = ? AND boot = ? AND mono_ms < ? "
        "ORDER BY mono_ms DESC LIMIT 1",
        (series, boot, low),
    ).fetchone()
    is_thinned = add_readings(rows, before, within, grid, times, found)
    if is_thinned or _is_thinned(db, series, boot, (low, high)):
        thinned_rows = db.execute(
            "SELECT mono_ms, count, value, data FROM fact WHERE series = ? AND boot = ? "
            "AND mono_ms >= ? AND mono_ms < ? AND count IS NOT NULL",
            (series, boot, low - HOUR_MS, high + HOUR_MS // 2),
        ).fetchall()
        add_thinned(
            (
                (mono_ms, count, value, json.loads(text))
                for mono_ms, count, value, text in thinned_rows
            ),
            within,
            grid,
            found,
        )


def add_readings(
    rows: Iterable[Reading],
    before: Reading | None,
    within: tuple[Ms, Ms],
    grid: tuple[Ms, Ms],
    times: tuple[Ms, Ms],
    found: Parts,
) -> bool:
    """Add the readings within a range, in order, and the last one before it; whether thinned ones
    are among them, which are to be added by :func:`add_thinned`. See :func:`from_facts`."""
    low, high = within
    base, width = grid
    valid, last = times
    at, edge = low, low
    carried, expires = _carried_in(before, low, valid)
    is_thinned = False
    one = Part()
    for mono_ms, value, count in rows:
        if carried is not None:
            until = mono_ms if mono_ms < expires else expires
            if until <= edge:
                one.covered_ms += until - at
                one.area += carried * (until - at)
            else:
                _spread(found, carried, carried, carried, (at, until), 1.0, grid)
        at = mono_ms
        if mono_ms >= edge:
            number = (mono_ms + base) // width
            edge = (number + 1) * width - base
            one = part(found, number)
        if count is not None:
            carried, is_thinned = None, True
        elif value is None:
            carried = None
            one.gaps += 1
        else:
            carried, expires = value, mono_ms + valid
            one.count += 1
            one.total += value
            if one.low is None or value < one.low:
                one.low = value
            if one.high is None or value > one.high:
                one.high = value
    if carried is not None:
        until = min(expires, high, max(last, at + 1) if edge > low else last)
        _spread(found, carried, carried, carried, (at, until), 1.0, grid)
    return is_thinned


def _carried_in(row: Reading | None, low: Ms, valid: Ms) -> tuple[float | None, Ms]:
    """The value of the reading before an instant, and up to when it is valid."""
    if row is None or row[1] is None or row[2] is not None or row[0] + valid <= low:
        return None, low
    return float(row[1]), row[0] + valid


def _is_thinned(db: sqlite3.Connection, series: int, boot: int, within: tuple[Ms, Ms]) -> bool:
    """Whether a thinned reading just outside of a range may reach into it."""
    low, high = within
    query = (
        "SELECT EXISTS (SELECT 1 FROM fact WHERE series = ? AND boot = ? AND mono_ms >= ? "
        "AND mono_ms < ? AND count IS NOT NULL)"
    )
    return any(
        db.execute(query, (series, boot, *part_)).fetchone()[0]
        for part_ in ((low - HOUR_MS, low), (high, high + HOUR_MS // 2))
    )


def add_thinned(
    rows: Iterable[tuple[Ms, int, float | None, Mapping[str, Any]]],
    within: tuple[Ms, Ms],
    grid: tuple[Ms, Ms],
    found: Parts,
) -> None:
    """Add the thinned readings that reach into a range: instant, count, mean and the fact's data.
    They are those from an hour before it to half an hour after it."""
    low, high = within
    base, width = grid
    for mono_ms, count, value, data in rows:
        begin, lasts_ms, share = span(mono_ms, data)
        inside = (max(low, begin), min(high, begin + lasts_ms))
        least, most = data.get("min"), data.get("max")
        if value is not None:
            _spread(found, value, least, most, inside, share, grid)
            if "covered_s" not in data:
                for bucket in _buckets(inside, grid):
                    part(found, bucket).by_time = False
        if low <= mono_ms < high:
            one = part(found, (mono_ms + base) // width)
            one.see(least, most)
            one.count += count
            one.total += (value or 0.0) * count


def span(mono_ms: Ms, data: Mapping[str, object]) -> tuple[Ms, Ms, float]:
    """(begin, length, share that is covered) of a thinned reading. Older versions have named none
    of them, and have put the reading into the middle of its hour."""
    lasts_s, covered_s = data.get("lasts_s"), data.get("covered_s")
    if isinstance(lasts_s, int | float) and isinstance(covered_s, int | float) and lasts_s > 0:
        return mono_ms, round(lasts_s * 1000), min(1.0, covered_s / lasts_s)
    return mono_ms // HOUR_MS * HOUR_MS, HOUR_MS, 1.0


def _buckets(within: tuple[Ms, Ms], grid: tuple[Ms, Ms]) -> Iterable[int]:
    low, high = within
    base, width = grid
    return range((low + base) // width, (high - 1 + base) // width + 1) if low < high else ()


def _spread(
    found: Parts,
    value: float,
    least: float | None,
    most: float | None,
    within: tuple[Ms, Ms],
    share: float,
    grid: tuple[Ms, Ms],
) -> None:
    """A value was valid from one instant to another, for a share of that time."""
    low, high = within
    base, width = grid
    for bucket in _buckets(within, grid):
        begin = bucket * width - base
        one = part(found, bucket)
        one.see(least, most)
        one.cover(value, round((min(high, begin + width) - max(low, begin)) * share))


def thinned(rows: list[tuple[Ms, float | None]], next_ms: Ms, valid: Ms) -> tuple[float, Ms]:
    """The mean by time of readings in order, and how long they were valid. ``next_ms``: when the
    reading after them came."""
    one = Part()
    ends = [*(mono_ms for mono_ms, _ in rows[1:]), next_ms]
    for (mono_ms, value), end in zip(rows, ends, strict=True):
        if value is not None:
            one.see(value, value)
            one.count += 1
            one.total += value
            one.cover(value, max(0, min(end, mono_ms + valid) - mono_ms))
    return one.mean or 0.0, one.covered_ms
