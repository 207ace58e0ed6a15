"""The PostgreSQL store: whole events, and readings again in tables that are made for charts.

An event is known by its name (gateway, journal, lane, sequence) and not by its time, so it is in
the store once, whenever its time is learnt and however often it comes. Its reading is written in
the same transaction, and only if the event is new.

Several recorders may write into one database, also events of the same gateway.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from gateway.recorder.points import Point, probe_point
from gateway.recorder.stores import postgresql_hours, postgresql_schema
from gateway.recorder.stores.expiry import SWEEP_EVERY_MS, life_ms
from gateway.recorder.stores.postgresql_connection import ANSWER_S, PostgresqlConnection
from gateway.recorder.stores.postgresql_rows import EventRow, row_of, time_of
from gateway.recorder.stores.postgresql_schema import Month, month_of
from gateway.recorder.stores.store import (
    BadPointsError,
    Rejected,
    Store,
    StoreDownError,
    bisect,
)
from gateway.settings.values.store_address import StoreAddress
from gateway.wire import calendar_time

EVENTS_AT_ONCE = 500
"""Events of one transaction."""
REMOVED_MOST = 2_000
"""Rows that one step of a sweep removes in one transaction."""
AFTER_ERROR_MS = 60_000
_INSERT = f"""
WITH fresh AS (
    INSERT INTO events
    SELECT gateway, journal, lane, sequence, kind, subject, {time_of("time_ms")}, time_known, boot,
        monotonic_ms, data
    FROM incoming ORDER BY gateway, journal, lane, sequence
    ON CONFLICT DO NOTHING
    RETURNING gateway, kind, subject, time, data)
INSERT INTO incoming_readings
SELECT gateway, subject, coalesce(data ->> 'quantity', ''),
    (data ->> 'count')::double precision::integer, time, (data ->> 'value')::double precision,
    (data ->> 'min')::double precision, (data ->> 'max')::double precision,
    (data ->> 'lasts_s')::double precision, (data ->> 'covered_s')::double precision
FROM fresh WHERE kind = 'reading'
"""
_NEW_SERIES = """
INSERT INTO series (gateway, point, quantity)
SELECT DISTINCT gateway, point, quantity FROM incoming_readings AS new
WHERE NOT EXISTS (SELECT 1 FROM series AS known WHERE known.gateway = new.gateway
    AND known.point = new.point AND known.quantity = new.quantity)
ORDER BY gateway, point, quantity
ON CONFLICT DO NOTHING
"""
_READINGS = """
WITH placed AS (
    INSERT INTO readings
    SELECT id, count, time, value, low, high, lasts_s, covered_s
    FROM incoming_readings JOIN series USING (gateway, point, quantity)
    RETURNING series, time, count)
INSERT INTO hours_due
SELECT DISTINCT series, hour FROM placed,
    generate_series(
        date_trunc('hour', time - CASE WHEN count IS NULL THEN interval '0 minutes'
            ELSE interval '30 minutes' END, 'UTC'),
        time + CASE WHEN count IS NULL THEN interval '30 minutes'
            ELSE interval '60 minutes' END, interval '1 hour') AS hour
ORDER BY series, hour
ON CONFLICT (series, hour) DO UPDATE SET hour = excluded.hour
"""
# A reading is valid for half an hour, a thinned one stands for an hour at most: see
# postgresql_hours. DO UPDATE and not DO NOTHING: it waits for whoever computes this hour right now
# without these readings, and then names the hour again.


class PostgresqlStore(Store):
    """A store in a database. ``lives_ms``: how long each retention class is stored, none: for ever.
    ``gateways``: the events of these are removed when their life is over; none: those of all.
    Another recorder may have other lives."""

    def __init__(
        self,
        address: StoreAddress,
        secret: str | None = None,
        lives_ms: Mapping[str, int] | None = None,
        gateways: Sequence[str] = (),
        *,
        timeout_s: float = ANSWER_S,
    ) -> None:
        self._address = address
        self._secret = secret
        self._timeout_s = timeout_s
        self._lives_ms = dict(lives_ms or {})
        self._gateways = tuple(gateways)
        self._db: PostgresqlConnection | None = None
        self._identity = ""
        self._months: set[Month] = set()
        """Months of which it was seen to that they have a partition."""
        self._sweep: Iterator[None] | None = None
        self._next_sweep_ms = self._next_hours_ms = 0

    def _open(self) -> PostgresqlConnection:
        if self._db is not None and not self._db.is_usable:
            self._drop()
        if self._db is None:
            db = PostgresqlConnection(self._address, self._secret, timeout_s=self._timeout_s)
            try:
                self._identity = postgresql_schema.prepare(db)
            except BaseException:
                db.close()
                raise
            self._db = db
        return self._db

    def _drop(self) -> None:
        self._months.clear()
        self._sweep = None
        if self._db is not None:
            self._db.close()
            self._db = None

    def identity(self) -> str | None:
        """See :func:`gateway.recorder.stores.postgresql_schema.identity`."""
        try:
            self._identity = postgresql_schema.identity(self._open())
        except (StoreDownError, BadPointsError) as error:
            raise self._failed(error) from error
        return self._identity

    def close(self) -> None:
        """Close the connection."""
        self._drop()

    def _failed(self, error: StoreDownError | BadPointsError) -> StoreDownError:
        """No error leaves a connection that is used again."""
        self._drop()
        if isinstance(error, StoreDownError):
            return error
        return StoreDownError(str(error), code="store_refuses")

    # --- writing

    def write(self, points: Sequence[Point]) -> list[Rejected]:
        """Store the points' events, 500 in one transaction."""
        rejected: list[Rejected] = []
        for begin in range(0, len(points), EVENTS_AT_ONCE):
            if begin:
                self.between()
            rows = [row_of(point) for point in points[begin : begin + EVENTS_AT_ONCE]]
            rejected += [
                Rejected(begin + bad.index, bad.reason)
                for bad in bisect(rows, self._send, self._probe, self.between)
            ]
        return rejected

    def _send(self, rows: Sequence[EventRow]) -> None:
        try:
            db = self._open()
            self._ensure_partitions(db, rows)
            with db.transaction():
                _insert(db, rows)
        except StoreDownError as error:
            raise self._failed(error) from error

    def _ensure_partitions(self, db: PostgresqlConnection, rows: Sequence[EventRow]) -> None:
        """Make the partitions in transactions of their own, so that the write does not wait for the
        lock of the table."""
        found = {month_of(row.time_ms) for row in rows if row.kind == "reading"} - self._months
        now = month_of(_utc_ms())
        for month in sorted(found | ({now, now.next} - self._months if found else set())):
            if month.has_partition(now):
                postgresql_schema.add_partition(db, month)
            self._months.add(month)

    def _probe(self) -> None:
        """An event of the recorder's own, which is undone again."""
        row = row_of(probe_point(_utc_ms()))
        try:
            db = self._open()
            with db.transaction():
                _insert(db, [row])
                db.run("DELETE FROM events WHERE gateway = '' AND lane = %s", (row.lane,))
        except StoreDownError as error:
            raise self._failed(error) from error

    # --- lives and means

    def expire(self, now_ms: int, utc_ms: int | None) -> None:
        """One step of what is to be done beside writing: the means of hours that are over, and once
        a day what is over is removed. ``now_ms``: monotonic; ``utc_ms``: ``None`` while the clock
        is in doubt, which ends a sweep.

        :raises StoreDownError: it does not answer, or may not
        """
        if utc_ms is None:
            self._sweep = None
        try:
            if now_ms >= self._next_hours_ms:
                done = postgresql_hours.roll_up(self._open())
                if not done:
                    self._next_hours_ms = now_ms + postgresql_hours.EVERY_MS
            if self._sweep is None and utc_ms is not None and now_ms >= self._next_sweep_ms:
                self._next_sweep_ms = now_ms + SWEEP_EVERY_MS
                if self._lives_ms:
                    self._sweep = self._expired(self._open(), utc_ms)
            if self._sweep is not None:
                next(self._sweep)
        except StopIteration:
            self._sweep = None
        except (StoreDownError, BadPointsError) as error:
            self._next_hours_ms = self._next_sweep_ms = now_ms + AFTER_ERROR_MS
            raise self._failed(error) from error

    def _expired(self, db: PostgresqlConnection, utc_ms: int) -> Iterator[None]:
        readings_life = life_ms("reading", self._lives_ms)
        if readings_life is not None and not self._gateways:
            yield from self._whole_months(db, month_of(max(0, utc_ms - readings_life)))
        for gateway in self._gateways or _distinct_values(db, "gateway"):
            for kind in _distinct_values(db, "kind", gateway):
                life = life_ms(kind, self._lives_ms)
                if life is not None:
                    end = calendar_time(utc_ms - life)
                    yield from _removed(
                        db, "events", "gateway = %s AND kind = %s AND time < %s", gateway, kind, end
                    )
            if readings_life is not None:
                yield from _readings_removed(db, gateway, calendar_time(utc_ms - readings_life))
            yield
        if readings_life is not None and self._gateways:
            yield from self._whole_months(db, month_of(max(0, utc_ms - readings_life)))

    def _whole_months(self, db: PostgresqlConnection, first: Month) -> Iterator[None]:
        """Months of readings that are over go as a whole: with what is in them where this recorder
        records all gateways, else when they are empty."""
        for month in postgresql_schema.partitions(db):
            if month >= first:
                continue
            with db.transaction():
                # before the partition, in the order of those who write
                db.run("LOCK TABLE ONLY readings IN ACCESS EXCLUSIVE MODE")
                if not self._gateways or not db.rows(f"SELECT 1 FROM {month.table} LIMIT 1"):
                    db.run(f"DROP TABLE IF EXISTS {month.table}")  # two recorders may do this
            self._months.clear()
            yield


def _insert(db: PostgresqlConnection, rows: Sequence[EventRow]) -> None:
    db.copy("incoming", rows)
    if db.run(_INSERT):
        db.run(_NEW_SERIES)
        db.run(_READINGS)


def _distinct_values(
    db: PostgresqlConnection, column: str, gateway: str | None = None
) -> list[str]:
    """The values of a column of ``events``, without reading all of it: from one to the next by the
    index."""
    where = "TRUE" if gateway is None else "gateway = %(gateway)s"
    found = db.rows(
        f"WITH RECURSIVE found AS ("
        f"(SELECT {column} AS one FROM events WHERE {where} ORDER BY {column} LIMIT 1)"
        f" UNION ALL SELECT (SELECT {column} FROM events WHERE {where} AND {column} > found.one"
        f" ORDER BY {column} LIMIT 1) FROM found WHERE found.one IS NOT NULL)"
        " SELECT one FROM found WHERE one IS NOT NULL",
        {"gateway": gateway},
    )
    return [str(one) for (one,) in found]


def _removed(db: PostgresqlConnection, table: str, where: str, *values: object) -> Iterator[None]:
    """Remove these rows, some in each step. Rows that another recorder is removing are left to
    it."""
    # by their places in the table, which is why a partition is named and not the whole
    while (
        db.run(
            f"DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table}"
            f" WHERE {where} LIMIT {REMOVED_MOST} FOR UPDATE SKIP LOCKED))",
            values,
        )
        == REMOVED_MOST
    ):
        yield


def _readings_removed(db: PostgresqlConnection, gateway: str, end: datetime) -> Iterator[None]:
    tables = [one.table for one in postgresql_schema.partitions(db) if one.begins < end]
    its = "series IN (SELECT id FROM series WHERE gateway = %s)"
    for table in (*tables, "readings_default"):
        yield from _removed(db, table, f"{its} AND time < %s", gateway, end)
    for table in ("hours_due", "hours"):  # an hour of which a part is over is not computed anew
        yield from _removed(db, table, f"{its} AND hour < %s", gateway, end + timedelta(hours=1))


def _utc_ms() -> int:
    return time.time_ns() // 1_000_000
