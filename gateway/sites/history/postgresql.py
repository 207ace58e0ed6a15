"""History and events from the recorder's PostgreSQL. Nothing is written: each session is one that
only reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar, cast

from gateway.core.facts import Lane
from gateway.core.instant import Ms, UtcMs
from gateway.journal.queries import means
from gateway.journal.queries.history import MOST_LEVELS, ROLL_UP_FROM_MS, Bucket
from gateway.journal.queries.means import Part, Parts
from gateway.journal.schema import HOUR_MS
from gateway.recorder.stores import postgresql_schema
from gateway.recorder.stores.postgresql_connection import PostgresqlConnection
from gateway.recorder.stores.reading_means import AFTER_MS, BEFORE_MS, StoredReading, add_readings
from gateway.recorder.stores.store import BadPointsError, StoreDownError
from gateway.settings.values.secrets import SecretError
from gateway.settings.values.store_address import StoreAddress
from gateway.sites.history.stored import (
    LEVEL_KINDS,
    READ_WITHIN_S,
    READINGS_MOST,
    Level,
    QuestionTooLong,
    RunEnd,
    StoredEvent,
    StoredHistory,
    StoreUnreadable,
    Wanted,
    buckets_of,
    level_of,
    levels_of,
    width_of,
)
from gateway.wire import LAST_UTC_MS, calendar_time

T = TypeVar("T")
_TOO_LONG = "57014"
"""SQLSTATE of a statement that took longer than it may."""
_MS = "(extract(epoch FROM {}) * 1000)::bigint"
SPANS_MS = tuple(hours * HOUR_MS for hours in (1, 24, 7 * 24, 60 * 24, 400 * 24))
"""How far back events are looked for, one step after the other, until there are enough."""
DUE_MOST = 1_000
"""Hours without a mean that are computed for one answer."""
_READINGS = f"""
SELECT {_MS.format("time")}, value, count, low, high, lasts_s, covered_s FROM readings
WHERE series = %s AND time >= %s AND time < %s ORDER BY time LIMIT {READINGS_MOST + 1}
"""
_HOURS = f"""
SELECT ({_MS.format("hour")} + {HOUR_MS // 2} - %(first)s) / %(width)s AS place, sum(count),
    min(low), max(high), sum(mean * covered_ms), sum(mean * count), sum(covered_ms)
FROM hours WHERE series = %(series)s AND hour >= %(begin)s AND hour < %(end)s
    AND hour <> ALL (%(due)s)
GROUP BY place
"""
_DUE = f"""
SELECT hour FROM hours_due WHERE series = %s AND hour >= %s AND hour < %s
ORDER BY hour DESC LIMIT {DUE_MOST}
"""
_LEVELS = f"""
SELECT {_MS.format("time")}, kind, data, boot FROM events
WHERE gateway = %s AND kind = ANY (%s) AND time >= %s AND time < %s AND subject = %s
ORDER BY time DESC LIMIT %s
"""
_RUN_ENDS = f"""
SELECT {_MS.format("last.time")}, start.boot FROM
    (SELECT gateway, time, boot FROM events
     WHERE gateway = %s AND kind = 'gateway_started' AND time >= %s AND time < %s
     ORDER BY time DESC LIMIT 1000) AS start,
    LATERAL (SELECT time FROM events WHERE gateway = start.gateway AND time < start.time
     ORDER BY time DESC LIMIT 1) AS last
"""
_EVENT = (
    f"gateway, journal, lane, sequence, boot, monotonic_ms, {_MS.format('time')}, kind, subject,"
    " data"
)
"""In the order of :class:`StoredEvent`."""
_LONG_AGO = calendar_time(0)


class PostgresqlHistory(StoredHistory):
    """Reads one database; connects with the first question. ``password`` is asked each time, and
    may raise :class:`SecretError`: without it there is no history, and a page all the same."""

    def __init__(
        self,
        address: StoreAddress,
        password: Callable[[], str | None],
        *,
        within_s: float = READ_WITHIN_S,
    ) -> None:
        self._address, self._password, self._within_s = address, password, within_s
        self._db: PostgresqlConnection | None = None

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _open(self) -> PostgresqlConnection:
        if self._db is not None and not self._db.is_usable:
            self.close()
        if self._db is None:
            # the server's own limit comes first: its error says that it was the question
            within_s = self._within_s + 2
            db = PostgresqlConnection(self._address, self._password(), timeout_s=within_s)
            try:
                db.run("SET default_transaction_read_only = on")
                db.run(f"SET statement_timeout = {int(self._within_s * 1000)}")
                if postgresql_schema.version_of(db) == 0:
                    raise StoreDownError("nothing was recorded there yet")
            except BaseException:
                db.close()
                raise
            self._db = db
        return self._db

    def _ask(self, question: Callable[[PostgresqlConnection], T]) -> T:
        try:
            return question(self._open())
        except (StoreDownError, BadPointsError, SecretError) as error:
            self.close()
            if _TOO_LONG in str(error):
                raise QuestionTooLong(str(error)) from error
            raise StoreUnreadable(str(error)) from error

    # --- meters

    def quantities(self, gateway: str, point: str) -> Sequence[str]:
        found = self._ask(
            lambda db: db.rows(
                "SELECT quantity FROM series WHERE gateway = %s AND point = %s ORDER BY quantity",
                (gateway, point),
            )
        )
        return [str(quantity) for (quantity,) in found]

    def buckets(
        self,
        gateway: str,
        point: str,
        quantity: str,
        within: tuple[UtcMs, UtcMs],
        number: int,
        now_utc_ms: UtcMs,
    ) -> list[Bucket]:
        width = width_of(within, number)

        def work(db: PostgresqlConnection) -> list[Bucket]:
            series = db.rows(
                "SELECT id FROM series WHERE gateway = %s AND point = %s AND quantity = %s",
                (gateway, point, quantity),
            )
            found: Parts = {}
            if series:
                collect = _from_hours if width >= ROLL_UP_FROM_MS else _from_readings
                collect(db, int(series[0][0]), within, (-within[0], width), now_utc_ms, found)
            return buckets_of(found, within[0], width)

        return self._ask(work)

    # --- contacts and relays

    def levels(
        self, gateway: str, point: str, within: tuple[UtcMs, UtcMs]
    ) -> list[tuple[UtcMs, bool | None]]:
        first, last = map(calendar_time, within)

        def work(db: PostgresqlConnection) -> list[tuple[UtcMs, bool | None]]:
            def ask(begin: datetime, end: datetime, most: int) -> list[Level]:
                rows = db.rows(_LEVELS, (gateway, list(LEVEL_KINDS), begin, end, point, most))
                return [Level(ms, level_of(kind, data), boot) for ms, kind, data, boot in rows]

            found = ask(first, last, MOST_LEVELS)
            before = ask(_LONG_AGO, first, 1)
            begin = calendar_time(before[0].utc_ms) if before else first
            ends = [RunEnd(*row) for row in db.rows(_RUN_ENDS, (gateway, begin, last))]
            return levels_of([*before, *found], ends, within[0])

        return self._ask(work)

    # --- events

    def events(self, wanted: Wanted) -> list[StoredEvent]:
        if not wanted.gateways:
            return []

        return self._ask(lambda db: _events(db, wanted))


def _events(db: PostgresqlConnection, wanted: Wanted) -> list[StoredEvent]:
    end_ms = LAST_UTC_MS if wanted.to_utc_ms is None else wanted.to_utc_ms
    if wanted.oldest_first or wanted.from_utc_ms is not None:
        return _events_between(db, wanted, (wanted.from_utc_ms or 0, end_ms), wanted.limit)
    # a limit alone would let the server walk through years of readings for the last few events
    newest_ms = min(end_ms, time.time_ns() // 1_000_000)
    found: list[StoredEvent] = []
    for span_ms in (*SPANS_MS, newest_ms):
        begin_ms = max(0, newest_ms - span_ms)
        found += _events_between(db, wanted, (begin_ms, end_ms), wanted.limit - len(found))
        if len(found) >= wanted.limit:
            break
        end_ms = begin_ms
    return found


def _events_between(
    db: PostgresqlConnection, wanted: Wanted, within: tuple[UtcMs, UtcMs], most: int
) -> list[StoredEvent]:
    way = "ASC" if wanted.oldest_first else "DESC"
    where = "gateway = ANY (%(gateways)s) AND time >= %(begin)s AND time < %(end)s"
    if wanted.kinds is not None:
        where += " AND kind = ANY (%(kinds)s)"
    if wanted.subject is not None:
        where += " AND subject = %(subject)s"
    rows = db.rows(
        f"SELECT {_EVENT} FROM events WHERE {where}"
        f" ORDER BY time {way} FETCH FIRST %(most)s ROWS WITH TIES",
        {
            "gateways": list(wanted.gateways),
            "kinds": list(wanted.kinds or ()),
            "subject": wanted.subject,
            "begin": calendar_time(within[0]),
            "end": calendar_time(within[1]),
            "most": most,
        },
    )
    return [_event(row) for row in rows]


def _event(row: tuple[Any, ...]) -> StoredEvent:
    gateway, journal, lane, *rest = row
    # a second event of one number has a lane of its own
    return StoredEvent(gateway, journal, cast("Lane", lane.partition(":")[0]), *rest)


# --- means


def _from_hours(
    db: PostgresqlConnection,
    series: int,
    within: tuple[UtcMs, UtcMs],
    grid: tuple[Ms, Ms],
    now_utc_ms: UtcMs,
    found: Parts,
) -> None:
    """Whole hours, each counted in the bucket in which its middle lies. Those that the recorder has
    not computed yet are made of their readings."""
    (first, last), (_, width) = within, grid
    most = (last - 1 - first) // width
    begin, end = calendar_time(first // HOUR_MS * HOUR_MS), calendar_time(last)
    due = [hour for (hour,) in db.rows(_DUE, (series, begin, end))]
    rows = db.rows(
        _HOURS,
        {
            "first": first, "width": width, "series": series, "begin": begin, "end": end,
            "due": due,
        },
    )  # fmt: skip
    for place, count, low, high, area, total, covered_ms in rows:
        one = means.part(found, min(max(int(place), 0), most))
        more = Part(low, high, int(count), float(area or 0.0), int(covered_ms))
        more.total = float(total or 0.0)
        _join(one, more)
    for hours in _runs_of([int(hour.timestamp() * 1000) for hour in due]):
        own: Parts = {}
        _from_readings(db, series, hours, (0, HOUR_MS), now_utc_ms, own)
        for hour, more in own.items():
            place = (hour * HOUR_MS + HOUR_MS // 2 - first) // width
            _join(means.part(found, min(max(place, 0), most)), more)


def _runs_of(hours: Sequence[UtcMs]) -> list[tuple[UtcMs, UtcMs]]:
    """Ranges that neighbouring hours make together."""
    ranges: list[tuple[UtcMs, UtcMs]] = []
    for hour in sorted(hours):
        if ranges and ranges[-1][1] == hour:
            ranges[-1] = (ranges[-1][0], hour + HOUR_MS)
        else:
            ranges.append((hour, hour + HOUR_MS))
    return ranges


def _join(one: Part, more: Part) -> None:
    one.see(more.low, more.high)
    one.count += more.count
    one.total += more.total
    one.area += more.area
    one.covered_ms += more.covered_ms
    one.by_time &= more.by_time


def _from_readings(
    db: PostgresqlConnection,
    series: int,
    within: tuple[UtcMs, UtcMs],
    grid: tuple[Ms, Ms],
    now_utc_ms: UtcMs,
    found: Parts,
) -> None:
    begin, end = within[0] - BEFORE_MS, within[1] + AFTER_MS
    rows = db.rows(_READINGS, (series, calendar_time(begin), calendar_time(end)))
    if len(rows) > READINGS_MOST:
        raise StoreDownError(f"PostgreSQL {_TOO_LONG}: more than {READINGS_MOST} readings")
    add_readings(cast("list[StoredReading]", rows), within, grid, now_utc_ms, found)
