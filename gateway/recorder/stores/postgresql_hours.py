"""Means by time of the readings in the PostgreSQL store, for each hour that is over.

See :mod:`gateway.recorder.stores.reading_means`.

A batch names the hours that its readings reach into, in its own transaction (``hours_due``). They
are computed from ``readings`` when they are over: computing the present hour anew with each batch
costs thirty times as much, and what is late is computed within seconds all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from gateway.journal.queries import means
from gateway.journal.schema import HOUR_MS
from gateway.recorder.stores.postgresql_connection import PostgresqlConnection
from gateway.recorder.stores.postgresql_rows import time_of
from gateway.recorder.stores.reading_means import StoredReading, add_readings

HOURS_AT_ONCE = 500
"""Hours of series that are computed in one transaction."""
EVERY_MS = 10_000
"""How often is looked for hours that are due."""
_DUE = f"""
DELETE FROM hours_due WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM hours_due WHERE hour < now() - interval '1 hour'
    ORDER BY hour LIMIT {HOURS_AT_ONCE} FOR UPDATE SKIP LOCKED))
RETURNING series, (extract(epoch FROM hour) * 1000)::bigint
"""
_READINGS = f"""
SELECT due.series, due.hour, (extract(epoch FROM time) * 1000)::bigint, value, count, low, high,
    lasts_s, covered_s
FROM unnest(%s::integer[], %s::bigint[]) AS due (series, hour)
JOIN readings ON readings.series = due.series
    AND time >= {time_of(f"(due.hour - {HOUR_MS})")}
    AND time < {time_of(f"(due.hour + {HOUR_MS + HOUR_MS // 2})")}
ORDER BY due.series, due.hour, time
"""
_STORE = f"""
INSERT INTO hours
SELECT series, count, gaps, {time_of("hour")}, mean, low, high, covered_ms
FROM unnest(%s::integer[], %s::integer[], %s::integer[], %s::bigint[], %s::double precision[],
    %s::double precision[], %s::double precision[], %s::integer[])
    AS new (series, count, gaps, hour, mean, low, high, covered_ms)
ON CONFLICT (series, hour) DO UPDATE SET (count, gaps, mean, low, high, covered_ms) =
    (excluded.count, excluded.gaps, excluded.mean, excluded.low, excluded.high, excluded.covered_ms)
"""
_EMPTY = f"""
DELETE FROM hours USING unnest(%s::integer[], %s::bigint[]) AS due (series, hour)
WHERE hours.series = due.series AND hours.hour = {time_of("due.hour")}
"""

Hour = tuple[int, int, int, int, float | None, float | None, float | None, int]
"""Series, count, gaps, begin (UTC ms), mean, low, high, covered ms."""


def roll_up(db: PostgresqlConnection) -> int:
    """Compute some of the hours that are due; how many those were. Whoever writes readings of one
    of them meanwhile waits, and names it again."""
    with db.transaction():
        due = db.rows(_DUE)
        if not due:
            return 0
        # a statement of its own: it sees what was committed until the hours were taken
        found = db.rows(_READINGS, (list(map(itemgetter(0), due)), list(map(itemgetter(1), due))))
        hours = [
            one
            for (series, begin), rows in groupby(found, itemgetter(0, 1))
            if (one := hour_of(series, begin, [row[2:] for row in rows])) is not None
        ]
        empty = {(series, begin) for series, begin in due} - {(one[0], one[3]) for one in hours}
        if hours:
            db.run(_STORE, [list(column) for column in zip(*hours, strict=True)])
        if empty:
            db.run(_EMPTY, [list(column) for column in zip(*empty, strict=True)])
    return len(due)


def hour_of(series: int, begin: int, rows: Sequence[StoredReading]) -> Hour | None:
    """The mean of one hour; ``None``: nothing reaches into it. ``rows``: the readings from an hour
    before it to half an hour after it, in order: UTC ms, value, count, low, high, lasts_s,
    covered_s."""
    within, grid = (begin, begin + HOUR_MS), (0, HOUR_MS)
    found: means.Parts = {}
    add_readings(rows, within, grid, within[1], found)
    one = found.get(begin // HOUR_MS)
    if one is None:
        return None
    return series, one.count, one.gaps, begin, one.mean, one.low, one.high, one.covered_ms
