"""History and events from the recorder's embedded store: its file is opened to read only.

It has points and not whole events: what a fact says in lists and tables is not there, nor the boot
of the machine. Readings reach it up to half an hour late. There are no roll-ups, and rows lie by
time: a year of one series is a walk through all rows of the year, which may take too long.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from gateway import damage, regular
from gateway.core.facts import KINDS, Json
from gateway.core.instant import UtcMs
from gateway.formats import UnknownFormat, uri
from gateway.journal.queries.history import MOST_LEVELS, Bucket
from gateway.journal.queries.means import Parts
from gateway.recorder.stores.reading_means import AFTER_MS, BEFORE_MS, add_readings
from gateway.recorder.stores.sqlite import FORMAT
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

T = TypeVar("T")
_CLOCK_EVERY = 10_000
"""Steps of SQLite's machine after which the time is looked at."""
_READINGS = """
SELECT time_ms, fields ->> 'value', fields ->> 'count', fields ->> 'min', fields ->> 'max',
    fields ->> 'lasts_s', fields ->> 'covered_s'
FROM points WHERE series = ? AND time_ms >= ? AND time_ms < ? ORDER BY time_ms LIMIT ?
"""
_LAST = "SELECT time_ms FROM points WHERE series = ? AND time_ms < ? ORDER BY time_ms DESC LIMIT 1"


class SqliteHistory(StoredHistory):
    """Reads one file; opened with the first question, and again where it was replaced."""

    def __init__(self, path: Path, *, within_s: float = READ_WITHIN_S) -> None:
        self._path, self._within_s = path, within_s
        self._db: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._until_s = 0.0

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _open(self) -> sqlite3.Connection:
        regular.check(self._path)
        status = os.stat(self._path)
        file = (status.st_dev, status.st_ino)
        if self._db is None or file != self._file:
            self.close()
            FORMAT.check(self._path)
            self._db = sqlite3.connect(
                uri(self._path, "ro"),
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=1.0,
            )
            self._db.execute("PRAGMA query_only = ON")
            # a flipped bit in one text shall not keep all others from being read
            self._db.text_factory = partial(str, encoding="utf-8", errors="replace")
            self._file = file
        self._until_s = time.monotonic() + self._within_s
        self._db.set_progress_handler(self._is_over, _CLOCK_EVERY)
        return self._db

    def _is_over(self) -> bool:
        return time.monotonic() > self._until_s

    def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        try:
            db = self._open()
            db.execute("BEGIN")
            try:
                return question(db)
            finally:
                db.execute("ROLLBACK")
        except (*damage.ERRORS, UnknownFormat, OSError, ValueError) as error:
            self.close()
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
                raise QuestionTooLong(f"interrupted after {self._within_s} s") from error
            raise StoreUnreadable(str(error)) from error

    # --- meters

    def quantities(self, gateway: str, point: str) -> Sequence[str]:
        rows = self._ask(
            lambda db: db.execute(
                "SELECT DISTINCT quantity FROM series WHERE measurement = 'reading'"
                " AND gateway = ? AND subject = ? ORDER BY quantity",
                (gateway, point),
            ).fetchall()
        )
        return [quantity for (quantity,) in rows]

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

        def work(db: sqlite3.Connection) -> list[Bucket]:
            found: Parts = {}
            series = db.execute(
                "SELECT id FROM series WHERE measurement = 'reading' AND gateway = ?"
                " AND subject = ? AND quantity = ?",
                (gateway, point, quantity),
            ).fetchone()
            if series is not None:
                begin, end = within[0] - BEFORE_MS, within[1] + AFTER_MS
                rows = db.execute(
                    _READINGS, (series[0], begin, end, READINGS_MOST + 1)
                ).fetchall()  # fmt: skip
                if len(rows) > READINGS_MOST:
                    raise QuestionTooLong(f"more than {READINGS_MOST} readings")
                add_readings(rows, within, (-within[0], width), now_utc_ms, found)
            return buckets_of(found, within[0], width)

        return self._ask(work)

    # --- contacts and relays

    def levels(
        self, gateway: str, point: str, within: tuple[UtcMs, UtcMs]
    ) -> list[tuple[UtcMs, bool | None]]:
        first, last = within

        def work(db: sqlite3.Connection) -> list[tuple[UtcMs, bool | None]]:
            found: list[Level] = []
            for kind in LEVEL_KINDS:
                for series in _series(db, [gateway], [kind], point):
                    before = db.execute(_LAST, (series, first)).fetchone()
                    begin = first if before is None else before[0]
                    rows = db.execute(
                        "SELECT time_ms, fields FROM points WHERE series = ? AND time_ms >= ?"
                        " AND time_ms < ? ORDER BY time_ms DESC LIMIT ?",
                        (series, begin, last, MOST_LEVELS),
                    ).fetchall()
                    found += [Level(ms, level_of(kind, json.loads(text)), "") for ms, text in rows]
            begin = min((one.utc_ms for one in found), default=first)
            return levels_of(found, _run_ends(db, gateway, (begin, last)), first)

        return self._ask(work)

    # --- events

    def events(self, wanted: Wanted) -> list[StoredEvent]:
        def work(db: sqlite3.Connection) -> list[StoredEvent]:
            series = _series(db, wanted.gateways, wanted.kinds, wanted.subject)
            if not series:
                return []
            begin = -(2**62) if wanted.from_utc_ms is None else wanted.from_utc_ms
            end = 2**62 if wanted.to_utc_ms is None else wanted.to_utc_ms
            way = "ASC" if wanted.oldest_first else "DESC"
            # + keeps to the order of time, where the file has it
            query = (
                "SELECT series, time_ms, seq, fields FROM points"
                f" WHERE +series IN ({','.join(map(str, series))})"
            )
            rows = db.execute(
                f"{query} AND time_ms >= ? AND time_ms < ? ORDER BY time_ms {way} LIMIT ?",
                (begin, end, wanted.limit),
            ).fetchall()
            if len(rows) == wanted.limit and rows:
                last = rows[-1][1]
                rows = [row for row in rows if row[1] != last]
                rows += db.execute(f"{query} AND time_ms = ?", (last,)).fetchall()
            return [_event(series[number], *rest) for number, *rest in rows]

        return self._ask(work)


_Tags = tuple[str, str, str, str, str]
"""Measurement, gateway, subject, point, quantity."""


def _series(
    db: sqlite3.Connection,
    gateways: Iterable[str],
    kinds: Iterable[str] | None,
    subject: str | None = None,
) -> dict[int, _Tags]:
    """The series of these gateways and kinds by their number."""
    whose, which = set(gateways), None if kinds is None else set(kinds)
    return {
        number: tags
        for number, *row in db.execute(
            "SELECT id, measurement, gateway, subject, point, quantity FROM series"
        )
        if (tags := (row[0], row[1], row[2], row[3], row[4]))[1] in whose
        and (which is None or tags[0] in which)
        and (subject is None or tags[2] == subject)
    }


def _run_ends(
    db: sqlite3.Connection, gateway: str, within: tuple[UtcMs, UtcMs]
) -> list[RunEnd]:  # fmt: skip
    """The last point before each start of the gateway."""
    starts = [
        ms
        for series in _series(db, [gateway], ["gateway_started"])
        for (ms,) in db.execute(
            "SELECT time_ms FROM points WHERE series = ? AND time_ms >= ? AND time_ms < ?"
            " ORDER BY time_ms DESC LIMIT 1000",
            (series, *within),
        )
    ]
    its = ",".join(map(str, _series(db, [gateway], None)))
    found = []
    for start in starts:
        row = db.execute(
            f"SELECT time_ms FROM points WHERE +series IN ({its}) AND time_ms < ?"
            " ORDER BY time_ms DESC LIMIT 1",
            (start,),
        ).fetchone()
        if row is not None:
            found.append(RunEnd(row[0], ""))
    return found


def _event(tags: _Tags, utc_ms: UtcMs, seq: int, text: str) -> StoredEvent:
    kind, gateway, subject, point, quantity = tags
    known = KINDS.get(kind)
    data = _data(json.loads(text), {} if known is None else known.fields)
    if known is not None:
        for name, value in (("quantity", quantity), ("activator", point)):
            if value and name in known.fields:
                data.setdefault(name, value)
    lane = "routine" if known is None or known.lane == "local" else known.lane
    return StoredEvent(gateway, "", lane, seq, "", utc_ms, utc_ms, kind, subject or gateway, data)


def _data(fields: Mapping[str, Json], types: Mapping[str, str]) -> dict[str, Json]:
    """The fields of a point as its fact had them: a yes or no is stored as a number."""
    return {
        name: bool(value) if types.get(name, "").rstrip("?") == "bool" else value
        for name, value in fields.items()
        if name not in ("seq", "time_known")
    }
