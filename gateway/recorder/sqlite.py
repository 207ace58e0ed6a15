"""The embedded store: the same points in one SQLite file.

Table ``points``: one row per point, unique by series and time. Series are numbered in
``series`` (measurement and tags). Fields are JSON, which SQLite queries itself::

    SELECT datetime(time_ms / 1000, 'unixepoch'), fields ->> 'value'
    FROM points JOIN series ON series.id = points.series
    WHERE measurement = 'reading' AND subject = 'wc.climate'
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.journal.schema import DAMAGED
from gateway.recorder.points import Point, Series, probe_point
from gateway.recorder.store import BadPointsError, Rejected, StoreDownError, bisect, nothing

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
# By time first: what came together lies on one page, and an SD card is written by the page.
# Files of before are ordered by series; both are read and written in the same way.
_PAGE_BYTES = 1024
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class SqliteStore:
    """A store in a file. Its writes are on the disk before they are acknowledged."""

    forgets_ms = 0

    def __init__(self, path: Path) -> None:
        self.between: Callable[[], None] = nothing
        self._path = path
        self._db: sqlite3.Connection | None = None
        self._series: dict[Series, int] = {}
        self._file: tuple[int, int] | None = None
        self._id = ""

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            db = sqlite3.connect(self._path, isolation_level=None, timeout=5)
            try:
                db.execute(f"PRAGMA page_size={_PAGE_BYTES}")  # of a new file only
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=FULL")
                db.execute("PRAGMA secure_delete=ON")
                db.executescript(_SCHEMA)
                db.execute("INSERT OR IGNORE INTO meta VALUES ('store', ?)", (str(uuid.uuid4()),))
                # once: even a read writes, into the index of the log that readers share
                row = db.execute("SELECT value FROM meta WHERE name = 'store'").fetchone()
            except sqlite3.Error:
                db.close()
                raise
            self._db, self._file, self._id = db, _inode(self._path), str(row[0])
        return self._db

    def write(self, points: Sequence[Point]) -> list[Rejected]:
        """Store the points in one transaction."""
        return bisect(points, self._send, self._probe, self.between)

    def _send(self, points: Sequence[Point]) -> None:
        """A disk that is full, read-only or broken refuses no point: the file is away. Only a
        value that SQLite cannot hold is a point's own fault."""
        try:
            db = self._open()
            db.execute("BEGIN IMMEDIATE")
            db.executemany(
                "INSERT INTO points VALUES (?, ?, ?, ?) ON CONFLICT (series, time_ms)"
                " DO UPDATE SET seq = excluded.seq, fields = excluded.fields",
                [
                    (
                        self._series.get(point.series) or self._number(db, point.series),
                        point.time_ms,
                        point.fields["seq"],
                        _encode(point.fields),
                    )
                    for point in points
                ],
            )
            db.execute("COMMIT")
        except (OverflowError, UnicodeEncodeError) as error:
            self.close()
            raise BadPointsError(f"sqlite: {error}") from error
        except DAMAGED as error:
            self.close()
            raise StoreDownError(f"sqlite: {error}") from error

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

    def identity(self) -> str | None:
        """The id that the file was given when it was created. A file that was removed or replaced
        while it was open is another store: what was written since is in no folder."""
        if self._db is not None and _inode(self._path) != self._file:
            self.close()
        try:
            self._open()
        except DAMAGED as error:
            self.close()
            raise StoreDownError(f"sqlite: {error}") from error
        return self._id

    def close(self) -> None:
        """Close the file; an open transaction is undone."""
        self._series.clear()
        if self._db is not None:
            self._db.close()
            self._db = None


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
