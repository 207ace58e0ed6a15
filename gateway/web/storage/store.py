"""The file behind users, sessions and tokens: ``STATE/web/web.sqlite``.

Who reads never waits for who writes: each has a connection of its own. A change waits for the
disk, for half a minute on a bad day, and is therefore never made in an event loop.

How old something in it is, is said by the civil clock, and by the uptime summed over boots: a
clock that is set back makes nothing younger. What passed between the last write and a loss of
power does not count, so that an age by uptime is never too high.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gateway.core.facts import Json
from gateway.formats import Database, run_all
from gateway.web.storage import outbox
from gateway.web.storage.damage import watched

SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, role TEXT NOT NULL,
  password TEXT NOT NULL, language TEXT NOT NULL DEFAULT '', armed_s INTEGER NOT NULL DEFAULT 15,
  created REAL NOT NULL, removed REAL);
CREATE TABLE IF NOT EXISTS sessions (
  hash TEXT PRIMARY KEY, user INTEGER NOT NULL REFERENCES users(id), created REAL NOT NULL,
  seen REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, role TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE, created REAL NOT NULL, expires REAL NOT NULL, by TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS factors (
  user INTEGER PRIMARY KEY REFERENCES users(id), secret TEXT NOT NULL,
  confirmed INTEGER NOT NULL DEFAULT 0, step INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS recovery (
  user INTEGER NOT NULL REFERENCES users(id), hash TEXT NOT NULL, PRIMARY KEY (user, hash)
  ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uptime (
  one INTEGER PRIMARY KEY CHECK (one = 1), boot TEXT NOT NULL, before REAL NOT NULL,
  last REAL NOT NULL);
"""
ADDED = (
    ("sessions", "browser", "TEXT NOT NULL DEFAULT ''"),
    ("sessions", "proved", "REAL NOT NULL DEFAULT 0"),
    ("users", "first_password", "INTEGER NOT NULL DEFAULT 0"),
    ("sessions", "created_up", "REAL NOT NULL DEFAULT 0"),
    ("sessions", "seen_up", "REAL NOT NULL DEFAULT 0"),
    ("sessions", "proved_up", "REAL NOT NULL DEFAULT 0"),
    ("tokens", "created_up", "REAL NOT NULL DEFAULT 0"),
    ("users", "tour", "INTEGER NOT NULL DEFAULT 0"),
)
"""Columns that files of earlier versions do not have yet. ``…_up``: seconds of summed uptime; 0
where an earlier version has written the row, whose age then counts from the next start on."""
WAL_BYTES = 4_000_000
"""Of the write-ahead log, after a checkpoint."""
UPTIME_SAVED_EVERY_S = 86_400.0
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Uptime(NamedTuple):
    """``boot``: which boot of the kernel; ``s``: seconds since it began, sleep included."""

    boot: str
    s: float


class Moment(NamedTuple):
    """``civil``: seconds since 1970; ``up``: seconds of uptime, summed over boots."""

    civil: float
    up: float


NEVER = Moment(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Author:
    """In whose name something is changed. ``actor``: how the audit chain knows them, such as
    ``web:3``. ``judge`` raises what they are answered where they may not (any more): a change may
    have waited for the disk for long, and is judged again within its own transaction."""

    actor: str
    judge: Callable[[], object] = lambda: None
    is_noted: bool = True
    """Whether what they change leaves an entry for the audit chain."""


def kernel_uptime() -> Uptime:
    """Of this machine; all its processes agree on it."""
    try:
        boot = _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    return Uptime(boot, time.clock_gettime(time.CLOCK_BOOTTIME))


FORMAT = Database(
    "users, sessions and access tokens",
    1,
    {
        "users": ("id", "name", "role", "password", "language", "armed_s", "created", "removed"),
        "sessions": ("hash", "user", "created", "seen"),
        "tokens": ("id", "name", "role", "hash", "created", "expires", "by"),
        "secrets": ("name", "value"),
        "factors": ("user", "secret", "confirmed", "step"),
        "recovery": ("user", "hash"),
    },
)

WRITE_WITHIN_S = 60
"""For who changes the file in another process; a commit there may hang as well."""


class Store:
    """``now`` gives seconds since 1970, ``uptime`` those of this boot.

    :raises UnknownFormat: the file is of another version; it was not changed
    """

    def __init__(
        self,
        path: Path,
        now: Callable[[], float] = time.time,
        uptime: Callable[[], Uptime] = kernel_uptime,
    ) -> None:
        self._now = now
        self._uptime = uptime
        self.later: Callable[[Callable[[], object]], object] = lambda change: change()
        """Makes a change that nobody waits for; at once where nothing else is set."""
        self._path = path
        self._lock = threading.RLock()
        FORMAT.check(path)
        path.parent.mkdir(mode=0o750, exist_ok=True)
        path.touch(0o600, exist_ok=True)
        self._reading = threading.Lock()
        self._db = self._connect(path, WRITE_WITHIN_S)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute(f"PRAGMA journal_size_limit={WAL_BYTES}")
        self._db.execute("PRAGMA secure_delete=ON")
        self._db.execute("PRAGMA foreign_keys=ON")
        try:
            FORMAT.prepare(path, self._db, lambda db: run_all(db, SCHEMA))
            self._upgrade()
        except BaseException:
            self._db.close()
            raise
        self._read = self._connect(path, 5)
        self._read.execute("PRAGMA query_only=ON")
        self._begin_boot()

    @staticmethod
    def _connect(path: Path, timeout_s: float) -> sqlite3.Connection:
        return sqlite3.connect(
            path, check_same_thread=False, isolation_level=None, timeout=timeout_s
        )

    def _missing(self, db: sqlite3.Connection) -> list[tuple[str, str, str]]:
        return [
            (table, column, kind)
            for table, column, kind in ADDED
            if column not in {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
        ]

    def _upgrade(self) -> None:
        """Columns and a table that a file of this version or an earlier one does not have yet."""
        named = "SELECT 1 FROM sqlite_master WHERE name = 'audit_outbox'"
        if not self._db.execute(named).fetchone():
            with self._change() as db:
                run_all(db, outbox.SCHEMA)
        if self._missing(self._db):
            with self._change() as db:
                for table, column, kind in self._missing(db):
                    db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")

    def _begin_boot(self) -> None:
        """Find the uptime of all boots before this one. Nobody waits for the card here: it is noted
        with the next change."""
        self._boot, up = self._uptime()
        row = self._one("SELECT boot, before, last FROM uptime")
        known = "" if row is None else str(row[0])
        before, last = (0.0, 0.0) if row is None else (float(str(row[1])), float(str(row[2])))
        self._is_boot_saved = known == self._boot
        self._up_before = before if self._is_boot_saved else before + last
        self._up_saved = max(last, up) if self._is_boot_saved else up
        for table, column, _ in ADDED:
            if column.endswith("_up"):
                unknown = f"{column} = 0" + (" AND proved" if column == "proved_up" else "")
                if self._one(f"SELECT 1 FROM {table} WHERE {unknown}"):
                    with self._change() as db:
                        db.execute(
                            f"UPDATE {table} SET {column} = ? WHERE {unknown}", (self._now_up(),)
                        )

    def _now_up(self) -> float:
        """Seconds of uptime, summed over boots."""
        return self._up_before + self._uptime().s

    def _moment(self) -> Moment:
        return Moment(self._now(), self._now_up())

    def save_uptime(self) -> None:
        """Note the uptime, where nothing else has done so in this boot, or for a day."""
        old = self._uptime().s - self._up_saved >= UPTIME_SAVED_EVERY_S
        if old or not self._is_boot_saved:
            with self._lock:
                self._save_uptime(self._db)

    def _save_uptime(self, db: sqlite3.Connection) -> None:
        self._up_saved, self._is_boot_saved = self._uptime().s, True
        row = (self._boot, self._up_before, self._up_saved)
        db.execute("INSERT OR REPLACE INTO uptime VALUES (1, ?, ?, ?)", row)

    def close(self) -> None:
        with self._reading:
            self._read.close()
        with self._lock:
            self._db.close()

    @contextmanager
    def _change(self, author: Author | None = None) -> Iterator[sqlite3.Connection]:
        """One transaction. Raises what ``author`` is answered who may not change anything."""
        with watched(self._path), self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            before = self._db.total_changes
            try:
                if author is not None:
                    author.judge()
                yield self._db
                if self._db.total_changes != before:
                    self._save_uptime(self._db)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _leave(
        self,
        db: sqlite3.Connection,
        author: Author | None,
        action: str,
        subject: str,
        *,
        takes_away: bool = False,
        **detail: Json,
    ) -> None:
        """Leave an entry for the audit chain in the transaction of the change that it is about."""
        if author is not None and author.is_noted:
            outbox.leave(
                db,
                author.actor,
                action,
                {"subject": subject, **detail},
                at=self._now(),
                takes_away=takes_away,
            )

    def keep_entry(
        self,
        actor: str,
        action: str,
        detail: Mapping[str, Json],
        *,
        author: Author | None = None,
    ) -> None:
        """Keep an entry for the audit chain about what is no change of this file."""
        with self._change(author) as db:
            outbox.leave(db, actor, action, detail, at=self._now(), takes_away=True)

    def waiting_entries(self, limit: int) -> list[outbox.Waiting]:
        """The oldest ones that the audit chain does not have yet, in order."""
        sql = f"SELECT {outbox.COLUMNS} FROM audit_outbox ORDER BY n LIMIT ?"
        return outbox.entries(self._all(sql, limit))

    def count_entries(self) -> tuple[int, int]:
        """How many wait for the audit chain, and the number of the newest one (0: none)."""
        ((count, newest),) = self._all("SELECT count(*), coalesce(max(n), 0) FROM audit_outbox")
        return count, newest

    def remove_entries(self, numbers: Iterable[int]) -> None:
        """Those that the audit chain has."""
        with self._change() as db:
            db.executemany("DELETE FROM audit_outbox WHERE n = ?", [(n,) for n in numbers])

    def _one(self, sql: str, *values: object) -> tuple[object, ...] | None:
        with watched(self._path), self._reading:
            row: tuple[object, ...] | None = self._read.execute(sql, values).fetchone()
        return row

    def _all(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with watched(self._path), self._reading:
            return self._read.execute(sql, values).fetchall()

    def secret(self, name: str) -> bytes:
        """32 random bytes of this installation, made on first use."""
        for (value,) in self._all("SELECT value FROM secrets WHERE name = ?", name):
            return bytes(value)
        with self._change() as db:
            db.execute(
                "INSERT OR IGNORE INTO secrets VALUES (?, ?)", (name, secrets.token_bytes(32))
            )
            row = db.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()
        return bytes(row[0])
