"""Readings that wait to be moved into the embedded store, in a file that is the recorder's alone.

Every commit into a file that others may read writes the index of the log that they share, too
(-shm): five blocks of an SD card for three numbers. Nobody reads this one, so SQLite keeps its
index in memory, and a commit is one block or two. The rows are on the disk before they are
acknowledged, as in the store itself; moving them again after a crash changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from gateway.damage import ERRORS, find, is_damage
from gateway.formats import Database, run_all
from gateway.recorder.damage import set_aside
from gateway.recorder.rejects import transaction

Row = tuple[int, int, int, str]
"""Series, UTC ms, sequence, fields: a row of the store."""

_TYPES: list[type] = [int, int, int, str]
MOST = 500
"""Readings that may wait."""
MOVE_MS = 1_800_000
"""So long at most; anything but a few readings takes them along."""
FEW_READINGS = 8
"""Readings that come together and may wait. More are written to the store at once."""
_PAGE_BYTES = 1024
_SCHEMA = """
CREATE TABLE IF NOT EXISTS owner (store TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS recent (
    id INTEGER PRIMARY KEY, series INTEGER NOT NULL, time_ms INTEGER NOT NULL,
    seq INTEGER NOT NULL, fields TEXT NOT NULL);
"""
FORMAT = Database(
    "the readings that wait beside the embedded store",
    1,
    {"owner": ("store",), "recent": ("id", "series", "time_ms", "seq", "fields")},
)


class RecentReadings:
    """The file. Raises :class:`sqlite3.Error` where it cannot be used, and
    :class:`gateway.formats.UnknownFormat`."""

    def __init__(self, path: Path, store: str) -> None:
        """``store``: the id of the store that numbers the series. What waited for another one is
        dropped: the recorder asks for everything again when its store was replaced."""
        self._db = sqlite3.connect(path, isolation_level=None, timeout=0)
        try:
            self._db.execute(f"PRAGMA page_size={_PAGE_BYTES}")
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            FORMAT.version_of(path, self._db)  # before anything is written to it
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA secure_delete=ON")
            FORMAT.prepare(path, self._db, lambda db: run_all(db, _SCHEMA))
            if self._db.execute("SELECT store FROM owner").fetchall() != [(store,)]:
                with transaction(self._db) as db:
                    db.execute("DELETE FROM recent")
                    db.execute("DELETE FROM owner")
                    db.execute("INSERT INTO owner VALUES (?)", (store,))
            self.rows: list[Row] = self._db.execute(
                "SELECT series, time_ms, seq, fields FROM recent ORDER BY id"
            ).fetchall()
            if [*map(type, chain.from_iterable(self.rows))] != _TYPES * len(self.rows):
                raise sqlite3.DatabaseError("a reading is none")
            (found,) = self._db.execute("PRAGMA integrity_check(1)").fetchone()
            if found != "ok":
                raise sqlite3.DatabaseError(found)
        except BaseException:
            self._db.close()
            raise

    def add(self, rows: Iterable[Row]) -> None:
        """Save these in one transaction."""
        rows = list(rows)
        with transaction(self._db) as db:
            db.executemany(
                "INSERT INTO recent (series, time_ms, seq, fields) VALUES (?, ?, ?, ?)", rows
            )
        self.rows += rows

    def clear(self) -> None:
        """All of them are in the store."""
        if self.rows:
            self._db.execute("DELETE FROM recent")
            self.rows = []

    def close(self) -> None:
        """Close the file; what waits stays in it."""
        self._db.close()


def path_of(store_path: Path) -> Path:
    """The file beside a store; of one in memory it is in memory, too."""
    if str(store_path) == ":memory:":
        return store_path
    return store_path.with_name(f"{store_path.name}-recent")


def opened(
    store_path: Path, store: str, *, is_new: bool = True
) -> tuple[RecentReadings | None, Path | None]:
    """The file beside a store, and where the one before is, if it was damaged or, unless this is
    new, empty or gone. No file where another recorder that writes to the store has it, or
    it is damaged and cannot be put aside: then each reading goes into the store at once."""
    path = path_of(store_path)
    try:
        found = "" if is_new or path.is_dir() else find(path, FORMAT, busy_s=0, is_new=False)
        if not found:
            return RecentReadings(path, store), None
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            return None, None
        if not (is_damage(error) or path.is_dir()):
            raise
        found = str(error)
    except ERRORS as error:
        found = str(error)
    try:
        moved = set_aside(path, found)
    except OSError:
        return None, None
    return RecentReadings(path, store), moved
