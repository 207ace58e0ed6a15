"""The tables of the journal, and how a connection to them is opened.

A fact's words (kind, subject, quantity) are kept once, as a *series*; a fact points to its
series. A *plain reading* (quantity and value, nothing else) keeps its value in a column and
no JSON at all: ten million of them fit into the default limit of 1 GB.

Instants are kept as (boot, monotonic ms); ``clock`` says which offset to UTC a boot has from
which instant on, so that facts are stamped later without being touched.

``hour`` (readings and gaps, plain sums) and ``hour_mean`` (means by time,
:mod:`gateway.journal.queries.means`) are written once, when an hour is over. ``hour_mean`` came
later, as a table of its own, so that older versions still read and write a file that has it; those
wrote ``hour`` with each reading, and charts of their hours are made of it.

Every table and index has its own pattern of columns: salvage tells
the pages of a broken file apart by them, without trusting anything else in the file.
"""

from __future__ import annotations

import os
import re
import sqlite3
from pathlib import Path

from gateway import damage, formats
from gateway.core.facts import LANES, Lane
from gateway.formats import UnknownFormat, uri

VERSION = 1
LOG_BYTES = 8_000_000
"""Of the write-ahead log, after a checkpoint."""
PAGE_BYTES = 1024
"""Of a new file. A commit writes whole pages, most of them for a few bytes, so smaller ones spare
the card."""
PAGE_SIZES = (1024, 4096)
"""Files from before have pages of 4096, and keep them."""
BUSY_MS = 2_000
HOUR_MS = 3_600_000
LANE_INDEX: dict[Lane, int] = {lane: index for index, lane in enumerate(LANES)}
REASONS = ("thinned", "expired", "lost")
"""Why a number will never come. One answer for ever."""

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE series (
  id INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, quantity TEXT NOT NULL,
  UNIQUE (kind, subject, quantity));
CREATE TABLE boot (id INTEGER PRIMARY KEY, boot TEXT NOT NULL, first_row INTEGER NOT NULL);
CREATE TABLE clock (
  id INTEGER PRIMARY KEY, boot INTEGER NOT NULL,
  from_mono_ms INTEGER NOT NULL, utc_offset_ms INTEGER NOT NULL);
CREATE TABLE fact (
  row INTEGER PRIMARY KEY, lane INTEGER NOT NULL, seq INTEGER NOT NULL,
  series INTEGER NOT NULL, boot INTEGER NOT NULL, mono_ms INTEGER NOT NULL,
  value REAL, count INTEGER, data TEXT);
CREATE UNIQUE INDEX fact_lane ON fact (lane, seq);
CREATE INDEX fact_series ON fact (series, boot, mono_ms, value, count);
CREATE TABLE absent (
  lane INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY (lane, first)) WITHOUT ROWID;
CREATE TABLE hour (
  series INTEGER NOT NULL, boot INTEGER NOT NULL, hour INTEGER NOT NULL,
  count INTEGER NOT NULL, gaps INTEGER NOT NULL, sum REAL NOT NULL, min REAL, max REAL,
  PRIMARY KEY (series, boot, hour)) WITHOUT ROWID;
CREATE TABLE hour_mean (
  series INTEGER NOT NULL, boot INTEGER NOT NULL, hour INTEGER NOT NULL,
  count INTEGER NOT NULL, gaps INTEGER NOT NULL, covered_ms INTEGER NOT NULL,
  mean REAL, min REAL, max REAL, PRIMARY KEY (series, boot, hour)) WITHOUT ROWID;
CREATE TABLE audit (
  n INTEGER PRIMARY KEY, boot TEXT NOT NULL, mono_ms INTEGER NOT NULL, utc_ms INTEGER,
  actor TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL, outcome TEXT NOT NULL,
  detail TEXT, detail_hash TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL);
"""


TABLES = tuple(line.split()[2] for line in SCHEMA.splitlines() if line.startswith("CREATE TABLE"))
DAMAGED = damage.ERRORS
DAMAGED_WORDS = damage.WORDS
NUMBERS_MOST = 2**52
"""No number that was ever given is larger; JSON can hold twice as many behind it."""
_RULES = re.compile(r"\b(AS|CHECK|COLLATE|CONFLICT|REFERENCES|VIRTUAL)\b", re.IGNORECASE)
"""Words of rules that no table of ours has: one of them may make a table drop what is written."""


WHAT = "the journal"
UNDERSTOOD = (VERSION,)


class UnknownSchema(sqlite3.DatabaseError):
    """The file is in order for SQLite, but it is not a journal that we know."""


def damaged(error: Exception) -> bool:
    """Whether the file itself is broken, so that waiting does not help."""
    # one of another version is set aside when it is opened again
    return not isinstance(error, UnknownSchema) and damage.is_damage(error)


def unknown(path: Path, found: object) -> UnknownFormat:
    """The error about a journal whose schema is ``found``; ``None``: it names none."""
    return UnknownFormat(path, WHAT, "unknown" if found is None else str(found), UNDERSTOOD)


def known_schema(path: Path, connection: sqlite3.Connection) -> None:
    """Whether a journal that is open can be read.

    :raises UnknownSchema: it is of another version
    """
    row = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    if row is None or row[0] != str(VERSION):
        raise UnknownSchema(unknown(path, row and row[0]).name)


def foreign(connection: sqlite3.Connection) -> str:
    """What the file does by itself that no version of Portier has told it to, or an empty text.
    A later version may have added tables and columns.

    Raises :class:`sqlite3.Error`."""
    if found := formats.foreign(connection):
        return found
    names = ", ".join("?" * len(TABLES))
    made = connection.execute(
        f"SELECT name, sql FROM sqlite_master WHERE tbl_name IN ({names})", TABLES
    )
    wrong = (name for name, sql in made if sql is not None and _RULES.search(sql))
    return next((f"{name} has a rule that Portier has not made" for name in wrong), "")


def meta_number(db: sqlite3.Connection, key: str) -> int:
    """0 where there is none, or damage has left none. Raises :class:`sqlite3.Error`."""
    row = db.execute("SELECT CAST(value AS INTEGER) FROM meta WHERE key = ?", (key,)).fetchone()
    found: int = (row and row[0]) or 0
    return found if 0 <= found < NUMBERS_MOST else 0


def new_id() -> str:
    """A new journal id: 12 hex digits that no other journal has."""
    return os.urandom(6).hex()


def connect(
    path: Path, factory: type[sqlite3.Connection] = sqlite3.Connection
) -> sqlite3.Connection:
    """A writing connection. Raises :class:`sqlite3.Error`, :class:`OSError`."""
    if not path.exists():
        # The mode is passed on by SQLite to -wal and -shm: the group may read, nobody else.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o640))
    connection = sqlite3.connect(
        uri(path, "rw"),
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=BUSY_MS / 1000,
        factory=factory,
        cached_statements=64,
    )
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        if connection.execute("PRAGMA auto_vacuum").fetchone() != (2,):
            # of a new file: where it is so already, this would be a transaction of its own
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON").fetchone()
        connection.execute("PRAGMA wal_autocheckpoint = 0").fetchone()
        connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}").fetchone()
        connection.execute("PRAGMA cache_size = -4000")
        connection.execute("PRAGMA temp_store = MEMORY")
    except BaseException:
        connection.close()
        raise
    return connection


def add_hour_mean(connection: sqlite3.Connection) -> None:
    """Within a transaction: the table that files of older versions do not have."""
    (text,) = (part for part in SCHEMA.split(";\n") if "CREATE TABLE hour_mean" in part)
    connection.execute(text)


def create(connection: sqlite3.Connection, journal: str) -> None:
    """Make all tables in an empty file, in one transaction. Raises :class:`sqlite3.Error`."""
    statements = [f"{part};" for part in SCHEMA.split(";\n") if part.strip()]
    try:
        connection.execute("BEGIN IMMEDIATE")
        for statement in statements:
            connection.execute(statement)
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?)",
            [("schema", str(VERSION)), ("journal", journal), ("clean", "1")],
        )
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
