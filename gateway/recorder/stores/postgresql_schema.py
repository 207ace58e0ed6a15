"""The tables of the PostgreSQL store, which the recorder makes and migrates itself.

All of them are in the schema ``portier``::

    SELECT time, kind, subject, data FROM portier.events
    WHERE gateway = 'csg-office' ORDER BY time DESC LIMIT 100

``events``: every event, whole, once. ``readings``: the values of meters again, narrow, by month.
``hours``: their means by time, of each hour in UTC that is over. ``series``: the meters, numbered.

A migration only adds: recorders of both versions work side by side while they are updated one
after the other. A migration that older versions cannot work with increases ``OLDEST``, and these
wait.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import NamedTuple

from gateway.core.instant import UtcMs
from gateway.recorder.stores.postgresql_connection import PostgresqlConnection
from gateway.recorder.stores.postgresql_rows import SERVER, unusable
from gateway.recorder.stores.store import BadPointsError, StoreDownError
from gateway.wire import calendar_time

LOCK = 0x706F7274
"""The key of the advisory lock that whoever changes tables holds."""
OLDEST = 1
"""The oldest version of the tables' code that may write into what this one has made."""
MIGRATIONS = (
    """
CREATE TABLE meta (name text PRIMARY KEY, value text NOT NULL);
CREATE TABLE events (
    gateway text NOT NULL, journal text NOT NULL, lane text NOT NULL, sequence bigint NOT NULL,
    kind text NOT NULL, subject text NOT NULL, time timestamptz NOT NULL,
    time_known boolean NOT NULL, boot text NOT NULL, monotonic_ms bigint NOT NULL,
    data jsonb NOT NULL, PRIMARY KEY (gateway, journal, lane, sequence));
CREATE INDEX events_by_kind ON events (gateway, kind, time);
CREATE INDEX events_by_time ON events (gateway, time);
CREATE TABLE series (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, gateway text NOT NULL,
    point text NOT NULL, quantity text NOT NULL, UNIQUE (gateway, point, quantity));
CREATE TABLE readings (
    series integer NOT NULL, count integer, time timestamptz NOT NULL, value double precision,
    low double precision, high double precision, lasts_s double precision,
    covered_s double precision) PARTITION BY RANGE (time);
CREATE INDEX readings_by_series ON readings (series, time);
CREATE TABLE readings_default PARTITION OF readings DEFAULT;
CREATE TABLE hours (
    series integer NOT NULL, count integer NOT NULL, gaps integer NOT NULL,
    hour timestamptz NOT NULL, mean double precision, low double precision,
    high double precision, covered_ms integer NOT NULL, PRIMARY KEY (series, hour));
CREATE TABLE hours_due (
    series integer NOT NULL, hour timestamptz NOT NULL, PRIMARY KEY (series, hour));
""",
)
"""One script for each version; the next is added at the end."""
MONTHS_BACK = 36
"""Months before the present one that get a partition of their own; what is older, and what lies in
the future by more than a month, goes into the default one."""
_TEMPORARY = """
CREATE TEMPORARY TABLE incoming (
    gateway text, journal text, lane text, sequence bigint, kind text, subject text,
    time_ms bigint, time_known boolean, boot text, monotonic_ms bigint, data jsonb
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE incoming_readings (
    gateway text, point text, quantity text, count integer, time timestamptz,
    value double precision, low double precision, high double precision,
    lasts_s double precision, covered_s double precision
) ON COMMIT DELETE ROWS;
"""


class Month(NamedTuple):
    """A month in UTC."""

    year: int
    month: int

    @property
    def table(self) -> str:
        """The name of its partition."""
        return f"readings_{self.year:04d}_{self.month:02d}"

    @property
    def next(self) -> Month:
        """The month after it."""
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    @property
    def begins(self) -> datetime:
        """Its first instant."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def number(self) -> int:
        """Counting up by one from month to month."""
        return self.year * 12 + self.month

    def has_partition(self, now: Month) -> bool:
        """Whether it gets one of its own."""
        return -MONTHS_BACK <= self.number - now.number <= 1


def month_of(utc_ms: UtcMs) -> Month:
    """The month of an instant."""
    at = calendar_time(utc_ms)
    return Month(at.year, at.month)


def prepare(db: PostgresqlConnection) -> str:
    """Make or migrate the tables, and this connection's temporary ones; what the store is known by.

    It changes where the server was restored from a backup or another one has taken over: then it
    may lack what the recorder has accounted for, and everything is asked for again.

    :raises StoreDownError: this server cannot be the store
    """
    ((version, text, encoding, read_only, commits),) = db.rows(
        f"SELECT {SERVER}, current_setting('synchronous_commit')"
    )
    if reason := unusable(version, text, encoding, read_only=read_only):
        raise StoreDownError(reason, code="store_refuses")
    if commits == "off":  # what is acknowledged must be on the disk
        db.run("SET synchronous_commit = on")
    try:
        if version_of(db) < len(MIGRATIONS):
            _migrate(db)
        _run(db, _TEMPORARY)
        return identity(db)
    except BadPointsError as error:  # no event is there yet
        raise StoreDownError(str(error), code="store_refuses") from error


def version_of(db: PostgresqlConnection) -> int:
    """The version of the tables; 0: there are none.

    :raises StoreDownError: they need a newer version of Portier
    """
    ((there,),) = db.rows("SELECT to_regclass('portier.meta') IS NOT NULL")
    if not there:
        return 0
    found = dict(db.rows("SELECT name, value FROM meta WHERE name IN ('version', 'oldest')"))
    if int(found.get("oldest", "0")) > len(MIGRATIONS):
        raise StoreDownError(
            f"the tables in the database are of version {found['version']}, and this version of "
            f"Portier understands {len(MIGRATIONS)}: update it",
            code="store_refuses",
        )
    return int(found.get("version", "0"))


def _migrate(db: PostgresqlConnection) -> None:
    """Bring the tables up to the newest version; only one recorder does so at a time."""
    with db.transaction():
        db.run("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        if not db.rows("SELECT 1 FROM pg_namespace WHERE nspname = 'portier'"):
            db.run("CREATE SCHEMA portier")
        version = version_of(db)
        for script in MIGRATIONS[version:]:
            _run(db, script)
        if version < len(MIGRATIONS):
            for name, value in (
                ("version", str(len(MIGRATIONS))),
                ("oldest", str(OLDEST)),
            ):
                db.run(
                    "INSERT INTO meta VALUES (%s, %s)"
                    " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    (name, value),
                )
            db.run(
                "INSERT INTO meta VALUES ('store', %s) ON CONFLICT DO NOTHING",
                (str(uuid.uuid4()),),
            )


def _run(db: PostgresqlConnection, script: str) -> None:
    for statement in filter(str.strip, script.split(";\n")):
        db.run(statement)


def identity(db: PostgresqlConnection) -> str:
    """What changes where this is not the same store any more: its own name, the server, the
    server's timeline (another one has taken over), and the table itself (it was restored)."""
    ((name, system, timeline, table),) = db.rows(
        "SELECT (SELECT value FROM meta WHERE name = 'store'),"
        " (SELECT system_identifier FROM pg_control_system()),"
        " (SELECT timeline_id FROM pg_control_checkpoint()),"
        " 'portier.events'::regclass::oid"
    )
    return f"{name}/{system}/{timeline}/{table}"


def add_partition(db: PostgresqlConnection, month: Month) -> None:
    """Give a month of readings a partition of its own, where the default one has none of it."""
    with db.transaction():
        db.run("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        begin, end = month.begins, month.next.begins
        if db.rows("SELECT to_regclass(%s) IS NOT NULL", (f"portier.{month.table}",))[0][0]:
            return
        if db.rows(
            "SELECT 1 FROM readings_default WHERE time >= %s AND time < %s LIMIT 1", (begin, end)
        ):
            return
        db.run(
            f"CREATE TABLE {month.table} PARTITION OF readings"
            f" FOR VALUES FROM ('{begin.isoformat()}') TO ('{end.isoformat()}')"
        )


def partitions(db: PostgresqlConnection) -> list[Month]:
    """The months that have one, oldest first."""
    found = db.rows(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
        " WHERE inhparent = 'portier.readings'::regclass"
        " AND relname ~ '^readings_[0-9]{4}_[0-9]{2}$' ORDER BY relname"
    )
    return [Month(int(name[9:13]), int(name[14:16])) for (name,) in found]
