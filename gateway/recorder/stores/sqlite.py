"""The embedded store: the same points in one SQLite file.

Table ``points``: one row per point, unique by series and time. Series are numbered in
``series`` (measurement and tags). Readings reach it up to half an hour late
(:mod:`gateway.recorder.stores.recent`), everything else at once. Fields are JSON, which SQLite
queries itself::

    SELECT datetime(time_ms / 1000, 'unixepoch'), fields ->> 'value'
    FROM points JOIN series ON series.id = points.series
    WHERE measurement = 'reading' AND subject = 'wc.climate'
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path

import structlog

from gateway import damage
from gateway.core.facts import is_evidence
from gateway.formats import Database, UnknownFormat, run_all
from gateway.recorder.damage import set_aside
from gateway.recorder.points import Point, Series, probe_point
from gateway.recorder.stores import recent
from gateway.recorder.stores.expiry import SWEEP_EVERY_MS, life_ms
from gateway.recorder.stores.recent import RecentReadings, Row
from gateway.recorder.stores.store import BadPointsError, Rejected, Store, StoreDownError, bisect
from gateway.set_aside import remove_old
from gateway.settings.values.store_address import LIMIT_BYTES

log = structlog.get_logger("recorder")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY, measurement TEXT NOT NULL, gateway TEXT NOT NULL,
    subject TEXT NOT NULL, point TEXT NOT NULL, quantity TEXT NOT NULL,
    UNIQUE (measurement, gateway, subject, point, quantity));
CREATE TABLE IF NOT EXISTS points (
    series INTEGER NOT NULL REFERENCES series (id), time_ms INTEGER NOT NULL,
    seq INTEGER NOT NULL, fields TEXT NOT NULL, PRIMARY KEY (time_ms, series)) WITHOUT ROWID;
"""
FORMAT = Database(
    "the embedded store",
    1,
    {
        "meta": ("name", "value"),
        "series": ("id", "measurement", "gateway", "subject", "point", "quantity"),
        "points": ("series", "time_ms", "seq", "fields"),
    },
)
# By time first: what came together lies on one page, and an SD card is written by the page.
# Files of before are ordered by series; both are read and written in the same way.
_PAGE_BYTES = 1024
_UPSERT = """INSERT INTO points VALUES (?, ?, ?, ?) ON CONFLICT (series, time_ms)
  DO UPDATE SET seq = excluded.seq, fields = excluded.fields"""
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


LOOKED_AT = 2_000
"""Points of one step of a sweep; at most so many are removed in one transaction."""
FIT_TO = 0.95
"""Of the limit: down to where the oldest points are removed when it is reached."""
FIT_EVERY_MS = 60_000
_LEAST_PART = 0.02
"""Of the time that is stored: removed at least in one sweep that makes room."""
WAL_BYTES = 16_000_000
"""Of the write-ahead log, after a checkpoint."""
AFTER_ERROR_MS = 600_000


class SqliteStore(Store):
    """A store in a file. Its writes are on the disk before they are acknowledged.

    ``lives_ms``: how long each retention class is stored; none: for ever. ``limit_bytes``: where
    the oldest points are removed; the room is used again, and the file grows no more."""

    def __init__(
        self,
        path: Path,
        lives_ms: Mapping[str, int] | None = None,
        limit_bytes: int = LIMIT_BYTES,
    ) -> None:
        self._lives_ms = dict(lives_ms or {})
        self._limit_bytes = limit_bytes
        self._sweep: Iterator[None] | None = None
        self._by_clock = False
        """The sweep removes what is over, and not what there is no room for."""
        self._next_sweep_ms = self._next_fit_ms = 0
        self._path = path
        self._db: sqlite3.Connection | None = None
        self._recent: RecentReadings | None = None
        self._recent_since_ms: int | None = None
        self._series: dict[Series, int] = {}
        self._open_inode: tuple[int, int] | None = None
        self._id = ""
        self._suspect: set[str] = set()
        """What has met damage, and is to be tried once more with the file opened anew."""
        self.file = None if str(path) == ":memory:" else path

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            try:
                FORMAT.check(self._path)
            except UnknownFormat as error:
                raise StoreDownError(str(error)) from error
            db = sqlite3.connect(self._path, isolation_level=None, timeout=5)
            try:
                db.execute(f"PRAGMA page_size={_PAGE_BYTES}")  # of a new file only
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=FULL")
                db.execute("PRAGMA secure_delete=ON")
                db.execute(f"PRAGMA journal_size_limit={WAL_BYTES}")
                FORMAT.prepare(self._path, db, lambda db: run_all(db, _SCHEMA))
                db.execute("INSERT OR IGNORE INTO meta VALUES ('store', ?)", (str(uuid.uuid4()),))
                # once: even a read writes, into the index of the log that readers share
                self._id = _named(db)
                had = db.execute("SELECT 1 FROM meta WHERE name = 'recent'").fetchone()
                self._recent, moved = recent.opened(self._path, self._id, is_new=had is None)
                if moved is not None:
                    self._rename(db, moved)
                if had is None and self._recent is not None:
                    db.execute("INSERT OR IGNORE INTO meta VALUES ('recent', '1')")
            except UnknownFormat as error:
                db.close()
                raise StoreDownError(str(error)) from error
            except BaseException:
                db.close()
                raise
            self._db, self._open_inode = db, _inode(self._path)
        return self._db

    def _rename(self, db: sqlite3.Connection, moved: Path) -> None:
        """Readings that were acknowledged, and waited beside this file, are lost: it is another
        store now, for which everything is asked again, and somebody is told."""
        if self._recent is not None:
            self._recent.close()
        db.execute("UPDATE meta SET value = ? WHERE name = 'store'", (str(uuid.uuid4()),))
        self.damaged_file, self._id = moved, _named(db)
        self._recent, _ = recent.opened(self._path, self._id)

    def write(self, points: Sequence[Point]) -> list[Rejected]:
        """Store the points in one transaction."""
        return bisect(points, self._send, self._probe, self.between)

    def _send(self, points: Sequence[Point]) -> None:
        """A disk that is full, read-only or broken refuses no point: the file is away. Only a
        value that SQLite cannot hold is a point's own fault."""
        try:
            db = self._open()
            if self._recent is not None and self._may_wait(points, self._recent):
                self._recent.add(self._row(db, point) for point in points)
            else:
                self._store(db, points)
        except (OverflowError, UnicodeEncodeError) as error:
            self._drop()
            raise BadPointsError(f"sqlite: {error}") from error
        except damage.ERRORS as error:
            raise self._failed("write", error) from error
        self._suspect.discard("write")

    def _may_wait(self, points: Sequence[Point], waiting: RecentReadings) -> bool:
        """Whether these are a few readings, of series that have their numbers."""
        return (
            len(points) <= recent.FEW_READINGS
            and len(waiting.rows) < recent.MOST
            and all(p.measurement == "reading" and p.series in self._series for p in points)
        )

    def _store(self, db: sqlite3.Connection, points: Sequence[Point]) -> None:
        """Into the table, with all readings that wait, which came before."""
        waiting = [] if self._recent is None else self._recent.rows
        db.execute("BEGIN IMMEDIATE")
        db.executemany(_UPSERT, [*waiting, *(self._row(db, point) for point in points)])
        db.execute("COMMIT")
        if self._recent is not None:
            self._recent.clear()
        self._recent_since_ms = None

    def _row(self, db: sqlite3.Connection, point: Point) -> Row:
        number = self._series.get(point.series) or self._number(db, point.series)
        seq = int(point.fields["seq"])
        return number, point.time_ms, seq, _encode(point.fields)

    def _probe(self) -> None:
        probe = probe_point(time.time_ns() // 1_000_000)
        self._send([probe._replace(fields={**probe.fields, "seq": 0})])

    def _number(self, db: sqlite3.Connection, series: Series) -> int:
        measurement, tags = series
        by_name = dict(tags)
        row = (
            measurement,
            *(by_name.get(name, "") for name in ("gateway", "subject", "point", "quantity")),
        )
        db.execute(
            "INSERT OR IGNORE INTO series (measurement, gateway, subject, point, quantity)"
            " VALUES (?, ?, ?, ?, ?)",
            row,
        )
        (number,) = db.execute(
            "SELECT id FROM series WHERE measurement = ? AND gateway = ? AND subject = ?"
            " AND point = ? AND quantity = ?",
            row,
        ).fetchone()
        self._series[series] = number
        return int(number)

    # --- lives and room

    def expire(self, now_ms: int, utc_ms: int | None) -> None:
        """One step of removing what is over, or what there is no room for. Once a day all points
        are looked at, some in each step; once a minute, whether the limit is reached. Writes only
        where something is removed. ``now_ms``: monotonic; ``utc_ms``: ``None`` while the clock is
        in doubt, which ends a sweep for what is over.

        Readings that have waited long enough are moved into the table.

        :raises StoreDownError: the file cannot be used
        """
        self._move_if_due(now_ms)
        if utc_ms is None and self._by_clock:
            self._sweep = None
        is_due = utc_ms is not None and now_ms >= self._next_sweep_ms
        if self._sweep is None and not is_due and now_ms < self._next_fit_ms:
            return
        try:
            db = self._open()
            if self._sweep is None:
                self._sweep = self._due(db, now_ms, utc_ms)
            if self._sweep is not None:
                next(self._sweep)
        except StopIteration:
            self._sweep = None
            self._suspect.discard("sweep")
        except damage.ERRORS as error:
            self._next_sweep_ms = self._next_fit_ms = now_ms + AFTER_ERROR_MS
            raise self._failed("sweep", error) from error

    def _move_if_due(self, now_ms: int) -> None:
        if self._db is None or self._recent is None or not self._recent.rows:
            return
        if self._recent_since_ms is None:
            self._recent_since_ms = now_ms
        elif now_ms - self._recent_since_ms >= recent.MOVE_MS:
            try:
                self._store(self._db, ())
            except damage.ERRORS as error:
                raise self._failed("write", error) from error

    def _due(
        self, db: sqlite3.Connection, now_ms: int, utc_ms: int | None
    ) -> Iterator[None] | None:
        self._by_clock = False
        if now_ms >= self._next_fit_ms:
            self._next_fit_ms = now_ms + FIT_EVERY_MS
            if self.used_bytes() > self._limit_bytes:
                return self._fitted(db)
        if utc_ms is None or now_ms < self._next_sweep_ms:
            return None
        self._next_sweep_ms = now_ms + SWEEP_EVERY_MS
        for path in (self._path, recent.path_of(self._path)):
            remove_old(path, utc_ms)  # also where points are stored for ever
        self._by_clock = bool(self._lives_ms)
        return self._expired(db, utc_ms) if self._lives_ms else None

    def used_bytes(self) -> int:
        """What the file holds, without its free pages."""
        pages, free, size = (
            int(self._open().execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    def _expired(self, db: sqlite3.Connection, utc_ms: int) -> Iterator[None]:
        """Remove what is over."""
        ends = {
            series: utc_ms - life
            for series, kind in db.execute("SELECT id, measurement FROM series")
            if (life := life_ms(kind, self._lives_ms)) is not None
        }
        yield from self._swept(db, ends)

    def _fitted(self, db: sqlite3.Connection) -> Iterator[None]:
        """Remove the oldest points until there is room, those that are evidence last."""
        kinds: list[tuple[int, str]] = db.execute("SELECT id, measurement FROM series").fetchall()
        count = 0
        for last in (False, True):
            series = [
                number for number, kind in kinds
                if last or not is_evidence(kind)
            ]  # fmt: skip
            while (used := self.used_bytes()) > FIT_TO * self._limit_bytes:
                times = self._times(db, series)
                if times is None:
                    break
                oldest, newest = times
                part = max(1 - FIT_TO * self._limit_bytes / used, _LEAST_PART)
                end = oldest + 1 + int(part * (newest - oldest))
                count += yield from self._swept(db, dict.fromkeys(series, end))
        if count:
            log.warning(
                "the store has reached its limit: its oldest points were removed",
                count=count, limit_bytes=self._limit_bytes,
            )  # fmt: skip

    def _times(self, db: sqlite3.Connection, series: Sequence[int]) -> tuple[int, int] | None:
        """Of the oldest and the newest point of these series."""
        if self._is_by_time(db):
            among = f"FROM points WHERE +series IN ({','.join(map(str, series))}) ORDER BY time_ms"
            ends = [
                db.execute(f"SELECT time_ms {among} {way} LIMIT 1").fetchone()
                for way in ("ASC", "DESC")
            ]
            return None if ends[0] is None else (ends[0][0], ends[1][0])
        found = [
            db.execute("SELECT min(time_ms), max(time_ms) FROM points WHERE series = ?", (one,))
            .fetchone()
            for one in series
        ]  # fmt: skip
        there = [(low, high) for low, high in found if low is not None]
        return (min(low for low, _ in there), max(high for _, high in there)) if there else None

    def _swept(self, db: sqlite3.Connection, ends: Mapping[int, int]) -> Generator[None, None, int]:
        """Look at all points once, oldest first, and remove those of each series before its end;
        how many those were."""
        by_time = self._is_by_time(db)
        removed = 0
        # One range over all series, or, in files of before, one of each series.
        for only in [None] if by_time else sorted(ends):
            last = max(ends.values(), default=0) if only is None else ends[only]
            at = (-(2**62), 0)
            where = "(time_ms, series) > (:ms, :series)"
            if only is not None:
                where = f"series = {only} AND time_ms > :ms"
            while True:
                rows = db.execute(
                    f"SELECT time_ms, series FROM points WHERE {where} AND time_ms < :last "
                    "ORDER BY time_ms, series LIMIT :most",
                    {"ms": at[0], "series": at[1], "last": last, "most": LOOKED_AT},
                ).fetchall()
                over = [(ms, number) for ms, number in rows if ms < ends.get(number, ms)]
                if over:
                    removed += len(over)
                    db.execute("BEGIN IMMEDIATE")
                    db.executemany("DELETE FROM points WHERE time_ms = ? AND series = ?", over)
                    db.execute("COMMIT")
                yield
                if len(rows) < LOOKED_AT:
                    break
                at = rows[-1]
        return removed

    @staticmethod
    def _is_by_time(db: sqlite3.Connection) -> bool:
        columns = db.execute("PRAGMA table_info(points)").fetchall()
        return any(name == "time_ms" and place == 1 for _, name, _, _, _, place in columns)

    def identity(self) -> str | None:
        """The id that the file was given when it was created. A file that was removed or replaced
        while it was open is another store: what was written since is in no folder."""
        if self._db is not None and _inode(self._path) != self._open_inode:
            self._drop()
        try:
            self._open()
        except damage.ERRORS as error:
            raise self._failed("open", error) from error
        self._suspect.discard("open")
        return self._id

    def close(self) -> None:
        """Move the readings that wait, and close the files."""
        if self._db is not None and self._recent is not None and self._recent.rows:
            with contextlib.suppress(*damage.ERRORS):  # they are moved after the next start
                self._store(self._db, ())
        self._drop()

    def _failed(self, what: str, error: Exception) -> StoreDownError:
        """Close the files. One that is damaged, and is so again when it was opened anew, is set
        aside: the next is another store, for which everything is asked again."""
        self._drop()
        if not damage.is_damage(error) and not self._path.is_dir():
            return StoreDownError(f"sqlite: {error}")
        if what not in self._suspect:
            self._suspect.add(what)
            return StoreDownError(f"sqlite: {error}")
        self._suspect.clear()
        try:
            self.damaged_file = set_aside(self._path, str(error))
        except OSError as refused:
            return StoreDownError(f"sqlite: {error}; it cannot be set aside: {refused}")
        return StoreDownError(f"sqlite: {error}; it is set aside", lost=True)

    def _drop(self) -> None:
        """Close the files as they are; an open transaction is undone."""
        self._series.clear()
        self._sweep = None
        self._recent_since_ms = None
        if self._recent is not None:
            self._recent.close()
            self._recent = None
        if self._db is not None:
            self._db.close()
            self._db = None


def _named(db: sqlite3.Connection) -> str:
    return str(db.execute("SELECT value FROM meta WHERE name = 'store'").fetchone()[0])


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
